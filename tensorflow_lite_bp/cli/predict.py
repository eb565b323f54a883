"""``tflbp predict``: the outputs of a trained network for the rows of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import counted
from tensorflow_lite_bp.cli._options import TF32, BackendName, Device, Json, MemoryLimit, RunPath, backend_of
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from dsl.program import Output
    from tensorflow_lite_bp.network import Network

    Array = np.ndarray

_FORMATS = (".csv", ".npz")
_SQUASHED = ("softmax", "log_softmax")  # they keep which class is largest


def predict(
    run: RunPath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A csv or npz file.")],
    *,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="A .csv or .npz to write.")] = None,
    backend: BackendName = None,
    device: Device = None,
    memory_limit: MemoryLimit = None,
    tf32: TF32 = None,
    json: Json = False,
) -> Answer:
    """Compute the outputs of a trained network; without -o they are printed as csv.

    DATA has the columns (or arrays) that the data section names; others are ignored. Where an output scores the classes
    of a target, a column with the target's name says the likeliest class.

    \b
    Examples:
      tflbp predict runs/iris-001 flowers.csv
      tflbp predict runs/iris-001 flowers.csv -o predicted.npz
    """
    from tensorflow_lite_bp.cli import _runs
    from tensorflow_lite_bp.data import read_user_table, user_rows

    if out is not None and not out.endswith(_FORMATS):
        raise InputError(f"`{out}` has no format: expected a name that ends in {' or '.join(_FORMATS)}")
    computing = backend_of(backend, device=device, memory_limit=memory_limit, tf32=tf32)
    network = _runs.load(run, backend=computing).network
    program = network.program
    if not program.outputs:
        raise InputError(f"`{program.name}` declares no output: add a line such as `output y = …` and train again")
    names = [variable.name for variable in program.inputs]
    rows = user_rows(program, read_user_table(data, program), names, preprocessing=network.preprocessing)
    outputs = network.predict(rows)
    labels = {output.name: _labels(network, output) for output in program.outputs}
    arrays = {**_likeliest(outputs, labels), **outputs}
    columns = dict(_columns(arrays, labels))
    m = len(next(iter(arrays.values())))
    if out is None:
        return Answer({"run": run, "rows": m, "columns": columns}, text=_csv(columns), exact=True)
    _write(out, arrays, columns)
    found = {"run": run, "rows": m, "file": out, "outputs": list(arrays)}
    return Answer(found, text=f"{counted(m, 'row')} written to {out}")


@dataclass(frozen=True)
class Labels:
    """The classes that an output scores: those of a target, by name."""

    target: str
    names: Sequence[str]


def _labels(network: Network, output: Output) -> Labels | None:
    """What an output scores, if a loss or metric holds it (perhaps before its softmax) against a class target."""
    program = network.program
    nodes = {node.name: node for node in program.nodes}
    chain = [output.tensor]
    while chain[-1] in nodes and nodes[chain[-1]].op in _SQUASHED:
        chain.append(nodes[chain[-1]].inputs[0])
    counts = {target.name: target.type.count for target in program.targets if target.type.kind == "class"}
    for scores, target in [*(item.inputs for item in program.losses), *(item.inputs for item in program.metrics)]:
        if scores in chain and target in counts and program.types[scores].shape[:1] == (counts[target],):
            named = network.preprocessing.classes if network.preprocessing is not None else {}
            return Labels(target, named.get(target, [str(index) for index in range(counts[target] or 0)]))
    return None


def _likeliest(outputs: Mapping[str, Array], labels: Mapping[str, Labels | None]) -> dict[str, Array]:
    """The names of the classes with the largest scores, under the names of their targets."""
    import numpy as np

    return {
        found.target: np.array(found.names)[outputs[name].argmax(axis=1)]
        for name, found in labels.items()
        if found is not None and found.target not in outputs
    }


def _columns(arrays: Mapping[str, Array], labels: Mapping[str, Labels | None]) -> Iterator[tuple[str, Array]]:
    """Each array as columns: ``name`` for one number, ``name.class`` for scores, else ``name.0``, ``name.0.1``, …"""
    import numpy as np

    for name, array in arrays.items():
        found = labels.get(name)
        for place in np.ndindex(array.shape[1:]):
            ends = found.names[place[0]] if found is not None and len(place) == 1 else ".".join(map(str, place))
            yield f"{name}.{ends}" if place else name, array[(slice(None), *place)]


def _csv(columns: Mapping[str, Array]) -> str:
    """The columns as csv; numbers with as many digits as tell them from their neighbours."""
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.astype(str).tolist() for column in columns.values()), strict=True))
    return text.getvalue()


def _write(out: str, arrays: Mapping[str, Array], columns: Mapping[str, Array]) -> None:
    from tensorflow_lite_bp.files import atomic_write

    with atomic_write(out) as file:
        if out.endswith(".npz"):
            _write_npz(file, arrays)
        else:
            file.write(_csv(columns).encode())


def _write_npz(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """As `numpy.savez`, which takes no array of the name ``file`` or ``allow_pickle``."""
    import zipfile

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)

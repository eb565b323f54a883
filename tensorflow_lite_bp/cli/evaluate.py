"""``tflbp evaluate``: how good a trained network is, on its own splits or on another file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import table
from tensorflow_lite_bp.cli._options import TF32, BackendName, Device, Json, MemoryLimit, RunPath, backend_of
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.cli._runs import Trained
    from tensorflow_lite_bp.data import Data

_FILE = "data"  # what the rows of a file named by --data are called


def evaluate(
    run: RunPath,
    *,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="train, validation or test; all by default.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="FILE", help="A csv or npz file with inputs and targets.")] = None,
    backend: BackendName = None,
    device: Device = None,
    memory_limit: MemoryLimit = None,
    tf32: TF32 = None,
    json: Json = False,
) -> Answer:
    """Measure a trained network: its loss, its metrics, and what it confuses.

    \b
    Examples:
      tflbp evaluate runs/digits-001 --split test
      tflbp evaluate runs/digits-001 --data new.csv
    """
    from tensorflow_lite_bp.cli import _runs
    from tensorflow_lite_bp.training.evaluate import confusion_matrices, evaluate_split
    from tensorflow_lite_bp.training.result import number, render_confusion

    if split is not None and data is not None:
        raise typer.BadParameter("the rows of --data FILE are no split: leave --split or --data away")
    computing = backend_of(backend, device=device, memory_limit=memory_limit, tf32=tf32)
    trained = _runs.load(run, backend=computing)
    found, notes = _own_data(trained) if data is None else (_file_data(trained, data), "")
    splits = list(found.splits) if split is None else [_known(split, found)]
    reports = {name: evaluate_split(trained.network, found, name) for name in splits}
    matrices = confusion_matrices(trained.network, found, splits[-1])
    measures = list(reports[splits[0]])
    rows = [("", "rows", *measures)]
    rows += [(name, str(len(found.splits[name])), *map(number, report.values())) for name, report in reports.items()]
    text = table(rows, right=range(1, len(rows[0])))
    counts = {name: len(found.splits[name]) for name in splits}
    return Answer(
        {"run": run, "rows": counts, **reports, "confusion": [matrix.to_json() for matrix in matrices]},
        text="\n\n".join([text, *map(render_confusion, matrices)]),
        notes=notes,
    )


def _known(split: str, data: Data) -> str:
    if split not in data.splits:
        raise InputError(f"there is no split `{split}`: expected {' or '.join(data.splits)}")
    return split


def _own_data(trained: Trained) -> tuple[Data, str]:
    """The data that the network was trained with, and what to say when it is no longer the same."""
    from tensorflow_lite_bp.data import load_data

    network, info = trained.network, trained.info
    if info is None or trained.folder is None:
        raise InputError(f"`{trained.path}` lies in no run folder, so its data is unknown: name a file with --data")
    data = load_data(network.program, folder=trained.folder, seed=network.seed, preprocessing=network.preprocessing)
    same = data.digest == info.data["digest"]
    note = "" if same else "note: the data is no longer what the network was trained with"
    return data, note


def _file_data(trained: Trained, file: str) -> Data:
    """The rows of a file as one split."""
    import numpy as np

    from tensorflow_lite_bp.data import Data, Preprocessing, read_user_table, user_rows
    from tensorflow_lite_bp.data.dataset import bound_sizes

    program, fitted = trained.network.program, trained.network.preprocessing
    opened = read_user_table(file, program)
    names = [variable.name for variable in (*program.inputs, *program.targets)]
    rows = user_rows(program, opened, names, preprocessing=fitted)
    preprocessing = fitted if fitted is not None else Preprocessing(program, {})
    return Data(rows, {_FILE: np.arange(opened.rows)}, preprocessing, "", bound_sizes(program, rows))

"""Write a network as an ONNX model, in inference mode, and keep the file only if onnxruntime computes the same with it.

What a reader of the model finds: inputs, outputs and weights under the names of the `.net` file; each node named by
its path there, with the line; the fitted preprocessing as nodes before the network; and, as metadata, the source
itself, class names, columns, metrics, seed and versions, each a JSON string.

Real numbers are float32 in the model whatever the network trained with, because onnxruntime computes several
operators in float32 alone; ``precision="float64"`` keeps double precision, inputs included, where that can run.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.program import Node
from dsl.source import Span
from dsl.types import TensorType
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.exchange.builder import BATCH, OPSETS, Builder, Tensor
from tensorflow_lite_bp.exchange.parity import Difference, ParityFailure, verify
from tensorflow_lite_bp.exchange.sample import sample_batches
from tensorflow_lite_bp.files import atomic_write, sweep_temporaries

if TYPE_CHECKING:
    import onnx

    from tensorflow_lite_bp.data import Table
    from tensorflow_lite_bp.network import Network

_LARGEST = (1 << 31) - 1  # bytes of a protobuf message, which an ONNX file is


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how close onnxruntime came to the network."""

    path: Path
    size: int  # bytes
    opset: int
    ir_version: int
    precision: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    differences: tuple[Difference, ...]
    batches: tuple[int, ...]  # samples in each batch that was compared

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class Built:
    """A model in memory. ``values`` says what a tensor of the program is called in it, in the order of computation."""

    proto: onnx.ModelProto
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    values: Mapping[str, str]


def export(
    network: Network,
    path: Path | str,
    *,
    opset: int = 17,
    raw: bool = False,
    precision: str = "float32",
    sample: Mapping[str, Any] | Table | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write a network to an ONNX file that onnxruntime was seen to run with the same results.

    Args:
        path: the file, which is replaced only when everything went well.
        opset: version of the ONNX operators, one of `builder.OPSETS`.
        raw: leave the preprocessing out: the inputs are then the tensors that the file declares.
        precision: of the model's real numbers, ``float32`` or ``float64``.
        sample: rows to compare on; see `sample.sample_batches`. Numbers are drawn without it.
        metrics: what the network reached, for the metadata.

    Raises:
        InputError: for a network without an output or with weights that are not finite, an opset that is not written,
            a path that is no place for a file.
        ParityFailure: when onnxruntime gives other numbers; it names the first layer that differs.
        EnvironmentFailure: when onnxruntime cannot run the model, or the file cannot be written.
    """
    from onnx import checker

    built = build(network, opset=opset, raw=raw, precision=precision, metrics=metrics)
    content = built.proto.SerializeToString()
    checker.check_model(content, full_check=True)
    batches = sample_batches(network, built.inputs, raw=raw, sample=sample)
    sweep_temporaries(Path(path).parent)
    with atomic_write(path) as file:
        file.write(content)
        file.flush()
        try:
            differences = verify(file.name, network, batches, values=built.values)
        except (ParityFailure, EnvironmentFailure) as error:
            raise type(error)(f"`{path}` was not written: {error}") from error
    return ExportReport(
        path=Path(path),
        size=len(content),
        opset=opset,
        ir_version=built.proto.ir_version,
        precision=precision,
        inputs=built.inputs,
        outputs=built.outputs,
        differences=differences,
        batches=tuple(batch.size for batch in batches),
    )


def build(
    network: Network,
    *,
    opset: int = 17,
    raw: bool = False,
    precision: str = "float32",
    metrics: Mapping[str, Any] | None = None,
) -> Built:
    """The model of a network, not yet written or compared; arguments and errors as for `export`."""
    _check_request(network, opset, precision)
    program, graph = network.program, network.graph
    g = Builder(precision, opset)
    weights = _Weights(g, network)
    nodes = graph.ancestors([output.tensor for output in program.outputs])
    read = {name for node in nodes for name in node.inputs} | {output.tensor for output in program.outputs}
    values = _add_inputs(g, network, read, raw=raw)
    for node in nodes:
        with g.scope(node.name, _place(node.span)):
            values[node.name] = graph.layers[node.name].onnx(g, _names(network, node, values, weights))
    for output in program.outputs:
        type_ = program.types[output.tensor]
        g.output(values[output.tensor], output.name, _dtype(type_, precision), type_.shape)
    return Built(
        g.model(_metadata(network, {} if raw else _columns(network, g), metrics=metrics), name=program.name),
        tuple(g.inputs.values()),
        tuple(g.outputs.values()),
        {tensor: g.public_name(value) for tensor, value in values.items()},
    )


def _names(network: Network, node: Node, values: Mapping[str, str], weights: _Weights) -> SimpleNamespace:
    """What `Layer.onnx` calls ``at``: the names of a node's inputs and weights, and the shapes of its samples."""
    layer, types = network.graph.layers[node.name], network.program.types
    ports = dict(zip(layer.ports, node.inputs, strict=True))
    inputs = {port: values[name] if name in values else weights.value(name) for port, name in ports.items()}
    own = {letter: weights.value(name) for letter, name in network.graph.roles(node.name).items()}
    shapes = {port: types[name].shape for port, name in ports.items()}
    return SimpleNamespace(**inputs, **own, shapes={**shapes, "Y": node.type.shape})


class _Weights:
    """The weights as initializers under their names, each once, and only those that a node reads."""

    def __init__(self, g: Builder, network: Network) -> None:
        self._g = g
        self._network = network
        self._bytes = 0

    def value(self, name: str) -> str:
        array = np.asarray(self._network.weights[name])
        if not self._g.has(name):
            self._check(name, array)
        return self._g.initializer(name, array)

    def _check(self, name: str, array: np.ndarray) -> None:
        dtype = np.dtype(self._g.float_dtype)
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(dtype, copy=False)).all()
        if not finite:
            raise InputError(
                f"weight `{name}` holds values that are not finite numbers in {dtype}: "
                "export a checkpoint from before they broke, or train again at a lower rate"
            )
        self._bytes += array.size * dtype.itemsize
        if self._bytes > _LARGEST:
            raise InputError(
                f"the weights up to `{name}` take {self._bytes / 1e9:.1f} GB, and an ONNX file holds at most 2 GB"
            )


def _check_request(network: Network, opset: int, precision: str) -> None:
    program = network.program
    if opset not in OPSETS:
        raise InputError(f"opset {opset} is not written: expected {OPSETS[0]} to {OPSETS[-1]}")
    if precision not in ("float32", "float64"):
        raise InputError(f"precision `{precision}` is unknown: expected float32 or float64")
    if not program.outputs:
        raise InputError(
            f"`{program.name}` gives nothing out: name what predict and ONNX should give in a line such as "
            "`output y = ...`"
        )
    if BATCH in program.sizes:
        raise InputError(f"a size is called `{BATCH}`, which is the name of ONNX's sample axis: give it another name")


def _add_inputs(g: Builder, network: Network, read: set[str], *, raw: bool) -> dict[str, str]:
    """The inputs that the outputs depend on, with their preprocessing; the value of each."""
    values = {}
    for variable in network.program.inputs:
        if variable.name not in read:
            continue
        with g.scope(f"{variable.name}.preprocessing", _place(variable.span)):
            if network.preprocessing is not None and not raw:
                values[variable.name] = network.preprocessing.onnx(g, variable)
            else:
                dtype = _dtype(variable.type, g.float_dtype)
                values[variable.name] = g.input(variable.name, dtype, variable.type.shape)
    return values


def _place(span: Span) -> str:
    """``digits.net:18``; the folders of this machine are nobody else's business."""
    return f"{Path(span.source.name).name}:{span.line}"


def _dtype(type_: TensorType, precision: str) -> str:
    return "int64" if type_.kind in ("class", "token") else precision


def _metadata(network: Network, columns: dict[str, list[str]], *, metrics: Mapping[str, Any] | None) -> dict[str, str]:
    """What a reader should know besides the graph; each value is JSON."""
    import onnx

    from tensorflow_lite_bp import __version__

    program = network.program
    facts: dict[str, Any] = {
        "network": program.name,
        "source": program.source.text,
        "imports": {Path(source.name).name: source.text for source in program.imports},
        "classes": {} if network.preprocessing is None else dict(network.preprocessing.classes),
        "columns": columns,
        "metrics": dict(metrics or {}),
        "seed": network.seed,
        "versions": {
            "tensorflow_lite_bp": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        },
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def _columns(network: Network, g: Builder) -> dict[str, list[str]]:
    """The columns of the data that fill each input of the model, in their order."""
    if network.preprocessing is None:
        return {}
    raws = [raw for variable in network.program.inputs for raw in network.preprocessing.raw_inputs(variable)]
    return {raw.name: list(raw.columns) for raw in raws if raw.name in g.inputs}

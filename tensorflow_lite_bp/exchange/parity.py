"""Does onnxruntime compute from the written file what the network computes? And if not, which layer is the first?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.program import Output, Program
from tensorflow_lite_bp.errors import EnvironmentFailure, NumericalFailure

if TYPE_CHECKING:
    import onnx
    import onnxruntime

    from tensorflow_lite_bp.network import Network

RTOL, ATOL = 1e-3, 1e-5
"""How far a value may lie from the network's: ``ATOL + RTOL·|value|``."""

_TIE = 1e-4
"""Two classes whose scores differ by less, as a part of the row's largest, are as good as equal."""


class ParityFailure(NumericalFailure):
    """onnxruntime gives other numbers than the network."""


@dataclass(frozen=True)
class Batch:
    """The same samples twice, rows first: ``feed`` for the model's inputs, ``rows`` for the network's."""

    feed: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]

    @property
    def size(self) -> int:
        return len(next(iter(self.rows.values())))


@dataclass(frozen=True)
class Difference:
    """How far an output of the model lies from the network's at most.

    ``relative`` looks at the values above `ATOL`; below, a ratio says nothing.
    """

    output: str
    absolute: float
    relative: float

    @classmethod
    def between(cls, output: str, found: np.ndarray, expected: np.ndarray) -> Difference:
        """Over all entries that are finite in both."""
        found, expected = found.astype(np.float64), expected.astype(np.float64)
        finite = np.isfinite(found) & np.isfinite(expected)
        apart, size = np.abs(found[finite] - expected[finite]), np.abs(expected[finite])
        ratios = apart[size > ATOL] / size[size > ATOL]
        return cls(output, float(apart.max(initial=0.0)), float(ratios.max(initial=0.0)))

    def larger(self, other: Difference) -> Difference:
        return Difference(self.output, max(self.absolute, other.absolute), max(self.relative, other.relative))


def open_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU for a file or a serialized model; nothing of onnxruntime's own talk reaches the terminal.

    Raises:
        EnvironmentFailure: when onnxruntime does not take the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: what is wrong is raised, and told once
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise EnvironmentFailure(
            f"onnxruntime {onnxruntime.__version__} does not take the model: {_first_line(error)}"
        ) from error


def run(session: onnxruntime.InferenceSession, feed: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The model's outputs by their names.

    Raises:
        EnvironmentFailure: when a node cannot be computed.
    """
    import onnxruntime

    try:
        results = session.run(None, dict(feed))
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise EnvironmentFailure(
            f"onnxruntime {onnxruntime.__version__} does not run the model: {_first_line(error)}"
        ) from error
    return dict(zip((output.name for output in session.get_outputs()), results, strict=True))


def verify(
    path: str, network: Network, batches: Iterable[Batch], *, values: Mapping[str, str]
) -> tuple[Difference, ...]:
    """Compare every output on every batch.

    Args:
        path: the file as it was written.
        values: tensor of the program -> its name in the model, in the order of computation.

    Returns:
        The largest differences of each output.

    Raises:
        ParityFailure: when a value lies outside the tolerance or a class changes; names the first layer that differs.
        EnvironmentFailure: when onnxruntime does not take or run the model.
    """
    session = open_session(path)
    largest: dict[str, Difference] = {}
    for batch in batches:
        found, expected = run(session, batch.feed), network.predict(batch.rows)
        for output in network.program.outputs:
            name = output.name
            problem = _disagreement(found[name], expected[name], classes=_names_classes(output, network.program))
            if problem is not None:
                culprit = _first_divergence(path, network, batch, values)
                raise ParityFailure(
                    f"onnxruntime does not compute what the network computes: output `{name}` {problem} "
                    f"in a batch of {batch.size}; {culprit}"
                )
            difference = Difference.between(name, found[name], expected[name])
            largest[name] = difference.larger(largest.get(name, difference))
    return tuple(largest.values())


def _names_classes(output: Output, program: Program) -> bool:
    """Whether an output has a score for each class of a class target: then its largest is what people look at."""
    counts = {target.type.count for target in program.targets if target.type.kind == "class"}
    type_ = program.types[output.tensor]
    return type_.kind == "float" and len(type_.shape) > 0 and type_.shape[0] in counts


def _disagreement(found: np.ndarray, expected: np.ndarray, *, classes: bool) -> str | None:
    """What is wrong with the numbers that were found, or None."""
    if found.shape != expected.shape:
        return f"has the shape {list(found.shape)} instead of {list(expected.shape)}"
    odd = ~(np.isfinite(found) & np.isfinite(expected))
    if not np.array_equal(found[odd], expected[odd], equal_nan=True):
        return "is not finite in the same places"
    if not _close(found, expected):
        worst = Difference.between("", found, expected)
        return f"is off by up to {worst.absolute:.3g} (relative {worst.relative:.3g})"
    if classes and not _same_classes(found, expected):
        return "names another class"
    return None


def _close(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, rtol=RTOL, atol=ATOL, equal_nan=True)


def _same_classes(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the largest score stands at the same class in every row, or as good as ties with the one that does."""
    best, chosen = (np.expand_dims(scores.argmax(axis=1), 1) for scores in (expected, found))
    lead = np.take_along_axis(expected, best, 1) - np.take_along_axis(expected, chosen, 1)
    return not np.any(lead > _TIE * np.abs(expected).max(axis=1, keepdims=True))


def _first_divergence(path: str, network: Network, batch: Batch, values: Mapping[str, str]) -> str:
    """The first tensor, in the order of computation, that the model computes otherwise: a clause for people."""
    program = network.program
    nodes = {node.name: node for node in program.nodes if node.name in values}
    expected = {**batch.rows, **network.tensors(batch.rows, list(nodes))}
    found = {**batch.feed, **run(open_session(_probe(path, values.values())), batch.feed)}
    for tensor, value in values.items():
        if _close(found[value], expected[tensor]):
            continue
        if tensor not in nodes:
            return f"the preprocessing of `{tensor}` is the first to differ"
        node = nodes[tensor]
        return f"the first layer that differs is `{tensor}` ({node.op}, {node.span})"
    return "every layer alone agrees, so the difference is made by onnxruntime's fusion of layers"


def _probe(path: str, values: Iterable[str]) -> bytes:
    """The model with all of these values as its outputs."""
    import onnx

    model: onnx.ModelProto = onnx.load(path)
    made = {value for node in model.graph.node for value in node.output}
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values) if value in made)
    return bytes(model.SerializeToString())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]

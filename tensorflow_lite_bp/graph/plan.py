"""The plan of a step: for a network, a number of samples and a mode, all buffers and the calls that fill them.

The mode says what is computed: ``infer`` the outputs; ``evaluate`` the losses and what the metrics look at, as in
inference; ``train`` the same as in training, and the gradient of every weight.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsl.program import Node
from dsl.types import TensorType
from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.weights import Weights
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Buffer, Layer
from tensorflow_lite_bp.losses.base import Loss


@dataclass(frozen=True)
class Part:
    """A stretch of the recorded calls: what it computes, and the arrays that it leaves behind."""

    what: str
    start: int
    stop: int
    results: Mapping[str, Any]


class Plan:
    """Buffers and calls for ``m`` samples.

    Args:
        tensors: which tensors to compute besides the losses' (names of nodes).
        gradient_of: for ``train``, inputs whose gradient is wanted too.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Weights,
        backend: Backend,
        *,
        mode: str,
        m: int,
        sizes: Mapping[str, int],
        dtype: np.dtype[Any],
        seed: int,
        tensors: Iterable[str] = (),
        gradient_of: Iterable[str] = (),
    ) -> None:
        self.graph, self.weights, self.backend = graph, weights, backend
        self.m, self.sizes, self.dtype, self.seed = m, sizes, dtype, seed
        self.draws: list[Draw] = []
        self.parts: list[Part] = []
        self.arrays: dict[str, Any] = {}
        self.gradients: dict[str, Any] = {}
        self._recorder = Recorder(backend)
        self._written: set[str] = set()  # gradients of weights that a use has already written
        self._learned = graph.learned | set(gradient_of)

        program = graph.program
        with_losses = mode != "infer"
        predictions = [name for item in program.losses for name in item.inputs] if with_losses else []
        nodes = graph.ancestors([*tensors, *predictions])
        for variable in (*program.inputs, *(program.targets if with_losses else ())):
            self.arrays[variable.name] = self._empty_tensor(variable.name)
        spaces = {node.name: self._record_forward(node, training=mode == "train") for node in nodes}
        self.loss_values = backend.zeros(len(program.losses), dtype=dtype)
        loss_spaces = [self._record_loss(index) for index in range(len(program.losses))] if with_losses else []
        if mode == "train":
            for node in nodes:  # what depends on an input whose gradient is wanted passes gradients on too
                if self._learned.intersection(node.inputs):
                    self._learned.add(node.name)
            for (item, loss), space in zip(graph.losses, loss_spaces, strict=True):
                if item.inputs[0] in self._learned:
                    self._record_backward(item.name, loss, {"Y": item.inputs[0]}, {}, space)
            for node in reversed(nodes):
                self._record_node_backward(node, spaces[node.name])
        self.calls: list[Callable[[], Any]] = self._recorder.calls

    def feed(self, rows: Mapping[str, Any]) -> None:
        """Copy rows-first host arrays into the plan, the sample axis turned to the end."""
        for name, value in rows.items():
            if name in self.arrays:
                self.backend.copy_from_host(np.moveaxis(value, 0, -1), out=self.arrays[name])

    def run(self, step: int = 0) -> None:
        """Compute everything for what was fed; ``step`` addresses the random numbers."""
        for draw in self.draws:
            draw.step = step
        with self.backend.computing():
            for call in self.calls:
                call()

    def losses(self) -> np.ndarray:
        """The value of each loss of the program (this waits for the backend)."""
        return self.backend.to_host(self.loss_values)

    def fetch(self, tensor: str) -> np.ndarray:
        """A tensor's values as a rows-first host array of its own."""
        return np.array(np.moveaxis(self.backend.to_host(self.arrays[tensor]), -1, 0), order="C")

    def first_not_finite(self) -> str | None:
        """Run part by part; what the first array that is not finite is (None when all are)."""
        for name, array in (*self.weights.arrays.items(), *self._fed()):
            if not self._finite(array):
                return f"`{name}`"
        with self.backend.computing():
            for part in self.parts:
                for call in self.calls[part.start : part.stop]:
                    call()
                for what, array in part.results.items():
                    if not self._finite(array):
                        return f"{what} {part.what}"
        return None

    def _fed(self) -> list[tuple[str, Any]]:
        program = self.graph.program
        return [(v.name, self.arrays[v.name]) for v in (*program.inputs, *program.targets) if v.name in self.arrays]

    def _finite(self, array: Any) -> bool:
        return bool(np.isfinite(self.backend.to_host(array)).all())

    # Forward

    def _record_forward(self, node: Node, *, training: bool) -> Workspace:
        layer = self.graph.layers[node.name]
        inputs = dict(zip(layer.ports, (self._array(name) for name in node.inputs), strict=True))
        shapes = tuple(array.shape for array in inputs.values())
        draw = Draw(self.seed, "layer", zlib.crc32(node.name.encode()))
        self.draws.append(draw)
        result = self.arrays[node.name] = self._empty_tensor(node.name)
        roles = {letter: self.weights.arrays[name] for letter, name in self.graph.roles(node.name).items()}
        space = Workspace(m=self.m, draw=draw, Y=result, **inputs, **roles, **self._buffers(layer.buffers(*shapes)))
        vars(space).update({f"d{port}": None for port in layer.ports})
        start = len(self._recorder.calls)
        (layer.forward if training else layer.infer)(self._recorder, space)
        self._part(start, f"`{node.name}` ({node.span})", {"the result of": result})
        return space

    def _record_loss(self, index: int) -> Workspace:
        item, loss = self.graph.losses[index]
        prediction, target = (self._array(name) for name in item.inputs)
        shapes = (prediction.shape[:-1], target.shape[:-1])
        space = Workspace(
            m=self.m,
            scale=item.factor * loss.scale(*shapes, self.m),
            Y=prediction,
            T=target,
            E=self.loss_values[index : index + 1].reshape(()),
            **self._buffers(loss.buffers(prediction.shape, target.shape)),
        )
        start = len(self._recorder.calls)
        loss.forward(self._recorder, space)
        self._part(start, f"`{item.name}` ({item.span})", {"the value of the loss": self.loss_values})
        return space

    # Backward

    def _record_node_backward(self, node: Node, space: Workspace) -> None:
        """One node's part of backpropagation, if its result matters to a loss and a gradient is wanted through it."""
        if node.name not in self.gradients or node.name not in self._learned:
            return
        vars(space)["dY"] = self.gradients[node.name]
        layer = self.graph.layers[node.name]
        inputs = dict(zip(layer.ports, node.inputs, strict=True))
        self._record_backward(node.name, layer, inputs, self.graph.roles(node.name), space)

    def _record_backward(
        self, name: str, derivation: Layer | Loss, inputs: Mapping[str, str], roles: Mapping[str, str], space: Workspace
    ) -> None:
        """Let a layer or a loss write its gradients; to what other uses have written already it is added."""
        start = len(self._recorder.calls)
        results: dict[str, Any] = {}
        sums: list[tuple[Any, Any]] = []
        for letter, total, seen in (*self._input_gradients(inputs), *self._weight_gradients(roles)):
            part = self.backend.empty(total.shape, dtype=total.dtype) if seen else total
            if seen:
                sums.append((total, part))
            vars(space)[f"d{letter}"] = part
            results[f"the gradient d{letter} of"] = part
        derivation.backward(self._recorder, space)
        for total, part in sums:
            self._recorder.add(total, part, out=total)
        self._part(start, f"`{name}`", results)

    def _input_gradients(self, inputs: Mapping[str, str]) -> Iterator[tuple[str, Any, bool]]:
        """For each port through which a gradient flows: its letter, where it goes, and whether something is there."""
        for port, tensor in inputs.items():
            if tensor in self.graph.parameters:
                yield port, self.weights.gradients.views[tensor], self._used_before(tensor)
            elif tensor in self._learned:
                seen = tensor in self.gradients
                if not seen:
                    self.gradients[tensor] = self._empty_tensor(tensor)
                yield port, self.gradients[tensor], seen

    def _weight_gradients(self, roles: Mapping[str, str]) -> Iterator[tuple[str, Any, bool]]:
        for letter, weight in roles.items():
            if weight in self.weights.gradients.views:
                yield letter, self.weights.gradients.views[weight], self._used_before(weight)

    def _used_before(self, weight: str) -> bool:
        """Whether an earlier use has written this weight's gradient; notes that one has now."""
        seen = weight in self._written
        self._written.add(weight)
        return seen

    # Memory

    def _array(self, tensor: str) -> Any:
        return self.weights.arrays[tensor] if tensor in self.graph.parameters else self.arrays[tensor]

    def _empty_tensor(self, tensor: str) -> Any:
        shape = (*self.graph.sample_shape(tensor, self.sizes), self.m)
        return self.backend.zeros(shape, dtype=_dtype(self.graph.program.types[tensor], self.dtype))

    def _buffers(self, wanted: Mapping[str, Buffer]) -> dict[str, Any]:
        return {role: self._buffer(buffer) for role, buffer in wanted.items()}

    def _buffer(self, buffer: Buffer) -> Any:
        dtype = {"float": self.dtype, "bool": np.dtype(bool), "int": np.dtype(np.int64)}[buffer.kind]
        if buffer.constant is not None:
            return self.backend.from_host(np.asarray(buffer.constant(), dtype=dtype).reshape(buffer.shape))
        return self.backend.empty(buffer.shape, dtype=dtype)

    def _part(self, start: int, what: str, results: Mapping[str, Any]) -> None:
        self.parts.append(Part(what, start, len(self._recorder.calls), results))


def _dtype(type_: TensorType, floats: np.dtype[Any]) -> np.dtype[Any]:
    """Indices are int64, everything else has the plan's precision."""
    return np.dtype(np.int64) if type_.kind in ("class", "token") else floats

"""The plan of a step: for a network, a number of samples and a mode, all buffers and the calls that fill them.

The mode says what is computed: ``infer`` the outputs; ``evaluate`` the losses and what the metrics look at, as in
inference; ``train`` the same as in training, and the gradient of every weight.

A batch is cut into shards of columns. Each has memory and recorded calls of its own and is computed by a thread of its
own; `layout` says what lies where, `recorder` keeps the calls, `blocks` cuts them for the cache.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.graph.blocks import in_blocks
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.layout import Gradient, Layout, Step, buffer_dtype, columns
from tensorflow_lite_bp.graph.memory import Slot
from tensorflow_lite_bp.graph.mixed import HalfWeights
from tensorflow_lite_bp.graph.recorder import Meetings, Recorder, only_if
from tensorflow_lite_bp.graph.team import team
from tensorflow_lite_bp.graph.threads import ALONE, Division
from tensorflow_lite_bp.graph.weights import Weights
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Buffer, Layer
from tensorflow_lite_bp.layers.unrolled import whole

Calls = Sequence[Callable[[], Any]]
"""What a shard computes, in order."""


@dataclass(frozen=True)
class Part:
    """A stretch of a shard's calls: a step forward or back, and the arrays that it leaves behind.

    From ``sums`` on, what the step wrote back is brought to where it belongs. The first stretch begins, and the last
    one ends, with what belongs to no step.
    """

    step: Step
    back: bool
    start: int
    sums: int
    stop: int
    results: Mapping[str, Any]

    @property
    def what(self) -> str:
        return f"`{self.step.name}`" if self.back else f"`{self.step.name}` ({self.step.place})"


class Plan:
    """Buffers and calls for ``m`` samples.

    Args:
        tensors: which tensors to compute besides the losses' (names of nodes).
        gradient_of: for ``train``, inputs whose gradient is wanted too.
        division: into how many shards, and how many threads each matrix product gets.
        mixed: of a mixed training step, in one shard, what its half-precision layers compute with.
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
        dtype: str,
        seed: int,
        tensors: Iterable[str] = (),
        gradient_of: Iterable[str] = (),
        division: Division = ALONE,
        mixed: HalfWeights | None = None,
    ) -> None:
        self.graph, self.weights, self.backend, self.m, self.division = graph, weights, backend, m, division
        shards = columns(m, division.shards)
        self._meetings = Meetings(backend, len(shards))
        self.shards: list[Shard] = []
        for number, part in enumerate(shards):
            layout = Layout(
                graph,
                mode=mode,
                columns=part.stop - part.start,
                sizes=sizes,
                dtype=dtype,
                whole=backend.whole,
                staged=backend.staged,
                tensors=tensors,
                gradient_of=gradient_of,
                half=mixed.half if mixed is not None else None,
            )
            recorder = Recorder(backend, shard=number, meetings=self._meetings)
            with whole(layout.whole):
                self.shards.append(Shard(layout, part, weights, recorder, m=m, seed=seed, mixed=mixed))
        self._works = [partial(self._replay, shard.program) for shard in self.shards]

    def feed(self, rows: Mapping[str, Any]) -> None:
        """Copy rows-first host arrays into the plan, the sample axis turned to the end."""
        for shard in self.shards:
            for name, send in shard.stagers.items():
                if name in rows:
                    send(rows[name][shard.columns])

    def run(self, step: int = 0) -> None:
        """Compute everything for what was fed; ``step`` addresses the random numbers."""
        for shard in self.shards:
            for draw in shard.draws:
                draw.step = step
        self._together(self._works)

    @property
    def launches(self) -> int:
        """How often `run` starts work on the device: on the CPU the calls of the array library."""
        return sum(shard.program.launches for shard in self.shards)

    def advance(self) -> None:
        """Let the layers change their own state (running statistics) by the step that was run."""
        for call in self.shards[0].advancing:
            call()

    def losses(self) -> Any:
        """The value of each loss of the program, an array of the backend's."""
        values = [shard.losses for shard in self.shards]
        return values[0] if len(values) == 1 else self.backend.sum(self.backend.stack(values), axis=0)

    def loss(self) -> float:
        """The sum of the losses (this waits for the backend)."""
        return float(sum(self.backend.to_host(self.losses()).tolist()))

    def gather(self) -> None:
        """Add up the shards' gradients of the weights."""
        total = self.weights.gradients.flat
        for number in range(1, len(self.shards)):
            self.backend.add(total, self.weights.shard_gradients(number).flat, out=total)

    def fetch(self, tensor: str) -> np.ndarray:
        """A tensor's values as a rows-first host array of its own."""
        return self._rows([shard.arrays[tensor] for shard in self.shards])

    def fetch_gradient(self, tensor: str) -> np.ndarray | None:
        """The gradient of an input as a rows-first host array; None when nothing depends on it."""
        if tensor not in self.shards[0].gradients:
            return None
        return self._rows([shard.gradients[tensor] for shard in self.shards])

    def first_not_finite(self) -> str | None:
        """Run part by part; what the first array that is not finite is (None when all are)."""
        fed = [(name, shard.arrays[name]) for shard in self.shards for name in shard.fed]
        for name, array in (*self.weights.arrays.items(), *fed):
            if not self._finite(array):
                return f"`{name}`"
        for parts, programs in self.by_parts():
            self.compute(programs)
            for part in parts:
                for what, array in part.results.items():
                    if not self._finite(array):
                        return f"{what} {part.what}"
        return None

    def by_parts(self) -> Iterable[tuple[tuple[Part, ...], list[Calls]]]:
        """The same calls part by part: for each, what it is in every shard, and what to `compute`.

        A part needs what those before it leave: they are computed in this order.
        """
        for parts in zip(*(shard.parts for shard in self.shards), strict=True):
            yield parts, [shard.calls_of(part) for shard, part in zip(self.shards, parts, strict=True)]

    def compute(self, programs: Sequence[Calls]) -> None:
        """Make the calls of each shard, all shards together."""
        self._together([partial(self._replay, program) for program in programs])

    def _together(self, works: Sequence[Callable[[], None]]) -> None:
        if self._meetings.barrier.broken:  # by a run that failed
            self._meetings.barrier.reset()
        with self.backend.computing(), self.backend.threads(self.division.blas):
            team(len(works), self.backend).run(works, abort=self._meetings.barrier.abort)

    def _replay(self, program: Calls) -> None:
        """One thread's calls. Whoever waits for it must not wait for ever when it fails."""
        try:
            for call in program:
                call()
        except BaseException:
            self._meetings.barrier.abort()
            raise

    def _rows(self, arrays: list[Any]) -> np.ndarray:
        """Shards as one array, the sample axis first."""
        host = [self.backend.to_host(array) for array in arrays]
        turned = [array.transpose(array.ndim - 1, *range(array.ndim - 1)) for array in host]
        return turned[0].copy() if len(turned) == 1 else np.concatenate(turned)

    def _finite(self, array: Any) -> bool:
        return bool(np.isfinite(self.backend.to_host(array)).all())


class Shard:
    """The columns of one thread.

    Attributes:
        columns: which rows of the batch they are.
        arrays: results of nodes, inputs and targets by name, the sample axis last; of a mixed step in float32 where
            they are there so, as those are that were asked for.
        fed: inputs and targets with the sample axis first: views of the same memory.
        stagers: what copies rows of the host there.
        gradients: of tensors, by name.
        losses: this shard's part of each loss.
        parts: the recorded calls, step by step.
        program: the calls of all of it, in blocks for the cache.
        advancing: the calls that change the layers' own state.
    """

    def __init__(
        self,
        layout: Layout,
        part: slice,
        weights: Weights,
        recorder: Recorder,
        *,
        m: int,
        seed: int,
        mixed: HalfWeights | None = None,
    ) -> None:
        backend = recorder.backend
        self.layout, self.columns, self.weights, self.backend, self.m = layout, part, weights, backend, m
        self._recorder, self._seed, self._mixed = recorder, seed, mixed
        self.draws: list[Draw] = []
        self.parts: list[Part] = []
        self._spaces: dict[Step, Workspace] = {}
        self._constants: list[Any] = []
        self.memory = backend.memory(layout.memory.peak)
        self.fed: dict[str, Any] = {}
        self._read: dict[tuple[str, str], Any] = {}
        self.arrays = self._find_arrays()
        self.stagers = {name: backend.stager(rows) for name, rows in self.fed.items()}
        self.losses = backend.zeros(len(layout.graph.losses), dtype=layout.dtype)
        self.gradients = {name: self._view(slot) for name, slot in layout.gradients.items()}
        self._weight_gradients = weights.shard_gradients(recorder.shard).views if layout.training else {}
        if mixed is not None:
            self._weight_gradients = self._weight_gradients | mixed.gradients.views
        self._record()
        self.program = backend.program(
            in_blocks(recorder.calls, backend), private=self._private(), constants=self._constants
        )
        self.advancing = backend.program(self._record_advance() if layout.training and recorder.shard == 0 else [])

    def _find_arrays(self) -> dict[str, Any]:
        """Note in ``_read`` the arrays of tensors and weights by name and dtype; returns what ``arrays`` is."""
        layout, arrays = self.layout, self._make_fed()
        arrays |= {name: self._view(slot) for name, slot in layout.tensors.items()}
        weights = self.weights.arrays | (self._mixed.weights.views if self._mixed is not None else {})
        self._read |= {(name, layout.dtype_of(name)): array for name, array in (arrays | weights).items()}
        self._read |= {(name, slot.dtype): self._view(slot) for name, slot in layout.copies.items()}
        return {name: self._read.get((name, layout.dtype), array) for name, array in arrays.items()}

    def _record(self) -> None:
        """All that is computed, part by part."""
        layout, recorder, mixed = self.layout, self._recorder, self._mixed
        for weight in self._weight_gradients.keys() - layout.written:  # the optimizer works in what is no gradient
            recorder.copyto(self._weight_gradients[weight], 0.0)
        if mixed is not None:
            mixed.record_rounding(recorder)
        for name in (*layout.fed, *layout.graph.trainable):
            self._record_copy(name)
        start = 0
        for moment, (step, back) in enumerate(layout.moments, start=1):
            results = self._record_backward(step) if back else self._record_forward(step)
            sums = len(recorder.calls)
            if back:
                self._record_sums(step)
            if mixed is not None and moment == layout.end:
                mixed.record_unscaling(recorder)
            self.parts.append(Part(step, back, start, sums, len(recorder.calls), results))
            start = len(recorder.calls)

    def _make_fed(self) -> dict[str, Any]:
        """For each input its array and its rows (``fed``), one a view of the other; returns the arrays, and with them
        what is a view of one in another shape."""
        layout, arrays = self.layout, {}
        for name, shape in layout.fed.items():
            (*sample, m), dtype = shape, layout.dtype_of(name)
            if name in layout.turned:
                rows = self.fed[name] = self.backend.zeros((m, *sample), dtype=dtype)
                arrays[name] = _columns_first(rows)
            else:
                arrays[name] = self.backend.zeros(shape, dtype=dtype)
                self.fed[name] = arrays[name].transpose(len(sample), *range(len(sample)))
        for view, source in layout.views.items():
            shape = layout.shape(view)
            if source in layout.turned:
                arrays[view] = _columns_first(self.fed[source].reshape(shape[-1], *shape[:-1]))
            else:
                arrays[view] = arrays[source].reshape(shape)
        return arrays

    def buffer(self, part: Part, role: str) -> Any:
        """What a layer or a loss works in; a scratch buffer holds something until the next part is computed."""
        if role in part.step.own:
            return vars(self._spaces[part.step])[role]
        return self._view((part.step.backward_buffers if part.back else part.step.buffers)[role])

    def calls_of(self, part: Part) -> list[Callable[[], Any]]:
        """What a part computes, by itself."""
        calls = in_blocks(self._recorder.calls[part.start : part.stop], self.backend)
        return self.backend.program(calls, constants=self._constants)

    def _private(self) -> list[Any]:
        """The memory in which nothing is left that anybody looks at when all is computed."""
        memory, found, start = self.layout.memory, [], 0
        kept = sorted((s.offset, s.offset + s.bytes) for s in memory.slots if s.root.last == self.layout.end)
        for stretch, after in (*kept, (memory.peak, memory.peak)):
            if start < stretch:
                found.append(self.memory[start:stretch])
            start = max(start, after)
        return found

    def _record_forward(self, step: Step) -> dict[str, Any]:
        inputs = {port: self._array(step, tensor) for port, tensor in step.inputs.items()}
        own = {role: self._own(step, buffer) for role, buffer in step.own.items()}
        buffers = {role: self._view(slot) for role, slot in step.buffers.items()}
        space = self._spaces[step] = Workspace(m=self.m, **inputs, **own, **buffers)
        if step.loss is not None:
            return self._record_loss(step, space)
        layer = step.derivation
        assert isinstance(layer, Layer)
        draw = Draw(self._seed, "layer", zlib.crc32(step.name.encode()), shard=self._recorder.shard)
        self.draws.append(draw)
        roles = {letter: self._array(step, name) for letter, name in self.layout.graph.roles(step.name).items()}
        vars(space).update(roles, Y=self._array(step, step.name), draw=draw)
        if step.name not in self.layout.views:
            (layer.forward if self.layout.training else layer.infer)(self._recorder, space)
        self._record_copy(step.name)
        return {"the result of": space.Y}

    def _record_copy(self, name: str) -> None:
        """Bring a tensor or a weight into the other precision, if somebody reads it so."""
        if name in self.layout.copies:
            copy, own = self.layout.copies[name].dtype, self.layout.dtype_of(name)
            self._recorder.copyto(self._read[name, copy], self._read[name, own])

    def _record_loss(self, step: Step, space: Workspace) -> dict[str, Any]:
        assert step.loss is not None
        item, loss = self.layout.graph.losses[step.loss]
        scale = item.factor * loss.scale(space.Y.shape[:-1], space.T.shape[:-1], self.m)
        vars(space).update(E=self.losses[step.loss : step.loss + 1].reshape(()), scale=scale)
        loss.forward(self._recorder, space)
        return {"the value of the loss": self.losses}

    def _record_backward(self, step: Step) -> dict[str, Any]:
        """Let a layer or a loss write its gradients."""
        space = self._spaces[step]
        if step.loss is None:
            vars(space).update({f"d{port}": None for port in step.inputs}, dY=self.gradients[step.name])
        vars(space).update({role: self._view(slot) for role, slot in step.backward_buffers.items()})
        results = {}
        for gradient in step.gradients:
            part = self._whole(gradient) if gradient.part is None else self._view(gradient.part)
            vars(space)[f"d{gradient.letter}"] = part
            results[f"the gradient d{gradient.letter} of"] = part
        step.derivation.backward(self._recorder, space)
        if step.loss is not None and self._mixed is not None:
            self._recorder.multiply(space.dY, self._mixed.scale, out=space.dY)
        return results

    def _record_sums(self, step: Step) -> None:
        """Bring a step's gradients to those of their tensors and weights, or add them to what other uses have written
        there already."""
        for gradient in step.gradients:
            if gradient.part is not None:
                whole, part = self._whole(gradient), self._view(gradient.part)
                if gradient.adds:
                    self._recorder.add(whole, part, out=whole)
                else:
                    self._recorder.copyto(whole, part)

    def _record_advance(self) -> list[Any]:
        recorder = Recorder(self.backend)
        for step, space in self._spaces.items():
            if isinstance(step.derivation, Layer):
                step.derivation.advance(recorder, space)
        return only_if(self.weights.sound, recorder.calls)

    def _whole(self, gradient: Gradient) -> Any:
        if gradient.weight is not None:
            return self._weight_gradients[gradient.weight]
        assert gradient.tensor is not None
        return self.gradients[gradient.tensor]

    def _array(self, step: Step, name: str) -> Any:
        """A tensor or a weight in the precision that a step computes in."""
        return self._read[name, self.layout.reads(step, name)]

    def _view(self, slot: Slot) -> Any:
        return self.layout.memory.view(slot, self.memory)

    def _own(self, step: Step, buffer: Buffer) -> Any:
        dtype = real(buffer_dtype(buffer, self.layout.computes(step)))
        if buffer.constant is not None:
            table = self.backend.from_host(np.asarray(buffer.constant(), dtype=dtype).reshape(buffer.shape))
            self._constants.append(table)
            return table
        return self.backend.zeros(buffer.shape, dtype=dtype)


def _columns_first(rows: Any) -> Any:
    """Rows ``(m, *shape)`` as columns ``(*shape, m)``, the same memory."""
    return rows.transpose(*range(1, rows.ndim), 0)

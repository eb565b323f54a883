"""The passes over all weights at once that follow a step: the gradient gathered, and the optimizer's update.

The flat arrays are cut into blocks that fit a core's cache, and the blocks are dealt out over threads. The passes over
a block are recorded once, as the layers' are, and replayed with the numbers of each step, inside of the caller's
`Backend.computing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.graph.recorder import Recorder, only_if
from tensorflow_lite_bp.graph.team import team
from tensorflow_lite_bp.optimizers.base import Optimizer

WORTH_A_THREAD = 1 << 19
"""Weights from which a thread more saves more time than it takes to start it."""


class Update:
    """An optimizer's update of ``W`` by ``dW``, both flat and of the same length.

    Args:
        slots: the optimizer's state by name, as long as the weights.
        threads: at most so many compute.
        sound: a truth value on the device: nothing is written unless it is true then (None: always).

    Attributes:
        calls: recorded ones.
        launches: how often they start work on the device.
    """

    def __init__(
        self,
        backend: Backend,
        optimizer: Optimizer,
        W: Any,
        dW: Any,
        slots: Mapping[str, Any],
        *,
        threads: int,
        sound: Any = None,
    ) -> None:
        self._backend, self._optimizer = backend, optimizer
        names = optimizer.factors(rate=optimizer.rate, step=1)
        self._by = {name: backend.factor(W.dtype) for name in names}
        self._works = []
        self.calls = self.launches = 0
        arrays = 2 + len(slots) + optimizer.scratch
        for part in cuts(backend, W, arrays=arrays, threads=threads):
            recorder = Recorder(backend)
            longest = max((block.stop - block.start for block in part), default=0)
            scratch = [backend.empty(longest, dtype=W.dtype) for _ in range(optimizer.scratch)]
            for block in part:
                state = {name: slot[block] for name, slot in slots.items()}
                room = [array[: block.stop - block.start] for array in scratch]
                optimizer.update(recorder, W[block], dW[block], state, room, by=self._by)
            program = backend.program(only_if(sound, recorder.calls), private=scratch)
            self.calls += len(recorder.calls)
            self.launches += program.launches
            self._works.append(partial(_replay, program))

    def apply(self, *, rate: float, step: int) -> None:
        """Change the weights; ``step`` counts from 1."""
        for name, value in self._optimizer.factors(rate=rate, step=step).items():
            self._by[name].fill(value)
        team(len(self._works), self._backend).run(self._works)


class Gathering:
    """The gradient of a batch from those of its shards, and the square of its length on the way.

    Args:
        gradients: one flat array for each shard; the first one gets the sum.
    """

    def __init__(self, backend: Backend, gradients: Sequence[Any], *, threads: int) -> None:
        self._backend = backend
        parts = cuts(backend, gradients[0], arrays=len(gradients), threads=threads)
        self._squares = [0.0] * len(parts)
        self._works = [
            partial(self._gather, number, backend, [[gradient[block] for gradient in gradients] for block in part])
            for number, part in enumerate(parts)
        ]

    def run(self) -> float:
        """Gather; returns the sum of the squares of the gradient, which is finite when every entry is."""
        team(len(self._works), self._backend).run(self._works)
        return sum(self._squares)

    def _gather(self, number: int, backend: Backend, blocks: list[list[Any]]) -> None:
        square = 0.0
        for first, *others in blocks:
            for other in others:
                backend.add(first, other, out=first)
            square += backend.read(backend.dot(first, first))
        self._squares[number] = square


def cuts(backend: Backend, flat: Any, *, arrays: int, threads: int) -> list[list[slice]]:
    """For each thread its blocks of a flat array, so that a block of so many arrays stays in the cache."""
    length = flat.size if backend.cache is None else max(1, backend.cache // (arrays * flat.itemsize))
    blocks = [slice(start, min(start + length, flat.size)) for start in range(0, flat.size, max(length, 1))]
    count = max(1, min(threads, flat.size // WORTH_A_THREAD)) if backend.cache is not None else 1
    return [blocks[len(blocks) * part // count : len(blocks) * (part + 1) // count] for part in range(count)]


def _replay(calls: list[Callable[[], Any]]) -> None:
    for call in calls:
        call()

"""Launches as a device would run them: threads in any order, each statement by statement, element by element.

It knows nothing of C: it takes the addresses that the analysis found, and the functions that were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.backend.fusion.access import Access, Dims
from tensorflow_lite_bp.backend.fusion.grouping import Kernel, Launch, Rows, Segment, Single, Statement


class Interpreter:
    """Runs launches on the bytes in which all their arrays lie.

    Args:
        memory: these bytes.
        seed: of the order in which threads run.
        library: makes the calls that are left to it.
    """

    def __init__(self, memory: np.ndarray, seed: int, library: Callable[[Call], None]) -> None:
        self._memory, self._library = memory, library
        self._base = memory.__array_interface__["data"][0]
        self._rng = np.random.default_rng(seed)

    def run(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            if isinstance(launch, Single):
                self._library(launch.call)
            elif isinstance(launch, Kernel):
                self._together([self._thread(s, j) for s in launch.segments for j in range(s.threads)])
            else:
                self._rows(launch)

    def _together(self, threads: list[Iterator[None]]) -> None:
        """Let one thread after the other take a step, whichever it is, until all are done."""
        while threads:
            place = int(self._rng.integers(len(threads)))
            try:
                next(threads[place])
            except StopIteration:
                threads.pop(place)

    def _rows(self, launch: Rows) -> None:
        totals: dict[int, list[Any]] = {j: [] for j in range(launch.threads)}

        def item(j: int, r: int) -> Iterator[None]:
            for statement in launch.items:
                self._elementwise(statement, j, r)
                yield
            totals[j].append(self._value(launch.reduction, j, r))
            if len(totals[j]) == launch.rounds:  # the last one of its row goes on with the result
                self._store(launch.reduction.out, j, 0, self._reduced(launch.reduction, totals[j]))
                yield from self._thread(launch.after, j)

        self._together([item(j, r) for j in range(launch.threads) for r in range(launch.rounds)])

    def _thread(self, segment: Segment, j: int) -> Iterator[None]:
        for run in segment.runs:
            found: dict[Statement, list[Any]] = {s: [] for s in run.statements if s.work.reduction is not None}
            for r in range(run.rounds):
                for statement in run.statements:
                    if statement in found:
                        found[statement].append(self._value(statement, j, r))
                    else:
                        self._elementwise(statement, j, r)
                    yield
            for statement, values in found.items():
                self._store(statement.out, j, 0, self._reduced(statement, values))
                yield

    def _elementwise(self, statement: Statement, j: int, r: int) -> None:
        work = statement.work
        if work.name == "take":
            index, array = statement.reads
            assert index is not None
            assert array is not None
            self._store(statement.out, j, r, self._at(array, int(self._load(index, j, r)), work.reads[1])[()])
        elif work.name == "put":
            index, values = statement.reads
            assert index is not None
            assert values is not None
            self._at(statement.out, int(self._load(index, j, r)), work.out)[...] = self._load(values, j, r)
        elif not work.guarded or self._load(statement.reads[-2], j, r):
            self._store(statement.out, j, r, self._value(statement, j, r))

    def _value(self, statement: Statement, j: int, r: int) -> Any:
        work = statement.work
        operands = [
            operand.value if access is None else self._load(access, j, r)
            for operand, access in zip(work.operands, statement.reads, strict=False)
        ]
        return operands[0] if work.name == "copyto" else getattr(np, work.name)(*operands)

    def _reduced(self, statement: Statement, values: list[Any]) -> Any:
        return getattr(np, str(statement.work.reduction))(np.array(values))

    # Memory

    def _load(self, access: Access | None, j: int, r: int) -> Any:
        assert access is not None
        return self._element(access, _step(access.thread, j) + _step(access.loop, r))[()]

    def _store(self, access: Access, j: int, r: int, value: Any) -> None:
        self._element(access, _step(access.thread, j) + _step(access.loop, r))[...] = value

    def _element(self, access: Access, offset: int) -> np.ndarray:
        return np.ndarray((), access.dtype, self._memory.data, access.start + offset - self._base)

    def _at(self, access: Access, index: int, operand: Any) -> np.ndarray:
        return self._element(access, index * operand.value.strides[0])


def _step(dims: Dims, index: int) -> int:
    offset = 0
    for size, stride in reversed(dims):
        index, place = divmod(index, size)
        offset += place * stride
    return offset

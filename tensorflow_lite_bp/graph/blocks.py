"""Cut chains of recorded passes into blocks of rows that stay in a core's fast memory.

A pass over an array that is larger than the cache waits for memory, and the next pass finds nothing of it left. Most
layer code is *row-wise*: row i of what is written depends on row i of what is read (the rows of a matrix, the channels
of images) and on arrays that all rows share. A chain of such calls may be computed for the first few rows, then for
the next, with the same numbers in the end: each pass then finds its rows in the cache, where the one before left them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.backend.base import Call

SMALL = 1 << 13
"""Bytes below which a result is not cut: a call takes about as long as to write so many."""

LONGEST = 64
"""Calls of a chain: each new one is held against all before it."""


def in_blocks(calls: Sequence[Call], backend: Backend) -> list[Call]:
    """The same calls with their chains cut for the cache of this backend."""
    if backend.cache is None:
        return list(calls)
    cut: list[Call] = []
    chain = _Chain(backend)
    for call in calls:
        operands = _row_wise(call, backend)
        if operands is not None and _spoils_itself(operands, backend):
            operands = None
        if operands is None or not chain.admits(operands):
            cut += chain.blocks(backend.cache)
            chain = _Chain(backend)
        if operands is None:
            cut.append(call)
        else:
            chain.add(call, operands)
    return [*cut, *chain.blocks(backend.cache)]


@dataclass(frozen=True)
class _Operand:
    """An array of a call: read or written row by row, or whole."""

    array: Any
    by_rows: bool
    written: bool = False


def _row_wise(call: Call, backend: Backend) -> list[_Operand] | None:
    """The operands of a call that computes row i from row i; None for any other call, and where so little is written
    that it takes longer to call than to compute: such a call is made once, not for each block."""
    out: Any = call.kwargs.get("out")
    if out is None or out.nbytes < SMALL:
        return None
    if call.function == backend.sum and call.kwargs.get("axis") == 1 and call.args[0].ndim == 2:
        return [_Operand(call.args[0], True), _Operand(out, True, written=True)]
    if out.ndim == 0 or set(call.kwargs) != {"out"} or not out.flags.c_contiguous:
        return None
    arrays = [arg for arg in call.args if hasattr(arg, "ndim")]
    signature = getattr(call.function, "signature", "")
    if signature == _PRODUCT and [array.ndim for array in arrays] == [2, 1] and arrays[0].flags.c_contiguous:
        matrix, vector = arrays  # each row by the same vector
        return [_Operand(matrix, True), _Operand(vector, False), _Operand(out, True, written=True)]
    if signature is not None:  # an elementwise function of NumPy has one, and it is None
        return None
    operands = [_Operand(array, array.ndim == out.ndim and len(array) == len(out)) for array in arrays]
    return [*operands, _Operand(out, True, written=True)]


_PRODUCT = "(n?,k),(k,m?)->(n?,m?)"  # of NumPy's matmul


class _Span(NamedTuple):
    """The memory of an array; ``step`` is from one row to the next, 0 for an array that is not cut."""

    start: int
    stop: int
    step: int

    def apart(self, other: _Span) -> bool:
        return self.stop <= other.start or other.stop <= self.start

    def same_rows(self, other: _Span) -> bool:
        """Whether a block of the one is the same memory as the block of the other."""
        return self == other and self.step > 0


@dataclass
class _Chain:
    """Calls that follow each other and may be computed block by block."""

    backend: Backend
    calls: list[tuple[Call, list[_Operand]]] = field(default_factory=list)
    spans: dict[_Span, bool] = field(default_factory=dict)
    """Where each array lies -> whether it is written."""

    def admits(self, operands: list[_Operand]) -> bool:
        """Whether a call may join: as many rows, and no memory that one block would see in another state."""
        if not self.calls:
            return True
        if len(self.calls) == LONGEST:
            return False
        rows = len(operands[-1].array)
        return rows == len(self.calls[0][1][-1].array) and not any(map(self._clashes, operands))

    def add(self, call: Call, operands: list[_Operand]) -> None:
        self.calls.append((call, operands))
        for operand in operands:
            span = _span(operand, self.backend)
            self.spans[span] = self.spans.get(span, False) or operand.written

    def blocks(self, cache: int) -> Iterator[Call]:
        """The calls for each block of rows in turn."""
        if not self.calls:
            return
        rows = len(self.calls[0][1][-1].array)
        in_one_row = sum((span.stop - span.start) / rows for span in self.spans if span.step)
        count = max(1, int(cache / max(in_one_row, 1)))
        if count >= rows:
            yield from (call for call, _ in self.calls)
            return
        for start in range(0, rows, count):
            for call, operands in self.calls:
                yield _rows(call, operands, slice(start, start + count))

    def _clashes(self, operand: _Operand) -> bool:
        own = _span(operand, self.backend)
        return any(
            (written or operand.written) and not own.apart(span) and not own.same_rows(span)
            for span, written in self.spans.items()
        )


def _span(operand: _Operand, backend: Backend) -> _Span:
    array = operand.array
    first = backend.address(array)
    ends = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    start = first + sum(min(end, 0) for end in ends)  # a stride may be negative
    stop = first + sum(max(end, 0) for end in ends) + array.itemsize
    return _Span(start, stop, array.strides[0] if operand.by_rows else 0)


def _spoils_itself(operands: list[_Operand], backend: Backend) -> bool:
    """Whether a call reads, other than exactly in place, the memory that it writes."""
    *read, written = (_span(operand, backend) for operand in operands)
    return not all(span.apart(written) or span.same_rows(written) for span in read)


def _rows(call: Call, operands: list[_Operand], rows: slice) -> Call:
    cut = iter([operand.array[rows] if operand.by_rows else operand.array for operand in operands])
    args = tuple(next(cut) if hasattr(arg, "ndim") else arg for arg in call.args)
    return Call(call.function, args, {**call.kwargs, "out": next(cut)})

"""Which memory a plan needs: every array from its first use to its last, placed so that dead memory is used again.

A `Slot` is the wish for one array. Slots that may share memory (a function computed in place) are joined; then `place`
goes through time once and gives each group the smallest free stretch that it fits in.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from dataclasses import dataclass, field
from math import prod
from typing import Any

SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int64": 8, "bool": 1, "object": 8}
"""Bytes of a number, by the name of its dtype."""
_LINE = 64  # bytes of a cache line, on which every array starts


@dataclass(eq=False)
class Slot:
    """One array: what it is for people, its shape and dtype, and the steps between which it holds something."""

    what: str
    shape: tuple[int, ...]
    dtype: str
    first: int
    last: int
    shares: Slot | None = None
    """The slot whose memory this one takes over."""
    offset: int = field(default=-1, init=False)

    @property
    def bytes(self) -> int:
        return prod(self.shape) * SIZES[self.dtype]

    @property
    def root(self) -> Slot:
        """The slot that owns the memory."""
        return self if self.shares is None else self.shares.root

    def join(self, other: Slot) -> None:
        """Use the memory of another slot of the same size."""
        assert self.bytes == other.bytes
        self.shares = other.root
        other.root.last = max(other.root.last, self.last)

    def take_over(self, other: Slot) -> None:
        """Use the memory of another slot, if nobody needs it after this one's first moment."""
        if other.root.last <= self.first:
            self.join(other)


class Memory:
    """All slots of a plan, and after `place` where they lie."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.peak = 0

    def slot(self, what: str, shape: tuple[int, ...], dtype: str, *, first: int, last: int) -> Slot:
        made = Slot(what, shape, dtype, first, last)
        self.slots.append(made)
        return made

    def place(self) -> None:
        """Give every slot its offset; ``peak`` is then how many bytes are needed in all."""
        born: dict[int, list[Slot]] = defaultdict(list)
        dying: dict[int, list[Slot]] = defaultdict(list)
        for slot in self.slots:
            if slot.shares is None:
                born[slot.first].append(slot)
                dying[slot.last].append(slot)
        free = _Free()
        for time in sorted({*born, *dying}):
            for slot in sorted(born[time], key=lambda slot: -slot.bytes):
                slot.offset = free.take(_rounded(slot.bytes))
            for slot in dying[time]:
                free.give(slot.offset, _rounded(slot.bytes))
        self.peak = free.end
        for slot in self.slots:
            slot.offset = slot.root.offset

    def view(self, slot: Slot, arena: Any) -> Any:
        """The array of a slot in memory of `peak` bytes."""
        return arena[slot.offset : slot.offset + slot.bytes].view(slot.dtype).reshape(slot.shape)


class _Free:
    """Free stretches below ``end``, by their starts; what does not fit in one extends the end."""

    def __init__(self) -> None:
        self.end = 0
        self._stretches: list[tuple[int, int]] = []  # start, stop

    def take(self, size: int) -> int:
        fitting = [stretch for stretch in self._stretches if stretch[1] - stretch[0] >= size]
        if fitting:
            start, stop = min(fitting, key=lambda stretch: stretch[1] - stretch[0])
        elif self._stretches and self._stretches[-1][1] == self.end:
            start, stop = self._stretches[-1]  # the last stretch grows
        else:
            start = stop = self.end
        if start < stop:
            self._stretches.remove((start, stop))
        if start + size < stop:
            insort(self._stretches, (start + size, stop))
        self.end = max(self.end, start + size)
        return start

    def give(self, start: int, size: int) -> None:
        """Free a stretch, joined with its free neighbours."""
        stop = start + size
        if size == 0:
            return
        for before, after in [s for s in self._stretches if s[1] == start or s[0] == stop]:
            self._stretches.remove((before, after))
            start, stop = min(start, before), max(stop, after)
        insort(self._stretches, (start, stop))


def _rounded(size: int) -> int:
    return -(-size // _LINE) * _LINE

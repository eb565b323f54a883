"""Which memory each thread of a kernel touches, and the proof that two threads never touch the same.

A kernel has N threads; thread j may go through a loop of R rounds r. An `Access` says where an operand lies for each of
them: at ``start + f(j) + g(r)`` bytes, f and g given by sizes and strides as those of an array are. Because several
calls become one kernel only where it makes no difference in which order the threads run, two questions decide: whether
two accesses are apart, and whether what both touch is touched by the same thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np


class Dim(NamedTuple):
    """One axis: how many steps, and how many bytes each moves."""

    size: int
    stride: int


Dims = tuple[Dim, ...]
"""Axes, the last one moving first."""


@dataclass(frozen=True)
class Access:
    """Where an operand lies for thread j in round r. ``dtype`` is the name of its numbers' type."""

    start: int
    thread: Dims
    loop: Dims
    dtype: str
    indirect: bool = False
    """Whether it is read or written at an index that is itself a value; the dims then say where that may be."""

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize

    @property
    def span(self) -> tuple[int, int]:
        """The first byte, and the one after the last."""
        return _span(self.start, self.thread + self.loop, self.itemsize)

    @property
    def dense(self) -> bool:
        """Whether every byte of the span is touched."""
        sizes = [dim.size for dim in self.thread + self.loop if dim.stride]
        low, high = self.span
        return not self.indirect and prod(sizes) * self.itemsize == high - low

    def as_items(self) -> Access:
        """The same memory where every round is a thread of its own."""
        return replace(self, thread=merged(self.thread + self.loop), loop=())


def count(dims: Sequence[Dim]) -> int:
    """How many steps there are."""
    return prod(dim.size for dim in dims)


def moving(dims: Sequence[Dim]) -> Dims:
    """The axes of a loop; none where no round moves anything."""
    return merged(dims) if any(dim.stride and dim.size > 1 for dim in dims) else ()


def merged(dims: Sequence[Dim]) -> Dims:
    """The same steps in as few axes as can be: what one way of counting becomes is equal for equal functions.

    >>> merged([Dim(2, 12), Dim(3, 4), Dim(1, 7)]), merged([Dim(5, 0)])
    ((Dim(size=6, stride=4),), (Dim(size=5, stride=0),))
    """
    found: list[Dim] = []
    for dim in dims:
        if dim.size == 1:
            continue
        if found and found[-1].stride == dim.size * dim.stride:
            found[-1] = Dim(found[-1].size * dim.size, dim.stride)
        else:
            found.append(dim)
    return tuple(found)


def split(dims: Sequence[Dim], inner: int) -> tuple[Dims, Dims] | None:
    """The axes cut in two so that the last ones count ``inner`` steps; None where no cut falls between whole steps.

    >>> split([Dim(4, 24), Dim(6, 4)], 3)
    ((Dim(size=4, stride=24), Dim(size=2, stride=12)), (Dim(size=3, stride=4),))
    """
    outer, counted = list(dims), 1
    last: list[Dim] = []
    while counted < inner:
        if not outer:
            return None
        dim = outer.pop()
        wanted = inner // counted
        if dim.size > wanted:
            if dim.size % wanted or inner % counted:
                return None
            outer.append(Dim(dim.size // wanted, dim.stride * wanted))
            dim = Dim(wanted, dim.stride)
        last.insert(0, dim)
        counted *= dim.size
    return (tuple(outer), tuple(last)) if counted == inner else None


@lru_cache(maxsize=1 << 16)
def apart(A: Access, B: Access) -> bool:
    """Whether no byte belongs to both. False too where finding out would take long."""
    if not (count(A.thread + A.loop) and count(B.thread + B.loop)):
        return True
    (low, high), (first, last) = A.span, B.span
    if high <= first or last <= low:
        return True
    if A.indirect or B.indirect:
        return False
    try:
        return not np.shares_memory(_stand_in(A), _stand_in(B), max_work=_WORK)  # type: ignore[arg-type]  # any number
    except np.exceptions.TooHardError:
        return False


_WORK = 10_000  # of NumPy's search for a common byte; strides of real layers take a few steps


@lru_cache(maxsize=1 << 16)
def owned(A: Access, B: Access) -> bool:
    """Whether each byte that both touch is touched by one thread only, the same in both.

    Both step from thread to thread alike, and either of two things says of a byte whose it is. In a matrix whose
    columns belong to threads: all else that moves them (rounds, and how far apart the two start) is a multiple of more
    bytes than all threads together need, and the remainder by that is the thread's. In one whose rows do: from one
    thread to the next it is further than all that a thread touches.
    """
    if A.thread != B.thread or any(dim.stride == 0 for dim in A.thread):
        return False
    step = gcd(A.start - B.start, *(dim.stride for dim in A.loop + B.loop))
    reach = _reach(A.thread, max(A.itemsize, B.itemsize))
    if reach is not None and (step == 0 or step >= reach):
        return True
    spans = [_span(access.start, access.loop, access.itemsize) for access in (A, B)]
    return _reach(A.thread, max(high for _, high in spans) - min(low for low, _ in spans)) is not None


def _reach(thread: Dims, width: int) -> int | None:
    """How many bytes lie under all threads when each needs so many; None where two would meet."""
    reach = width
    for size, stride in sorted(thread, key=lambda dim: abs(dim.stride)):
        if abs(stride) < reach:
            return None
        reach += (size - 1) * abs(stride)
    return reach


def writes_once(access: Access) -> bool:
    """Whether each thread has bytes of its own."""
    return _reach(access.thread, access.itemsize) is not None


def safe(A: Access, B: Access) -> bool:
    """Whether the threads of a kernel may do both in any order among themselves, when one of them writes."""
    return apart(A, B) or owned(A, B)


def _span(start: int, dims: Dims, itemsize: int) -> tuple[int, int]:
    ends = [(size - 1) * stride for size, stride in dims]
    return start + sum(min(end, 0) for end in ends), start + sum(max(end, 0) for end in ends) + itemsize


class _Layout:
    """What NumPy looks at to know where an array lies. The memory behind it is never touched."""

    def __init__(self, access: Access) -> None:
        dims = [dim for dim in access.thread + access.loop if dim.stride]
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "data": (access.start, True),
            "shape": tuple(dim.size for dim in dims),
            "strides": tuple(dim.stride for dim in dims),
            "typestr": np.dtype(access.dtype).str,
        }


def _stand_in(access: Access) -> np.ndarray:
    return np.asarray(_Layout(access))

"""Recorded calls as work that a kernel can do: over which axes, what is read and written where.

The axes of an elementwise call are put in the order in which its result lies in memory. So a result that one call sees
as ``(g, rows, o, columns)`` and the next one as ``(o, rows, columns)`` is counted alike by both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend.fusion.access import Access, Dim, Dims, apart, count, merged, moving, split, writes_once
from tensorflow_lite_bp.backend.fusion.functions import C_TYPES, COMPARISONS, FLOATS, FUNCTIONS, LOGICAL, REDUCTIONS
from tensorflow_lite_bp.backend.reals import is_real, together, wide

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.base import Backend, Call


LONG = 1 << 15
"""Items that a block of threads reduces to one number while another launch would begin."""
ROWS = 1 << 10
"""Into at most so many rows a longer one is cut."""


class Number:
    """A number that changes from step to step and that a kernel is handed with each launch: no memory of the device."""

    ndim = 0
    shape = ()

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.value = self.dtype.type(0)

    def fill(self, value: float) -> None:
        self.value = self.dtype.type(value)


@dataclass(eq=False)
class Operand:
    """An array over the axes of a work: ``kept`` ones and those that are ``reduced``. A number has neither.

    ``own`` says of an array that is read or written at an index that the index of thread j is one of column j of a
    matrix with so many columns.
    """

    value: Any
    start: int = 0
    kept: Dims | None = None
    reduced: Dims = ()
    indirect: bool = False
    own: int | None = None

    @property
    def is_array(self) -> bool:
        return self.kept is not None

    @property
    def dtype(self) -> str:
        return str(self.value.dtype)

    def access(self, thread: Dims, loop: Dims) -> Access:
        return Access(self.start, merged(thread), moving(loop), self.dtype, self.indirect)


@dataclass(eq=False)
class Work:
    """One call that a kernel can do.

    Attributes:
        call: None for the first half of one.
        name: of the elementwise function, or what is done to the operands before they are reduced.
        reduction: ``sum``, ``mean``, ``max``, ``argmax``; None for elementwise calls.
        guarded: whether something is written only if a truth value without axes is true: the last but one of ``reads``.
            The last one is then what stands there before.
    """

    call: Call | None
    name: str
    reads: list[Operand]
    out: Operand
    reduction: str | None = None
    guarded: bool = False
    whole: list[Access] = field(init=False)
    """Where each operand lies, the result last; None for numbers."""

    def __post_init__(self) -> None:
        arrays = [operand for operand in (*self.reads, self.out) if operand.is_array]
        self.whole = [operand.access(_dims(operand), ()) for operand in arrays]

    @property
    def operands(self) -> list[Operand]:
        """What the function is given."""
        return self.reads[:-2] if self.guarded else self.reads

    @property
    def threads(self) -> int:
        assert self.out.kept is not None
        return count(self.out.kept) if self.name != "put" else count(_dims(self.reads[0]))

    @property
    def rounds(self) -> int:
        return count(next(operand for operand in self.reads if operand.is_array).reduced) if self.reduction else 1

    @property
    def computes(self) -> str:
        """The type that the function computes in: that of its operands together, as NumPy and CuPy find it."""
        if self.name in ("copyto", "take", "put") and self.reduction is None:
            return self.out.dtype
        types = [
            np.dtype(operand.dtype) if hasattr(operand.value, "dtype") else operand.value for operand in self.operands
        ]
        return str(together(*types))

    @property
    def gives(self) -> str:
        """The type of the function's value."""
        return "bool" if self.name in COMPARISONS | LOGICAL else self.computes

    @property
    def fill(self) -> Any:
        """The number that the call writes everywhere; None for other calls."""
        value = self.reads[0].value
        constant = not self.reads[0].is_array and not isinstance(value, Number)
        return value if self.name == "copyto" and constant and not self.guarded else None


def _dims(operand: Operand) -> Dims:
    assert operand.kept is not None
    return operand.kept + operand.reduced


class Reader:
    """Makes work of calls, in their order.

    Args:
        constants: arrays whose values never change.
    """

    def __init__(self, backend: Backend, constants: Sequence[Any] = ()) -> None:
        self._backend = backend
        self._names: dict[Callable[..., Any], str] = {}
        for name in (*FUNCTIONS, *REDUCTIONS, "argmax", "take", "put", "matmul", "dot", "squares"):
            self._names.setdefault(getattr(backend, name), name)
        self._counted = [self._access(array) for array in constants if self._counts(array)]
        self._facts: list[tuple[Access, str, int]] = []  # where, "multiples" or "own", of how many columns

    def read(self, call: Call) -> Work | None:
        """The call as work; None where no kernel of ours can do it."""
        name = self._names.get(call.function)
        work = self._work(call, name) if name is not None else None
        if work is not None and not self._types_fit(work):
            work = None
        self._note(call, name, work)
        return work

    def touched(self, call: Call) -> tuple[list[Access], list[Access]]:
        """What any call reads and what it writes, by its arrays; a function that is not known may write to all."""
        arrays = [value for value in (*call.args, *call.kwargs.values()) if hasattr(value, "strides")]
        accesses = [self._access(array) for array in arrays]
        name = self._names.get(call.function)
        if "out" in call.kwargs and (name is not None or call.function == self._backend.uniform):
            return accesses, [self._access(call.kwargs["out"])]
        return accesses, accesses

    # Calls

    def _work(self, call: Call, name: str) -> Work | None:
        others = {"matmul": self._dots, "dot": self._dot, "squares": self._dot, "take": self._take, "put": self._put}
        if name in others:
            return others[name](call)
        if name == "copyto":
            target, source = call.args
            return self._map(call, name, [source], target)
        if name in FUNCTIONS:
            return self._map(call, name, list(call.args), call.kwargs["out"])
        return self._reduction(call, name)

    def _map(self, call: Call, name: str, values: list[Any], out: Any) -> Work | None:
        if not call.kwargs.keys() <= {"out", "where"}:
            return None
        flag = call.kwargs.get("where")
        if flag is not None:
            if getattr(flag, "ndim", None) != 0:
                return None
            values = [*values, flag, out]
        order = sorted(range(out.ndim), key=lambda axis: -abs(out.strides[axis]))
        operands = [self._spread(value, out.shape, order) for value in (*values, out)]
        return Work(call, name, operands[:-1], operands[-1], guarded=flag is not None)

    def _reduction(self, call: Call, name: str) -> Work | None:
        if not set(call.kwargs) <= {"axis", "keepdims", "out"} or len(call.args) != 1:
            return None
        (array,), out, axis = call.args, call.kwargs["out"], call.kwargs.get("axis")
        axes = tuple(range(array.ndim)) if axis is None else (axis % array.ndim,)
        if 0 in array.shape or (name == "argmax" and axis is None):
            return None
        kept = [a for a in range(array.ndim) if a not in axes]
        lies = [a for a in range(out.ndim) if not (call.kwargs.get("keepdims") and a in axes)]
        order = sorted(range(len(kept)), key=lambda place: -abs(out.strides[lies[place]]))
        source = Operand(
            array,
            self._backend.address(array),
            tuple(Dim(array.shape[kept[place]], array.strides[kept[place]]) for place in order),
            tuple(Dim(array.shape[a], array.strides[a]) for a in axes),
        )
        result = Operand(
            out,
            self._backend.address(out),
            tuple(Dim(out.shape[lies[place]], out.strides[lies[place]]) for place in order),
        )
        return Work(call, "copyto", [source], result, reduction=name)

    def _dots(self, call: Call) -> Work | None:
        """Rows times columns, each pair one number: a reduction. Other products are left to the library."""
        (A, B), out = call.args, call.kwargs["out"]
        if A.ndim != 3 or B.ndim != 3 or A.shape[1] != 1 or B.shape[2] != 1 or len(A) != len(B):
            return None
        address = self._backend.address
        reads = [
            Operand(A, address(A), (Dim(len(A), A.strides[0]),), (Dim(A.shape[2], A.strides[2]),)),
            Operand(B, address(B), (Dim(len(B), B.strides[0]),), (Dim(B.shape[1], B.strides[1]),)),
        ]
        return Work(call, "multiply", reads, Operand(out, address(out), (Dim(len(out), out.strides[0]),)), "sum")

    def _dot(self, call: Call) -> Work | None:
        """The scalar product of two vectors, or of one with itself."""
        (A, *others), out = call.args, call.kwargs.get("out")
        B = others[0] if others else A
        if out is None or not A.ndim == B.ndim == 1 or out.ndim != 0 or A.size == 0:
            return None
        reads = [Operand(X, self._backend.address(X), (), (Dim(X.shape[0], X.strides[0]),)) for X in (A, B)]
        return Work(call, "multiply", reads, Operand(out, self._backend.address(out), ()), "sum")

    def halves(self, work: Work) -> list[Work]:
        """A reduction of a long row to one number in two steps: many rows first, each for a block of threads.

        Their results lie in an array that is made here, and are not rounded to 16 bits on the way.
        """
        if work.reduction not in REDUCTIONS or work.threads > 1 or work.rounds <= LONG:
            return [work]
        rows = max(count for count in range(1, ROWS + 1) if work.rounds % count == 0)
        parts = self._backend.empty(rows, dtype=wide(work.out.value.dtype))
        reads = []
        for operand in work.reads:
            found = split(operand.reduced, work.rounds // rows) if operand.is_array else None
            if operand.is_array and found is None:
                return [work]
            reads.append(replace(operand, kept=found[0], reduced=found[1]) if found is not None else operand)
        place, dims = self._backend.address(parts), (Dim(rows, parts.itemsize),)
        first = Work(None, work.name, reads, Operand(parts, place, dims), work.reduction)
        return [first, Work(work.call, "copyto", [Operand(parts, place, (), dims)], work.out, work.reduction)]

    def _take(self, call: Call) -> Work | None:
        (array, index), out = call.args, call.kwargs["out"]
        if array.ndim != 1 or index.shape != out.shape:
            return None
        order = sorted(range(out.ndim), key=lambda axis: -abs(out.strides[axis]))
        operands = [self._spread(value, out.shape, order) for value in (index, out)]
        return Work(call, "take", [operands[0], self._anywhere(array, index)], operands[1])

    def _put(self, call: Call) -> Work | None:
        array, index, values = call.args
        if array.ndim != 1 or call.kwargs or not hasattr(values, "strides") or index.shape != values.shape:
            return None
        order = sorted(range(index.ndim), key=lambda axis: -abs(index.strides[axis]))
        reads = [self._spread(value, index.shape, order) for value in (index, values)]
        return Work(call, "put", reads, self._anywhere(array, index))

    def _anywhere(self, array: Any, index: Any) -> Operand:
        """A flat array that is looked at where the indices say."""
        place, size = self._access(index), index.size
        own = any(fact == (place, "own", size) for fact in self._facts) and array.size % size == 0
        step = array.strides[0]
        dims = (Dim(array.size // size, size * step), Dim(size, step)) if own else (Dim(array.size, step),)
        return Operand(array, self._backend.address(array), dims, indirect=True, own=size if own else None)

    # What is known of indices

    def _note(self, call: Call, name: str | None, work: Work | None) -> None:
        """Keep what is known of indices: ``n · columns + j`` lies in column j of a matrix."""
        _, written = self.touched(call)
        new: tuple[Access, str, int] | None = None
        if work is not None and work.out.is_array and work.out.dtype == "int64":
            values = [operand.value for operand in work.reads]
            if name == "multiply" and isinstance(values[1], int) and values[1] > 0:
                new = (self._access(work.out.value), "multiples", values[1])
            elif name == "add" and all(operand.is_array for operand in work.reads):
                first, second = map(self._access, values)
                known = (first, "multiples", work.out.value.size)
                if second in self._counted and known in self._facts:
                    new = (self._access(work.out.value), "own", work.out.value.size)
        self._facts = [fact for fact in self._facts if all(apart(fact[0], access) for access in written)]
        if new is not None:
            self._facts.append(new)

    def _counts(self, array: Any) -> bool:
        """Whether an array holds 0, 1, 2, …"""
        if str(array.dtype) != "int64" or array.ndim != 1:
            return False
        return bool(np.array_equal(self._backend.to_host(array), np.arange(array.size)))

    # Arrays

    def _spread(self, value: Any, shape: tuple[int, ...], order: Sequence[int]) -> Operand:
        """An operand over the axes of a result; where it has one value for many, its stride is 0."""
        if not hasattr(value, "strides"):
            return Operand(value)
        missing = len(shape) - value.ndim
        strides = [
            0 if axis < missing or value.shape[axis - missing] == 1 else value.strides[axis - missing] for axis in order
        ]
        dims = tuple(Dim(shape[axis], stride) for axis, stride in zip(order, strides, strict=True))
        return Operand(value, self._backend.address(value), dims)

    def _access(self, array: Any) -> Access:
        dims = [Dim(size, stride) for size, stride in zip(array.shape, array.strides, strict=True)]
        return Access(self._backend.address(array), merged(dims), (), str(array.dtype))

    def _types_fit(self, work: Work) -> bool:
        """Whether C has all types, numbers lie at whole multiples of their size, and no element is written twice."""
        if not all(map(_known, (*work.reads, work.out))):
            return False
        computes = np.dtype(work.computes)
        whole, real = computes.kind in "iu", is_real(computes)
        if work.reduction is not None and not (real or (work.reduction == "sum" and whole)):
            return False
        if work.reduction not in (None, "argmax") and work.out.dtype != work.computes:
            return False
        if work.name in FLOATS and not real:
            return False
        return work.out.indirect or (work.threads > 0 and writes_once(work.whole[-1]))


def _known(operand: Operand) -> bool:
    if not operand.is_array:
        return isinstance(operand.value, (bool, int, float, Number))
    itemsize = operand.value.dtype.itemsize
    return operand.dtype in C_TYPES and not any(dim.stride % itemsize for dim in _dims(operand))

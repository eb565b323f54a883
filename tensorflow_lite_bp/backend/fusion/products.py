"""Products of matrices as cuBLAS computes them: many at once, at equal distances, without copying what lies apart.

CuPy's own `matmul` copies whatever is not contiguous, and an unrolled image overlaps with itself on purpose; cuBLAS
takes any distance from one matrix to the next, 0 and overlapping ones too. It counts columns first: what it is asked
for is ``Cᵀ = Bᵀ Aᵀ``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from tensorflow_lite_bp.backend.reals import is_real


@dataclass(frozen=True)
class Gemm:
    """``C[i] = A[i] B[i]`` for ``batch`` matrices ``(m, k)`` and ``(k, n)``; all distances count elements.

    Attributes:
        offsets: where the first A, B and C begin in their arrays.
        turned: whether A, and B, have their columns one behind the other in memory.
        leading: from one row (or column, when turned) of A, B, C to the next.
        strides: from one A, B, C to the next.
    """

    m: int
    n: int
    k: int
    batch: int
    offsets: tuple[int, int, int]
    turned: tuple[bool, bool]
    leading: tuple[int, int, int]
    strides: tuple[int, int, int]


def gemms(A: Any, B: Any, C: Any) -> list[Gemm] | None:
    """The calls that compute ``matmul(A, B, out=C)``; None where cuBLAS cannot without a copy.

    Args:
        A, B, C: arrays of one dtype with ``shape``, ``strides``; batch axes may have size 1 in A or B.
    """
    if min(A.ndim, B.ndim) < 2 or 0 in C.shape or not A.dtype == B.dtype == C.dtype or not is_real(A.dtype):
        return None
    rank = C.ndim - 2
    m, k, n = A.shape[-2], A.shape[-1], B.shape[-1]
    lies = [_lies(X, *X.shape[-2:]) for X in (A, B, C)]
    if None in lies or lies[2][0]:  # type: ignore[index]  # none is None behind the first condition
        return None
    (turned_a, lead_a), (turned_b, lead_b), (_, lead_c) = [found for found in lies if found is not None]
    axes = _merged([(C.shape[axis], *(_stride(X, axis - rank - 2) for X in (A, B, C))) for axis in range(rank)])
    axes.sort(key=lambda axis: axis[0])
    *loops, (batch, *strides) = axes or [(1, 0, 0, 0)]
    made = []
    for steps in product(*(range(size) for size, *_ in loops)):
        offsets = [sum(step * axis[1 + which] for step, axis in zip(steps, loops, strict=True)) for which in range(3)]
        made.append(
            Gemm(
                m,
                n,
                k,
                batch,
                (offsets[0], offsets[1], offsets[2]),
                (turned_a, turned_b),
                (lead_a, lead_b, lead_c),
                (strides[0], strides[1], strides[2]),
            )
        )
    return made


def copies(A: Any, B: Any, C: Any) -> int:
    """Launches of CuPy's `matmul`: the product, a copy of each array that is not contiguous, and where matrices are
    spread over a batch the three lists of their addresses, which take one for each batch axis."""
    if C.ndim <= 2:
        return 1 + sum(not (X.flags.c_contiguous or X.flags.f_contiguous) for X in (A, B)) + (not C.flags.c_contiguous)
    spread = any(
        size != whole for X in (A, B) for size, whole in zip(X.shape[:-2][::-1], C.shape[:-2][::-1], strict=False)
    )
    return 1 + sum(not X.flags.c_contiguous for X in (A, B, C)) + (3 * (C.ndim - 2) if spread else 0)


def _lies(X: Any, rows: int, columns: int) -> tuple[bool, int] | None:
    """Whether a matrix is turned, and how far its rows (columns) lie apart; None where neither lies in one piece."""
    down, right = (stride // X.itemsize for stride in X.strides[-2:])
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return False, max(down, columns) if rows > 1 else columns
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return True, max(right, rows) if columns > 1 else rows
    return None


def _stride(X: Any, axis: int) -> int:
    if -axis > X.ndim or X.shape[axis] == 1:
        return 0
    return int(X.strides[axis] // X.itemsize)


def _merged(axes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Batch axes that are one in all three arrays."""
    found: list[tuple[int, ...]] = []
    for size, *strides in axes:
        if size == 1:
            continue
        if found and list(found[-1][1:]) == [size * stride for stride in strides]:
            found[-1] = (found[-1][0] * size, *strides)
        else:
            found.append((size, *strides))
    return found

"""cuBLAS's product of many matrices, which lie column by column, by their addresses."""

from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np
from cupy._machine import MACHINE, Memory, StrictError
from numpy.lib.stride_tricks import as_strided

_DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64), 2: np.dtype(np.float16), 14: np.dtype(ml_dtypes.bfloat16)}
"""By CUDA's number of a type: CUDA_R_32F, CUDA_R_64F, CUDA_R_16F, CUDA_R_16BF."""
_COMPUTES = {68: (0, 2, 14), 77: (0,), 70: (1,)}
"""CUBLAS_COMPUTE_32F, …_32F_FAST_TF32, …_64F, and of which types."""


class _Matrices:
    """``batch`` matrices of ``rows`` × ``columns`` in device memory, the next column ``leading`` elements on."""

    def __init__(self, ptr: int, kind: int, rows: int, columns: int, leading: int, step: int, batch: int) -> None:
        dtype = _DTYPES[kind]
        assert leading >= max(1, rows), f"a leading dimension of {leading} for {rows} rows"
        self.memory: Memory = MACHINE.memory_at(ptr)
        self._first = ptr - self.memory.ptr
        elements = (batch - 1) * step + (columns - 1) * leading + rows
        self._end = self._first + elements * dtype.itemsize
        if self._end > self.memory.size:
            raise StrictError(f"a matrix ends {self._end - self.memory.size} bytes behind its memory")
        flat = self.memory.octets[self._first : self._end].view(dtype)
        strides = (step * dtype.itemsize, dtype.itemsize, leading * dtype.itemsize)
        self.values = as_strided(flat, (batch, rows, columns), strides)

    def extent(self) -> tuple[int, int]:
        return self._first, self._end


def gemmStridedBatchedEx(
    handle: int,
    transa: int,
    transb: int,
    m: int,
    n: int,
    k: int,
    alpha: int,
    A: int,
    Atype: int,
    lda: int,
    strideA: int,
    B: int,
    Btype: int,
    ldb: int,
    strideB: int,
    beta: int,
    C: int,
    Ctype: int,
    ldc: int,
    strideC: int,
    batchCount: int,
    computeType: int,
    algo: int,
) -> None:
    """C = alpha · op(A) op(B) + beta · C for each of the batch."""
    assert handle == 1, "no handle of cuBLAS"
    assert Atype == Btype == Ctype, "one type for all"
    assert Ctype in _COMPUTES[computeType], f"type {Ctype} is not computed by {computeType}"
    a = _Matrices(A, Atype, *((k, m) if transa else (m, k)), lda, strideA, batchCount)
    b = _Matrices(B, Btype, *((n, k) if transb else (k, n)), ldb, strideB, batchCount)
    c = _Matrices(C, Ctype, m, n, ldc, strideC, batchCount)
    MACHINE.work("gemm", [a, b], [c])
    left = a.values.swapaxes(1, 2) if transa else a.values
    right = b.values.swapaxes(1, 2) if transb else b.values
    number: Any = ctypes.c_double if computeType == 70 else ctypes.c_float
    factor, kept = (number.from_address(address).value for address in (alpha, beta))
    with np.errstate(all="ignore"):
        product = factor * (left.astype(np.float32) @ right if Ctype in (2, 14) else left @ right)
        c.values[...] = product if kept == 0 else product + kept * c.values

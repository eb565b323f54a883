"""``cupyx`` of the double."""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy._functions import scatter
from cupy.cuda.memory import alloc_pinned_memory

from cupyx import scipy


def scatter_add(a: Any, slices: Any, value: Any) -> None:
    scatter("add", a, slices, value)


def scatter_max(a: Any, slices: Any, value: Any) -> None:
    scatter("maximum", a, slices, value)


def scatter_min(a: Any, slices: Any, value: Any) -> None:
    scatter("minimum", a, slices, value)


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """A host array in pinned memory, every byte 255."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    count = int(np.prod(shape, dtype=np.int64))
    memory = alloc_pinned_memory(count * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, count).reshape(shape, order=order)


def zeros_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    made = empty_pinned(shape, dtype, order)
    made.fill(0)
    return made


def empty_like_pinned(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> np.ndarray:
    return empty_pinned(a.shape if shape is None else shape, a.dtype if dtype is None else dtype)


def zeros_like_pinned(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> np.ndarray:
    return zeros_pinned(a.shape if shape is None else shape, a.dtype if dtype is None else dtype)


__all__ = [
    "empty_like_pinned",
    "empty_pinned",
    "scatter_add",
    "scatter_max",
    "scatter_min",
    "scipy",
    "zeros_like_pinned",
    "zeros_pinned",
]

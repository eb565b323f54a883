"""The strict double: a stand-in for the module ``cupy`` on machines without a GPU, for tests alone.

It computes with NumPy and behaves like CuPy 14 where that differs: what `_binding` and `_functions` say. `COUNTERS`
says what happened; `StrictError` is what only a machine with a GPU would show, and there perhaps not every time. The
names are those of the committed table, which a script makes of the real package: what CuPy lacks is missing here too.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy import cuda
from cupy._array import ndarray
from cupy._binding import TABLE
from cupy._functions import Function, Ufunc, ufunc_of
from cupy._kernels import ElementwiseKernel, RawKernel, RawModule, ReductionKernel
from cupy._machine import COUNTERS, StrictError
from cupy.cuda.memory import MemoryPool, PinnedMemoryPool

__version__: str = TABLE["version"]
ufunc = Ufunc
lib = SimpleNamespace(
    stride_tricks=SimpleNamespace(
        as_strided=Function("as_strided", "cupy.lib.stride_tricks"),
    )
)
_POOL, _PINNED_POOL = MemoryPool(), PinnedMemoryPool()


def get_default_memory_pool() -> MemoryPool:
    return _POOL


def get_default_pinned_memory_pool() -> PinnedMemoryPool:
    return _PINNED_POOL


def is_available() -> bool:
    return True


def __getattr__(name: str) -> Any:
    """A function, ufunc, dtype or constant that CuPy has."""
    found: Any
    if name in TABLE["ufuncs"]["cupy"]:
        found = ufunc_of(name)
    elif name in TABLE["functions"]["cupy"]:
        found = Function(name)
    elif name in TABLE["names"] and isinstance(getattr(np, name, None), (type, float, type(None))):
        found = getattr(np, name)
    elif name in TABLE["names"]:
        raise NotImplementedError(f"the double has no cupy.{name}: see tests/strict/double/cupy/_functions.py")
    else:
        raise AttributeError(f"module 'cupy' has no attribute '{name}'")
    globals()[name] = found
    return found


__all__ = [
    "COUNTERS",
    "ElementwiseKernel",
    "RawKernel",
    "RawModule",
    "ReductionKernel",
    "StrictError",
    "cuda",
    "ndarray",
]

"""Real numbers of 16, 32 and 64 bits: their dtypes, in which of these is computed, and what comes of two.

NumPy itself has no bfloat16: it is a dtype of ml_dtypes, of kind "V", and CuPy takes that one too.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np


def real(name: str) -> np.dtype[Any]:
    """The dtype of this name: NumPy's, and ml_dtypes' for ``bfloat16``."""
    if name == "bfloat16":
        import ml_dtypes  # noqa: F401  # from here on NumPy knows the name
    return np.dtype(name)


def is_real(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether it is float16 or bfloat16."""
    return dtype.itemsize == 2 and is_real(dtype)


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numbers are computed with and added up: float32 for those of 16 bits, else their own."""
    return np.dtype(np.float32) if is_half(dtype) else dtype


def together(*operands: Any) -> np.dtype[Any]:
    """The dtype in which ufuncs of both libraries compute.

    Python's numbers take that of the arrays (NEP 50). Only beside bfloat16 a float does not: that is float32, and
    `numpy.result_type`, which asks the dtypes and no ufunc, says float64.

    Args:
        operands: dtypes and Python numbers.

    >>> together(np.dtype("float16"), 0.5), together(real("bfloat16"), 0.5), together(real("bfloat16"), 2)
    (dtype('float16'), dtype('float32'), dtype(bfloat16))
    """
    types = [np.dtype(bool) if isinstance(x, bool) else x if isinstance(x, np.dtype) else type(x) for x in operands]
    return np.dtype(reduce(lambda x, y: np.add.resolve_dtypes((x, y, None))[-1], types))

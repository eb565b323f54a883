"""In what products of a dtype are computed. The double computes in the dtype itself, whatever is set here."""

from __future__ import annotations

from typing import Any

import numpy as np

COMPUTE_TYPE_DEFAULT, COMPUTE_TYPE_TF32 = 1, 7
_SET: dict[np.dtype[Any], int] = {}


def set_compute_type(dtype: Any, compute_type: int) -> None:
    _SET[np.dtype(dtype)] = compute_type


def get_compute_type(dtype: Any) -> int:
    return _SET.get(np.dtype(dtype), COMPUTE_TYPE_DEFAULT)

"""Real numbers of all sizes by the names of their dtypes; NumPy knows bfloat16 once `ml_dtypes` is imported."""

from __future__ import annotations

from typing import Any

import numpy as np


def real(name: str) -> np.dtype[Any]:
    """The dtype of a name such as ``"bfloat16"``."""
    if name == "bfloat16":
        from ml_dtypes import bfloat16

        name = bfloat16
    return np.dtype(name)

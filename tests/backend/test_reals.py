"""Dtypes of real numbers: which they are, and in which ufuncs compute, held against NumPy's and CuPy's own."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.backend.reals import is_half, is_real, real, together, wide

NAMES = ("float16", "bfloat16", "float32", "float64")
OTHERS = ("bool", "int64")
NUMBERS = (0.1, 3, True)
PAIRS = list(product(NAMES, (*NAMES, *OTHERS, *NUMBERS)))


def test_real_numbers() -> None:
    assert [real(name).name for name in NAMES] == list(NAMES)
    assert [real(name).itemsize for name in NAMES] == [2, 2, 4, 8]
    assert all(is_real(real(name)) for name in NAMES)
    assert not any(is_real(np.dtype(other)) for other in (*OTHERS, "int16", "V2"))
    assert [name for name in (*NAMES, *OTHERS, "int16") if is_half(np.dtype(name))] == ["float16", "bfloat16"]
    assert [wide(real(name)).name for name in NAMES] == ["float32", "float32", "float32", "float64"]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_numpy_computes_in_what_is_said(pair: tuple[str, Any]) -> None:
    first, second = map(operand, pair)
    arrays = [np.ones(2, x) if isinstance(x, np.dtype) else x for x in (first, second)]
    assert together(first, second) == together(second, first) == np.multiply(*arrays).dtype


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_cupy_computes_in_what_is_said(pair: tuple[str, Any]) -> None:
    cupy = pytest.importorskip("cupy")
    if cupy.__version__ != "14.2.0" or not hasattr(cupy.multiply, "_ops"):
        pytest.skip("private names of CuPy 14.2.0 are asked")
    first, second = map(operand, pair)
    weak = False if isinstance(second, np.dtype) or second is True else type(second)
    found = cupy.multiply._ops._guess_routine_from_in_types((first, np.result_type(second)), (False, weak))
    assert together(first, second) == found.in_types[0]


def operand(value: Any) -> Any:
    return real(value) if isinstance(value, str) else value


def test_only_bfloat16_needs_more_than_numpy() -> None:
    code = """
import sys
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.backend.fusion.work import Number
from tensorflow_lite_bp.backend.reals import real, together
together(real("float16"), 0.5)
get_backend("numpy")
assert "ml_dtypes" not in sys.modules
real("bfloat16")
assert "ml_dtypes" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

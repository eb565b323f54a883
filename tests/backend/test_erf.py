"""The error function against the C library's."""

from __future__ import annotations

from math import erf as exact

import numpy as np
import pytest

from tensorflow_lite_bp.backend.erf import erf
from tensorflow_lite_bp.backend.reals import real

POINTS = np.concatenate(
    [
        np.linspace(-7, 7, 20_001),
        np.logspace(-300, 1, 500),
        *(edge + np.linspace(-1e-9, 1e-9, 21) for edge in (0.46875, 4.0, 6.0)),
    ]
)


@pytest.mark.parametrize(("dtype", "units"), [("float64", 4), ("float32", 5)])
def test_within_a_few_units_in_the_last_place(dtype: str, units: int) -> None:
    x = POINTS.astype(dtype)
    x = x[(x == 0) | (np.abs(x) > 2 * np.finfo(dtype).tiny)]
    expected = np.array([exact(float(value)) for value in x]).astype(dtype)
    found = erf(x, out=np.empty_like(x))
    assert found.dtype == dtype
    assert (np.abs(found - expected) <= units * np.spacing(np.abs(expected))).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_special_values_without_a_warning(dtype: str) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, np.finfo(dtype).max, -np.finfo(dtype).max], dtype)
    found = erf(x, out=np.empty_like(x))
    np.testing.assert_array_equal(found, [1, -1, np.nan, 0, 0, 1, -1])
    np.testing.assert_array_equal(np.signbit(found[3:5]), [False, True])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_numbers_of_16_bits_are_rounded_once(dtype: str) -> None:
    x = np.linspace(-4, 4, 20_001).astype(real(dtype))
    expected = erf(x.astype(np.float32), out=np.empty(x.shape, np.float32)).astype(x.dtype)
    assert erf(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_any_layout_and_in_place() -> None:
    x = np.linspace(-3, 3, 30_000).reshape(3, 100, 100)  # more than one block
    expected = np.vectorize(exact)(x)
    turned = x.transpose(2, 0, 1)
    out = np.empty((100, 100, 3)).transpose(0, 2, 1)
    assert erf(turned, out=out) is out
    np.testing.assert_allclose(out, expected.transpose(2, 0, 1), rtol=1e-15)
    erf(x, out=x)
    np.testing.assert_allclose(x, expected, rtol=1e-15)
    assert erf(np.empty((0, 3)), out=np.empty((0, 3))).shape == (0, 3)
    assert erf(np.array(0.5), out=np.empty(())) == pytest.approx(exact(0.5), rel=1e-15)

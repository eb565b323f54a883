"""Kernels of CuPy's own classes on the double: g++ computes what their text says."""

from __future__ import annotations

from shutil import which
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.double, pytest.mark.skipif(which("g++") is None, reason="needs g++")]


@pytest.fixture
def cp() -> Any:
    import cupy

    cupy.COUNTERS.reset()
    return cupy


def host(array: Any) -> np.ndarray:
    found: np.ndarray = array.get()
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_an_elementwise_kernel_takes_any_type_and_spreads(cp: Any, dtype: str) -> None:
    kernel = cp.ElementwiseKernel("T x, T y, T factor", "T z", "z = factor * tanh(x) + y", "mixed")
    x, y = np.linspace(-2, 2, 12).reshape(3, 4).astype(dtype), np.arange(4).astype(dtype)
    z = cp.empty((4, 3), dtype).T
    assert kernel(cp.asarray(x), cp.asarray(y), 2.0, z) is z
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-6)
    np.testing.assert_allclose(host(z).astype(float), 2 * np.tanh(x.astype(float)) + y, rtol=tolerance)
    assert cp.COUNTERS.by_name["mixed"] == 1


def test_an_elementwise_kernel_in_place(cp: Any) -> None:
    kernel = cp.ElementwiseKernel("float32 g", "float32 w, float32 m", "m = m / 2 + g; w -= m", "momentum")
    w, m = cp.asarray(np.ones(5, np.float32)), cp.asarray(np.full(5, 2, np.float32))
    kernel(cp.asarray(np.arange(5, dtype=np.float32)), w, m)
    np.testing.assert_array_equal(host(m), 1 + np.arange(5))
    np.testing.assert_array_equal(host(w), -np.arange(5.0))


def test_a_raw_parameter_is_memory(cp: Any) -> None:
    """Also beyond the array that was handed over."""
    kernel = cp.ElementwiseKernel("raw int64 place, raw float64 x", "raw float64 y", "y[2 * i] = x[place[i]]", "gather")
    x, y = cp.asarray(np.arange(5.0)), cp.zeros(6)
    kernel(cp.asarray(np.array([4, 0, 2])), x[:1], y[:1], size=3)
    assert host(y).tolist() == [4, 0, 0, 0, 2, 0]


@pytest.mark.parametrize(("axis", "keepdims"), [(0, False), (1, True), ((0, 2), False), (None, False)])
def test_a_reduction(cp: Any, axis: Any, keepdims: bool) -> None:
    kernel = cp.ReductionKernel("T x, T y", "T z", "x * y", "a + b", "z = sqrt(a)", "0", "length")
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    expected = np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    z = cp.empty(np.shape(expected))
    kernel(cp.asarray(x), cp.asarray(x), out=z, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(host(z), expected, rtol=1e-12)


def test_what_is_refused(cp: Any) -> None:
    kernel = cp.ElementwiseKernel("T x", "T y", "y = x", "copy")
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        kernel(np.ones(3), cp.empty(3))
    with pytest.raises(TypeError, match=r"`x` is float32, and its type T is float64|`y` is float64"):
        kernel(cp.zeros(3, "f4"), cp.zeros(3))
    broken = cp.ElementwiseKernel("T x", "T y", "y = no_such_thing(x)", "broken")
    with pytest.raises(SyntaxError, match="no_such_thing"):
        broken(cp.zeros(3), cp.zeros(3))
    cp.ElementwiseKernel("T x", "T y", "y = 2 * x", "right")(cp.ones(3), cp.empty(3))


def test_kernels_take_part_in_the_order_of_streams(cp: Any) -> None:
    kernel = cp.ElementwiseKernel("raw float64 x", "float64 y", "y = x[i]", "copy")
    x, y, other = cp.zeros(4), cp.empty(4), cp.cuda.Stream(non_blocking=True)
    with pytest.raises(cp.StrictError, match="copy reads memory that stream 0 writes"):
        kernel(x[:1], y, stream=other)


def test_an_output_that_is_not_written_stays(cp: Any) -> None:
    """It may say no more than how many results there are."""
    kernel = cp.ReductionKernel("T x, raw T y", "T z", "x", "a + b", "y[_i] = a", "0", "rows")
    x, y = cp.asarray(np.arange(6.0).reshape(2, 3)), cp.zeros(2)
    kernel(x, y, cp.broadcast_to(y[:1], (2,)), axis=1)
    assert host(y).tolist() == [3, 12]

"""A call that was bound gives the bits of the plain call, whatever it is given."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.backend.reals import real

FLOATS = (np.float32, np.float64)
HALVES = (real("float16"), real("bfloat16"))


def numbers(shape: tuple[int, ...], dtype: Any, layout: str = "C") -> np.ndarray:
    """Random numbers; laid out by rows, by columns, as every second one, or backwards."""
    rng = np.random.default_rng(sum(shape) + len(layout))

    def of(shape: tuple[int, ...]) -> np.ndarray:
        return (rng.normal(size=shape) * 3).astype(dtype)

    if layout == "F":
        return of(shape[::-1]).T
    if layout == "sparse":
        return of(tuple(2 * size for size in shape))[tuple(slice(None, None, 2) for _ in shape)]
    if layout == "backwards":
        return of(shape)[tuple(slice(None, None, -1) for _ in shape)]
    return of(shape)


def both(function: Any, args: tuple[Any, ...], out: np.ndarray, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """What the plain call and what the bound one write to arrays like ``out``."""
    plain, bound = like(out), like(out)
    with np.errstate(all="ignore"):
        function(*args, out=plain, **more)
        call = NumpyBackend().bind(function, args, {"out": bound, **more})
        for _ in range(2):
            call()
    return plain, bound


def like(out: np.ndarray) -> np.ndarray:
    """An array with the layout of another, full of what no call leaves."""
    last = sum((size - 1) * abs(stride) for size, stride in zip(out.shape, out.strides, strict=True) if out.size)
    memory = np.empty(last // out.itemsize + 1, out.dtype)
    made = np.lib.stride_tricks.as_strided(memory, out.shape, np.abs(out.strides))
    made.fill(77)
    return made


def assert_same_bits(found: tuple[np.ndarray, np.ndarray]) -> None:
    plain, bound = found
    assert plain.tobytes() == bound.tobytes(), f"\n{plain}\n{bound}"


SHAPES = [(), (0,), (5,), (3, 4), (0, 4), (2, 3, 4)]
LAYOUTS = ["C", "F", "sparse", "backwards"]
UNARY = [np.exp, np.tanh, np.sqrt, np.negative, np.square, np.sign, np.abs, np.reciprocal, np.log1p]
BINARY = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power, np.greater_equal]
SCALARS = [0.0, -0.0, 0.1, 2, -3, 1e-30, np.inf, np.nan, True, 1 / 3]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", UNARY, ids=lambda function: function.__name__)
def test_functions_of_one_array(function: np.ufunc, dtype: Any) -> None:
    for shape, layout in product(SHAPES, LAYOUTS):
        assert_same_bits(both(function, (numbers(shape, dtype, layout),), numbers(shape, dtype)))


@pytest.mark.parametrize("dtype", [*FLOATS, *HALVES])
@pytest.mark.parametrize("function", BINARY, ids=lambda function: function.__name__)
def test_a_number_beside_an_array(function: np.ufunc, dtype: Any) -> None:
    for shape, layout, scalar in product(SHAPES, ["C", "sparse"], SCALARS):
        A, out = numbers(shape, dtype), numbers(shape, dtype, layout)
        assert_same_bits(both(function, (A, scalar), out))
        assert_same_bits(both(function, (scalar, A), out))


@pytest.mark.parametrize("function", BINARY, ids=lambda function: function.__name__)
def test_two_arrays_of_any_layout_and_of_shapes_that_spread(function: np.ufunc) -> None:
    for dtype, layout in product(FLOATS, LAYOUTS):
        A = numbers((3, 4), dtype, layout)
        for other in ((3, 4), (4,), (1, 4), (3, 1), ()):
            assert_same_bits(both(function, (A, numbers(other, dtype)), numbers((3, 4), dtype)))


@pytest.mark.parametrize("scalar", [np.float64(0.1), np.float32(0.1), np.int64(3), np.array(0.1)], ids=repr)
@pytest.mark.parametrize("function", BINARY, ids=lambda function: function.__name__)
def test_a_number_that_has_a_dtype_keeps_it(function: np.ufunc, scalar: Any) -> None:
    """NEP 50: only Python's own numbers take the dtype of the array beside them."""
    A = np.linspace(-2, 2, 41, dtype=np.float32)
    assert_same_bits(both(function, (A, scalar), A))


@pytest.mark.parametrize(
    ("function", "args", "dtype"),
    [
        (np.multiply, (np.arange(5), 7), np.int64),
        (np.add, (np.arange(5), True), np.int64),
        (np.maximum, (np.arange(5), 2), np.int64),
        (np.multiply, (np.arange(5), 0.5), np.float64),
        (np.multiply, (np.arange(5) > 2, 0.1), np.float32),
        (np.greater, (np.linspace(-1, 1, 5, dtype=np.float32), 0.1), np.bool_),
        (np.greater, (np.linspace(-1, 1, 5, dtype=np.float32), 0.1), np.float32),
        (np.logical_and, (np.arange(5) > 2, True), np.bool_),
        (np.maximum, (np.arange(5) > 2, False), np.bool_),
        (np.add, (np.ones(5, np.float32), np.ones(5)), np.float64),
        (np.multiply, (np.ones(5, np.float32) / 3, np.arange(5)), np.float32),
        (np.maximum, (np.arange(5), np.array(2.5)), np.float64),
    ],
)
def test_dtypes_side_by_side(function: np.ufunc, args: tuple[Any, ...], dtype: Any) -> None:
    assert_same_bits(both(function, args, np.empty(5, dtype), **({"casting": "unsafe"} if dtype is bool else {})))


@pytest.mark.parametrize("function", [np.multiply, np.maximum])
def test_a_number_that_does_not_fit_the_array_is_refused_as_in_the_plain_call(function: np.ufunc) -> None:
    A = np.arange(5)
    with pytest.raises(TypeError):
        function(A, 0.5, out=A.copy())
    with pytest.raises(TypeError):
        NumpyBackend().bind(function, (A, 0.5), {"out": A.copy()})()


# The arrays that stand for numbers


def test_the_array_for_a_number_serves_every_size_and_every_dtype() -> None:
    xp = NumpyBackend()
    calls: list[tuple[Callable[[], Any], np.ndarray, np.ndarray]] = []
    for size, dtype, number in product((3, 1000, 10, 5000, 0), FLOATS, (0.0, 0.5, -1.0)):
        A, out = numbers((size,), dtype), np.empty(size, dtype)
        calls.append((xp.bind(np.maximum, (A, number), {"out": out}), out, np.maximum(A, dtype(number))))
    for call, out, expected in calls:  # all are bound, and the arrays have grown meanwhile
        call()
        np.testing.assert_array_equal(out, expected)


def test_zero_and_minus_zero_are_two_numbers() -> None:
    xp, A = NumpyBackend(), np.array([-0.0, -0.0])
    first, second = np.empty(2), np.empty(2)
    for number, out in ((0.0, first), (-0.0, second)):
        xp.bind(np.maximum, (A, number), {"out": out})()
    np.testing.assert_array_equal(np.signbit(second), np.signbit(np.maximum(A, -0.0)))


def test_numbers_for_large_arrays_take_no_memory() -> None:
    xp, A = NumpyBackend(), np.ones((1 << 17) + 1, np.float32)
    out = np.empty_like(A)
    xp.bind(np.maximum, (A, 2.0), {"out": out})()
    assert (out == 2).all()
    assert all(array.size <= 1 << 17 for array in xp._constants.values())


# Products, sums, and places


@pytest.mark.parametrize("dtype", [*FLOATS, np.int64, np.bool_])
def test_products_of_matrices(dtype: Any) -> None:
    sizes = (0, 1, 2, 5, 17)
    for n, k, m in product(sizes, sizes, sizes):
        for A_by, B_by in product("CF", "CF"):
            A, B = numbers((n, k), dtype, A_by), numbers((k, m), dtype, B_by)
            for out_by in "CF":
                assert_same_bits(both(np.matmul, (A, B), numbers((n, m), dtype, out_by)))


@pytest.mark.parametrize("dtype", HALVES)
def test_products_of_16_bits_are_rounded_once(dtype: Any) -> None:
    """Those of whole numbers: exact in float32, and more than 16 bits hold."""
    for shapes in ([(70, 90), (90, 50)], [(3, 7, 90), (3, 90, 5)], [(1, 7, 90), (3, 90, 5)]):
        A, B = (np.random.default_rng(0).integers(-20, 20, shape).astype(dtype) for shape in shapes)
        exact = np.matmul(A.astype(np.float64), B.astype(np.float64))
        for out in (np.empty(exact.shape, dtype), np.empty(exact.swapaxes(-1, -2).shape, dtype).swapaxes(-1, -2)):
            NumpyBackend().bind(np.matmul, (A, B), {"out": out})()
            np.testing.assert_array_equal(out, exact.astype(np.float32).astype(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_sums_of_16_bits_are_rounded_once(dtype: Any) -> None:
    A = np.random.default_rng(0).integers(0, 9, (3, 40, 60)).astype(dtype)
    for array in (A, A[0], A[0].T, A[:, :, 0], A[0, 0]):
        for axis, keepdims in product([None, *range(array.ndim)], [False, True]):
            exact = array.astype(np.float64).sum(axis=axis, keepdims=keepdims)
            out = np.empty(exact.shape, dtype)
            NumpyBackend().bind(NumpyBackend.sum, (array,), {"axis": axis, "keepdims": keepdims, "out": out})()
            np.testing.assert_array_equal(out, exact.astype(np.float32).astype(dtype))


@pytest.mark.parametrize("layout", ["sparse", "backwards"])
def test_products_of_matrices_that_lie_otherwise_are_near(layout: str) -> None:
    for n, k, m in product((1, 3, 8), repeat=3):
        A, B = numbers((n, k), np.float64, layout), numbers((k, m), np.float64, layout)
        plain, bound = both(np.matmul, (A, B), numbers((n, m), np.float64))
        np.testing.assert_allclose(bound, plain, rtol=1e-12, atol=1e-12)


def test_products_of_other_ranks_and_dtypes() -> None:
    A, v = numbers((3, 4), np.float32), numbers((4,), np.float32)
    stack = numbers((2, 4, 5), np.float32)
    assert_same_bits(both(np.matmul, (A, v), np.empty(3, np.float32)))
    assert_same_bits(both(np.matmul, (A, stack), np.empty((2, 3, 5), np.float32)))
    assert_same_bits(both(np.matmul, (A, stack[0].astype(np.float64)), np.empty((3, 5))))


INTEGERS = np.random.default_rng(0).integers(-9, 9, (7, 6))


@pytest.mark.parametrize("function", [NumpyBackend.sum, NumpyBackend.max], ids=["sum", "max"])
@pytest.mark.parametrize("dtype", [*FLOATS, np.int64])
def test_reductions(function: Any, dtype: Any) -> None:
    """Of whole numbers, whose sums are exact in any order: sums of a matrix are bound as products with ones."""
    matrix, cube = INTEGERS.astype(dtype), np.stack([INTEGERS, INTEGERS.T @ INTEGERS @ INTEGERS.T[:, :6]][:1] * 2)
    for A in (matrix, matrix.T, matrix[::2], matrix[:, ::-1], matrix[:, :1], matrix[:0].T, cube.astype(dtype)):
        for axis, keepdims in product([None, *range(A.ndim), -1], [False, True]):
            if function is NumpyBackend.max and A.size == 0:
                continue
            shape = np.add.reduce(A, axis=axis, keepdims=keepdims).shape
            assert_same_bits(both(function, (A,), np.empty(shape, dtype), axis=axis, keepdims=keepdims))


def test_reductions_into_other_memory_and_dtypes() -> None:
    A = INTEGERS.astype(np.float32)
    for out in (np.empty((7, 3))[:, 1], np.empty((7, 3), np.float32)[:, 1], np.empty(14, np.float32)[::2]):
        assert_same_bits(both(NumpyBackend.sum, (A,), out, axis=1))
    assert_same_bits(both(NumpyBackend.sum, (A > 0,), np.empty(6), axis=0))
    assert_same_bits(both(NumpyBackend.sum, (INTEGERS > 0,), np.empty((), np.int64), axis=None))


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_are_near_and_see_what_is_not_finite(dtype: Any) -> None:
    A = numbers((40, 30), dtype)
    for axis in (0, 1):
        plain, bound = both(NumpyBackend.sum, (A,), np.empty(A.shape[1 - axis], dtype), axis=axis)
        np.testing.assert_allclose(bound, plain, rtol=0, atol=50 * np.finfo(dtype).eps * np.abs(A).sum(axis=axis).max())
    A[3, 4], A[5, 6], A[7, 8], A[7, 9] = np.nan, np.inf, np.inf, -np.inf
    for axis in (0, 1):
        assert_same_finiteness(both(NumpyBackend.sum, (A,), np.empty(A.shape[1 - axis], dtype), axis=axis))


def assert_same_finiteness(found: tuple[np.ndarray, np.ndarray]) -> None:
    plain, bound = found
    np.testing.assert_array_equal(np.isnan(bound), np.isnan(plain))
    np.testing.assert_array_equal(np.isposinf(bound), np.isposinf(plain))


@pytest.mark.parametrize("axis", [(0, 1), (1,)])
def test_sums_over_several_axes(axis: tuple[int, ...]) -> None:
    A = INTEGERS.astype(np.float64)
    assert_same_bits(both(NumpyBackend.sum, (A,), np.empty(A.sum(axis=axis).shape), axis=axis))


def test_what_a_reduction_is_told_besides_is_not_forgotten() -> None:
    A = np.zeros((2, 3))
    assert_same_bits(both(NumpyBackend.max, (A,), np.empty(3), axis=0, initial=5.0))
    assert_same_bits(both(NumpyBackend.sum, (A,), np.empty(3), axis=0, initial=5.0))


def test_entries_are_taken_and_put_at_their_places() -> None:
    xp, A, places = NumpyBackend(), np.arange(10.0), np.array([3, 0, 9, 3])
    out = np.empty(4)
    xp.bind(xp.take, (A, places), {"out": out})()
    np.testing.assert_array_equal(out, [3, 0, 9, 3])
    call = xp.bind(np.put, (A, places[:3], out[1:]), {})
    call()
    np.testing.assert_array_equal(A[[3, 0, 9]], [0, 9, 3])
    out[1:] = [7, 8, 9]  # what is put is read at every call
    call()
    np.testing.assert_array_equal(A[[3, 0, 9]], [7, 8, 9])


def test_other_calls_are_bound_as_they_are() -> None:
    A, out = numbers((3, 4), np.float64), np.empty((3, 4))
    NumpyBackend().bind(np.clip, (A, -1, 1), {"out": out})()
    np.testing.assert_array_equal(out, np.clip(A, -1, 1))
    where = A > 0
    out.fill(0)
    NumpyBackend().bind(np.add, (A, 1.0), {"out": out, "where": where})()
    np.testing.assert_array_equal(out, np.where(where, A + 1, 0))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(BINARY), st.floats(width=32), st.sampled_from(FLOATS), st.integers(0, 70))
def test_any_number_beside_arrays_of_any_length(function: np.ufunc, number: float, dtype: Any, length: int) -> None:
    A = numbers((length,), dtype)
    assert_same_bits(both(function, (A, number), A))


# Threads of the matrix libraries


def counts(xp: NumpyBackend) -> list[int]:
    return [library.get_num_threads() for library in xp._blas]


def test_the_number_of_threads_is_restored_after_a_failure_and_after_a_limit_within_a_limit() -> None:
    xp = NumpyBackend()
    before = counts(xp)

    def fails() -> None:
        with xp.threads(1):
            with xp.threads(2):
                assert counts(xp) == [2] * len(before)
            assert counts(xp) == [1] * len(before)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fails()
    assert counts(xp) == before
    with xp.threads(None):
        assert counts(xp) == before


def test_limits_of_two_users_that_end_crosswise_leave_the_number_of_before() -> None:
    """Two networks in two threads: the first to begin may be the first to end."""
    xp = NumpyBackend()
    before = counts(xp)
    try:
        for inner, outer in product((1, 2), repeat=2):
            first, second = xp.threads(inner), xp.threads(outer)
            first.__enter__()
            second.__enter__()
            first.__exit__(None, None, None)
            second.__exit__(None, None, None)
            assert counts(xp) == before
    finally:
        for library, count in zip(xp._blas, before, strict=True):
            library.set_num_threads(count)

"""The double refuses what CuPy refuses, and finds what CuPy would let pass: else its suites would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.double

cp: Any = None
COUNTERS: Any = None


@pytest.fixture(autouse=True)
def _module() -> None:
    global cp, COUNTERS  # there is no such module in an ordinary run
    import cupy

    cp, COUNTERS = cupy, cupy.COUNTERS
    COUNTERS.reset()


def host(array: Any) -> np.ndarray:
    return cp.asnumpy(array)


# What CuPy refuses

REFUSED: dict[str, Callable[[Any], Any]] = {
    "NumPy makes an array of it": np.asarray,
    "NumPy computes with it": np.exp,
    "a function of NumPy": np.moveaxis,
    "NumPy's array on the left": lambda x: np.ones(3) + x,
    "NumPy's array on the right": lambda x: x + np.ones(3),
    "a number in a NumPy array": lambda x: x * np.array(2.0),
    "a list": lambda x: cp.add(x, [1, 2, 3]),
    "a host array as out": lambda x: cp.add(x, x, out=np.empty(3)),
    "a host array in a stack": lambda x: cp.stack([x, np.ones(3)]),
    "an index on the host": lambda x: x[np.array([0, 1])],
    "a list as an index": lambda x: x[[0, 1]],
    "assigning a host array": lambda x: x.__setitem__(slice(None), np.ones(3)),
    "copying from a host array": lambda x: cp.copyto(x, np.ones(3)),
    "a product with a host array": lambda x: cp.matmul(x, np.ones((3, 3))),
    "sum where": lambda x: cp.sum(x, where=x > 0),
    "max initial": lambda x: cp.max(x, initial=0.0),
    "mean where": lambda x: cp.mean(x, where=x > 0),
    "var correction": lambda x: cp.var(x, correction=1),
    "a ufunc's where": lambda x: cp.add(x, x, where=x > 0),
    "clip min": lambda x: cp.clip(x, min=0),
    "take mode": lambda x: cp.take(x, cp.arange(2), mode="clip"),
    "einsum out": lambda x: cp.einsum("i,i->i", x, x, out=x),
    "as_strided writeable": lambda x: cp.lib.stride_tricks.as_strided(x, (3,), (8,), writeable=False),
    "a method's keyword": lambda x: x.sum(initial=0),
    "take of another dtype": lambda x: cp.take(x, cp.arange(2), out=cp.empty(2, "f4")),
    "out of a narrower kind": lambda x: cp.add(x, x, out=cp.empty(3, "i8")),
    "products of many matrices of bfloat16": lambda x: cp.matmul(*[cp.zeros((2, 2, 2), "bfloat16")] * 2),
    "atomic sums of bfloat16": lambda x: cp.add.at(cp.zeros(3, "bfloat16"), cp.arange(2), 1),
    "atomic sums of int64": lambda x: cp.add.at(cp.zeros(3, "i8"), cp.arange(2), 1),
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED.keys())
def test_what_cupy_refuses(use: Callable[[Any], Any]) -> None:
    x = cp.asarray(np.arange(3.0))
    with pytest.raises(TypeError):
        use(x)


@pytest.mark.parametrize("name", ["errstate", "block", "insert", "vecdot", "nditer", "memmap", "nothing_of_the_kind"])
def test_names_that_cupy_lacks(name: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(cp, name)


def test_a_foreign_device_is_refused() -> None:
    x = cp.zeros(3)
    with cp.cuda.Device(1), pytest.raises(cp.StrictError, match="an array of device 0, and device 1 works"):
        cp.add(x, x)


# What CuPy gives otherwise than NumPy


def test_reductions_give_arrays_and_reading_one_waits() -> None:
    total = cp.asarray(np.arange(4.0)).sum()
    assert isinstance(total, cp.ndarray)
    assert (total.shape, COUNTERS.synchronisations) == ((), 0)
    read: list[Callable[[Any], Any]] = [float, int, bool, str, cp.asnumpy, lambda x: x.item(), lambda x: x.tolist()]
    for count, way in enumerate(read, start=1):
        way(total)
        assert COUNTERS.synchronisations == count


def test_functions_whose_shape_depends_on_values_wait() -> None:
    x = cp.asarray(np.array([0, 2, 2]))
    for waits, use in ((2, cp.bincount), (1, cp.nonzero), (1, cp.unique), (1, lambda x: x[x > 1])):
        COUNTERS.reset()
        use(x)
        assert COUNTERS.synchronisations == waits


def test_places_outside_wrap() -> None:
    x = cp.asarray(np.arange(4.0))
    places = cp.asarray(np.array([5, -1, 9]))
    assert host(cp.take(x, places)).tolist() == host(x[places]).tolist() == [1, 3, 1]
    with pytest.raises(IndexError):
        x[4]


@pytest.mark.parametrize("way", ["put", "setitem"])
def test_a_place_that_is_assigned_twice_is_spoiled(way: str) -> None:
    x, places, values = cp.zeros(4), cp.asarray(np.array([1, 1, 2])), cp.asarray(np.array([5.0, 6.0, 7.0]))
    if way == "put":
        cp.put(x, places, values)
    else:
        x[places] = values
    np.testing.assert_array_equal(host(x), [0, np.nan, 7, 0])


def test_sums_at_places_add_up() -> None:
    x = cp.zeros(3)
    cp.add.at(x, cp.asarray(np.array([1, 1, 5])), 1.0)
    assert host(x).tolist() == [0, 2, 1]


def test_fresh_memory_is_spoiled() -> None:
    assert np.isnan(host(cp.empty(5, "f4"))).all()
    assert np.isnan(host(cp.empty(24, "u1").view("f8"))).all()


def test_views_are_views_and_copies_are_launches() -> None:
    x = cp.asarray(np.arange(6.0).reshape(2, 3))
    x.T[0] = 9.0
    x.reshape(-1)[5:].fill(7)
    x[:, 1:2][...] = 8.0
    assert host(x).tolist() == [[9, 8, 2], [9, 8, 7]]
    COUNTERS.reset()
    assert x.T.reshape(-1).shape == (6,)
    assert COUNTERS.launches == 1
    assert x[1].data.ptr == x.data.ptr + 24


METHODS: dict[str, Callable[[Any], Any]] = {
    "all": lambda x: x.all(axis=0),
    "argmax": lambda x: x.argmax(axis=1),
    "argsort": lambda x: x.argsort(axis=0),
    "clip": lambda x: x.clip(1.0, 3.0),
    "cumsum": lambda x: x.cumsum(axis=1),
    "dot": lambda x: x.dot(x.T),
    "mean": lambda x: x.mean(axis=(0, 1), keepdims=True),
    "repeat": lambda x: x.repeat(2, axis=0),
    "std": lambda x: x.std(ddof=1),
    "sum": lambda x: x.sum(axis=0, dtype="float32"),
    "trace": lambda x: x.trace(),
    "operators": lambda x: (2 - x) / 3 + abs(-x).sum() ** 2 // 5 - (x > 1) * (x @ x.T).sum(axis=0)[:1],
    "iteration": sum,
}


@pytest.mark.parametrize("use", METHODS.values(), ids=METHODS.keys())
def test_methods_and_operators_give_numpys_numbers(use: Callable[[Any], Any]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)) * 3
    expected = np.asarray(use(x))
    found = host(use(cp.asarray(x)))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_arrays_of_arrays_are_stacked_on_the_device() -> None:
    x = cp.asarray(np.arange(3.0))
    COUNTERS.reset()
    assert cp.array([x, x]).shape == (2, 3)
    assert (COUNTERS.uploads, COUNTERS.synchronisations) == (0, 0)


def test_products_of_turned_matrices_take_more_launches() -> None:
    x, y = cp.zeros((2, 3, 3)), cp.empty((2, 3, 3))
    every = ((1, x, y), (2, x.swapaxes(1, 2), y), (2, x, y.swapaxes(1, 2)), (4, x[:1], y))
    for launches, a, out in every:
        COUNTERS.reset()
        cp.matmul(a, x, out=out)
        assert COUNTERS.launches == launches


@pytest.mark.parametrize(("dtype", "kind", "computed"), [("float64", 1, 70), ("float16", 2, 68), ("bfloat16", 14, 68)])
@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_cublas_multiplies_column_by_column(turned: tuple[int, int], dtype: str, kind: int, computed: int) -> None:
    """A column-major matrix is the row-major one turned: B A of turned matrices is (A B) turned."""
    from cupy_backends.cuda.libs import cublas

    rng = np.random.default_rng(0)
    A, B = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((2, 3, 5), (2, 5, 4)))
    a, b = (cp.asarray(np.ascontiguousarray(x.swapaxes(1, 2) if t else x)) for x, t in zip((A, B), turned, strict=True))
    c = cp.empty((2, 3, 4), dtype)
    one, zero = (np.array(number, "float64" if computed == 70 else "float32") for number in (1, 0))
    given = ((b, 5 if turned[1] else 4, 20), (a, 3 if turned[0] else 5, 15))
    operands = [part for x, leading, step in given for part in (x.data.ptr, kind, leading, step)]
    sizes, result = (turned[1], turned[0], 4, 3, 5), (c.data.ptr, kind, 4, 12, 2, computed, -1)
    cublas.gemmStridedBatchedEx(1, *sizes, one.ctypes.data, *operands, zero.ctypes.data, *result)
    np.testing.assert_array_equal(host(c), (A.astype(np.float32) @ B.astype(np.float32)).astype(dtype))
    operands[2] = 11  # the last column would lie behind the array
    with pytest.raises(cp.StrictError, match="bytes behind its memory"):
        cublas.gemmStridedBatchedEx(1, *sizes, one.ctypes.data, *operands, zero.ctypes.data, *result)


def test_memory_has_a_limit() -> None:
    import gc

    gc.collect()  # arrays of tests that failed
    pool = cp.get_default_memory_pool()
    pool.set_limit(size=pool.used_bytes() + 1024)
    try:
        kept = cp.zeros(100)
        with pytest.raises(cp.cuda.memory.OutOfMemoryError, match="limit set to"):
            cp.zeros(100)
        del kept
        cp.zeros(100)
    finally:
        pool.set_limit(size=0)


# Copies and streams


def pinned(values: Any) -> np.ndarray:
    from cupyx import empty_pinned

    made = empty_pinned(np.shape(values), np.float64)
    made[...] = values
    return made


def test_a_copy_to_the_device_is_pending_until_it_is_waited_for() -> None:
    x, buffer, stream = cp.empty(3), pinned([1, 2, 3]), cp.cuda.Stream(non_blocking=True)
    x.set(buffer, stream=stream)
    assert COUNTERS.synchronisations == 0
    buffer[...] = 0
    with pytest.raises(cp.StrictError, match="changed a buffer before its copy to the device was done"):
        stream.synchronize()
    x.set(buffer, stream=stream)
    stream.synchronize()
    buffer[...] = 5
    stream.synchronize()


def test_a_copy_from_the_device_is_pending_until_it_is_waited_for() -> None:
    x, buffer = cp.asarray(np.arange(3.0)), pinned(np.zeros(3))
    x.get(out=buffer, blocking=False)
    assert (np.isnan(buffer).all(), COUNTERS.synchronisations) == (True, 0)
    cp.cuda.get_current_stream().synchronize()
    assert (buffer.tolist(), COUNTERS.synchronisations) == ([0, 1, 2], 1)
    x.get(out=buffer, blocking=False)
    buffer[0] = 1
    with pytest.raises(cp.StrictError, match="wrote to a buffer"):
        cp.cuda.get_current_stream().synchronize()


def test_copies_without_pinned_memory_wait() -> None:
    x = cp.empty(3)
    x.set(np.ones(3), stream=cp.cuda.Stream(non_blocking=True))
    assert COUNTERS.synchronisations == 1
    cp.asarray(np.ones(3))  # by way of CuPy's own pinned memory
    assert COUNTERS.synchronisations == 1


def test_streams_that_do_not_wait_for_each_other_race() -> None:
    x, copies = cp.zeros(3), cp.cuda.Stream(non_blocking=True)
    x.set(pinned([1, 2, 3]), stream=_after(cp.cuda.Stream.null, copies))
    with pytest.raises(cp.StrictError, match="add reads memory that stream"):
        cp.add(x, 1.0)
    cp.cuda.get_current_stream().wait_event(copies.record())
    y = cp.add(x, 1.0)
    assert host(y).tolist() == [2, 3, 4]
    later = cp.add(x, 1.0)
    with pytest.raises(cp.StrictError, match="upload writes memory that stream 0 reads"):
        x.set(pinned([4, 5, 6]), stream=copies)
    assert later.shape == (3,)


def _after(first: Any, stream: Any) -> Any:
    """The stream, once it waits for what another has to do."""
    stream.wait_event(first.record())
    return stream


def test_the_null_stream_and_blocking_streams_wait_for_each_other() -> None:
    x = cp.zeros(3)
    with cp.cuda.Stream():
        y = cp.add(x, 1.0)
    assert host(cp.add(y, 1.0)).tolist() == [2, 2, 2]


def test_events_are_done_when_somebody_has_waited() -> None:
    event = cp.cuda.Event()
    cp.zeros(3)
    event.record()
    assert not event.done
    event.synchronize()
    assert event.done
    assert COUNTERS.synchronisations == 1


def test_what_happens_is_counted() -> None:
    x = cp.asarray(np.ones((3, 3)))
    cp.matmul(x, x, out=cp.empty((3, 3)))
    cp.exp(x, out=x)
    x.fill(0)
    x.T.reshape(3, 3)[1:].swapaxes(0, 1)
    assert (COUNTERS.launches, COUNTERS.uploads, COUNTERS.downloads, COUNTERS.synchronisations) == (3, 1, 0, 0)
    assert COUNTERS.by_name == {"matmul": 1, "exp": 1, "fill": 1}


# Numbers


@pytest.mark.parametrize("scalar", [2, 2.0, np.float64(2.0), np.float32(2.0)], ids=lambda x: type(x).__name__)
def test_promotion_is_nep_50s(scalar: Any) -> None:
    x = np.ones(3, np.float32)
    assert (cp.asarray(x) * scalar).dtype == (x * scalar).dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_numbers_of_16_bits_are_added_up_in_float32(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 9, (60, 40)).astype(dtype)
    device, exact = cp.asarray(x), x.astype(np.float32)
    out = cp.empty(60, dtype)
    for found, expected in (
        (cp.sum(device, axis=1), exact.sum(axis=1)),
        (cp.sum(device, axis=1, out=out), exact.sum(axis=1)),
        (device.mean(), exact.mean()),
        (cp.matmul(device, device.T), exact @ exact.T),
    ):
        assert found.dtype == dtype
        np.testing.assert_array_equal(host(found), expected.astype(dtype))


def test_there_is_no_warning_of_overflow() -> None:
    assert np.isinf(host(cp.exp(cp.asarray(np.array([1e5]))))).all()

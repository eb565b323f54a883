"""Chains cut into blocks: whatever is called on whatever overlaps, the memory is as after the plain calls.

The numbers are small integers, which every sum and product gives exactly in any order: equal means equal bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.graph import blocks as module
from tensorflow_lite_bp.graph.blocks import in_blocks

ROWS, LENGTH = 6, 8
CELLS = 30 * LENGTH


@pytest.fixture(autouse=True, scope="module")
def small_arrays_are_cut_too() -> Iterator[None]:
    before, module.SMALL = module.SMALL, 0
    yield
    module.SMALL = before


def backend(cache: int | None) -> NumpyBackend:
    made = NumpyBackend()
    made.cache = cache  # type: ignore[assignment]  # None is the base's
    return made


# Calls drawn at random on views of one memory


@dataclass(frozen=True)
class View:
    """Where an array lies in the memory, as an arena lays arrays over each other."""

    start: int
    shape: tuple[int, ...]
    kind: str = "plain"

    def of(self, memory: np.ndarray) -> Any:
        size = int(np.prod(self.shape))
        flat = memory[self.start : self.start + size]
        if self.kind == "turned":
            return flat.reshape(self.shape[::-1]).T
        if self.kind == "backwards":
            return flat.reshape(self.shape)[::-1]
        if self.kind == "spread":
            return np.broadcast_to(flat[: self.shape[-1]], self.shape)
        return flat.reshape(self.shape)


WHOLE = ((ROWS, LENGTH), (ROWS, 2, 2, 2))
UNARY = (np.negative, np.sign, np.abs, np.positive)
PRODUCTS = (np.matmul, np.add.reduce, np.maximum.reduce)
BINARY = (np.add, np.subtract, np.maximum, np.minimum)
ALL_KINDS = ("plain", "turned", "backwards", "spread")


@dataclass(frozen=True)
class Drawn:
    """A call whose arrays are still views to be taken."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    out: View
    more: tuple[tuple[str, Any], ...] = ()

    def on(self, memory: np.ndarray) -> Call:
        args = tuple(arg.of(memory) if isinstance(arg, View) else arg for arg in self.args)
        return Call(self.function, args, {**dict(self.more), "out": self.out.of(memory)})

    def overlaps_itself(self, memory: np.ndarray) -> bool:
        """Whether it reads, other than exactly in place, what it writes."""
        call = self.on(memory)
        out = call.kwargs["out"]
        arrays = [arg for arg in call.args if isinstance(arg, np.ndarray)]
        return any(
            np.shares_memory(array, out) for array in arrays if self.function in PRODUCTS or not same(array, out)
        )


def same(A: np.ndarray, B: np.ndarray) -> bool:
    """Whether two arrays are the same memory in the same shape."""
    return (A.shape, A.strides, A.__array_interface__["data"]) == (B.shape, B.strides, B.__array_interface__["data"])


class Draws:
    """Draws calls from a seed: hypothesis's own strategies are too slow for this many."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def view(self, *shapes: tuple[int, ...], kinds: tuple[str, ...] = ("plain",)) -> View:
        """At one of a few places: often the same array again, often some of its rows, sometimes shifted in a row."""
        shape = self.random.choice(shapes)
        places = [k * LENGTH for k in range(0, 13, 2)] + [3, LENGTH + 3]
        fitting = [start for start in places if start + int(np.prod(shape)) <= CELLS]
        return View(self.random.choice(fitting), shape, self.random.choice(kinds))

    def elementwise(self) -> Drawn:
        shape = self.random.choice(WHOLE)
        out = self.view(shape)
        first = self.random.choice([out, self.view(shape, kinds=ALL_KINDS)])
        if self.random.random() < 0.3:
            return Drawn(self.random.choice(UNARY), (first,), out)
        shared = ((LENGTH,), (1, LENGTH), (ROWS, 1)) if len(shape) == 2 else ((2,), (ROWS, 1, 1, 1), (2, 2))
        number = float(self.random.randint(-2, 2))
        full = self.view(shape, kinds=ALL_KINDS)
        second = self.random.choice([out, full, full, self.view(*shared), self.view(()), number])
        pair = (first, second)
        return Drawn(self.random.choice(BINARY), pair if self.random.random() < 0.5 else pair[::-1], out)

    def vector(self) -> Drawn:
        """Writes one row, or a number for each row: not as many rows as the others, or another length."""
        shape = self.random.choice([(1, LENGTH), (LENGTH,), (ROWS, 1), (ROWS,), (1, 1, 2, 2)])
        args = (self.view(shape), self.random.choice([self.view(shape), 1.0]))
        return Drawn(self.random.choice(BINARY), args, self.view(shape))

    def reduction(self) -> Drawn:
        A = self.view((ROWS, LENGTH), kinds=("plain", "turned", "backwards"))
        axis, keepdims = self.random.choice([0, 1]), self.random.choice([False, True])
        shape = ((1, LENGTH) if axis == 0 else (ROWS, 1)) if keepdims else ((LENGTH,) if axis == 0 else (ROWS,))
        function = self.random.choice([NumpyBackend.sum, NumpyBackend.max])
        return Drawn(function, (A,), self.view(shape), (("axis", axis), ("keepdims", keepdims)))

    def product(self) -> Drawn:
        if self.random.random() < 0.5:
            return Drawn(np.matmul, (self.view((ROWS, LENGTH)), self.view((LENGTH,))), self.view((ROWS,)))
        return Drawn(np.matmul, (self.view((ROWS, ROWS)), self.view((ROWS, LENGTH))), self.view((ROWS, LENGTH)))

    def calls(self, count: int, kinds: list[Callable[[Draws], Drawn]]) -> list[Drawn]:
        """So many calls, none of which reads what it writes other than exactly in place."""
        drawn: list[Drawn] = []
        while len(drawn) < count:
            call = self.random.choice(kinds)(self)
            if not call.overlaps_itself(np.empty(CELLS)):
                drawn.append(call)
        return drawn


def memory_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, CELLS).astype(np.float64)


def assert_same_memory(calls: list[Drawn], seed: int, cache: int) -> None:
    expected, found = memory_of(seed), memory_of(seed)
    for call in [drawn.on(expected) for drawn in calls]:
        call.function(*call.args, **call.kwargs)
    xp = backend(cache)
    for bound in xp.program(in_blocks([drawn.on(found) for drawn in calls], xp)):
        bound()
    np.testing.assert_array_equal(found, expected)


quick = settings(max_examples=400, deadline=None, derandomize=True, database=None)
caches = st.sampled_from([1, 2 * LENGTH * 8 * 2, 4 * LENGTH * 8 * 3])
seeds = st.integers(0, 1 << 32)


@quick
@given(seed=seeds, count=st.integers(1, 8), cache=caches)
def test_elementwise_calls_on_overlapping_memory_are_the_plain_calls(seed: int, count: int, cache: int) -> None:
    assert_same_memory(Draws(seed).calls(count, [Draws.elementwise]), seed, cache)


@quick
@given(seed=seeds, count=st.integers(2, 8), cache=caches)
def test_calls_that_are_not_row_wise_keep_their_place(seed: int, count: int, cache: int) -> None:
    kinds = [Draws.elementwise, Draws.elementwise, Draws.vector, Draws.reduction, Draws.product]
    assert_same_memory(Draws(seed).calls(count, kinds), seed, cache)


@pytest.mark.parametrize("shift", [1, 2])
def test_a_call_that_writes_over_the_rows_that_it_reads_is_not_cut(shift: int) -> None:
    """NumPy computes as if it had copied what it reads; block by block the first would spoil the second."""
    reads, writes = View(0, (ROWS, LENGTH)), View(shift * LENGTH, (ROWS, LENGTH))
    assert_same_memory([Drawn(np.add, (reads, 1.0), writes)], 0, 1)


# How they are cut


def chain(rows: int, count: int = 4) -> tuple[list[Call], np.ndarray]:
    """Calls that double an array in place, again and again, by way of another one."""
    A, B = np.arange(rows * 4, dtype=np.float64).reshape(rows, 4), np.empty((rows, 4))
    calls = []
    for _ in range(count):
        calls += [Call(np.add, (A, A), {"out": B}), Call(np.positive, (B,), {"out": A})]
    return calls, A


def blocks(calls: list[Call], cache: int | None) -> Iterator[tuple[str, int]]:
    """The name and the rows of each call after cutting."""
    for call in in_blocks(calls, backend(cache)):
        yield call.function.__name__, len(call.kwargs["out"])


ROW = 2 * 4 * 8  # bytes of a row of both arrays


@pytest.mark.parametrize(
    ("cache", "lengths"), [(1, [1] * 5), (2 * ROW, [2, 2, 1]), (3 * ROW + 1, [3, 2]), (5 * ROW, [5]), (None, [5])]
)
def test_as_many_rows_as_fit_the_cache_go_through_the_whole_chain(cache: int | None, lengths: list[int]) -> None:
    calls, A = chain(5)
    names = ["add", "positive"] * 4
    assert list(blocks(calls, cache)) == [(name, length) for length in lengths for name in names]
    start = A.copy()
    for call in in_blocks(calls, backend(cache)):
        call.function(*call.args, **call.kwargs)
    np.testing.assert_array_equal(A, start * 16)


def test_another_number_of_rows_begins_another_chain() -> None:
    (five, _), (three, _) = chain(5, 1), chain(3, 1)
    found = list(blocks([*five, *three], 1))
    assert found == [("add", 1), ("positive", 1)] * 8


def test_rows_that_the_chain_shifts_are_not_read_before_they_are_written() -> None:
    """The second call reads row i + 1 of what the first writes: cut together, it would read it too early."""
    memory = np.arange(7.0 * 4).reshape(7, 4)
    A, B, C = memory[:6], np.ones((6, 4)), np.empty((6, 4))
    calls = [Call(np.add, (A, B), {"out": A}), Call(np.multiply, (memory[1:], 2.0), {"out": C})]
    assert list(blocks(calls, 1)) == [("add", 1)] * 6 + [("multiply", 1)] * 6


def test_an_array_that_every_row_reads_is_not_written_in_the_same_chain() -> None:
    A, B = np.ones((4, 4)), np.ones((4, 4))
    first, second = Call(np.add, (A, A), {"out": B}), Call(np.add, (A, B[3]), {"out": A})
    assert list(blocks([first, second], 1)) == [("add", 1)] * 8
    assert [len(call.args[1]) for call in in_blocks([first, second], backend(1))] == [1] * 4 + [4] * 4


@pytest.mark.parametrize(
    "between",
    [
        Call(np.matmul, (np.eye(5), np.ones((5, 4))), {"out": np.empty((5, 4))}),
        Call(np.add.reduce, (np.ones((5, 4)),), {"axis": 0, "out": np.empty(4)}),
        Call(np.add, (np.ones((4, 5)).T, 1.0), {"out": np.empty((4, 5)).T}),
        Call(np.copyto, (np.empty((5, 4)), np.ones((5, 4))), {}),
        Call(np.add, (np.ones((5, 4)), 1.0), {"out": np.empty((5, 4)), "where": np.ones((5, 4), bool)}),
    ],
    ids=["product", "sum of columns", "turned result", "copy", "where"],
)
def test_what_is_not_row_wise_is_called_once_between_two_chains(between: Call) -> None:
    calls, _ = chain(5, 1)
    cut = in_blocks([*calls, between, *calls], backend(1))
    assert len(cut) == 10 + 1 + 10
    assert cut[10] is between


def test_the_sums_of_rows_are_cut_with_the_chain() -> None:
    A, sums = np.arange(20.0).reshape(5, 4), np.empty((5, 1))
    calls = [
        Call(np.add, (A, 1.0), {"out": A}),
        Call(NumpyBackend.sum, (A,), {"axis": 1, "keepdims": True, "out": sums}),
        Call(np.subtract, (A, sums), {"out": A}),
    ]
    xp = backend(1)
    cut = in_blocks(calls, xp)
    assert len(cut) == 15
    expected = np.arange(20.0).reshape(5, 4) + 1
    for call in xp.program(cut):
        call()
    np.testing.assert_array_equal(A, expected - expected.sum(axis=1, keepdims=True))


def test_the_elements_of_flat_arrays_are_their_rows() -> None:
    flat = np.arange(10.0)
    cut = in_blocks([Call(np.add, (flat, 1.0), {"out": flat})], backend(3 * 8))
    assert [len(call.kwargs["out"]) for call in cut] == [3, 3, 3, 1]


def test_a_small_result_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 5 * 4 * 8 + 1)
    calls, _ = chain(5)
    assert in_blocks(calls, backend(1)) == calls

"""Fused programs give the bits of the recorded calls, whatever memory these share; and few launches come of a step."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.backend.fusion.access import Access, Dim, apart, merged, owned, split
from tensorflow_lite_bp.backend.fusion.grouping import Kernel, Rows, Single, launches
from tensorflow_lite_bp.backend.fusion.program import program
from tensorflow_lite_bp.backend.planned import PlannedBackend
from tensorflow_lite_bp.graph.recorder import Recorder
from tests.backend import kernels
from tests.backend.interpreter import Interpreter

XP = PlannedBackend()
NUMBERS = 96  # in the memory of a random program

# Accesses


def dims(most: int, *, strides: range = range(-3, 8)) -> st.SearchStrategy[tuple[Dim, ...]]:
    sizes = st.integers(1, 3)
    return st.lists(st.builds(Dim, sizes, st.sampled_from([4 * s for s in strides])), max_size=most).map(tuple)


def places(dims: tuple[Dim, ...]) -> list[int]:
    """The offset of each step."""
    found = [0]
    for size, stride in dims:
        found = [offset + step * stride for offset in found for step in range(size)]
    return found


def touched(access: Access) -> dict[int, set[int]]:
    """For each byte the threads that touch it."""
    found: dict[int, set[int]] = {}
    for thread, offset in enumerate(places(access.thread)):
        for more in places(access.loop):
            for byte in range(access.itemsize):
                found.setdefault(access.start + offset + more + byte, set()).add(thread)
    return found


@st.composite
def two_accesses(draw: st.DrawFn) -> tuple[Access, Access]:
    thread = draw(dims(2))
    other = draw(st.one_of(st.just(thread), dims(2)))
    starts = [4 * draw(st.integers(100, 130)) for _ in range(2)]
    loops = [draw(dims(2, strides=range(30))) for _ in range(2)]
    one, two = zip((thread, other), loops, starts, strict=True)
    return (
        Access(one[2], merged(one[0]), merged(one[1]), "float32"),
        Access(two[2], merged(two[0]), merged(two[1]), draw(st.sampled_from(["float32", "bool", "int64"]))),
    )


@settings(max_examples=300, deadline=None)
@given(two_accesses())
def test_what_is_said_of_two_accesses_is_so(pair: tuple[Access, Access]) -> None:
    A, B = map(touched, pair)
    common = A.keys() & B.keys()
    if apart(*pair):
        assert not common
    if owned(*pair):
        assert all(A[byte] == B[byte] and len(A[byte]) == 1 for byte in common)


def test_rows_of_a_matrix_are_told_from_its_columns() -> None:
    columns = Access(4000, (Dim(8, 4),), (Dim(5, 32),), "float32")
    one_row = Access(4000 + 2 * 32, (Dim(8, 4),), (), "float32")
    moved = Access(4000 + 2 * 32 + 4, (Dim(8, 4),), (), "float32")
    assert owned(columns, one_row)
    assert not owned(columns, moved)
    rows = Access(4000, (Dim(5, 32),), (Dim(8, 4),), "float32")
    first, last_of_next = (Access(4000 + start, (Dim(5, 32),), (), "float32") for start in (0, -4))
    assert owned(rows, first)
    assert not owned(rows, last_of_next)
    even, odd = (Access(4000 + start, (Dim(8, 8),), (), "float32") for start in (0, 4))
    assert apart(even, odd)
    assert not owned(*[Access(4000, (Dim(8, 0),), (), "float32")] * 2)


@given(dims(4, strides=range(30)), st.integers(1, 9))
def test_split_axes_count_the_same_places(axes: tuple[Dim, ...], inner: int) -> None:
    found = split(axes, inner)
    if found is None:
        return
    outer, last = found
    assert prod(dim.size for dim in last) == inner
    assert places((*outer, *last)) == places(axes)
    assert places(merged(axes)) == places(axes)


# Programs


@st.composite
def views(draw: st.DrawFn, memory: np.ndarray, shape: tuple[int, ...], *, once: bool) -> np.ndarray:
    """A view of a shape, at any strides that stay inside; ``once``: no element is met twice. Half of them lie in one
    piece, as most arrays do, often where others do."""
    flat = draw(st.booleans())
    if flat and draw(st.booleans()):
        start = 24 * draw(st.integers(0, 3))
        return memory[start : start + prod(shape)].reshape(shape)
    for _ in range(8):
        strides = [draw(st.integers(-4, 12)) if not flat else prod(shape[axis + 1 :]) for axis in range(len(shape))]
        ends = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
        low, high = sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends)
        offsets = places(tuple(Dim(size, stride) for size, stride in zip(shape, strides, strict=True)))
        if high - low < NUMBERS and not (once and len(set(offsets)) < len(offsets)):
            start = draw(st.integers(-low, NUMBERS - 1 - high))
            return np.lib.stride_tricks.as_strided(memory[start:], shape, [4 * stride for stride in strides])
    start = draw(st.integers(0, NUMBERS - prod(shape)))
    return memory[start : start + prod(shape)].reshape(shape)


SHAPES = st.sampled_from([(), (4,), (12,), (24,), (3, 4), (4, 6), (2, 6), (2, 2, 6), (6, 2)])


@st.composite
def calls(draw: st.DrawFn, memory: np.ndarray) -> Call:
    shape = draw(SHAPES)
    out = draw(views(memory, shape, once=True))
    kind = draw(st.sampled_from(["map", "map", "map", "copy", "fill", "rows", "guarded"]))
    if kind == "copy":
        return Call(np.copyto, (out, draw(views(memory, shape, once=False))), {})
    if kind == "fill":
        return Call(np.copyto, (out, draw(st.sampled_from([0.0, 1.0, -2.0]))), {})
    if kind == "rows":
        shape = draw(st.sampled_from([(), (2,), (4,), (2, 2)]))
        out = draw(views(memory, shape, once=True))
        axis = draw(st.sampled_from([len(shape), len(shape), 0]))
        whole = (*shape[:axis], draw(st.sampled_from([6, 6, 1, 3])), *shape[axis:])
        function = draw(st.sampled_from([XP.sum, XP.max]))
        return Call(function, (draw(views(memory, whole, once=False)),), {"axis": axis, "out": out})
    function = draw(st.sampled_from([np.add, np.subtract, np.maximum, np.greater, np.negative]))
    operands = []
    for _ in range(function.nin):
        broadcast = tuple(1 if draw(st.booleans()) and draw(st.booleans()) else size for size in shape)
        number = st.sampled_from([1.0, 0.0])
        operands.append(draw(st.one_of(views(memory, broadcast, once=False), number)))
    if not any(isinstance(operand, np.ndarray) for operand in operands):
        operands[0] = draw(views(memory, shape, once=False))
    more = {"where": np.array(draw(st.booleans()))} if kind == "guarded" else {}
    return Call(function, tuple(operands), {"out": out, **more})


def plain(call: Call) -> None:
    """A recorded call by itself. What it reads is copied first, since NumPy is not always right where an array that is
    read overlaps with the one that is written (2.4: `negative` on every fourth number, `copyto` to every second)."""
    target = call.args[0] if call.function is np.copyto else None
    args = [np.array(arg) if isinstance(arg, np.ndarray) and arg is not target else arg for arg in call.args]
    call.function(*args, **call.kwargs)


class Memory:
    """The bytes of a random program: small whole numbers, of which every sum is exact, and a few truth values."""

    def __init__(self) -> None:
        self.bytes = np.zeros(4 * NUMBERS + 8, np.uint8)
        self.numbers = self.bytes[: 4 * NUMBERS].view(np.float32)
        self.flags = self.bytes[4 * NUMBERS :].view(bool)
        self.restart()

    def restart(self) -> None:
        self.numbers[:] = np.random.default_rng(0).integers(-8, 8, NUMBERS)

    def after(self, program: list[Call]) -> np.ndarray:
        """The bytes after a plain replay; it starts again then."""
        for call in program:
            plain(call)
        found = self.bytes.copy()
        self.restart()
        return found


@st.composite
def programs(draw: st.DrawFn, *, most: int = 10) -> tuple[Memory, list[Call]]:
    memory = Memory()
    program = [draw(calls(memory.numbers)) for _ in range(draw(st.integers(1, most)))]
    for place, call in enumerate([call for call in program if "where" in call.kwargs]):
        memory.flags[place % 8] = call.kwargs["where"]
        call.kwargs["where"] = memory.flags[place % 8 :][:1].reshape(())
    return memory, program


@settings(max_examples=250, deadline=None)
@given(programs(), st.integers(0, 5))
def test_random_programs_give_the_same_bits(made: tuple[Memory, list[Call]], seed: int) -> None:
    memory, program = made
    expected = memory.after(program)
    Interpreter(memory.bytes, seed, plain).run(launches(program, XP))
    assert memory.bytes.tobytes() == expected.tobytes()


@pytest.mark.skipif(kernels.COMPILER is None, reason="there is no g++ to compile the kernels with")
@settings(max_examples=5, deadline=None, phases=[Phase.generate])  # each example is compiled: nothing is shrunk
@given(st.lists(st.tuples(programs(most=6), *[st.integers(0, NUMBERS)] * 2), min_size=30, max_size=30))
def test_what_nobody_looks_at_is_all_that_is_not_stored(made: list[Any]) -> None:
    """The texts of random programs, in each of which a part of the memory is private."""
    every = []
    for (memory, calls_), *ends in made:
        start, stop = sorted(ends)
        steps = program(calls_, XP, private=[memory.numbers[start:stop]])
        every.append((memory, calls_, slice(start, stop), steps))
    functions = kernels.compiled([step.source for *_, steps in every for step in steps if step.source is not None])
    for memory, calls_, private, steps in every:
        expected = memory.after(calls_)[: 4 * NUMBERS].view(np.float32)
        kernels.run(steps, functions, plain)
        public = np.delete(np.arange(NUMBERS), private)
        np.testing.assert_array_equal(memory.numbers[public], expected[public])


# What is fused


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(-5, 5, shape).astype(np.float32) for shape in shapes]


def fused(record: Any) -> list[Any]:
    recorder = Recorder(XP)
    record(recorder)
    return launches(recorder.calls, XP)


def test_bias_and_activation_are_one_kernel_however_their_axes_are_seen() -> None:
    Y, b = arrays((6, 4, 5), (6, 1))

    def record(xp: Any) -> None:
        seen = Y.reshape(2, 3, 20).transpose(1, 0, 2)
        xp.add(seen, b.reshape(2, 3, 1).transpose(1, 0, 2), out=seen)
        xp.maximum(Y, 0.0, out=Y)

    (kernel,) = fused(record)
    (segment,) = kernel.segments
    assert [statement.work.name for statement in segment.statements] == ["add", "maximum"]
    assert segment.threads == Y.size


def test_a_call_that_reads_its_neighbours_result_is_a_launch_of_its_own() -> None:
    X, Y, Z = arrays((8, 8), (8, 8), (8, 8))

    def record(xp: Any) -> None:
        xp.add(X, 1.0, out=Y)
        xp.add(Y.T, 1.0, out=Z)

    assert len(fused(record)) == 2


def test_a_call_that_overlaps_with_itself_is_left_to_the_library() -> None:
    (X,) = arrays((9,))
    (launch,) = fused(lambda xp: xp.add(X[:-1], 1.0, out=X[1:]))
    assert isinstance(launch, Single)


def test_copies_side_by_side_are_one_kernel() -> None:
    U, X = arrays((3, 4, 5), (4, 5))

    def record(xp: Any) -> None:
        xp.copyto(U[0, :, 0], 0.0)
        xp.copyto(U[0, 0], 0.0)  # meets the first one, in the same number
        xp.copyto(U[0, 1:, 1:], X[1:, :-1])
        xp.copyto(U[1], X)

    (kernel,) = fused(record)
    assert isinstance(kernel, Kernel)
    assert sum(segment.threads for segment in kernel.segments) >= 4 + 5 + 12 + 20


def test_a_reduction_of_rows_takes_what_is_before_and_after_it() -> None:
    X, G, dX, db = arrays((40, 60), (40, 60), (40, 60), (40,))

    def record(xp: Any) -> None:
        xp.greater(X, 0.0, out=G)
        xp.multiply(dX, G, out=dX)
        xp.sum(dX, axis=1, out=db)
        xp.multiply(db, 0.5, out=db)

    (rows,) = fused(record)
    assert isinstance(rows, Rows)
    assert (rows.threads, rows.rounds, len(rows.items), len(rows.after.statements)) == (40, 60, 2, 1)


def test_a_reduction_of_columns_waits_for_what_writes_rows() -> None:
    X, Y, total = arrays((80, 80), (80, 80), (80,))

    def record(xp: Any) -> None:
        xp.add(X, 1.0, out=Y)
        xp.sum(Y.T, axis=1, out=total)

    first, last = fused(record)
    assert isinstance(first, Kernel)
    assert isinstance(last, Rows)
    assert not last.items


def test_a_row_may_end_in_its_own_memory_and_in_no_other() -> None:
    X, total = arrays((40, 60), (40,))

    def ending(out: np.ndarray) -> list[Any]:
        def record(xp: Any) -> None:
            xp.sum(X, axis=1, out=total)
            xp.multiply(total, 2.0, out=out)

        return fused(record)

    assert len(ending(X[:, 0])) == 1
    assert len(ending(X[::-1, 0])) == 2


def test_a_result_lies_apart_from_what_its_items_read() -> None:
    X, row = arrays((40, 60), (40,))

    def record(xp: Any) -> None:
        xp.add(X, row[::-1, None], out=X)
        xp.sum(X, axis=1, out=row)

    assert len(fused(record)) == 2


def test_a_result_that_overlaps_with_itself_is_left_to_the_library() -> None:
    X, Y = arrays((4, 5), (9,))
    windows = np.lib.stride_tricks.as_strided(Y, (4, 5), (4, 4))
    (launch,) = fused(lambda xp: xp.negative(X, out=windows))
    assert isinstance(launch, Single)


def test_a_long_row_is_reduced_by_many_blocks_first() -> None:
    X, total = arrays((5 << 15,), ())

    def record(xp: Any) -> None:
        xp.square(X, out=X)
        xp.sum(X, axis=None, out=total)
        xp.multiply(total, 0.5, out=total)

    first, last = fused(record)
    assert (first.threads, first.rounds) == (1024, 160)
    assert [statement.work.name for statement in first.items] == ["square"]
    assert (last.threads, last.rounds, len(last.after.statements)) == (1, 1024, 1)


def test_a_row_that_is_needed_whole_before_its_items_go_on() -> None:
    """Softmax: the same threads go through their columns once more for each result."""
    X, row = arrays((10, 30), (1, 30))

    def record(xp: Any) -> None:
        xp.max(X, axis=0, keepdims=True, out=row)
        xp.subtract(X, row, out=X)
        xp.exp(X, out=X)
        xp.sum(X, axis=0, keepdims=True, out=row)
        xp.divide(X, row, out=X)

    (kernel,) = fused(record)
    (segment,) = kernel.segments
    assert segment.threads == 30
    assert [len(run.statements) for run in segment.runs] == [1, 3, 1]


@pytest.mark.parametrize(("times", "counted", "count"), [(6, True, 1), (6, False, 3), (5, True, 3)])
def test_indices_stay_in_their_column_only_where_that_is_known(times: int, counted: bool, count: int) -> None:
    P, right, row = arrays((4, 6), (6,), (6,))
    table, classes, place = np.arange(6), np.array([0, 3, 1, 2, 2, 0]), np.zeros(6, np.int64)

    def record(xp: Any) -> None:
        xp.multiply(classes, times, out=place)
        xp.add(place, table, out=place)
        xp.max(P, axis=0, out=row)
        xp.subtract(P, row, out=P)
        xp.take(P.reshape(-1), place, out=right)
        xp.exp(P, out=P)

    recorder = Recorder(XP)
    record(recorder)
    found = launches(recorder.calls, XP, [table] if counted else [])
    assert len(found) == count
    assert count > 1 or len(found[0].segments) == 1


def test_what_writes_nothing_is_no_launch_and_nothing_adds_up_to_zero() -> None:
    empty, total, factor = np.zeros(0, np.float32), np.ones((), np.float32), XP.factor("float32")

    def record(xp: Recorder) -> None:
        xp.multiply(empty, factor, out=empty)
        xp.copyto(empty, 0.0)
        xp.squares(empty, out=total)

    (launch,) = fused(record)
    assert isinstance(launch, Single)
    launch.call.function(*launch.call.args, **launch.call.kwargs)
    assert total == 0

"""Placing slots: what lives together lies apart, and what is dead is used again."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import ml_dtypes  # noqa: F401  # NumPy then knows bfloat16 by its name
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.memory import SIZES, Memory, Slot

quick = settings(max_examples=100, deadline=None, derandomize=True, database=None)
LINE = 64


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    """Slots of any life and size; some take over the memory of an earlier one, where that is allowed."""
    memory = Memory()
    for number in range(draw(st.integers(1, 25))):
        first = draw(st.integers(0, 20))
        shape = tuple(draw(st.lists(st.integers(0, 9), max_size=3)))
        dtype = draw(st.sampled_from(sorted(SIZES)))
        slot = memory.slot(str(number), shape, dtype, first=first, last=draw(st.integers(first, 21)))
        earlier = [s for s in memory.slots[:-1] if s.bytes == slot.bytes and s.first <= slot.first]
        if earlier and draw(st.booleans()):
            slot.take_over(draw(st.sampled_from(earlier)))
    memory.place()
    return memory


def rounded(slot: Slot) -> int:
    return -(-slot.bytes // LINE) * LINE


def alive(memory: Memory, time: int) -> list[Slot]:
    """The slots that own memory at a moment."""
    return [slot for slot in memory.slots if slot.shares is None and slot.first <= time <= slot.last]


@quick
@given(memories())
def test_slots_that_live_at_the_same_time_never_overlap(memory: Memory) -> None:
    for time in range(22):
        together = sorted((slot.offset, slot.offset + slot.bytes) for slot in alive(memory, time) if slot.bytes)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(together)), time


@quick
@given(memories())
def test_every_slot_starts_on_a_cache_line_within_the_peak_which_ends_with_the_last(memory: Memory) -> None:
    assert all(slot.offset >= 0 and slot.offset % LINE == 0 for slot in memory.slots)
    assert memory.peak == max(slot.offset + rounded(slot) for slot in memory.slots)


@quick
@given(memories())
def test_the_peak_lies_between_what_lives_together_and_the_sum_of_all(memory: Memory) -> None:
    at_once = [sum(map(rounded, alive(memory, time))) for time in range(22)]
    everything = sum(rounded(slot) for slot in memory.slots if slot.shares is None)
    assert max(at_once) <= memory.peak <= everything


@quick
@given(memories())
def test_a_slot_that_took_over_lies_where_the_other_lay_which_was_dead_by_then(memory: Memory) -> None:
    groups: dict[int, list[Slot]] = {}
    for slot in memory.slots:
        groups.setdefault(id(slot.root), []).append(slot)
    for group in groups.values():
        assert len({(slot.offset, slot.bytes) for slot in group}) == 1
        root, *others = group
        assert root.shares is None
        lives = sorted((slot.first, slot.last) for slot in others)
        assert all(last <= first for (_, last), (first, _) in pairwise(lives))
        assert root.last >= max((slot.last for slot in others), default=root.last)


def test_nothing_is_taken_over_that_is_still_needed() -> None:
    memory = Memory()
    a = memory.slot("a", (4,), "float32", first=0, last=2)
    early, late, later = (memory.slot("b", (4,), "float32", first=first, last=9) for first in (1, 2, 3))
    early.take_over(a)
    late.take_over(a)
    later.take_over(a)  # by now it is late's, until 9
    assert [early.shares, late.shares, later.shares] == [None, a, None]
    assert a.last == 9


@pytest.mark.parametrize("length", [2, 3, 50])
def test_a_chain_of_equal_slots_needs_the_memory_of_two(length: int) -> None:
    memory = Memory()
    for time in range(length):
        memory.slot(str(time), (16,), "float32", first=time, last=time + 1)
    memory.place()
    assert memory.peak == 2 * LINE


def test_the_smallest_hole_that_fits_is_taken() -> None:
    memory = Memory()

    def slot(lines: int, first: int, last: int) -> Slot:
        return memory.slot("", (LINE * lines,), "bool", first=first, last=last)

    large, _, small, _ = slot(9, 0, 1), slot(8, 0, 9), slot(7, 0, 1), slot(6, 0, 9)
    fits, remainder = slot(5, 2, 9), slot(9, 2, 9)
    memory.place()
    assert (fits.offset, remainder.offset) == (small.offset, large.offset)
    assert memory.peak == 30 * LINE


def test_holes_side_by_side_become_one_and_the_last_one_grows() -> None:
    memory = Memory()
    for lines in (3, 2, 1):
        memory.slot("", (LINE * lines,), "bool", first=0, last=lines)
    whole = memory.slot("", (LINE * 8,), "bool", first=4, last=4)
    memory.place()
    assert (whole.offset, memory.peak) == (0, 8 * LINE)


def test_a_view_is_the_memory_of_its_slot_and_of_no_other() -> None:
    backend, memory = get_backend("numpy"), Memory()
    slots = [memory.slot(dtype, (2, 3), dtype, first=0, last=1) for dtype in sorted(SIZES.keys() - {"object"})]
    memory.place()
    arena = backend.memory(memory.peak)
    assert arena.nbytes == memory.peak
    views = [memory.view(slot, arena) for slot in slots]
    for number, (view, slot) in enumerate(zip(views, slots, strict=True)):
        view.fill(number % 2 if slot.dtype == "bool" else number)
        assert backend.address(view) == backend.address(arena) + slot.offset
        assert backend.address(view) % LINE == 0
        assert (view.shape, view.dtype, view.base is not None) == ((2, 3), np.dtype(slot.dtype), True)
    assert [view.ravel()[0] for view in views] == [0, True, 2, 3, 4, 5]


@pytest.mark.parametrize("life", [2, 5_000])
def test_twenty_thousand_slots_are_placed(life: int) -> None:
    memory, random = Memory(), Random(0)
    for time in range(20_000):
        last = time + random.randrange(life)
        memory.slot("", (random.randrange(1, 1_000),), "float32", first=time, last=last)
    memory.place()
    marks = np.zeros(memory.peak // LINE, dtype=np.int64)  # until when each line is taken
    for slot in memory.slots:
        lines = marks[slot.offset // LINE : (slot.offset + rounded(slot)) // LINE]
        assert lines.max() <= slot.first
        lines[:] = slot.last + 1

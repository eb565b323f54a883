"""Threads that compute side by side: every piece is done, what one raises arrives, and nobody waits for ever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.recorder import Meetings, Recorder
from tensorflow_lite_bp.graph.team import Team, team

XP = get_backend("numpy")
Finished = Callable[[Callable[[], Any]], Any]


def crew_of(size: int) -> Team:
    """A team of its own, so that no test disturbs another's."""
    return Team(size, XP.computing)


def test_each_piece_of_work_runs_once_in_a_thread_of_its_own_and_the_first_in_the_callers(finished: Finished) -> None:
    ran: list[tuple[int, threading.Thread]] = []
    together = Barrier(4)  # passed only by four at once

    def work(number: int) -> None:
        together.wait()
        ran.append((number, threading.current_thread()))

    def three_times() -> threading.Thread:
        for _ in range(3):
            crew.run([partial(work, number) for number in range(4)])
        return threading.current_thread()

    crew = crew_of(4)
    caller = finished(three_times)
    threads = [{thread for number, thread in ran if number == k} for k in range(4)]
    assert sorted(number for number, _ in ran) == sorted([*range(4)] * 3)
    assert [len(of_one) for of_one in threads] == [1] * 4
    assert len(set.union(*threads)) == 4
    assert threads[0] == {caller}


def test_fewer_pieces_than_threads_and_a_single_one(finished: Finished) -> None:
    crew, done = crew_of(3), []
    finished(lambda: crew.run([partial(done.append, "a"), partial(done.append, "b")]))
    finished(lambda: crew.run([partial(done.append, "c")]))
    assert sorted(done) == ["a", "b", "c"]


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_one_raises_is_raised_once_all_are_done(
    finished: Finished, failing: int, kind: type[BaseException]
) -> None:
    crew, done = crew_of(3), []

    def work(number: int) -> None:
        if number == failing:
            raise kind(f"of {number}")
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(kind, match=f"of {failing}"):
        finished(lambda: crew.run([partial(work, number) for number in range(3)]))
    assert sorted(done) == [number for number in range(3) if number != failing]
    finished(lambda: crew.run([partial(done.append, "again")] * 3))
    assert done[2:] == ["again"] * 3


def test_a_thread_that_only_waited_in_vain_does_not_speak_for_the_one_that_failed(finished: Finished) -> None:
    def waits() -> None:
        raise BrokenBarrierError

    def fails() -> None:
        raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        finished(lambda: crew_of(3).run([waits, fails, waits]))
    with pytest.raises(BrokenBarrierError):
        finished(lambda: crew_of(2).run([waits, waits]))


def test_the_team_of_a_size_is_one_in_a_process() -> None:
    assert team(3, XP) is team(3, XP)
    assert team(3, XP) is not team(2, XP)


def test_two_callers_take_turns(finished: Finished) -> None:
    """A team serves one caller at a time: what each gave is done when its own call returns."""
    crew = crew_of(2)

    def caller(number: int) -> bool:
        for _ in range(100):
            done: list[int] = []
            crew.run([partial(done.append, 0), partial(done.append, 1)])
            if sorted(done) != [0, 1]:
                return False
        return True

    def both() -> list[bool]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(caller, range(4)))

    assert all(finished(both))


needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")


@needs_signals
def test_an_interrupt_while_it_waits_is_raised_when_the_others_are_done() -> None:
    crew, done = crew_of(2), []

    def long_work() -> None:
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.15)
        done.append("the other")

    with pytest.raises(KeyboardInterrupt):
        crew.run([partial(done.append, "the caller"), long_work])
    assert done == ["the caller", "the other"]
    crew.run([partial(done.append, "again")] * 2)
    assert done[2:] == ["again"] * 2


class _InterruptedBeforeItsOwn(list[Callable[[], Any]]):
    """Pieces of work; Ctrl-C comes when the others have been handed out and the caller turns to its own."""

    def __getitem__(self, place: Any) -> Any:
        if place == 0:
            raise KeyboardInterrupt
        return super().__getitem__(place)


def test_an_interrupted_call_waits_for_what_it_handed_out_and_leaves_no_answer_for_the_next(finished: Finished) -> None:
    crew, done = crew_of(2), []

    def slowly() -> None:
        time.sleep(0.05)
        done.append("the other's")

    with pytest.raises(KeyboardInterrupt):
        crew.run(_InterruptedBeforeItsOwn([lambda: None, slowly]))
    assert done == ["the other's"]
    finished(lambda: crew.run([lambda: None, slowly]))
    assert done == ["the other's"] * 2


# Sums over shards


def shards_of(parts: list[np.ndarray]) -> tuple[Meetings, list[list[Any]], list[np.ndarray]]:
    """For each shard the calls that add up what all have, and where the sum goes."""
    meetings = Meetings(XP, len(parts))
    outs = [np.full_like(part, np.nan) for part in parts]
    programs = []
    for number, part in enumerate(parts):
        recorder = Recorder(XP, shard=number, meetings=meetings)
        recorder.sum_shards(part, out=outs[number])
        programs.append(XP.program(recorder.calls))
    return meetings, programs, outs


def work_of(program: list[Any], pause: float = 0.0) -> Callable[[], None]:
    def work() -> None:
        time.sleep(pause)
        for call in program:
            call()

    return work


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shards", [2, 3, 5])
def test_the_sum_over_shards_is_taken_in_their_order(finished: Finished, shards: int, dtype: type) -> None:
    rng = np.random.default_rng(shards)
    parts = [rng.normal(size=(40, 3)).astype(dtype) for _ in range(shards)]
    _, programs, outs = shards_of(parts)
    expected = reduce(np.add, parts)
    assert shards == 2 or not np.array_equal(reduce(np.add, parts[::-1]), expected)
    for late in range(shards):  # whoever comes last
        works = [work_of(program, 0.02 if number == late else 0.0) for number, program in enumerate(programs)]
        finished(lambda works=works: crew_of(shards).run(works))
        for out in outs:
            np.testing.assert_array_equal(out, expected)
            out.fill(np.nan)


def test_a_sum_waits_for_every_shard_at_every_run(finished: Finished) -> None:
    parts = [np.zeros((3, 1)) for _ in range(3)]
    _, programs, outs = shards_of(parts)
    crew, rng = crew_of(3), np.random.default_rng(0)
    for run in range(30):
        for number, part in enumerate(parts):
            part.fill(run * 10 + number)
        pauses = rng.permutation([0, 0.001, 0.003])
        works = [work_of(program, pause) for program, pause in zip(programs, pauses, strict=True)]
        finished(lambda works=works: crew.run(works))
        assert all((out == 30 * run + 3).all() for out in outs), run


def test_several_sums_of_one_step_do_not_meet_each_other(finished: Finished) -> None:
    meetings = Meetings(XP, 2)
    parts = [np.full((2, 2), float(number)) for number in range(2)]
    outs = [np.empty((2, 2)) for _ in range(2)]
    works = []
    for number in range(2):
        recorder = Recorder(XP, shard=number, meetings=meetings)
        recorder.sum_shards(parts[number], out=outs[number])  # 1
        recorder.add(outs[number], number, out=parts[number])  # 1, 2
        recorder.sum_shards(parts[number], out=outs[number])  # 3
        recorder.sum_shards(outs[number][0], out=parts[number][1])  # 6
        works.append(work_of(XP.program(recorder.calls), 0.01 * number))
    finished(lambda: crew_of(2).run(works))
    assert [(out[0, 0], part[1, 1]) for out, part in zip(outs, parts, strict=True)] == [(3.0, 6.0)] * 2


def test_one_shard_alone_copies() -> None:
    _, [program], [out] = shards_of([np.arange(3.0)])
    work_of(program)()
    np.testing.assert_array_equal(out, np.arange(3.0))


def test_every_thread_computes_in_the_setting_of_the_backend(finished: Finished) -> None:
    """Overflow is no warning: what is not finite is found afterwards."""

    def overflows() -> None:
        np.exp(np.array([1000.0]))

    def run() -> None:
        with XP.computing():
            crew_of(3).run([overflows] * 3)

    finished(run)


def test_an_interrupt_before_the_callers_own_piece_leaves_nobody_waiting(finished: Finished) -> None:
    crew, barrier = crew_of(3), Barrier(3)

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            crew.run(_InterruptedBeforeItsOwn([barrier.wait] * 3), abort=barrier.abort)

    finished(interrupted)
    barrier.reset()
    finished(lambda: crew.run([barrier.wait] * 3, abort=barrier.abort))

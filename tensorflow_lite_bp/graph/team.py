"""Threads that compute the shards of a batch side by side, and where they meet.

NumPy releases Python's lock while it computes, so threads with arrays of their own run at the same time. Each thread
has a fixed shard, every sum over shards is taken in their order, and so the same number of threads gives the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from queue import SimpleQueue
from threading import Barrier, BrokenBarrierError, Lock, Thread
from typing import Any

from tensorflow_lite_bp.backend import Backend

Work = Callable[[], Any]
Answers = SimpleQueue[BaseException | None]
Tasks = SimpleQueue[tuple[Work, Answers]]


class Team:
    """The calling thread and ``size - 1`` others, which wait for work until the process ends.

    Args:
        setting: that the other threads compute in, as the caller does (`Backend.computing`).
    """

    def __init__(self, size: int, setting: Callable[[], AbstractContextManager[Any]]) -> None:
        self._tasks: list[Tasks] = [SimpleQueue() for _ in range(size - 1)]
        self._busy = Lock()
        for tasks in self._tasks:
            Thread(target=self._serve, args=(tasks, setting), daemon=True).start()

    def run(self, works: Sequence[Work], *, abort: Callable[[], Any] = lambda: None) -> None:
        """Run each piece of work in a thread of its own and wait for all; what one raises is raised here.

        Args:
            abort: called when this thread's piece fails or was never begun: nobody shall wait for it at a barrier.
        """
        if len(works) == 1:
            works[0]()
            return
        answers: Answers = SimpleQueue()  # of this call alone: one that was interrupted may leave some behind
        handed: list[None] = []
        error = None
        with self._busy:
            try:  # one call hands out all and counts them: Ctrl-C comes before it or behind it
                handed.extend(map(SimpleQueue.put, self._tasks, [(work, answers) for work in works[1:]]))
                works[0]()
            except BaseException as raised_here:
                error = raised_here
                abort()
            errors = [error, *self._errors(answers, len(handed))]
        raised = [error for error in errors if error is not None]
        if raised:  # a thread that waited for one that failed has nothing to say
            raise next((error for error in raised if not isinstance(error, BrokenBarrierError)), raised[0])

    def _serve(self, tasks: Tasks, setting: Callable[[], AbstractContextManager[Any]]) -> None:
        with setting():
            while True:
                work, answers = tasks.get()
                answers.put(_error(work))

    def _errors(self, answers: Answers, count: int) -> list[BaseException | None]:
        """What the other threads raised. Ctrl-C waits until they are done too: they write to the same arrays."""
        errors: list[BaseException | None] = []
        interrupt = None
        while len(errors) < count:
            try:
                errors.append(answers.get())
            except KeyboardInterrupt as error:
                interrupt = error
        return [interrupt, *errors]


def _error(work: Work) -> BaseException | None:
    try:
        work()
    except BaseException as error:
        return error
    return None


@cache
def team(size: int, backend: Backend) -> Team:
    """The team of that size: one in a process, as threads are only worth having once."""
    return Team(size, backend.computing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=team.cache_clear)  # a forked process has none of the threads


class Meeting:
    """Where the shards add up what each has of a sum over the batch."""

    def __init__(self, xp: Any, barrier: Barrier, part: Any) -> None:
        self._xp = xp
        self._barrier = barrier
        self._parts = xp.zeros((barrier.parties, *part.shape), dtype=part.dtype)

    def join(self, shard: int, part: Any, out: Any) -> None:
        """Wait for the parts of all shards, and write their sum, taken in the order of the shards."""
        self._xp.copyto(self._parts[shard], part)
        self._barrier.wait()
        self._xp.add.reduce(self._parts, axis=0, out=out)

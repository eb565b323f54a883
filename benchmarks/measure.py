"""Measure a row: every contender in its own process, rounds of turns in which one computes and the others wait."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.ladder import Entrant, Row, Target
from benchmarks.processes import CHECKOUT, Worker, WorkerFailed
from benchmarks.work import Task

TOLERANCE = 1e-4
"""How far a loss may be from ours, relatively, after the first steps from the same weights."""

ACCURACY = 0.97
"""What a script must reach on its test samples."""


class Disagreement(Exception):
    """A contender does not compute what the others do."""


@dataclass
class Result:
    """What is known of a row so far.

    Attributes:
        figures: by label, one for each round: seconds of a step or a process, or bytes.
        losses: by label, after the first steps.
        dropped: by label, why a contender takes no part.
        error: why the row has no figures, or must not be trusted.
    """

    row: Row
    figures: dict[str, list[float]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def ratio(self, target: Target, of: Callable[[list[float]], float] = median) -> float | None:
        """The target's ratio of medians (or another function of the rounds); None without figures for it."""
        above, below = self._smallest(target.above), self._smallest(target.below)
        if above is None or below is None:
            return None
        return of(self.figures[above]) / of(self.figures[below])

    def fastest_peer(self) -> str | None:
        """The other library with the smallest median; None where we are compared with ourselves."""
        return self._smallest("best")

    def ours(self) -> str:
        """The label of our figure: the first one."""
        return next(iter(self.row.entrants))

    def _smallest(self, name: str) -> str | None:
        """The label with the smallest median among those that a target's name stands for."""
        labels = [label for label, figures in self.figures.items() if figures and self._stands_for(name, label)]
        return min(labels, key=lambda label: median(self.figures[label]), default=None)

    def _stands_for(self, name: str, label: str) -> bool:
        if name == "best":
            return family(self.row.entrants[label]) != "ours"
        return name in (label, family(self.row.entrants[label]))


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds, and seconds of each turn."""

    rounds: int = 7
    seconds: float = 1.0


def family(entrant: Entrant) -> str:
    """The library of an entrant."""
    return CONTENDERS[entrant.contender].family


def measure(result: Result, effort: Effort, entrants: Mapping[str, Entrant]) -> None:
    """Fill in a row's result, round by round, so that an interrupted one holds what was measured."""
    try:
        if result.row.quantity == "process":
            _measure_scripts(result, effort, entrants)
        else:
            _measure_workers(result, effort, entrants)
    except (Disagreement, WorkerFailed) as error:
        result.error = str(error)


def _measure_workers(result: Result, effort: Effort, entrants: Mapping[str, Entrant]) -> None:
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for label, entrant in entrants.items():
            assert entrant.task is not None
            try:
                worker = Worker(entrant.contender, entrant.task)
                stack.enter_context(worker)
                _, result.losses[label] = worker.steps(result.row.steps)
                workers[label] = worker
            except WorkerFailed as failure:
                _drop(result, label, failure)
        assert_equal_work(result.losses, {label: worker.shapes for label, worker in workers.items()}, entrants)
        if result.row.quantity == "step":
            _alternate(result, effort, workers)
        else:
            for label, worker in workers.items():
                result.figures[label] = [float(worker.memory()[result.row.quantity])]


def _drop(result: Result, label: str, failure: WorkerFailed) -> None:
    if label == result.ours():
        raise failure
    result.dropped[label] = str(failure)


def assert_equal_work(
    losses: Mapping[str, float], shapes: Mapping[str, list[tuple[int, ...]]], entrants: Mapping[str, Entrant]
) -> None:
    """Contenders at the same task have the same weights and came to the same loss.

    Raises:
        Disagreement: names the first one that does not, with both figures.
    """
    references: dict[Task | None, str] = {}
    for label in shapes:
        reference = references.setdefault(entrants[label].task, label)
        if _unordered(shapes[label]) != _unordered(shapes[reference]):
            raise Disagreement(f"{label} trains {shapes[label]}, and {reference} trains {shapes[reference]}")
        loss, expected = losses[label], losses[reference]
        if not (isfinite(loss) and abs(loss - expected) <= TOLERANCE * abs(expected)):
            raise Disagreement(
                f"{label} has the loss {loss:.7g} after the first steps and {reference} has {expected:.7g}, "
                f"from the same weights and batches: they differ by more than {TOLERANCE:g}"
            )


def _unordered(shapes: list[tuple[int, ...]]) -> list[list[int]]:
    """Shapes but for the order of the axes: a matrix may be kept transposed."""
    return [sorted(shape) for shape in shapes]


def _alternate(result: Result, effort: Effort, workers: Mapping[str, Worker]) -> None:
    """Rounds of turns. Each turn takes as many steps as fill its time, after a few that wake the threads."""
    steps = {label: _steps_in(worker, effort.seconds) for label, worker in workers.items()}
    for _ in range(effort.rounds):
        for label, worker in workers.items():
            seconds, _ = worker.steps(steps[label], warm=1 + steps[label] // 10)
            result.figures.setdefault(label, []).append(seconds / steps[label])


def _steps_in(worker: Worker, seconds: float) -> int:
    """How many steps fill this time: doubled until a tenth of it is filled."""
    steps = 1
    while (taken := worker.steps(steps)[0]) < seconds / 10:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def _measure_scripts(result: Result, effort: Effort, entrants: Mapping[str, Entrant]) -> None:
    """Whole processes, one after the other; one more round than asked for, the first of which fills file caches."""
    for number in range(effort.rounds + 1):
        for label, entrant in entrants.items():
            if label in result.dropped:
                continue
            try:
                seconds = _run_script(entrant.script)
            except WorkerFailed as failure:
                _drop(result, label, failure)
                continue
            if number:
                result.figures.setdefault(label, []).append(seconds)


def _run_script(script: str) -> float:
    """The wall time of a script that prints its test accuracy, which is checked."""
    start = time.perf_counter()
    command = [sys.executable, str(CHECKOUT / "benchmarks" / script)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise WorkerFailed(f"{script}: {_last_line(done.stderr)}")
    found = re.search(r"test accuracy ([\d.]+)", done.stdout)
    if found is None or float(found[1]) < ACCURACY:
        raise Disagreement(f"{script} printed `{done.stdout.strip()}`, expected `test accuracy` of at least {ACCURACY}")
    return seconds


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it failed without a word")

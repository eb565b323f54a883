"""What people see while a network trains: a live line on a terminal, plain lines elsewhere, nothing when not wanted.

The loop tells a `Reporter` what happens; the base class keeps silent. Everything goes to stderr.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from dsl.diagnostics import harmless
from tensorflow_lite_bp.training.result import Result, duration, number, render_result

if TYPE_CHECKING:
    from tensorflow_lite_bp.training.state import State

_MOST_LINES = 100
_REDRAW = 0.1  # seconds


@dataclass(frozen=True)
class Start:
    """What is known when a training starts.

    Attributes:
        run: the run folder as people name it; None without one.
        rows: of each split.
        weights: how many numbers are trained.
        batches: of one epoch.
        finished: epochs that were finished before, when it is resumed.
        measures: ``loss`` and the names of the metrics.
    """

    name: str
    run: str | None
    rows: Mapping[str, int]
    weights: int
    batches: int
    batch: int
    epochs: int
    finished: int
    backend: str
    precision: str
    seed: int
    measures: Sequence[str]


@dataclass(frozen=True)
class EpochReport:
    """What an epoch came to. ``validation`` is None without such a split; ``best``: no earlier epoch was as good."""

    epoch: int
    rate: float
    train: Mapping[str, float]
    validation: Mapping[str, float] | None
    best: bool


class Reporter:
    """Is told what happens while a network trains; this one keeps silent."""

    def start(self, start: Start) -> None:
        """Training starts."""

    def step(self, state: State) -> None:
        """A batch is done. Called for every batch: anything slow must be done now and then only."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""

    def note(self, text: str) -> None:
        """Something that people should know."""

    def end(self, result: Result) -> None:
        """Training is done."""

    def close(self) -> None:
        """Nothing more comes, whatever the reason."""


def reporter_for(stream: TextIO | None = None, *, quiet: bool = False) -> Reporter:
    """The reporter that suits a stream (stderr by default): live on a terminal, otherwise plain."""
    stream = stream if stream is not None else sys.stderr
    if quiet or stream is None:
        return Reporter()
    moves = stream.isatty() and os.environ.get("TERM") != "dumb"
    return LiveReporter(stream) if moves else PlainReporter(stream)


class PlainReporter(Reporter):
    """One line for each epoch; for more than a hundred epochs, at most about a hundred lines evenly among them."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def start(self, start: Start) -> None:
        self._table = _EpochTable(start)
        self._every = _spacing(start.epochs)
        self._left_out: EpochReport | None = None
        self._line(_describe(start))
        if start.run is not None:
            self._line(f"writing to {start.run}")
        self._line("")
        self._line(self._table.heading())

    def epoch(self, report: EpochReport) -> None:
        shown = report.epoch == 1 or report.epoch % self._every == 0
        self._left_out = None if shown else report
        if shown:
            self._line(self._table.line(report))

    def note(self, text: str) -> None:
        self._line(text)

    def end(self, result: Result) -> None:
        if self._left_out is not None:  # the last epoch is always shown
            self._line(self._table.line(self._left_out))
        self._line("")
        self._line(render_result(result))

    def _line(self, text: str) -> None:
        """Print lines; when nobody can read them any more, training goes on."""
        try:
            self.stream.write("".join(f"{harmless(line)}\n" for line in text.split("\n")))
            self.stream.flush()
        except OSError:
            self.stream = io.StringIO()


class LiveReporter(PlainReporter):
    """The same lines, and under them one that moves: where training stands, and how long it will take."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(stream)
        self._clock = clock
        self._console = Console(file=stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def start(self, start: Start) -> None:
        super().start(start)
        self._start = start
        self._began = self._drawn = self._clock()
        self._before: int | None = None
        self._live.start()

    def step(self, state: State) -> None:
        done = state.epoch * self._start.batches + state.batch
        if self._before is None:  # batches of an earlier call say nothing about the speed of this one
            self._before = done - 1
        now = self._clock()
        if now - self._drawn >= _REDRAW:
            self._drawn = now
            self._live.update(self._moving_line(state, done, now - self._began), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _moving_line(self, state: State, done: int, elapsed: float) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        start = self._start
        each = elapsed / (done - (self._before or 0))
        left = each * (start.epochs * start.batches - done)
        measured = [f"{name} {number(value)}" for name, value in state.totals.report().items()]
        speed = f"{start.batch / each:,.0f} samples/s"
        facts = [
            f"{duration(left)} left",
            *measured,
            f"rate {state.rate:.3g}",
            speed,
        ]  # a narrow terminal cuts the last
        line = Table.grid(padding=(0, 2))
        line.add_column(no_wrap=True)
        line.add_column()
        line.add_column(no_wrap=True, overflow="ellipsis")
        place = f"epoch {state.epoch + 1:{len(str(start.epochs))}}/{start.epochs}"
        bar = ProgressBar(total=start.batches, completed=state.batch, width=20, complete_style="cyan")
        line.add_row(place, bar, Text("  ".join(facts)))
        return line

    def _line(self, text: str) -> None:
        from rich.text import Text

        shown = Text("\n".join(map(harmless, text.split("\n"))))
        with suppress(OSError):
            self._console.print(shown, soft_wrap=True)


class _EpochTable:
    """The columns of the lines for epochs."""

    def __init__(self, start: Start) -> None:
        self._epochs = start.epochs
        validates = start.rows.get("validation", 0) > 0
        titles = [*start.measures, *(f"val {name}" for name in start.measures if validates)]
        self._first = max(len("epoch"), 2 * len(str(start.epochs)) + 1)
        self._widths = {title: max(len(title), 8) for title in titles}

    def heading(self) -> str:
        cells = (title.rjust(width) for title, width in self._widths.items())
        return "  ".join(["epoch".rjust(self._first), *cells, "rate".rjust(8)])

    def line(self, report: EpochReport) -> str:
        values = [*report.train.values(), *(report.validation or {}).values()]
        cells = (number(value).rjust(width) for value, width in zip(values, self._widths.values(), strict=True))
        place = f"{report.epoch}/{self._epochs}".rjust(self._first)
        best = "  best" if report.best else ""
        return "  ".join([place, *cells, f"{report.rate:.3g}".rjust(8)]) + best


def _describe(start: Start) -> str:
    purposes = {"train": "rows to train", "validation": "to validate", "test": "to test"}
    rows = [f"{start.rows[split]:,} {purpose}" for split, purpose in purposes.items() if split in start.rows]
    facts = [
        ", ".join(rows),
        f"{start.weights:,} weights",
        f"{start.precision} on {start.backend}",
        f"seed {start.seed}",
    ]
    resumed = [f"going on after epoch {start.finished}"] if start.finished else []
    return f"{start.name}: " + "; ".join([*facts, *resumed])


def _spacing(epochs: int) -> int:
    """Every which epoch gets a line, so that there are at most a hundred: 1, 2, 5, 10, 20, 50, ...

    >>> _spacing(30), _spacing(101), _spacing(5000)
    (1, 2, 50)
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if epochs <= step * _MOST_LINES:
                return step
        power *= 10

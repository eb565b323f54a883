"""What is printed while a network trains, whole and pinned; and that the live line costs little."""

from __future__ import annotations

import io
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.training.evaluate import ConfusionMatrix
from tensorflow_lite_bp.training.progress import (
    EpochReport,
    LiveReporter,
    PlainReporter,
    Reporter,
    Start,
    reporter_for,
)
from tensorflow_lite_bp.training.result import Result, render_confusion

MATRIX = ConfusionMatrix("kind", "test", ["setosa", "versicolor", "virginica"], np.diag([5, 4, 3]))


def start(**changes: Any) -> Start:
    facts: dict[str, Any] = {
        "name": "iris",
        "run": "runs/iris-001",
        "rows": {"train": 1120, "validation": 15, "test": 15},
        "weights": 131,
        "batches": 4,
        "batch": 32,
        "epochs": 12,
        "finished": 0,
        "backend": "numpy",
        "precision": "float32",
        "seed": 0,
        "measures": ("loss", "accuracy"),
    }
    return Start(**{**facts, **changes})


def report(epoch: int, *, best: bool = False, loss: float = 1.09861) -> EpochReport:
    return EpochReport(
        epoch, 0.001 / epoch, {"loss": loss, "accuracy": 0.5}, {"loss": 2 * loss, "accuracy": 1 / 3}, best
    )


def result(**changes: Any) -> Result:
    facts: dict[str, Any] = {
        "run": Path("runs/iris-001"),
        "epochs": 12,
        "best_epoch": 11,
        "seconds": 0.456,
        "backend": "numpy",
        "train": {"loss": 0.0123, "accuracy": 1.0},
        "validation": {"loss": 0.0, "accuracy": 14 / 15},
        "test": {"loss": 3.2e-7, "accuracy": float("nan")},
        "confusion": (MATRIX,),
    }
    return Result(**{**facts, **changes})


def printed(tell: Any) -> str:
    stream = io.StringIO()
    tell(PlainReporter(stream))
    return stream.getvalue()


def test_the_whole_of_a_training_in_plain_lines() -> None:
    def tell(reporter: Reporter) -> None:
        reporter.start(start())
        reporter.epoch(report(1, best=True))
        reporter.step(None)  # type: ignore[arg-type]  # says nothing
        reporter.epoch(report(2, loss=123456.0))
        reporter.epoch(report(11, best=True, loss=0.00001))
        reporter.end(result())

    assert printed(tell) == (
        "iris: 1,120 rows to train, 15 to validate, 15 to test; 131 weights; float32 on numpy; seed 0\n"
        "writing to runs/iris-001\n"
        "\n"
        "epoch      loss  accuracy  val loss  val accuracy      rate\n"
        " 1/12    1.0986    0.5000    2.1972        0.3333     0.001  best\n"
        " 2/12  1.23e+05    0.5000  2.47e+05        0.3333    0.0005\n"
        "11/12  1.00e-05    0.5000  2.00e-05        0.3333  9.09e-05  best\n"
        "\n"
        "12 epochs in 0.46 s; the weights are those after epoch 11\n"
        "\n"
        "                loss  accuracy\n"
        "train         0.0123    1.0000\n"
        "validation    0.0000    0.9333\n"
        "test        3.20e-07       nan\n"
        "\n"
        "`kind` on the test split: a row for each true class, a column for each predicted one\n"
        "            setosa  versicolor  virginica\n"
        "setosa           5           0          0\n"
        "versicolor       0           4          0\n"
        "virginica        0           0          3\n"
    )


def test_without_a_run_folder_and_other_splits() -> None:
    def tell(reporter: Reporter) -> None:
        reporter.note("the older state was taken")
        reporter.start(start(run=None, rows={"train": 4}, finished=3, measures=("loss",)))
        reporter.epoch(EpochReport(4, 0.1, {"loss": 0.25}, None, best=False))
        reporter.end(result(epochs=1, best_epoch=1, validation=None, test=None, train={"loss": 0.25}, confusion=()))

    assert printed(tell) == (
        "the older state was taken\n"
        "iris: 4 rows to train; 131 weights; float32 on numpy; seed 0; going on after epoch 3\n"
        "\n"
        "epoch      loss      rate\n"
        " 4/12    0.2500       0.1\n"
        "\n"
        "1 epoch in 0.46 s; the weights are those after epoch 1\n"
        "\n"
        "         loss\n"
        "train  0.2500\n"
    )


def test_thousands_of_epochs_do_not_make_thousands_of_lines() -> None:
    def tell(reporter: Reporter) -> None:
        reporter.start(start(epochs=2000))
        for epoch in range(1, 1334):
            reporter.epoch(report(epoch))
        reporter.end(result())

    shown = [line.split("/")[0].strip() for line in printed(tell).splitlines() if "/2000" in line]
    assert shown == ["1", *(str(epoch) for epoch in range(20, 1334, 20)), "1333"]


def test_names_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in printed(lambda reporter: reporter.note("a\x1b[2Jb"))


def test_a_stream_that_is_gone_does_not_stop_training() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    reporter = PlainReporter(Gone())
    reporter.start(start())
    reporter.epoch(report(1))


def test_a_wide_matrix_becomes_a_list_of_what_is_wrong_most_often() -> None:
    names = [f"a long name {index}" for index in range(8)]
    counts = np.diag(np.full(8, 9))
    counts[2, 3], counts[3, 2], counts[7, 0] = 4, 1, 2
    assert render_confusion(ConfusionMatrix("kind", "test", names, counts)) == (
        "`kind` on the test split, most often wrong:\n"
        "  a long name 2 taken for a long name 3: 4\n"
        "  a long name 7 taken for a long name 0: 2\n"
        "  a long name 3 taken for a long name 2: 1"
    )


# The live line


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def state(epoch: int, batch: int) -> Any:
    totals = SimpleNamespace(report=lambda: {"loss": 0.25, "accuracy": 0.5})
    return SimpleNamespace(epoch=epoch, batch=batch, rate=0.00025, totals=totals)


@pytest.fixture
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("_wide")
def test_the_live_line_says_where_training_stands_and_how_long_it_takes() -> None:
    terminal = Terminal()
    clock = count(100.0, 0.5).__next__  # each look at the clock is half a second later
    reporter = LiveReporter(terminal, clock=clock)
    reporter.start(start())
    for batch in (1, 2, 3):
        reporter.step(state(0, batch))
    moving = terminal.getvalue()
    # 3 batches of 32 rows in 1.5 s, and 45 of 48 batches to come
    assert "epoch  1/12" in moving
    assert "22.5 s left  loss 0.2500  accuracy 0.5000  rate 0.00025  64 samples/s" in moving
    reporter.epoch(report(1))
    reporter.end(result())
    reporter.close()
    lines = terminal.getvalue()
    assert " 1/12    1.0986    0.5000    2.1972        0.3333     0.001\n" in lines
    assert "validation    0.0000    0.9333\n" in lines


@pytest.mark.usefixtures("_wide")
def test_a_resumed_training_is_timed_from_where_it_goes_on() -> None:
    terminal = Terminal()
    reporter = LiveReporter(terminal, clock=count(100.0, 0.5).__next__)
    reporter.start(start(finished=10))
    reporter.step(state(10, 3))
    reporter.step(state(10, 4))
    reporter.close()
    # 2 batches in 1 s, and 4 of 48 to come
    assert "2.00 s left  loss 0.2500  accuracy 0.5000  rate 0.00025  64 samples/s" in terminal.getvalue()


@pytest.mark.usefixtures("_wide")
def test_the_live_line_is_drawn_ten_times_a_second_at_most() -> None:
    terminal = Terminal()
    reporter = LiveReporter(terminal, clock=count(0.0, 0.001).__next__)  # a millisecond for each batch
    reporter.start(start(batches=2000))
    for batch in range(1, 1001):
        reporter.step(state(0, batch))
    reporter.close()
    assert terminal.getvalue().count("samples/s") <= 10


def test_the_stream_decides_which_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert type(reporter_for(io.StringIO())) is PlainReporter
    assert type(reporter_for(Terminal())) is LiveReporter
    assert type(reporter_for(Terminal(), quiet=True)) is Reporter
    monkeypatch.setenv("TERM", "dumb")
    assert type(reporter_for(Terminal())) is PlainReporter

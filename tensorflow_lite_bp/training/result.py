"""What a training came to: numbers for programs, a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow_lite_bp.training.evaluate import ConfusionMatrix

_WIDTH = 80
_PAIRS = 5  # listed where a matrix would be too wide


@dataclass(frozen=True)
class Result:
    """The outcome of `training.loop.fit`.

    Attributes:
        run: the run folder; None when nothing was written.
        epochs: how many were finished.
        best_epoch: whose weights the network has now.
        seconds: wall time of training and evaluating.
        train, validation, test: ``loss`` and every metric with the best weights; None where there is no such split.
        skipped: steps of a mixed training whose gradient overflowed, so that they changed no weights.
        confusion: which classes are taken for which, on the test split (or else the validation or train split).
    """

    run: Path | None
    epochs: int
    best_epoch: int
    seconds: float
    backend: str
    train: Mapping[str, float]
    validation: Mapping[str, float] | None
    test: Mapping[str, float] | None
    skipped: int = 0
    confusion: Sequence[ConfusionMatrix] = ()

    @property
    def splits(self) -> dict[str, Mapping[str, float]]:
        """The reports of the splits that there are."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: report for split, report in found.items() if report is not None}

    def to_json(self) -> dict[str, Any]:
        """For ``--json`` and ``run.json``."""
        return {
            "run": str(self.run) if self.run is not None else None,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "backend": self.backend,
            "train": dict(self.train),
            "validation": dict(self.validation) if self.validation is not None else None,
            "test": dict(self.test) if self.test is not None else None,
            "skipped": self.skipped,
            "confusion": [matrix.to_json() for matrix in self.confusion],
        }


def render_result(result: Result) -> str:
    """The result for people: a table of the splits, then what is confused with what."""
    epochs = f"{result.epochs} epoch{'s' if result.epochs != 1 else ''}"
    parts = [f"{epochs} in {duration(result.seconds)}; the weights are those after epoch {result.best_epoch}"]
    measures = list(result.train)
    rows = [["", *measures]]
    rows += [[split, *(number(report[name]) for name in measures)] for split, report in result.splits.items()]
    parts.append(_aligned(rows))
    if result.skipped:
        steps = "1 step" if result.skipped == 1 else f"{result.skipped:,} steps"
        parts.append(f"{steps} changed no weights: the gradient overflowed float16, and the loss was scaled down")
    parts += [render_confusion(matrix) for matrix in result.confusion]
    return "\n\n".join(parts)


def render_confusion(matrix: ConfusionMatrix) -> str:
    """The matrix where it fits a terminal, else the pairs that are confused most often."""
    rows = [["", *matrix.classes]]
    rows += [[name, *map(str, counts)] for name, counts in zip(matrix.classes, matrix.counts.tolist(), strict=True)]
    table, place = _aligned(rows), f"`{matrix.target}` on the {matrix.split} split"
    if max(map(len, table.splitlines())) <= _WIDTH:
        return f"{place}: a row for each true class, a column for each predicted one\n{table}"
    wrong = [
        (count, true, predicted)
        for true, counts in zip(matrix.classes, matrix.counts.tolist(), strict=True)
        for predicted, count in zip(matrix.classes, counts, strict=True)
        if true != predicted and count > 0
    ]
    wrong.sort(key=lambda pair: -pair[0])
    listed = "\n".join(f"  {true} taken for {predicted}: {count}" for count, true, predicted in wrong[:_PAIRS])
    return f"{place}, most often wrong:\n{listed or '  nothing'}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def number(value: float) -> str:
    """A measured value with four places, or in powers of ten where these say nothing.

    >>> number(0.97222), number(0.0), number(3.2e-7), number(123456.0), number(float("nan"))
    ('0.9722', '0.0000', '3.20e-07', '1.23e+05', 'nan')
    """
    return f"{value:.4f}" if value == 0 or isnan(value) or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(0.123), duration(12.34), duration(75), duration(7384)
    ('0.12 s', '12.3 s', '1:15 min', '2:03:04 h')
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"

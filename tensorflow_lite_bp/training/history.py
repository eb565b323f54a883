"""What every finished epoch left behind: its learning rate, and loss and metrics of training and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class History:
    """A table with a row for each epoch.

    Attributes:
        columns: ``rate``, ``train_loss``, ``train_<metric>``, …, and the same of ``validation`` where it is a split.
        rows: the values; row 0 is epoch 1.
    """

    def __init__(self, measures: Sequence[str], *, validates: bool) -> None:
        splits = ("train", "validation") if validates else ("train",)
        self.columns = ("rate", *(f"{split}_{measure}" for split in splits for measure in measures))
        self.rows: list[tuple[float, ...]] = []

    def add(self, rate: float, *reports: Mapping[str, float]) -> None:
        """Add an epoch: its rate and the reports of its splits, in the order of the columns."""
        row = (rate, *(value for report in reports for value in report.values()))
        assert len(row) == len(self.columns)
        self.rows.append(row)

    def column(self, name: str) -> list[float]:
        """The value of each epoch."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def to_array(self) -> np.ndarray:
        """The table as float64 ``(epochs, columns)``."""
        return np.array(self.rows, dtype=np.float64).reshape(len(self.rows), len(self.columns))

    def restore(self, array: np.ndarray) -> None:
        """Take the rows of a `to_array`."""
        self.rows = [tuple(row) for row in array.tolist()]

    def to_csv(self) -> str:
        """The whole of ``metrics.csv``."""
        lines = [self.csv_line(epoch + 1) for epoch in range(len(self.rows))]
        return "".join([",".join(("epoch", *self.columns)) + "\n", *lines])

    def csv_line(self, epoch: int) -> str:
        """The line of an epoch (from 1); every number can be read back to the last bit."""
        return ",".join((str(epoch), *map(repr, self.rows[epoch - 1]))) + "\n"

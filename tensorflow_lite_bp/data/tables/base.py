"""The contract of a table, and the one whose columns are arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tensorflow_lite_bp.data.words import instead, quoted
from tensorflow_lite_bp.errors import InputError

Rows = slice | np.ndarray
"""Which rows: a slice, or their numbers."""


class Table:
    """Rows of one split: opened by name, loaded column by column, read block by block.

    Attributes:
        name: what people know the file by.
        names: its columns, or its arrays, in the file's order.
        rows: how many rows there are, after `load`.
        missing: texts that stand for a missing value.
    """

    holds = "column"
    """What a name stands for, as messages call it."""

    def __init__(self, name: str, names: Sequence[str], *, missing: Sequence[str] = ()) -> None:
        self.name = name
        self.names = tuple(names)
        self.rows = 0
        self.missing = tuple(missing)

    def require(self, name: str) -> None:
        """Raise InputError unless there is such a column."""
        if name not in self.names:
            raise InputError(f"{self.name} has no {self.holds} {quoted(name)}; {instead(name, self.names)}")

    def load(self, numbers: Iterable[str], categories: Iterable[str]) -> None:
        """Read these columns, as numbers or as categories; no others can be asked for afterwards.

        Raises:
            InputError: with the row and column of the first value that is not what it should be.
        """
        raise NotImplementedError

    def numbers(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        """Columns as float32, ``(b, len(names))``; a missing value is NaN."""
        raise NotImplementedError

    def categories(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        """Columns as they stand, ``(b, len(names))``: text, in which None is a missing value, or numbers."""
        raise NotImplementedError

    def array(self, name: str) -> np.ndarray:
        """A whole array, ``(rows, *shape)``, of the file's dtype."""
        raise NotImplementedError

    def place(self, row: int) -> str:
        """Where a row (from 0) stands, for messages: rows are counted from 1, without a header."""
        return f"{self.name}, row {row + 1}"


class ArrayTable(Table):
    """A table of named arrays whose first axis is the rows; one without further axes is also a column."""

    holds = "array"

    def __init__(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(name, list(arrays))
        self._arrays = arrays

    def load(self, numbers: Iterable[str], categories: Iterable[str]) -> None:
        """Check that the arrays are of one length and of a dtype that can be used; nothing is read."""
        lengths = {}
        for name in dict.fromkeys((*numbers, *categories)):
            array = self.array(name)
            if array.ndim == 0:
                raise InputError(f"{self.name}: array {quoted(name)} is a single value; expected one for each row")
            if array.dtype.kind not in "biufU":
                raise InputError(f"{self.name}: array {quoted(name)} holds {array.dtype}; expected numbers or text")
            lengths[name] = len(array)
        if len(set(lengths.values())) > 1:
            (first, rows), *others = lengths.items()
            other = next(item for item in others if item[1] != rows)
            raise InputError(
                f"{self.name}: array {quoted(first)} has {rows} rows and array {quoted(other[0])} has {other[1]}; "
                f"arrays that are used together need the same number"
            )
        self.rows = next(iter(lengths.values()), 0)
        if lengths and self.rows == 0:
            raise InputError(f"{self.name}: array {quoted(next(iter(lengths)))} has no rows")

    def array(self, name: str) -> np.ndarray:
        self.require(name)
        return self._arrays[name]

    def numbers(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        columns = [self._column(name) for name in names]
        text = next((name for name, column in zip(names, columns, strict=True) if column.dtype.kind == "U"), None)
        if text is not None:
            raise InputError(f"{self.name}: array {quoted(text)} holds text; expected numbers")
        return np.stack([column[rows].astype(np.float32) for column in columns], axis=1)

    def categories(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        columns = [self._column(name)[rows] for name in names]
        if any(column.dtype.kind == "U" for column in columns):
            columns = [column.astype(str).astype(object) for column in columns]
        return np.stack(columns, axis=1)

    def _column(self, name: str) -> np.ndarray:
        array = self.array(name)
        if array.ndim != 1:
            raise InputError(
                f"{self.name}: {quoted(name)} holds arrays of {list(array.shape[1:])}, not single values: "
                f"write array({quoted(name)}) for it"
            )
        return array

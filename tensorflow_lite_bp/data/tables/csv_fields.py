"""Some rows of a csv file, cut into fields by one of two readers, and the columns of text made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from tensorflow_lite_bp.data.tables.base import Rows
from tensorflow_lite_bp.data.tables.decimals import read_decimals
from tensorflow_lite_bp.data.words import number

_NEWLINE, _SPACE = (np.uint8(code) for code in b"\n ")


class Fields(Protocol):
    """Some rows. All but ``rows`` and ``widths`` needs every row to have the same number of fields."""

    rows: int
    widths: np.ndarray  # how many fields each row has

    def numbers(self, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Columns as float64, row by row in one line, and for each value whether a number stood there."""
        ...

    def text(self, row: int, column: int) -> str:
        """One field, without the spaces around it."""
        ...

    def texts(self, column: int) -> list[str]:
        """A column of fields, without the spaces around them."""
        ...


class PlainFields:
    """Rows without quotes: where each field starts and ends in a block of whole lines, none of them empty."""

    def __init__(self, block: bytes, width: int, delimiter: str) -> None:
        self._block = block
        self._text = np.frombuffer(block, dtype=np.uint8)
        newline = self._text == _NEWLINE
        ends = np.flatnonzero(newline | (self._text == np.uint8(ord(delimiter))))
        last = np.flatnonzero(newline[ends])  # of each row, among the fields
        self.widths = np.diff(last, prepend=-1)
        self.rows = len(last)
        starts = np.concatenate([[0], ends[:-1] + 1])
        starts += (self._text[starts] == _SPACE) & (starts < ends)
        self._starts, self._ends, self._width = starts, ends, width

    def numbers(self, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        starts, ends = self._starts, self._ends
        if columns != list(range(self._width)):
            starts, ends = (each.reshape(self.rows, self._width)[:, columns].ravel() for each in (starts, ends))
        return read_decimals(self._text, starts, ends)

    def text(self, row: int, column: int) -> str:
        index = row * self._width + column
        return self._block[self._starts[index] : self._ends[index]].decode("utf-8").strip()

    def texts(self, column: int) -> list[str]:
        starts, ends = (each[column :: self._width].tolist() for each in (self._starts, self._ends))
        return [self._block[start:end].decode("utf-8").strip() for start, end in zip(starts, ends, strict=True)]


class QuotedFields:
    """Rows as the standard library's reader gives them."""

    def __init__(self, records: list[list[str]]) -> None:
        self._records = records
        self.rows = len(records)
        self.widths = np.array([len(record) for record in records])

    def numbers(self, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        values = np.empty(self.rows * len(columns))
        read = np.ones(len(values), dtype=bool)
        for index, text in enumerate(record[column] for record in self._records for column in columns):
            try:
                values[index] = number(text)
            except ValueError:
                read[index] = False
        return values, read

    def text(self, row: int, column: int) -> str:
        return self._records[row][column].strip()

    def texts(self, column: int) -> list[str]:
        return [record[column].strip() for record in self._records]


class TextColumn:
    """A column of text: each distinct value once, and for each row the number of its value."""

    def __init__(self, missing: Iterable[str]) -> None:
        self._codes: dict[str | None, int] = {None: 0}
        self._missing = frozenset(missing)
        self._blocks: list[np.ndarray] = []
        self._values = self._rows = np.empty(0)

    def extend(self, texts: Iterable[str]) -> None:
        codes, missing = self._codes, self._missing
        found = [0 if text in missing else codes.setdefault(text, len(codes)) for text in texts]
        self._blocks.append(np.array(found, dtype=np.int32))

    def finish(self) -> None:
        """Nothing more comes."""
        self._values = np.array(list(self._codes), dtype=object)
        self._rows = np.concatenate(self._blocks)
        self._codes, self._blocks = {}, []

    def take(self, rows: Rows) -> np.ndarray:
        """The values of some rows, an object array; None where one is missing."""
        taken: np.ndarray = self._values[self._rows[rows]]
        return taken

"""Tables of text: csv files, read in blocks, only the columns that are used, in memory of the size of these columns.

Two readers give the same rows: one works on a block's bytes as an array and is fast; from the first block with a quote
on, the standard library's csv reader does the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables.base import Rows, Table
from tensorflow_lite_bp.data.tables.csv_fields import Fields, PlainFields, QuotedFields, TextColumn
from tensorflow_lite_bp.data.words import no_number, number, quoted
from tensorflow_lite_bp.errors import InputError

LONGEST_LINE = 1 << 21  # bytes
MOST_COLUMNS = 100_000
MOST_ROWS = 100_000_000
_BLOCK = 1 << 20  # bytes read at a time
_RECORDS = 4096  # quoted rows taken at a time
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MALFORMED = {  # what the csv reader says, in our words
    "unexpected end of data": "a quoted field is never closed",
    "expected after": "a quoted field goes on behind its closing quote; inside a field, write a quote twice",
    "field larger than": f"a field is longer than {csv.field_size_limit():,} characters; is a quote left open?",
    "new-line character": "a carriage return stands alone; save the file with ordinary line ends",
}


class CsvTable(Table):
    """The rows of a csv file in UTF-8. Spaces around a field do not count, and neither do empty lines.

    Args:
        header: whether the first row holds the columns' names; None to look: it does when none of its fields is a
            number, or when one is a text above a number. Without a header the columns are ``c1``, ``c2``...

    Raises:
        InputError: for a file that is empty or not text, or that names two columns alike.
    """

    def __init__(self, file: DataFile, *, header: bool | None, delimiter: str, missing: Sequence[str]) -> None:
        super().__init__(file.name, (), missing=missing)
        self._path = file.path
        self._delimiter = delimiter
        self._positions: dict[str, int] = {}  # of the columns of numbers, in _values
        self._values = np.empty((0, 0), dtype=np.float32)
        self._texts: dict[str, TextColumn] = {}
        self._start, self._header = self._opened(header)

    def require(self, name: str) -> None:
        if name in self.names:
            return
        has_no = f"{self.name} has no column {quoted(name)}"
        if not self._header:
            raise InputError(
                f"{has_no}: its first row was read as data, so its columns are called "
                f'"c1" to "c{len(self.names)}"; write `header = true` in the source if that row holds names'
            )
        if len(self.names) == 1:
            raise InputError(
                f"{has_no}, only {quoted(self.names[0])}: if its columns are separated by another sign than "
                f'{quoted(self._delimiter)}, say so in the source, as in `delimiter = ";"`'
            )
        super().require(name)

    def load(self, numbers: Iterable[str], categories: Iterable[str]) -> None:
        where = {name: position for position, name in enumerate(self.names)}
        wanted = sorted({where[name] for name in numbers})
        self._texts = {name: TextColumn(self.missing) for name in categories}
        blocks, rows = [], 0
        for fields in self._fields():
            blocks.append(self._numbers_of(fields, wanted, first_row=rows))
            for name, column in self._texts.items():
                column.extend(fields.texts(where[name]))
            rows += fields.rows
            if rows > MOST_ROWS:
                raise InputError(f"{self.name} has more than {MOST_ROWS:,} rows, the most that a csv may have")
        if rows == 0:
            raise InputError(f"{self.name} has a header and no rows" if self._header else f"{self.name} has no rows")
        self.rows = rows
        self._positions = {self.names[position]: column for column, position in enumerate(wanted)}
        self._values = np.concatenate(blocks)
        for column in self._texts.values():
            column.finish()

    def numbers(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        columns = [self._positions[name] for name in names]
        first, behind = columns[0], columns[0] + len(columns)
        if columns == list(range(first, behind)):
            return self._values[rows, first:behind]
        return self._values[rows][:, columns]

    def categories(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        return np.stack([self._texts[name].take(rows) for name in names], axis=1)

    def array(self, name: str) -> np.ndarray:
        raise InputError(
            f"{self.name} is a csv and has no arrays: write column({quoted(name)}) or columns(...) "
            f"in place of array({quoted(name)})"
        )

    def place(self, row: int) -> str:
        return f"{super().place(row)} (line {self._line_of(row)})"

    # Reading

    def _opened(self, header: bool | None) -> tuple[int, bool]:
        """Find the columns' names; returns where in the file the rows start, and whether there is a header."""
        with self._path.open("rb") as file:
            start = self._check_beginning(file)
            reader = self._reader(file)
            try:
                first = next((record for record in reader if record), None)
                behind = file.tell()
                second: list[str] = next((record for record in reader if record), [])
            except csv.Error as error:
                raise InputError(f"{self.name}, in the first rows: {_explained(error)}") from error
        if first is None:
            raise InputError(f"{self.name} is empty")
        if len(first) > MOST_COLUMNS:
            raise InputError(f"{self.name} has {len(first):,} columns; a csv may have {MOST_COLUMNS:,}")
        if header is None:
            header = self._looks_like_header(first, second)
        if not header:
            self.names = tuple(f"c{number + 1}" for number in range(len(first)))
            return start, False
        self.names = tuple(name.strip() for name in first)
        positions: dict[str, int] = {}
        for position, name in enumerate(self.names, 1):
            if name and positions.setdefault(name, position) != position:
                raise InputError(
                    f"{self.name}: columns {positions[name]} and {position} are both called {quoted(name)}; "
                    f"give one of them another name"
                )
        return behind, True

    def _check_beginning(self, file: BinaryIO) -> int:
        """Go to where the text starts, behind a byte order mark; say what a file is that is no csv."""
        beginning = file.read(4)
        if beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{self.name} is in UTF-16: save it as UTF-8")
        if beginning == b"PK\x03\x04":
            raise InputError(f"{self.name} is a zip archive (npz, xlsx, ...); expected a csv, which is plain text")
        if beginning[:2] == b"\x1f\x8b":
            raise InputError(f"{self.name} is compressed: unpack it first (gunzip)")
        start = len(_BYTE_ORDER_MARK) if beginning.startswith(_BYTE_ORDER_MARK) else 0
        file.seek(start)
        return start

    def _looks_like_header(self, first: list[str], second: list[str]) -> bool:
        kinds, below = ([self._kind(field.strip()) for field in record] for record in (first, second))
        return "number" not in kinds or ("text", "number") in zip(kinds, below, strict=False)

    def _kind(self, field: str) -> str:
        if field in self.missing:
            return "missing"
        try:
            number(field)
        except ValueError:
            return "text"
        return "number"

    def _fields(self) -> Iterator[Fields]:
        """All rows, some at a time, each of as many fields as there are columns."""
        rows = 0
        for fields in self._pieces():
            for row in np.flatnonzero(fields.widths != len(self.names))[:1]:
                count = fields.widths[row]
                raise InputError(
                    f"{self.place(rows + int(row))} has {count} field{'' if count == 1 else 's'}, "
                    f"and the {'header' if self._header else 'first row'} has {len(self.names)}"
                )
            yield fields
            rows += fields.rows

    def _pieces(self) -> Iterator[Fields]:
        rows = 0
        with self._path.open("rb") as file:
            file.seek(self._start)
            while block := _plain_block(file):
                plain = PlainFields(block, len(self.names), self._delimiter)
                rows += plain.rows
                yield plain
            records: list[list[str]] = []
            reader = (record for record in self._reader(file) if record)
            while True:
                try:
                    records.extend(islice(reader, _RECORDS))
                except csv.Error as error:
                    raise InputError(f"{self.place(rows + len(records))}: {_explained(error)}") from error
                if not records:
                    return
                rows += len(records)
                yield QuotedFields(records)
                records = []

    def _reader(self, file: BinaryIO) -> Any:
        """The standard library's reader of the rows from here on."""
        lines, space = self._lines(file), self._delimiter != " "
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=space, strict=True)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        """The lines from here on, as text."""
        while line := file.readline(LONGEST_LINE + 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                place = self._line(file, line)
                raise InputError(f"{place} is not in UTF-8 ({byte}): save the file as UTF-8") from error
            if "\0" in text:
                raise InputError(f"{self._line(file, line)} holds a NUL byte, so this is no text file; expected a csv")
            if len(line) > LONGEST_LINE:
                raise InputError(f"{self._line(file, line)} is longer than {LONGEST_LINE:,} bytes; expected a csv")
            yield text

    def _numbers_of(self, fields: Fields, wanted: list[int], *, first_row: int) -> np.ndarray:
        """Columns of some rows as float32, ``(rows, len(wanted))``."""
        if not wanted:
            return np.empty((fields.rows, 0), dtype=np.float32)
        values, read = fields.numbers(wanted)
        for index in np.flatnonzero(~read):
            row, column = divmod(int(index), len(wanted))
            text = fields.text(row, wanted[column])
            try:
                values[index] = np.nan if text in self.missing else number(text)
            except ValueError as error:
                place, name = self.place(first_row + row), self.names[wanted[column]]
                raise InputError(f"{place}, column {quoted(name)}: {no_number(text)}") from error
        with np.errstate(over="ignore"):  # what float32 cannot hold is found later, as a value that is not finite
            return values.astype(np.float32).reshape(fields.rows, len(wanted))

    # Places

    def _line(self, file: BinaryIO, line: bytes) -> str:
        """The place of the line that was just read."""
        return f"{self.name}, line {self._lines_before(file.tell() - len(line)) + 1}"

    def _line_of(self, row: int) -> int:
        """The line on which a row starts."""
        before, left = 0, row
        with self._path.open("rb") as file:
            file.seek(self._start)
            reader = self._reader(file)
            try:
                for record in reader:
                    if record and left == 0:
                        break
                    left -= bool(record)
                    before = reader.line_num
            except (csv.Error, InputError):
                pass  # the row itself is what cannot be read
        return self._lines_before(self._start) + before + 1

    def _lines_before(self, offset: int) -> int:
        count = 0
        with self._path.open("rb") as file:
            while offset > 0 and (block := file.read(min(offset, _BLOCK))):
                count += block.count(b"\n")
                offset -= len(block)
        return count


def _plain_block(file: BinaryIO) -> bytes:
    """The next lines, none of them empty, the last one ended; nothing at the end of the file or before a quote.

    What is no text, or has a line that is too long, is left to the other reader too: it says what is wrong and where.
    """
    while True:
        start = file.tell()
        block = file.read(_BLOCK)
        if not block:
            return b""
        rest = b"" if block.endswith(b"\n") else file.readline(LONGEST_LINE + 1)
        plain = block + rest
        if b"\r" in plain:
            plain = plain.replace(b"\r\n", b"\n")
        if any(sign in plain for sign in (b'"', b"\r", b"\0")) or not _is_utf8(plain) or len(rest) > LONGEST_LINE:
            file.seek(start)
            return b""
        while b"\n\n" in plain:
            plain = plain.replace(b"\n\n", b"\n")
        plain = plain.lstrip(b"\n")
        if plain:
            return plain if plain.endswith(b"\n") else plain + b"\n"


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _explained(error: csv.Error) -> str:
    """The csv reader's complaint in our words."""
    return next((ours for theirs, ours in _MALFORMED.items() if theirs in str(error)), str(error))

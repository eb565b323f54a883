"""Where mistakes came from: a file's text, and spans of it that every tree node and every message carries."""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

from dsl.signature import Limits

if TYPE_CHECKING:
    from dsl.diagnostics import Diagnostic


@dataclass(frozen=True, eq=False)
class Source:
    """One text with the name people know it by (a path as typed, or a label such as ``--set``).

    A file that could not be read is a source with a ``fault``, which the parser reports.
    """

    name: str
    text: str = field(repr=False)
    fault: Diagnostic | None = field(default=None, repr=False)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *accumulate(len(line) + 1 for line in self.text.split("\n"))][:-1]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column, both from 1, of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1) without its newline."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters of one source."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of another."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}"


def read_source(path: str | Path, limits: Limits | None = None) -> Source:
    """The text of a file; one that is no readable text is a source with a fault that says why. Nothing is raised.

    UTF-8 is expected, a byte order mark is allowed, and any kind of line end becomes a newline.
    """
    name = str(path)
    limits = limits if limits is not None else Limits()
    try:
        data = _bytes(Path(path), limits.characters + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero character in the path
        return _faulty(name, *_why(Path(path), error))
    return decoded(name, data, limits)


def decoded(name: str, data: bytes, limits: Limits | None = None) -> Source:
    """The text of bytes that came from elsewhere (standard input), as `read_source` has it."""
    most = (limits if limits is not None else Limits()).characters
    if data.startswith(b"FANN_"):
        data = data.partition(b"\n")[0][:100]  # enough to be recognised, and weights are long
    if len(data) > most:
        return _faulty(
            name,
            f"is larger than {most:,} bytes",
            "a network of this size is not meant to be read: is it a `.net` file?",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _faulty(name, "is in UTF-16, and a `.net` file is in UTF-8", "save it as UTF-8")
    if b"\0" in data:
        return _faulty(name, "is no text: it holds zero bytes", "name a `.net` file")
    try:
        return Source(name, _with_newlines(data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        return _undecodable(name, data, error)


def _bytes(path: Path, most: int) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise IsADirectoryError if path.is_dir() else ValueError
    with path.open("rb") as file:
        return file.read(most)


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _faulty(name: str, what: str, help: str | None, *, text: str = "", at: int = 0) -> Source:
    from dsl.codes_syntax import unreadable_file

    source = Source(name, text)
    return replace(source, fault=unreadable_file(Span(source, at, min(at + 1, len(text))), what, help))


def _why(path: Path, error: Exception) -> tuple[str, str | None]:
    """What is wrong with a file that cannot be opened, and what to type instead."""
    if isinstance(error, FileNotFoundError):
        return "does not exist", _neighbour(path)
    if isinstance(error, IsADirectoryError):
        return "is a folder, and a `.net` file is needed", _inside(path)
    if isinstance(error, PermissionError):
        return "cannot be read: permission is denied", None
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}", None
    return "is no regular file", None


def _undecodable(name: str, data: bytes, error: UnicodeDecodeError) -> Source:
    """The fault stands where the text stops being UTF-8."""
    mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    before = len(_with_newlines(data[mark : error.start].decode("utf-8")))
    text = _with_newlines(data[mark:].decode("utf-8", "replace"))
    what = f"is not in UTF-8: there is a byte 0x{data[error.start]:02X}"
    return _faulty(name, what, "save it as UTF-8", text=text, at=before)


def _neighbour(path: Path) -> str | None:
    """A file beside a missing one that was probably meant."""
    from difflib import get_close_matches

    names = _net_files(path.parent)
    close = get_close_matches(path.name, names, n=1) or [name for name in names if name == f"{path.name}.net"]
    return f"did you mean `{path.with_name(close[0])}`?" if close else None


def _inside(folder: Path) -> str | None:
    names = _net_files(folder)
    return f"name a file in it, such as `{folder / names[0]}`" if names else None


def _net_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, 10_000) if entry.name.endswith(".net"))
    except OSError:
        return []

"""Mistakes in a file: what was found, where, what was expected, and what to type instead; and how that is printed.

A message is made by a rule (see `dsl.codes`); this file only knows how it looks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from dsl.source import Source, Span

_WIDTH = 110
"""Columns of a source line that are shown; a longer one is cut around its carets."""
_TAB = "    "
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # these reorder what a terminal shows
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *_BIDI)
_HARMLESS = dict.fromkeys(_CONTROLS, "\N{REPLACEMENT CHARACTER}")


@dataclass(frozen=True)
class Code:
    """A kind of mistake, with its page in the reference, which is the documentation of the rule that finds it.

    Attributes:
        name: ``shape-mismatch``.
        severity: ``error`` or ``warning``.
        text: a summary line, paragraphs, and the example (see `dsl.codes`).
    """

    name: str
    severity: str
    text: str

    @property
    def summary(self) -> str:
        """One line: what the mistake is."""
        return self.text.partition("\n")[0]

    @property
    def explanation(self) -> str:
        """Why it is a mistake, and how to mend it."""
        return self.text.partition("\n")[2].partition("```")[0].strip()

    @property
    def example(self) -> str:
        """A small file that makes it; empty where none can show it (a file that cannot be read)."""
        return self._blocks[0].partition("\n")[2]

    @cached_property
    def options(self) -> tuple[str, ...]:
        """What ``--set`` gets when the example is checked."""
        _, *options = self._blocks[0].partition("\n")[0].split(" --set ")
        return tuple(options)

    @cached_property
    def other_files(self) -> dict[str, str]:
        """The files that the example imports, by name."""
        files = (block.partition("\n") for block in self._blocks[1:-1])
        return {head.removeprefix("net ").strip(): body for head, _, body in files}

    @property
    def rendered(self) -> str:
        """What is printed for the example."""
        return self._blocks[-1].partition("\n")[2]

    @cached_property
    def _blocks(self) -> list[str]:
        """The fenced blocks: the example, the files it imports, what is printed."""
        blocks = self.text.split("```")[1::2]
        return blocks if len(blocks) > 1 else ["", ""]


@dataclass(frozen=True)
class Label:
    """A place in the text and what is said of it under the caret (perhaps nothing)."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One mistake or warning. The first label is its place."""

    code: Code
    message: str
    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()
    help: str | None = None

    @property
    def severity(self) -> str:
        return self.code.severity

    @property
    def span(self) -> Span:
        """The place of the mistake."""
        return self.labels[0].span

    def to_json(self) -> dict[str, Any]:
        """The same as an object of JSON values; lines and columns count from 1, lengths are in characters."""
        labels = [
            {
                "file": label.span.source.name,
                "line": label.span.line,
                "column": label.span.column,
                "length": label.span.end - label.span.start,
                "text": label.text,
            }
            for label in self.labels
        ]
        place = {key: labels[0][key] for key in ("file", "line", "column")}
        return {
            "code": self.code.name,
            "severity": self.severity,
            "message": self.message,
            **place,
            "labels": labels,
            "notes": list(self.notes),
            "help": self.help,
        }

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """All messages for people, and how many there are; an empty text for none."""
    if not diagnostics:
        return ""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    warnings = len(diagnostics) - errors
    counts = [
        f"{number} {noun}{'s' if number > 1 else ''}"
        for number, noun in ((errors, "mistake"), (warnings, "warning"))
        if number
    ]
    return "\n\n".join((*map(str, diagnostics), ", ".join(counts)))


def harmless(text: str) -> str:
    """The text with a visible sign for each control character, so that it cannot steer a terminal.

    >>> harmless("a\\x1b[31mb")
    'a\N{REPLACEMENT CHARACTER}[31mb'
    """
    return text.translate(_HARMLESS)


def _lines(diagnostic: Diagnostic) -> Iterator[str]:
    yield f"{diagnostic.severity}[{diagnostic.code.name}]: {harmless(diagnostic.message)}"
    gutter = " " * max(len(str(label.span.line)) for label in diagnostic.labels)
    place = diagnostic.span.source
    sources: list[Source] = [place]
    for label in diagnostic.labels:
        if label.span.source not in sources:
            sources.append(label.span.source)
    for source in sources:
        labels = [label for label in diagnostic.labels if label.span.source is source]
        span = labels[0].span
        arrow = "-->" if source is place else ":::"
        if not source.text:  # an empty file, or one that could not be read: there is no line to show
            yield f"{gutter}{arrow} {harmless(source.name)}"
            continue
        yield f"{gutter}{arrow} {harmless(source.name)}:{span.line}:{span.column}"
        yield f"{gutter} |"
        yield from _excerpt(source, labels, gutter)
    for note in (*diagnostic.notes, *([f"help: {diagnostic.help}"] if diagnostic.help is not None else [])):
        yield f"{gutter} = {harmless(note)}"


def _excerpt(source: Source, labels: Iterable[Label], gutter: str) -> Iterator[str]:
    """The lines of one source that hold carets, each with its carets below."""
    previous = None
    for number, group in groupby(sorted(labels, key=lambda label: label.span.start), lambda label: label.span.line):
        if previous is not None and number > previous + 1:
            yield f"{gutter} ⋮"
        previous = number
        shown, marks = _window(source.line(number), list(group))
        yield f"{number:>{len(gutter)}} | {shown}".rstrip()
        for line in _carets(marks):
            yield f"{gutter} | {line}"


@dataclass(frozen=True)
class _Mark:
    """A label where it stands on the shown line: columns from 0."""

    start: int
    width: int
    text: str


def _window(line: str, labels: list[Label]) -> tuple[str, list[_Mark]]:
    """The line as it is shown, and the places of its labels there."""
    ranges = []
    for label in labels:
        start = label.span.column - 1
        ranges.append((start, max(start + 1, min(start + label.span.end - label.span.start, len(line)))))
    first, last = 0, len(line)
    if last > _WIDTH:
        first = max(0, min(ranges[0][0] - _WIDTH // 4, last - _WIDTH))
        last = min(last, first + _WIDTH)
    head, tail = ("…" if first > 0 else ""), ("…" if last < len(line) else "")
    marks = []
    for label, (start, end) in zip(labels, ranges, strict=True):
        start, end = (min(max(edge, first), last) for edge in (start, end))  # noqa: PLW2901  # what is cut away
        before = _columns(head + _show(line[first:start]))
        marks.append(_Mark(before, max(1, _columns(_show(line[start:end]))), harmless(label.text)))
    return head + _show(line[first:last]) + tail, marks


def _show(text: str) -> str:
    return harmless(text.replace("\t", _TAB))


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _carets(marks: list[_Mark]) -> Iterator[str]:
    """The carets, then what is said of them: the last beside its carets, the others below theirs.

    >>> print(*_carets([_Mark(0, 2, "one"), _Mark(4, 2, "two"), _Mark(8, 1, "three")]), sep="\\n")
    ^^  ^^  ^ three
    one two
    """
    signs = ""
    for mark in marks:
        signs = signs.ljust(mark.start) + "^" * (mark.start + mark.width - max(len(signs), mark.start))
    last = marks[-1]
    yield f"{signs} {last.text}".rstrip()
    waiting = [mark for mark in marks[:-1] if mark.text]
    while waiting:
        line, later = "", []
        for index, mark in enumerate(waiting):
            following = waiting[index + 1].start if index + 1 < len(waiting) else None
            fits = following is None or mark.start + _columns(mark.text) < following
            line += " " * (mark.start - _columns(line)) + (mark.text if fits else "|")
            if not fits:
                later.append(mark)
        yield line
        waiting = later

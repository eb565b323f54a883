"""Pieces of formatted text, with comments at the ends of their lines; what the formatter puts together.

Lines are relative to the place where the piece starts: put behind another piece, its second and further lines move to
the right with it, so that they stay aligned. A piece ends without a comment, for something may follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

COMMENT_COLUMN = 40
"""Where comments start behind lines that are shorter, counted from 0."""


@dataclass
class Line:
    """A line: its text without a line end, and a comment behind it. Blanks and a comment are a comment alone."""

    text: str = ""
    comment: str = ""

    def __str__(self) -> str:
        text = self.text.rstrip()
        if not self.comment:
            return text
        return f"{text.ljust(COMMENT_COLUMN - 2)}  {self.comment}" if text else self.text + self.comment


Lines = list[Line]


def beside(left: Lines, right: Lines) -> Lines:
    """The right piece at the end of the left one.

    >>> print(*beside([Line("a = ")], [Line("b"), Line("-> c")]), sep="\\n")
    a = b
        -> c
    """
    last, first = left[-1], right[0]
    assert not last.comment
    shift = " " * len(last.text)
    return [
        *left[:-1],
        Line(last.text + first.text, first.comment),
        *(Line(shift + line.text, line.comment) for line in right[1:]),
    ]


def ended(lines: Lines, text: str) -> Lines:
    """A piece with a text behind it."""
    return beside(lines, [Line(text)])


def comments(texts: Iterable[str]) -> Lines:
    """Each comment on a line of its own; something has to follow."""
    return [Line("", text) for text in texts]


def indented(lines: Lines) -> Lines:
    """Two columns further to the right."""
    return [Line(f"  {line.text}", line.comment) for line in lines]

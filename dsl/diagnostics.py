"""Mistakes in a file: what was found, where, what was expected, and what to type instead; and how that is printed."""

from __future__ import annotations

from dataclasses import dataclass

from dsl.source import Span


@dataclass(frozen=True)
class Code:
    """A kind of mistake, with its page in the reference."""

    name: str  # shape-mismatch
    summary: str  # one line
    explanation: str  # the page: why it is a mistake, how to mend it
    example: str  # a small file that makes it


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
    severity: str = "error"  # or "warning"

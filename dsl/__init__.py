"""The `.net` language: text in, checked `Program` out. Imports neither numpy nor tensorflow_lite_bp."""

from __future__ import annotations

from dsl.checker import Checked, check
from dsl.diagnostics import Code, Diagnostic, Label, render
from dsl.parser import Parsed, parse
from dsl.program import Program
from dsl.source import Source, Span, read_source

__all__ = [
    "Checked",
    "Code",
    "Diagnostic",
    "Label",
    "Parsed",
    "Program",
    "Source",
    "Span",
    "check",
    "format_source",
    "parse",
    "read_source",
    "render",
]


def format_source(source: Source) -> str:
    """The text of a file in the usual layout; see `dsl.formatter`."""
    from dsl.formatter import format_source as format_

    return format_(source)

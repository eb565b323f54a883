"""The checker: a text becomes a `Program`, or every mistake in it is reported. Nothing is computed, nothing is raised.

`items` goes through a file; `expressions`, `stages`, `operators` and `layers` give expressions their values and make
the nodes; `declarations`, `objectives` and `sections` do the rest. What is said of a mistake stands in `rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dsl.checker.expressions import evaluate
from dsl.checker.items import FileCheck
from dsl.checker.overrides import overridden
from dsl.checker.session import Session
from dsl.diagnostics import Diagnostic
from dsl.parser import parse
from dsl.program import Program
from dsl.signature import Table
from dsl.source import Source


@dataclass(frozen=True)
class Checked:
    """What the checker found: a program, unless there are mistakes; and all mistakes and warnings, in order."""

    program: Program | None
    diagnostics: tuple[Diagnostic, ...]


def check(source: Source, table: Table, *, overrides: Sequence[str] = ()) -> Checked:
    """Check a text against a table of layers and the like.

    Args:
        source: the text, with the path of its file as its name; imports are read from that file's folder.
        overrides: settings in the place of the file's: ``train.epochs=5``, ``let.width=32``.
    """
    session = Session(table, source, evaluate)
    parsed = parse(source, table.limits)
    for diagnostic in parsed.diagnostics:
        session.report.add(diagnostic)
    program = None
    if parsed.file is not None:
        file = FileCheck(session, overridden(session, parsed.file, overrides))
        file.run()
        if not session.report.errors:
            program = file.program(tuple(overrides))
    return Checked(program, session.report.in_order())

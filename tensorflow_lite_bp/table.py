"""What the language knows: the table of everything declared, and a file checked against it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from dsl import Diagnostic, Program, Source, check, read_source, render
from dsl.signature import Table
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.errors import InputError

_PACKAGES = ("layers", "losses", "metrics", "initializers", "optimizers", "schedules", "data", "sections")


class ProgramError(InputError):
    """A `.net` file with mistakes; the text is every mistake with its place."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(render(diagnostics))
        self.diagnostics = tuple(diagnostics)


@cache
def table() -> Table:
    """The signatures of all layers, losses, metrics, ... that are declared in this package."""
    for package in _PACKAGES:
        importlib.import_module(f"tensorflow_lite_bp.{package}")
    return Table(
        {category: {name: cls.signature() for name, cls in known.items()} for category, known in registry.items()}
    )


def checked(source: Source | str | Path, *, overrides: Sequence[str] = ()) -> Program:
    """The program of a file (or of a text given as a `Source`).

    Raises:
        ProgramError: when the file cannot be read or holds mistakes; warnings are no mistakes.
    """
    if not isinstance(source, Source):
        source = read_source(source)
    found = check(source, table(), overrides=overrides)
    if found.program is None:
        raise ProgramError(found.diagnostics)
    return found.program

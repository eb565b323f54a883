"""``tflbp fmt``: the one layout of `.net` files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import counted
from tensorflow_lite_bp.cli._options import STDIN, Json, NetFiles, source_of

if TYPE_CHECKING:
    from dsl import Source


def fmt(
    files: NetFiles,
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
    json: Json = False,
) -> Answer:
    """Lay out .net files in the one usual way, in place; - formats standard input to standard output.

    The meaning and every comment stay.

    \b
    Examples:
      tflbp fmt examples/digits.net
      tflbp fmt --check --diff *.net
    """
    changes = _changes(files)
    keep = check or diff
    for change in changes:
        if change.wanted and change.file != STDIN and not keep:
            _write(change.file, change.text)
    shown = [_diff(change) for change in changes if change.wanted and diff]
    shown += [change.text for change in changes if change.file == STDIN and not keep]
    wanted = [change for change in changes if change.wanted]
    notes = [f"{change.source.name} would change" for change in wanted if keep]
    if keep or STDIN not in files:
        notes.append(f"{counted(len(wanted), 'file')} of {len(files)} {'would change' if keep else 'changed'}")
    return Answer(
        {"files": [change.to_json() for change in changes], "written": not keep},
        text="".join(shown),
        notes="\n".join(notes),
        exit_code=1 if check and wanted else 0,
        exact=True,
    )


@dataclass(frozen=True)
class Change:
    """A file as it is and as it would be."""

    file: str
    source: Source
    text: str

    @property
    def wanted(self) -> bool:
        return self.text != self.source.text

    def to_json(self) -> dict[str, Any]:
        found = {"file": self.source.name, "changed": self.wanted}
        return found | {"text": self.text} if self.file == STDIN else found


def _changes(files: list[str]) -> list[Change]:
    """What becomes of the files: all of them are read before any is written."""
    from dsl import format_source, parse
    from tensorflow_lite_bp.table import ProgramError

    sources = [source_of(file) for file in files]
    found = [diagnostic for source in sources for diagnostic in parse(source).diagnostics]
    mistakes = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if mistakes:
        raise ProgramError(mistakes)
    return [Change(file, source, format_source(source)) for file, source in zip(files, sources, strict=True)]


def _diff(change: Change) -> str:
    from difflib import unified_diff

    before, after = change.source.text.splitlines(keepends=True), change.text.splitlines(keepends=True)
    return "".join(unified_diff(before, after, change.source.name, f"{change.source.name}, formatted"))


def _write(file: str, text: str) -> None:
    from tensorflow_lite_bp.files import atomic_write

    with atomic_write(file) as opened:
        opened.write(text.encode())

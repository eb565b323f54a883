"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dsl import Source

STDIN = "-"

NetFile = Annotated[str, typer.Argument(metavar="FILE", help="A .net file.")]
NetFiles = Annotated[list[str], typer.Argument(metavar="FILE", help=".net files; - reads standard input.")]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run folder of `tflbp train`, or a checkpoint.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        default_factory=list,
        show_default=False,
        help="Override a setting of the file: train.epochs=5.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
"""Read by `tensorflow_lite_bp.cli.main`, which prints: a command only declares it."""


def source_of(file: str) -> Source:
    """The text of a `.net` file, or of standard input for ``-``."""
    from dsl.source import decoded, read_source

    if file != STDIN:
        return read_source(file)
    return decoded("<stdin>", sys.stdin.buffer.read())

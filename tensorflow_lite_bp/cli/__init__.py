"""The command ``tflbp``: a file in this folder is a command of its name, found by itself.

A command is a function of that name: it parses, calls, and returns an `Answer`; `main` prints it, and turns whatever
was raised into a sentence and an exit code. Files whose names start with ``_`` are helpers. A command imports what is
heavy inside its function, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tensorflow_lite_bp import __version__
from tensorflow_lite_bp.cli._answer import Answer, drop, emit
from tensorflow_lite_bp.cli._failure import failure_of


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code. No exception leaves this function."""
    given = list(sys.argv[1:] if args is None else args)
    as_json = "--json" in given
    try:
        answer = _run(given or ["--help"])
        if answer is None:
            return 0
        emit(answer, as_json=as_json)
        return answer.exit_code
    except typer.Exit as done:
        return done.exit_code
    except BaseException as error:
        if os.environ.get("TFLBP_TRACEBACK"):
            sys.excepthook(type(error), error, error.__traceback__)
        return _fail(error, as_json=as_json)


def commands() -> list[str]:
    """The names of all commands."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def _run(args: list[str]) -> Answer | None:
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,  # rich takes longer to import than the rest of `--help` needs
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog="\b\n" + _SESSION)(_tflbp)
    for name in commands():
        app.command(name)(getattr(importlib.import_module(f"{__name__}.{name}"), name))
    group: Any = typer.main.get_command(app)
    with group.make_context("tflbp", args) as context:  # not group(): that has exits and messages of its own
        answer: Answer | None = group.invoke(context)
    return answer


def _fail(error: BaseException, *, as_json: bool) -> int:
    failure = failure_of(error)
    try:
        emit(failure.answer(), as_json=as_json)
    except OSError:  # stdout itself is what failed; stderr has the sentence
        drop(sys.stdout)
    return failure.exit_code


_SESSION = """A usual session:
  tflbp check examples/digits.net
  tflbp train examples/digits.net --out runs/digits
  tflbp evaluate runs/digits
  tflbp predict runs/digits examples/data/digits.csv -o digits-predicted.csv
  tflbp export runs/digits -o digits.onnx"""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tflbp {__version__}")
        raise typer.Exit


def _tflbp(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Declare a neural network in a .net file, train it, export it to ONNX."""

"""What a command hands back, and the one place that prints it."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

_SHOWN = re.compile(r"[^\n\t]+")


@dataclass(frozen=True)
class Answer:
    """The result of a command: ``data`` for programs, ``text`` for people, ``notes`` for people while programs listen.

    With ``--json`` stdout gets ``data`` as one object, otherwise ``text``; ``notes`` go to stderr either way. An exact
    text is a file for another program: it is printed as it is, unless on a terminal.
    """

    data: Mapping[str, Any]
    text: str = ""
    notes: str = ""
    exit_code: int = 0
    exact: bool = False


def emit(answer: Answer, *, as_json: bool) -> None:
    """Print an answer. A reader that has gone (``| head``) had what it wanted."""
    say(answer.notes)
    try:
        _write(sys.stdout, to_json(answer.data) if as_json else answer.text, exact=answer.exact)
    except BrokenPipeError:
        drop(sys.stdout)


def say(text: str) -> None:
    """Print people's text on stderr; when that cannot be written to, there is nobody to tell."""
    try:
        _write(sys.stderr, text)
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO | None) -> None:
    """Send what a stream still holds nowhere, so that Python's last flush does not fail again."""
    try:
        descriptor = stream.fileno() if stream is not None else None
    except (OSError, ValueError):  # a stream of a test or a notebook has none
        return
    if descriptor is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def clean(text: str) -> str:
    """The text without control characters but its newlines and tabs.

    >>> clean("a\\x1b[31m\\nb")
    'a\N{REPLACEMENT CHARACTER}[31m\\nb'
    """
    from dsl.diagnostics import harmless

    return _SHOWN.sub(lambda shown: harmless(shown[0]), text)


def to_json(data: Mapping[str, Any]) -> str:
    """One line of JSON; what is not finite becomes null, as JSON has no such number.

    >>> to_json({"loss": float("nan"), "shape": (3, 4)})
    '{"loss": null, "shape": [3, 4]}'
    """
    import json

    return json.dumps(_plain(data), allow_nan=False)


def _plain(value: Any) -> Any:
    """Only what JSON has: NumPy's numbers and arrays become Python's, paths and the like become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)


def _write(stream: TextIO | None, text: str, *, exact: bool = False) -> None:
    if stream is None or not text:
        return
    shown = text.rstrip("\n") + "\n"
    stream.write(shown if exact and not stream.isatty() else clean(shown))
    stream.flush()

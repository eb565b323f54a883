"""The catalogue of mistakes: each is a rule, and a rule's documentation is its page and its test.

A rule is a function that says what it has to say of a mistake, decorated with `error` or `warning`. Its code is its
name (``shape_mismatch`` makes ``shape-mismatch``), and its docstring is the page in the reference::

    @error
    def division_by_zero(division: Span) -> Message:
        '''A constant is divided by zero.

        Why it is a mistake and how to mend it, in a few sentences.

        ```net
        let rate = 1 / 0
        ```
        ```text
        error[division-by-zero]: a division by zero
         --> example.net:1:12
          |
        1 | let rate = 1 / 0
          |            ^^^^^
          = help: divide by another number
        ```
        '''
        return Message("a division by zero", (Label(division),), help="divide by another number")

Called, it gives a `Diagnostic`. One test (``tests/dsl/test_rules.py``) checks every example as the file ``example.net``
and compares all that this rule says of it; what other rules say is left out, so an example may be as short as it likes.
The example may be given options of the command line (```` ```net --set train.epochs=0````) and may be followed by
files that it imports (```` ```net blocks.net````).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec

from dsl.diagnostics import Code, Diagnostic, Label

Arguments = ParamSpec("Arguments")
_codes: dict[str, Code] = {}


@dataclass(frozen=True)
class Message:
    """What a rule says: the sentence, its places (the mistake's first), where things come from, and what to type."""

    text: str
    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()
    help: str | None = None


def error(rule: Callable[Arguments, Message]) -> Callable[Arguments, Diagnostic]:
    """A rule whose mistake stops the file from becoming a program."""
    return _registered(rule, "error")


def warning(rule: Callable[Arguments, Message]) -> Callable[Arguments, Diagnostic]:
    """A rule for what is allowed and probably not meant."""
    return _registered(rule, "warning")


def _registered(rule: Callable[Arguments, Message], severity: str) -> Callable[Arguments, Diagnostic]:
    name = rule.__name__.replace("_", "-")
    code = Code(name, severity, _dedented(rule.__doc__ or ""))
    assert name not in _codes, f"two rules are named {name}"
    _codes[name] = code

    @wraps(rule)
    def diagnose(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Diagnostic:
        said = rule(*args, **kwargs)
        return Diagnostic(code, said.text, said.labels, said.notes, said.help)

    return diagnose


def _dedented(doc: str) -> str:
    first, _, rest = doc.partition("\n")
    return "\n".join([first, *(line.removeprefix("    ") for line in rest.rstrip().split("\n"))]).strip()


def catalogue() -> Mapping[str, Code]:
    """Every code by name, in alphabetical order: all modules of the language are imported to find their rules."""
    package = importlib.import_module("dsl")
    for module in pkgutil.walk_packages(package.__path__, "dsl."):
        importlib.import_module(module.name)
    return MappingProxyType(dict(sorted(_codes.items())))

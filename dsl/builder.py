"""From the rules of the grammar to the tree: what each rule becomes, and what is checked on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dsl import tree
from dsl.codes_syntax import bad_number, bad_string, unknown_type
from dsl.diagnostics import Diagnostic
from dsl.lexer import Token
from dsl.source import Source, Span

TYPES = ("float", "class", "token", "flag")
MOST_DIGITS = 400
"""More than any number has that a computer calculates with; it bounds the memory of exact arithmetic."""

_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t"}


def _several(span: Span, *trees: Any) -> tuple[Any, ...]:
    return trees


_RULES: dict[str, Callable[..., Any]] = {
    "network": tree.Network,
    "import_": tree.Import,
    "let": tree.Let,
    "input": tree.Input,
    "target": tree.Target,
    "parameter": tree.Parameter,
    "block": tree.Block,
    "formals": _several,
    "formal": tree.BlockParameter,
    "bindings": _several,
    "binding": tree.Binding,
    "layer": tree.Layer,
    "loss": tree.Loss,
    "metric": tree.Metric,
    "output": tree.Output,
    "section": tree.Section,
    "section_kind": tree.Name,
    "sizes": lambda span, sizes: sizes if sizes is not None else (),
    "pipe": lambda span, head, *stages: tree.Pipe(span, head, stages),
    "range_": tree.Range,
    "binary": lambda span, left, sign, right: tree.Binary(span, sign, left, right),
    "negative": tree.Unary,
    "group": lambda span, expression: expression,
    "true": lambda span: tree.Boolean(span, True),
    "false": lambda span: tree.Boolean(span, False),
    "list": lambda span, items: tree.List(span, items if items is not None else ()),
    "call": tree.Call,
    "arguments": _several,
    "argument": tree.Argument,
    "expressions": _several,
    "word": lambda span, word: word if isinstance(word, tree.Name) else tree.Name(span, word),
}


class Builder:
    """Makes the tree of one file.

    Attributes:
        rules: what makes the tree of a rule, by the rule's name, from its place and its children.
        diagnostics: mistakes, those that the parser reports too.
        broken: the item that is being read has one.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rules: dict[str, Callable[..., Any]] = {**_RULES, "type": self._type}
        self.diagnostics: list[Diagnostic] = []
        self.broken = False

    def token(self, token: Token) -> tree.Name | tree.Number | tree.String | str:
        """What a token is in the tree; words and signs are themselves."""
        if token.kind not in ("NAME", "NUMBER", "STRING"):
            return token.kind
        span = Span(self.source, token.start, token.end)
        if token.kind == "NAME":
            return tree.Name(span, span.text)
        return self._number(span) if token.kind == "NUMBER" else self._string(span)

    def report(self, diagnostic: Diagnostic) -> None:
        """A mistake in the item that is being read."""
        self.diagnostics.append(diagnostic)
        self.broken = True

    def _number(self, span: Span) -> tree.Number:
        literal = span.text
        digits, _, exponent = literal.replace("_", "").lower().partition("e")
        if len(digits) > MOST_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > MOST_DIGITS:
            self.report(bad_number(span, f"has more than {MOST_DIGITS} digits", None))
            return tree.Number(span, 0, literal)
        value = int(digits) if digits.isdigit() and not exponent else Fraction(f"{digits}e{exponent or 0}")
        return tree.Number(span, value, literal)

    def _string(self, span: Span) -> tree.String:
        text = span.text
        for escape in re.finditer(r"\\(.)", text):
            if escape[1] not in _ESCAPES:
                at = Span(self.source, span.start + escape.start(), span.start + escape.end())
                help = "write `\\\\` for a backslash, or `/` between folders"
                self.report(bad_string(at, f"`{escape[0]}` stands for no character", help))
                break
        return tree.String(span, re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], ""), text[1:-1]))

    def _type(
        self, span: Span, kind: tree.Name, count: tree.Expression | None, sizes: tuple[tree.Expression, ...] | None
    ) -> tree.TypeTree:
        if kind.text not in TYPES:
            from difflib import get_close_matches

            close = get_close_matches(kind.text[:40], TYPES, n=1)
            self.report(unknown_type(kind.span, kind.text, close[0] if close else None))
        return tree.TypeTree(span, kind, count, sizes)

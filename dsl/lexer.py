"""From characters to words and signs. Nothing is a mistake here: what is neither becomes a token that fits nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from dsl.grammar import END, grammar
from dsl.source import Source

UNKNOWN = "unknown"
"""The kind of a token that no rule of the grammar accepts."""

FOREIGN = {
    "**": "^",
    "==": "=",
    ":=": "=",
    "=>": "->",
    "|>": "->",
    "→": "->",
    "...": "..",
    "…": "..",
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "True": "true",
    "False": "false",
    ";": "",
}
"""What other languages and text programs write, and what it is here (nothing for what is not needed)."""


class Token(NamedTuple):
    """A word or a sign: its kind (``NAME``, ``NUMBER``, ``STRING``, the word or sign itself, `UNKNOWN` or
    `dsl.grammar.END`), its characters, and whether it is the first one on its line."""

    kind: str
    start: int
    end: int
    first: bool


class Comment(NamedTuple):
    """A comment, from its ``#`` to the end of its line."""

    start: int
    end: int


class Foreign(NamedTuple):
    """A word or sign that is written another way here; the token that was meant follows it, if there is one."""

    start: int
    end: int
    meant: str


def lex(source: Source) -> Iterator[Token | Comment | Foreign]:
    """Every word, sign and comment of a text in order; the last token is of the kind `dsl.grammar.END`."""
    words = grammar().words
    first = True
    for match in _pattern().finditer(source.text):
        kind, (start, end) = match.lastgroup, match.span()
        assert kind is not None
        if kind == "blank":
            first = first or "\n" in match[0]
            continue
        if kind == "comment":
            yield Comment(start, end)
            continue
        text = match[0]
        if kind == "sign" or text in words:
            kind = text
        elif kind == "quoted" or text in FOREIGN:
            kind, meant = ("STRING", requoted(text)) if kind == "quoted" else (FOREIGN[text], FOREIGN[text])
            yield Foreign(start, end, meant)
            if not meant:
                continue
        elif kind == "rest" or (kind == "NAME" and not text.isidentifier()):  # for `re`, the letters of x² make a word
            kind = UNKNOWN
        yield Token(kind, start, end, first)
        first = False
    yield Token(END, len(source.text), len(source.text), first)


def requoted(text: str) -> str:
    r"""A string in single quotes, as it is written here.

    >>> print(requoted("'a \"b\" c'"))
    "a \"b\" c"
    """
    return '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


@cache
def _pattern() -> re.Pattern[str]:
    """The grammar's patterns, and behind them what a mistaken token probably ends with."""
    tokens = grammar().tokens
    signs = sorted(
        {sign for state in grammar().states for sign in state.shift if not sign[0].isalnum()}, key=len, reverse=True
    )
    foreign = sorted((spelling for spelling in FOREIGN if not spelling.isalpha()), key=len, reverse=True)
    return re.compile(
        "|".join(
            (
                r"(?P<blank>\s+)",
                r"(?P<comment>#[^\n]*)",
                rf"(?P<NAME>{tokens['NAME']})",
                rf"(?P<NUMBER>{tokens['NUMBER']})(?!\w|\.(?!\.))",
                rf"(?P<STRING>{tokens['STRING']})",
                r"(?P<quoted>'(?:[^'\\\x00-\x1f]++|\\[^\x00-\x1f])*+')",
                rf"(?P<foreign>{'|'.join(map(re.escape, foreign))})",
                rf"(?P<{UNKNOWN}>[0-9](?:[eE][+-]|[\w.])*+|\.[0-9]\w*|[\"'][^\n]*)",
                rf"(?P<sign>{'|'.join(map(re.escape, signs))})",
                r"(?P<rest>.)",
            )
        ),
        re.DOTALL,
    )

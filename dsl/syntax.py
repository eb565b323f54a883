"""What to say of a token that cannot stand where it stands: what is missing or too much there, in words.

Tried from top to bottom, each function knows one kind of mistake and answers None to the others; the last one
says what could have stood there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from dsl.codes_syntax import (
    bad_character,
    bad_number,
    bad_string,
    reserved_word,
    syntax,
    unclosed,
    unknown_item,
    unopened,
)
from dsl.diagnostics import Diagnostic
from dsl.grammar import END, grammar
from dsl.lexer import UNKNOWN, Token
from dsl.source import Source, Span

CLOSING = {"(": ")", "[": "]", "{": "}"}
_VALUE = frozenset({"NUMBER", "STRING", "NAME", "true", "false", "(", "[", "-"})
_TRUTH = frozenset({"true", "false"})
_ENDS = ("NAME", "NUMBER", "STRING", "true", "false", ")", "]")
"""What an expression can end with."""
_OPERATORS = frozenset({"+", "-", "*", "/", "//", "@", "^", "..", "->"})
_HABITS = {
    "def": "block",
    "func": "block",
    "function": "block",
    "fn": "block",
    "macro": "block",
    "model": "network",
    "class": "network",
    "const": "let",
    "var": "let",
    "val": "let",
    "include": "import",
    "from": "import",
    "use": "import",
    "label": "target",
    "weight": "parameter",
    "param": "parameter",
}
"""What other languages start such lines with."""
_INSTEAD = {
    "²": "write `^2`",
    "³": "write `^3`",
    "½": "write `0.5`",
    "“": 'put strings in straight quotes: `"label"`',
    "”": 'put strings in straight quotes: `"label"`',
    "„": 'put strings in straight quotes: `"label"`',
    "«": 'put strings in straight quotes: `"label"`',
    "’": 'put strings in straight quotes: `"label"`',
    ">": "an arrow is written `->`",
    ".": "names have no points; to apply a layer, write `x -> relu`",
}
"""What to type for characters that people take from elsewhere."""


_NOTHING = Token("", 0, 0, False)


@dataclass(frozen=True)
class Failure:
    """A token that cannot stand where it stands.

    Attributes:
        index: of the token.
        expected: the kinds that could stand there.
        bracket: the innermost one that is open.
    """

    source: Source
    tokens: Sequence[Token]
    index: int
    expected: frozenset[str]
    bracket: Span | None

    @property
    def found(self) -> Token:
        return self.tokens[self.index]

    @property
    def kind(self) -> str:
        return self.found.kind

    @property
    def at(self) -> Span:
        return self.span(self.found)

    @property
    def gap(self) -> Span:
        """The place right behind the token in front: where something is missing."""
        end = self.before().end
        return Span(self.source, end, end)

    @property
    def open(self) -> str:
        """The innermost open bracket, or an empty text."""
        return self.bracket.text if self.bracket is not None else ""

    def before(self, distance: int = 1) -> Token:
        """A token in front of this one; of no kind if there is none."""
        return self.tokens[self.index - distance] if self.index >= distance else _NOTHING

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def text(self, token: Token) -> str:
        """A token as a sentence shows it."""
        text = self.source.text[token.start : token.end]
        return text if len(text) <= 40 else f"{text[:39]}…"

    @property
    def shown(self) -> str:
        """The mistaken token as a sentence shows it."""
        return "the end of the file" if self.kind == END else f"`{self.text(self.found)}`"

    def continued(self, name: Token) -> str:
        """A name and how it goes on with this token."""
        brackets = f"{self.kind}…{CLOSING[self.kind]}" if self.kind in CLOSING else f" {self.kind} …"
        return self.text(name) + brackets

    def is_inside(self, token: Token) -> bool:
        """The line of a token starts further right than that of the open bracket."""
        assert self.bracket is not None
        line, outer = (self.source.line(self.source.position(at)[0]) for at in (token.start, self.bracket.start))
        return len(line) - len(line.lstrip()) > len(outer) - len(outer.lstrip())

    @property
    def is_new(self) -> bool:
        """Something new starts with this token, so what stands in front of it is incomplete."""
        if self.kind == "NAME":
            return self.found.first and self.tokens[self.index + 1].kind == "="
        return self.kind == END or (self.found.first and self.kind in grammar().words - _TRUTH)


def explain(failure: Failure) -> Diagnostic:
    """The mistake that a token shows."""
    return next(filter(None, (attempt(failure) for attempt in _ATTEMPTS)), None) or _unexpected(failure)


# Characters


def _unknown(failure: Failure) -> Diagnostic | None:
    """What is no word and no sign."""
    if failure.kind != UNKNOWN:
        return None
    at = failure.at
    text = at.text
    if text[0] in "\"'":
        return _string(at)
    if text[0].isdecimal() or (text[0] == "." and len(text) > 1):
        return bad_number(at, "is no number", _number_help(text))
    for index, character in enumerate(text):
        if character in _INSTEAD:
            return bad_character(_part(at, index), f"`{character}`", _INSTEAD[character])
    if text.isprintable():
        return bad_character(at, failure.shown, None)
    name = unicodedata.name(text[0], "").lower() or f"U+{ord(text[0]):04X}"
    return bad_character(at, f"the invisible character {name}", "remove it")


def _string(at: Span) -> Diagnostic:
    for index, character in enumerate(at.text):
        if character != "\t" and (ord(character) < 0x20 or character == "\x7f"):
            what = f"the character U+{ord(character):04X} cannot stand in a string"
            return bad_string(_part(at, index), what, "remove it")
    return bad_string(at, "this string has no end", 'put `"` where it ends')


def _part(at: Span, index: int) -> Span:
    return Span(at.source, at.start + index, at.start + index + 1)


def _number_help(text: str) -> str | None:
    """What was probably meant.

    >>> _number_help(".5"), _number_help("5."), _number_help("2x"), _number_help("0x10")
    ('write `0.5`', 'write `5.0`', 'write `2 * x`', None)
    """
    if len(text) > 40:
        return None
    if text.startswith(".") and text[1:].isdecimal():
        return f"write `0{text}`"
    if text.endswith(".") and text[:-1].isdecimal():
        return f"write `{text}0`"
    product = re.fullmatch(r"([1-9][0-9]*)([^\W\deE_]\w*)", text)
    return f"write `{product[1]} * {product[2]}`" if product is not None else None


# Brackets


def _unopened(failure: Failure) -> Diagnostic | None:
    """A closing bracket where none, or another one, is open."""
    if failure.kind not in CLOSING.values():
        return None
    if failure.bracket is None:
        return unopened(failure.at)
    closing = CLOSING[failure.open]
    return unclosed(failure.bracket, closing, failure.at) if closing != failure.kind else None


def _empty(failure: Failure) -> Diagnostic | None:
    """A closing bracket with nothing to close in front of it."""
    if failure.kind not in CLOSING.values():
        return None
    before = failure.before()
    if before.kind == ",":
        return syntax(failure.span(before), f"a comma stands before `{failure.kind}`", "remove it")
    if failure.kind == "}":
        return syntax(failure.at, "the block has no `return`", "end it with `return` and its result")
    if before.kind != "(":
        return None
    name, at = failure.before(2), Span(failure.source, before.start, failure.found.end)
    if failure.before(3).kind == "block":
        help = f"name what it works on: `block {failure.text(name)}(x) {{ … }}`"
        return syntax(at, "a block needs at least one parameter", help)
    without = f"write `{failure.text(name)}` without them" if name.kind == "NAME" else None
    return syntax(at, "nothing stands between the parentheses", without)


def _unclosed(failure: Failure) -> Diagnostic | None:
    """Something new starts while a bracket is open."""
    bracket = failure.bracket
    if bracket is None or not failure.is_new:
        return None
    if failure.kind == END or failure.open != "{" or not failure.is_inside(failure.found):
        return unclosed(bracket, CLOSING[bracket.text], None)
    if failure.before().kind in (*_ENDS, "{", "}"):
        return syntax(failure.at, f"{failure.shown} cannot stand inside of `{{ }}`", "move it out")
    return None


def _cut(failure: Failure) -> Diagnostic | None:
    """A line ends too early, and the name on the next one was taken for its end: the mistake shows at the ``=``."""
    name, before = failure.before(), failure.before(2)
    if name.first and name.kind in grammar().words and failure.expected == {"="} and failure.bracket is not None:
        return unclosed(failure.bracket, CLOSING[failure.open], None) if not failure.is_inside(name) else None
    if failure.kind != "=" or name.kind != "NAME" or not name.first or failure.expected == {"="}:
        return None
    if failure.bracket is not None and failure.open != "{":
        return unclosed(failure.bracket, CLOSING[failure.open], None)
    what = "a layer or block" if before.kind == "->" else "a value"
    gap = Span(failure.source, before.end, before.end)
    return syntax(gap, f"{what} is missing after `{failure.text(before)}`", None)


# Words and names


def _equals_after_word(failure: Failure) -> Diagnostic | None:
    word = failure.before()
    if failure.kind != "=" or word.kind not in grammar().words:
        return None
    if word.kind in ("loss", "metric"):
        example = "mse(…)" if word.kind == "loss" else "accuracy(…)"
        help = f"write `{word.kind} {example}`, or `{word.kind} name = {example}`"
        return syntax(failure.at, f"`{word.kind}` takes no `=`", help)
    if word.kind in ("let", "layer", "output"):
        return syntax(failure.gap, f"a name is missing after `{word.kind}`", f"write `{word.kind} name = …`")
    if word.kind in ("data", "train", "export"):
        help = f"write `{word.kind} {{ … }}`; no result can have that name"
        return syntax(failure.at, f"`{word.kind}` takes no `=`", help)
    return reserved_word(failure.span(word), word.kind)


def _word(failure: Failure) -> Diagnostic | None:
    """A word of the language where a name or a value is needed."""
    if failure.kind == "return" and failure.bracket is None and failure.found.first:
        return syntax(failure.at, "`return` stands outside of a block", None)
    if failure.kind in grammar().words and "NAME" in failure.expected and not failure.is_new:
        return reserved_word(failure.at, failure.kind)
    return None


def _missing(failure: Failure) -> Diagnostic | None:
    """An expression ends too early."""
    before = failure.text(failure.before())
    if not failure.expected >= _VALUE:
        return None
    if failure.is_new:
        return syntax(failure.gap, f"a value is missing after `{before}`", None)
    return syntax(failure.at, f"a value is missing between `{before}` and {failure.shown}", None)


def _name(failure: Failure) -> Diagnostic | None:
    """A name, a path or a stage is needed."""
    before, found = failure.before(), failure.found
    if failure.expected not in ({"NAME"}, {"STRING"}) or before.kind == ":":
        return None
    what = {"->": "a layer or block", "import": "the path of a file"}.get(before.kind, "a name")
    if failure.is_new:
        return syntax(failure.gap, f"{what} is missing after `{failure.text(before)}`", None)
    help, text = None, failure.text(found)
    if found.kind == "STRING" and text[1:-1].isidentifier():
        help = f"write it without quotes: `{text[1:-1]}`"
    elif before.kind == "import" and found.kind == "NAME":
        help = f'put it in quotes: `import "{text}.net"`'
    elif before.kind == "->" and found.kind == "(":
        help = "stages are joined by arrows and need no parentheses"
    return syntax(failure.at, f"{what} is needed after `{failure.text(before)}`, and this is {failure.shown}", help)


def _type(failure: Failure) -> Diagnostic | None:
    """The type of an input, a target or a parameter."""
    before = failure.before()
    if failure.expected == {":"}:
        name = failure.text(before)
        help = f"write `{failure.before(2).kind} {name}: float[3]`"
        return syntax(failure.gap, f"`:` and a type are missing after `{name}`", help)
    if before.kind != ":" or failure.expected != {"NAME"}:
        return None
    help = "write `float[3]`, `class(10)` or the like"
    if failure.is_new:
        return syntax(failure.gap, "the type is missing after `:`", help)
    if failure.kind == "[":
        sizes = re.compile(r"\[[^\]\n]{0,40}\]").match(failure.source.text, failure.found.start)
        help = f"write `float{sizes[0] if sizes is not None else '[…]'}`"
    return syntax(failure.at, f"a type is needed after `:`, and this is {failure.shown}", help)


def _colon(failure: Failure) -> Diagnostic | None:
    """``name: value`` in a call or a section."""
    name = failure.before()
    may_be_set = "," in failure.expected or name.first or failure.expected == {"="}
    if failure.kind != ":" or name.kind != "NAME" or failure.open not in ("(", "{") or not may_be_set:
        return None
    text = failure.text(name)
    return syntax(failure.at, f"`{text}` is set by `=`, not by `:`", f"write `{text} = …`")


def _equals(failure: Failure) -> Diagnostic | None:
    """`let`, `layer` or a setting, and a name without its ``=``."""
    name, word = failure.before(), failure.before(2)
    if failure.expected != {"="}:
        return None
    if name.kind in grammar().words or (word.kind in ("let", "layer") and not name.first):
        help = None
        if word.kind == "let" and failure.kind == ":":
            help = f"constants have no types: write `let {failure.text(name)} = …`"
        return syntax(failure.gap, f"`=` is missing after `{failure.text(name)}`", help)
    return None


def _binding(failure: Failure) -> Diagnostic | None:
    """A name that could start a binding, and no ``=``: another word was meant, or the result has no name."""
    name = failure.before()
    if failure.expected != {"="}:
        return None
    if not name.first and failure.before(2).kind in _ENDS:
        return _joined(failure, failure.before(2), name)
    if failure.kind in _OPERATORS or failure.kind in ("(", "["):
        help = f"write `name = {failure.continued(name)}`"
        return syntax(failure.span(name), "this result has no name", help)
    text = failure.text(name)
    if failure.is_new:
        return syntax(failure.span(name), f"`{text}` stands alone", f"give it a value: `{text} = …`")
    if failure.kind == ":":
        help = f"write `input {text}: …`, `target {text}: …` or `parameter {text}: …`"
        return syntax(failure.span(name), f"`{text}` has a type, and nothing says what it is", help)
    return unknown_item(failure.span(name), f"`{text}`", _meant(text.lower()))


def _joined(failure: Failure, before: Token, token: Token) -> Diagnostic:
    missing = "an operator" if failure.bracket is not None else "an operator, an arrow or a new line"
    sentence = f"`{failure.text(token)}` cannot follow `{failure.text(before)}`: {missing} is missing"
    return syntax(failure.span(token), sentence, None)


def _meant(text: str) -> str | None:
    """The word of the language that was probably meant."""
    from difflib import get_close_matches

    words = sorted(grammar().words - {*_TRUTH, "return"})
    return _HABITS.get(text) or next(iter(get_close_matches(text, words, n=1)), None)


# What surrounds expressions


def _brace(failure: Failure) -> Diagnostic | None:
    before = failure.before()
    if failure.expected != {"{"}:
        return None
    help = f"write `{before.kind} {{ … }}`" if before.kind in grammar().words else None
    return syntax(failure.gap, f"`{{` is missing after `{failure.text(before)}`", help)


def _comma(failure: Failure) -> Diagnostic | None:
    """A comma too many or too few in a list, a call, a section."""
    if failure.kind == "," and failure.open == "{":
        return syntax(failure.at, "no commas stand between the lines of `{ }`", "remove it")
    if failure.kind == "," and failure.open == "(" and ")" in failure.expected:
        return syntax(failure.at, "parentheses hold one value here", "a list is written `[1, 2]`")
    if "," in failure.expected and (failure.kind in _VALUE or failure.kind in grammar().words):
        return syntax(failure.gap, f"a comma is missing before {failure.shown}", None)
    return None


def _output(failure: Failure) -> Diagnostic | None:
    """An output without a name, or several in a line."""
    name = failure.before()
    if failure.before(2).kind != "output" or name.kind != "NAME":
        return None
    if failure.kind == ",":
        return syntax(failure.at, "an `output` line declares one output", "write a line for each")
    if failure.kind not in (*_OPERATORS, "(", "["):
        return None
    return syntax(failure.span(name), "the output has no name", f"write `output name = {failure.continued(name)}`")


def _after(failure: Failure) -> Diagnostic | None:
    """Behind what could be the end of an item."""
    before = failure.before()
    if failure.kind == "//" and failure.found.first:
        return syntax(failure.at, "`//` divides, and starts no comment", "comments start with `#`")
    if failure.before(2).kind == "network" and not failure.found.first:
        return syntax(failure.at, f"{failure.shown} cannot stand in a name", "names have letters, digits and `_`")
    if failure.kind in _OPERATORS - {".."} and "->" in failure.expected:
        help = "put the stages into parentheses: `(x -> relu) + y`"
        return syntax(failure.at, f"`{failure.kind}` cannot follow a stage", help)
    if failure.kind in _VALUE and not failure.found.first and before.kind in _ENDS:
        return _joined(failure, before, failure.found)
    return None


_ATTEMPTS = (
    _unknown,
    _unopened,
    _empty,
    _unclosed,
    _cut,
    _equals_after_word,
    _word,
    _missing,
    _name,
    _type,
    _colon,
    _equals,
    _binding,
    _brace,
    _comma,
    _output,
    _after,
)


def _unexpected(failure: Failure) -> Diagnostic:
    """What could have stood there."""
    expected = failure.expected
    if failure.found.first and END in expected:
        return unknown_item(failure.at, failure.shown, None)
    closers = expected & {",", *CLOSING.values()}
    if failure.kind == "=":
        reason = "it follows the name of a result or of a setting"
    elif failure.kind == "..":
        reason = "a range has two ends"
    elif END in expected and not closers:
        reason = "expected an operator, an arrow or a new line"
    else:
        signs = sorted(f"`{kind}`" for kind in closers or expected if not kind[0].isalpha())
        reason = f"expected {' or '.join([*signs, *(['a name'] if 'NAME' in expected else [])])}"
    return syntax(failure.at, f"{failure.shown} cannot stand here: {reason}", None)

"""From a text to its tree, and every place where the text is no `.net` file.

An LALR(1) automaton walks the table of `dsl.grammar`. At a mistake it forgets what it has of the item, looks for the
next line where something starts, and goes on there, so that one run reports all mistakes of a file. Nothing is
recursive: a hostile file costs time and memory in proportion to its length, which is bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dsl import tree
from dsl.builder import Builder
from dsl.codes_syntax import empty_file, fann_file, foreign_spelling, text_too_large
from dsl.diagnostics import Diagnostic
from dsl.grammar import END, Rule, grammar
from dsl.lexer import Foreign, Token, lex
from dsl.signature import Limits
from dsl.source import Source, Span
from dsl.syntax import CLOSING, Failure, explain

_NESTING = ("pipe", "range_", "binary", "negative", "list", "call")
_VALUES = ("NAME", "NUMBER", "STRING")
_MOST_TOKENS = 500_000
_MOST_MISTAKES = 1000
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True)
class Parsed:
    """What was read.

    ``file`` is None when there is nothing to read: no file, no text, no item. With mistakes it has every item that
    could be read, and a `tree.Broken` in the place of the others.
    """

    file: tree.File | None
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source, limits: Limits | None = None) -> Parsed:
    """The tree of a text, and its mistakes in the order of the text. Nothing is raised, whatever the text holds."""
    limits = limits if limits is not None else Limits()
    diagnostics: list[Diagnostic] = []
    tokens: list[Token] = []
    refused = _refused(source, limits)
    for count, piece in enumerate(lex(source) if refused is None else ()):
        if isinstance(piece, Token):
            tokens.append(piece)
        elif isinstance(piece, Foreign) and len(diagnostics) < _MOST_MISTAKES:
            diagnostics.append(foreign_spelling(Span(source, piece.start, piece.end), piece.meant))
        if count > _MOST_TOKENS:
            refused = text_too_large(Span(source, piece.start, piece.end), "words and signs", _MOST_TOKENS)
            break
    if refused is None and len(tokens) == 1:
        refused = empty_file(Span(source, 0, 0))
    if refused is not None:
        return Parsed(None, (refused,))
    parser = _Parser(source, tokens, limits)
    parser.run()
    places = {diagnostic.span.start for diagnostic in parser.builder.diagnostics}
    diagnostics = [diagnostic for diagnostic in diagnostics if diagnostic.span.start not in places]
    diagnostics += parser.builder.diagnostics
    diagnostics.sort(key=lambda diagnostic: diagnostic.span.start)
    return Parsed(tree.File(source, tuple(parser.items)), tuple(diagnostics))


def _refused(source: Source, limits: Limits) -> Diagnostic | None:
    """Why a text is not read at all."""
    if source.fault is not None:
        return source.fault
    if source.text.startswith(("FANN_FLO_", "FANN_FIX_")):
        return fann_file(Span(source, 0, len("FANN_FLO_")))
    if len(source.text) > limits.characters:
        return text_too_large(Span(source, 0, 1), "characters", limits.characters)
    return None


@dataclass(slots=True)
class _Entry:
    """What the automaton has read: a token, or the tree of a rule, and the state that it led to."""

    state: int
    symbol: str
    value: Any
    start: int
    end: int
    depth: int


class _Parser:
    """The automaton; what it makes are ``items``, and the mistakes of its builder."""

    def __init__(self, source: Source, tokens: list[Token], limits: Limits) -> None:
        self.source = source
        self.tokens = tokens
        self.limits = limits
        self.items: list[tree.Item] = []
        self.builder = Builder(source)
        self.builder.rules["item"] = self._item
        self.states = grammar().states
        self.reserved: set[str] = set()
        self.stack = [_Entry(0, "", None, 0, 0, 0)]

    def run(self) -> None:
        """Read all tokens; after a mistake, go on where the next thing starts."""
        index = self._read(0)
        while index is not None:
            mistake = explain(self._failure(index))
            if self.tokens[index].first and self._accepts(END):
                self._complete()
            self._report(mistake)
            if len(self.builder.diagnostics) >= _MOST_MISTAKES:
                self._forget(self._start_above(0, index), len(self.tokens) - 1)
                return
            index = self._read(self._resume(index))

    def _read(self, index: int) -> int | None:
        """Shift and reduce from a token on. The first token that cannot stand where it stands, or None at the end."""
        states, stack, tokens = self.states, self.stack, self.tokens
        while True:
            token = tokens[index]
            kind = token.kind
            state = states[stack[-1].state]
            following = state.shift.get(kind)
            if following is not None:
                value = self.builder.token(token) if kind in _VALUES else kind
                stack.append(_Entry(following, kind, value, token.start, token.end, 0))
                index += 1
                continue
            rule = state.reduce.get(kind)
            if rule is None:
                return index
            if rule.symbol == "file":
                return None
            self._reduce(rule)
            if stack[-1].depth > self.limits.nesting:
                index = self._resume(index)

    def _reduce(self, rule: Rule) -> None:
        """Replace the symbols of a complete rule by what they make together."""
        stack = self.stack
        if rule.is_unit:  # most are: an atom is a power, a power is a product, ...
            entry = stack[-1]
            entry.state = self.states[stack[-2].state].goto[rule.symbol]
            entry.symbol = rule.symbol
            return
        entries = stack[len(stack) - rule.size :]
        del stack[len(stack) - rule.size :]
        below = stack[-1]
        start, end, depth = below.end, below.end, 0
        if entries:
            start, end, depth = entries[0].start, entries[-1].end, max([entry.depth for entry in entries])
        children = _children(rule, entries)
        value: Any = children
        if rule.name is not None:
            span = Span(self.source, start, end)
            value = self.builder.rules[rule.name](span, *children)
            if rule.name in _NESTING:
                depth += 1
                if depth > self.limits.nesting and not self.builder.broken:
                    self._too_deep(span)
        stack.append(_Entry(self.states[below.state].goto[rule.symbol], rule.symbol, value, start, end, depth))

    def _item(self, span: Span, item: tree.Item) -> None:
        """An item is complete."""
        if self.builder.broken:
            self._break(span.start, span.end)
        else:
            self.items.append(item)

    def _break(self, start: int, end: int) -> None:
        """What stands between two places is an item that could not be read."""
        tokens = self.tokens[bisect_left(self.tokens, start, key=_start) : bisect_left(self.tokens, end, key=_start)]
        if tokens:
            kind = tokens[0].kind if tokens[0].kind in grammar().words else ""
            self.items.append(tree.Broken(Span(self.source, start, end), kind, self._names(tokens)))
        self.builder.broken = False

    def _names(self, tokens: Sequence[Token]) -> tuple[str, ...]:
        """The names that stand behind a word that declares one, or before `=` or `:`."""
        words, text = grammar().words - {"loss", "metric"}, self.source.text
        neighbours = zip((None, *tokens), tokens, (*tokens[1:], None), strict=False)
        return tuple(
            text[token.start : token.end]
            for before, token, after in neighbours
            if token.kind == "NAME"
            and ((before is not None and before.kind in words) or (after is not None and after.kind in ("=", ":")))
        )

    def _too_deep(self, span: Span) -> None:
        from dsl.checker.rules.limits import too_deep

        self.builder.report(too_deep(Span(self.source, span.start, span.start + 1), self.limits.nesting))

    # Mistakes

    def _report(self, mistake: Diagnostic) -> None:
        if mistake.code.name == "reserved-word":  # its other uses have the same cause
            if mistake.message in self.reserved:
                self.builder.broken = True
                return
            self.reserved.add(mistake.message)
        self.builder.report(mistake)

    def _failure(self, index: int) -> Failure:
        """What is known about a token that cannot stand where it stands."""
        opened = self._open_bracket()
        bracket = Span(self.source, opened.start, opened.end) if opened is not None else None
        state = self.states[self.stack[-1].state]
        expected = frozenset(kind for kind in (*state.shift, *state.reduce) if self._accepts(kind))
        return Failure(self.source, self.tokens, index, expected, bracket)

    def _open_bracket(self) -> _Entry | None:
        closed = 0
        for entry in reversed(self.stack):
            closed += entry.symbol in CLOSING.values()
            if entry.symbol in CLOSING:
                if closed == 0:
                    return entry
                closed -= 1
        return None

    def _complete(self) -> None:
        """What has been read is an item, and the mistake is in the line behind it."""
        while (rule := self.states[self.stack[-1].state].reduce[END]).symbol != "file":
            self._reduce(rule)
        del self.stack[1:]

    def _accepts(self, kind: str) -> bool:
        """Whether a token of a kind could stand here: a state may list some that fail after a few reductions."""
        numbers = [entry.state for entry in self.stack]
        while True:
            state = self.states[numbers[-1]]
            if kind in state.shift:
                return True
            rule = state.reduce.get(kind)
            if rule is None or rule.symbol == "file":
                return rule is not None
            del numbers[len(numbers) - rule.size :]
            numbers.append(self.states[numbers[-1]].goto[rule.symbol])

    def _resume(self, index: int) -> int:
        """Forget the item that has the mistake, or its part if it is a section or block: where to go on.

        That is the next line that starts as an item or a binding does, and no further right than what is forgotten.
        """
        is_open = self.stack[-1].symbol != "}"
        brace = next((at for at, entry in enumerate(self.stack) if entry.symbol == "{" and is_open), None)
        start = self._start_above(0, index)
        part = self._start_above(brace, index) if brace is not None else start
        item_indent, part_indent = self._indent(start), self._indent(part)
        if part < self.tokens[index - 1].start and self._starts(index - 1):
            index -= 1  # the mistakes of `x -> ⏎ y = …` and `f( ⏎ let n = …` show only behind the `y` and the `let`
        while (kind := self.tokens[index].kind) != END:
            if brace is not None and kind == "}":
                del self.stack[brace + 1 :]
                return index if self._accepts(kind) else self._forget(start, index + 1)
            if self._starts(index):
                indent = self._indent(self.tokens[index].start)
                is_outside = brace is None or kind not in ("NAME", "return") or item_indent < part_indent
                if indent <= item_indent and kind != "return" and is_outside:
                    return self._forget(start, index)
                if brace is not None and indent <= part_indent:
                    del self.stack[brace + 1 :]
                    if self._accepts(kind):
                        return index
            index += 1
        return self._forget(start, index)

    def _starts(self, index: int) -> bool:
        """Whether a token starts a line, and an item or a binding, or what is probably meant to be one."""
        token = self.tokens[index]
        if token.first and token.kind == "NAME":
            following = "".join(token.kind for token in self.tokens[index + 1 : index + 3])
            return following.startswith(("=", "{", "NAME:"))
        return token.first and token.kind in grammar().words and token.kind not in ("true", "false")

    def _forget(self, start: int, index: int) -> int:
        """Everything from a place to a token is one item that could not be read."""
        del self.stack[1:]
        self._break(start, self.tokens[index - 1].end)
        return index

    def _start_above(self, at: int, index: int) -> int:
        """Where that starts which stands in the stack above an entry and the complete parts that follow it."""
        rest = self.stack[at + 1 :]
        if rest and rest[0].symbol[0] == "_":
            del rest[0]
        return rest[0].start if rest else self.tokens[index].start

    def _indent(self, at: int) -> int:
        """How many blanks the line starts with that holds a place."""
        line = self.source.text.rfind("\n", 0, at) + 1
        blank = _BLANK.match(self.source.text, line, at)
        assert blank is not None
        return blank.end() - line


def _children(rule: Rule, entries: Sequence[_Entry]) -> list[Any]:
    """What a rule's method gets, or the longer list: parts of lists are spliced in."""
    values: list[Any] = []
    for child in rule.children:
        if child is None:
            values.append(None)
        elif entries[child].symbol[0] != "_":
            values.append(entries[child].value)
        elif values:
            values += entries[child].value
        else:
            values = entries[child].value  # a list grows in place
    return values


def _start(token: Token) -> int:
    return token.start

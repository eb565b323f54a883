"""The one layout of a `.net` file: a function of its tree, its comments and its blank lines, and of nothing else.

- An item or a binding is a line; sections and blocks are indented by two columns, and one blank line stays where one or
  more were.
- In consecutive lines (with no blank line and no comment between them) are aligned: the names of inputs and targets,
  and their types; the ``=`` of bindings, of constants, of layers; what follows ``loss``, ``metric`` and ``output``.
- A line has 88 columns. A longer pipeline has one stage on a line, the arrows under the first; a longer sum or product
  has one operand on a line; longer lists and arguments are filled.
- Parentheses stand where the precedence needs them.
- A comment keeps its place between the same words. Behind a line it starts in column 41, or two blanks behind a longer
  line; a line that holds a comment inside an expression is broken there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from dsl import tree
from dsl.diagnostics import render
from dsl.layout import Line, Lines, beside, comments, ended, indented
from dsl.lexer import Comment, lex
from dsl.parser import parse
from dsl.source import Source

WIDTH = 88

_PIPE, _RANGE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(7)
_LEVELS: dict[str | type, int] = {
    tree.Pipe: _PIPE,
    tree.Range: _RANGE,
    **dict.fromkeys("+-", _SUM),
    **dict.fromkeys(("*", "/", "//", "@"), _PRODUCT),
    tree.Unary: _UNARY,
    "^": _POWER,
}
_FIRST: dict[type, str] = {tree.Pipe: "head", tree.Range: "first", tree.Binary: "left"}
_LAST: dict[type, str] = {
    tree.Range: "last",
    tree.Binary: "right",
    tree.Unary: "operand",
    tree.Parameter: "initializer",
    tree.BlockParameter: "default",
    **dict.fromkeys((tree.Let, tree.Binding, tree.Layer, tree.Loss, tree.Metric, tree.Output, tree.Argument), "value"),
}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")

_Element = tree.Expression | tree.Argument | tree.BlockParameter
_Entry = tree.Item | tree.Expression


def format_source(source: Source) -> str:
    """The text in the usual layout. Formatting that again changes nothing.

    Raises:
        ValueError: with every mistake, for a text that `dsl.parser.parse` finds one in.
    """
    parsed = parse(source)
    if parsed.file is None or parsed.diagnostics:
        raise ValueError(render(parsed.diagnostics))
    formatted = _Formatter(source).file(parsed.file)
    assert parse(Source(source.name, formatted)).file == parsed.file, "formatting changed the meaning"
    return formatted


def level(node: tree.Expression) -> int:
    """How tightly an expression holds together; an operand that holds less tightly needs parentheses."""
    return _LEVELS.get(node.operator if isinstance(node, tree.Binary) else type(node), _ATOM)


def start(node: _Entry | _Element) -> int:
    """Where the first word or sign stands that is printed: behind parentheses around a first operand."""
    while (first := getattr(node, _FIRST.get(type(node), ""), None)) is not None:
        node = first
    return start(node.value) if isinstance(node, tree.Argument) and node.name is None else node.span.start


def end(node: _Entry | _Element) -> int:
    """Where the last word or sign ends: before parentheses that close behind a last operand."""
    while (last := getattr(node, _LAST.get(type(node), ""), None)) is not None:
        node = last
    return node.span.end


class _Formatter:
    """Lays out one file. ``column`` is where a piece starts, ``tail`` how many columns what follows it needs."""

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self._comments = [piece for piece in lex(source) if isinstance(piece, Comment)]
        self._starts = [comment.start for comment in self._comments]

    def file(self, file: tree.File) -> str:
        return "".join(f"{line}\n" for line in self._body(file.items, 0, len(self.text), 0))

    # Items

    def _body(self, nodes: Sequence[_Entry], first: int, last: int, column: int, head: Line | None = None) -> Lines:
        """Items or bindings with the comments and blank lines between two places. An expression is a ``return``.

        ``head`` is the line that the bracket opens on.
        """
        lines: Lines = []
        previous, place = first, first
        heads = self._heads(nodes)
        for node, text in [*zip(nodes, heads, strict=True), (None, "")]:
            begin = start(node) if node is not None else last
            behind, own = (
                self._split(previous, begin) if previous or head is not None else (None, self._between(0, begin))
            )
            if behind is not None:
                line = lines[-1] if lines else head
                assert line is not None
                line.comment = self._shown(behind)
                place = behind.end
            for comment in own:
                lines += self._blank(lines, place, comment.start)
                lines.append(Line("", self._shown(comment)))
                place = comment.end
            if node is not None:
                lines += self._blank(lines, place, begin)
                lines += self._entry(node, text, column)
                previous, place = end(node), node.span.end
        return lines

    def _blank(self, lines: Lines, first: int, last: int) -> Lines:
        """One blank line, if there are some and something stands above."""
        return [Line()] if lines and _BLANK_LINE.search(self.text, first, last) else []

    def _heads(self, nodes: Sequence[_Entry]) -> list[str]:
        """What each line starts with, aligned in consecutive lines of the same kind."""
        heads: list[str] = []
        run: list[tuple[str, ...]] = []
        previous = None
        for node in [*nodes, None]:
            if node is None or previous is None or not self._together(previous, node):
                heads += _aligned(run)
                run = []
            if node is not None:
                run.append(_cells(node))
            previous = node
        return heads

    def _together(self, above: _Entry, below: _Entry) -> bool:
        """Whether two neighbours are aligned: of the same kind, with no blank line and no comment line between them."""
        if len(_cells(above)) != len(_cells(below)) or _family(above) != _family(below):
            return False
        behind, own = self._split(end(above), start(below))
        place = behind.end if behind is not None else above.span.end
        return not own and not _BLANK_LINE.search(self.text, place, start(below))

    def _entry(self, node: _Entry, head: str, column: int) -> Lines:
        assert not isinstance(node, tree.Broken), "a file with mistakes is not formatted"
        match node:
            case tree.Section():
                return self._braces(node, node.bindings, [Line(f"{node.kind.text} {{")], node.kind.span.end, column)
            case tree.Block():
                return self._block(node, column)
            case tree.Network():
                begin, rest = node.name.span.start, [Line(node.name.text)]
            case tree.Import():
                begin, rest = node.path.span.start, [Line(_literal(node.path))]
            case tree.Input() | tree.Target():
                begin, rest = node.type.span.start, self._type(node.type, column + len(head))
            case tree.Parameter():
                begin, rest = node.type.span.start, self._parameter(node, column + len(head))
            case tree.Loss() | tree.Metric() | tree.Output() if node.name is not None:
                begin, rest = self._named(node, column + len(head))
            case tree.Let() | tree.Binding() | tree.Layer() | tree.Loss() | tree.Metric():
                begin, rest = start(node.value), self._expression(node.value, column + len(head))
            case _:
                begin, rest = start(node), self._expression(node, column + len(head))
        return beside([Line(head)], [*self._own(start(node), begin), *rest])

    def _named(self, node: tree.Loss | tree.Metric | tree.Output, column: int) -> tuple[int, Lines]:
        """``E = mse(y, t)``; ``y``: where it starts, and the lines."""
        assert node.name is not None
        name = node.name.text
        if node.value is None:
            return node.name.span.start, [Line(name)]
        return start(node.value), beside([Line(f"{name} = ")], self._expression(node.value, column + len(name) + 3))

    def _parameter(self, node: tree.Parameter, column: int) -> Lines:
        lines = self._type(node.type, column)
        if node.initializer is None:
            return lines
        own = self._own(node.type.span.end, start(node.initializer))
        lines = ended(lines, " = ")
        return beside(lines, [*own, *self._expression(node.initializer, column + len(lines[-1].text))])

    def _block(self, node: tree.Block, column: int) -> Lines:
        head = f"block {node.name.text}("
        last = end(node.parameters[-1])
        formals = self._elements(node.parameters, node.span.start, last, column + len(head), 3)
        lines = ended(beside([Line(head)], formals), ") {")
        return self._braces(node, [*node.bindings, node.result], lines, last, column)

    def _braces(
        self, node: tree.Section | tree.Block, nodes: Sequence[_Entry], head: Lines, first: int, column: int
    ) -> Lines:
        body = self._body(nodes, first, node.span.end - 1, column + 2, head[-1])
        if not body and not head[-1].comment:
            return ended(head, "}")
        return [*head, *indented(body), Line("}")]

    def _type(self, node: tree.TypeTree, column: int) -> Lines:
        lines = [Line(node.kind.text)]
        place = node.kind.span.end
        if node.count is not None:
            last = node.span.end if node.sizes is None else end(node.count)
            inside = self._elements([node.count], place, last, column + len(lines[-1].text) + 1, 1)
            lines = ended(beside(ended(lines, "("), inside), ")")
            place = last
        if node.sizes is not None:
            inside = self._elements(node.sizes, place, node.span.end, column + len(lines[-1].text) + 1, 1)
            lines = ended(beside(ended(lines, "["), inside), "]")
        return lines

    # Expressions

    def _expression(self, node: tree.Expression, column: int, tail: int = 0, least: int = _PIPE) -> Lines:
        """An expression, in parentheses if it holds together less than ``least``."""
        if level(node) < least:
            return ended(beside([Line("(")], self._expression(node, column + 1, tail + 1)), ")")
        if not self._between(start(node), end(node)):
            flat = _flat(node)
            if column + len(flat) + tail <= WIDTH:
                return [Line(flat)]
        return self._broken(node, column, tail)

    def _broken(self, node: tree.Expression, column: int, tail: int) -> Lines:
        """An expression that is too long for a line, or has comments inside."""
        match node:
            case tree.Pipe():
                lines = self._pipe(node, column, tail)
            case tree.Binary(operator="^"):
                lines = self._joined(node.left, "^", node.right, column=column, tail=tail, levels=(_ATOM, _UNARY))
            case tree.Range():
                lines = self._joined(node.first, _dots(node), node.last, column=column, tail=tail, levels=(_SUM, _SUM))
            case tree.Binary():
                lines = self._chain(node, column, tail)
            case tree.Unary():
                own = self._own(node.span.start, start(node.operand))
                lines = beside([Line("-")], [*own, *self._expression(node.operand, column + 1, tail, _UNARY)])
            case tree.Call():
                head, place = f"{node.function.text}(", node.function.span.end
                inside = self._elements(node.arguments, place, node.span.end, column + len(head), tail + 1)
                lines = ended(beside([Line(head)], inside), ")")
            case tree.List():
                inside = self._elements(node.items, node.span.start, node.span.end, column + 1, tail + 1)
                lines = ended(beside([Line("[")], inside), "]")
            case _:
                lines = [Line(_literal(node))]
        return lines

    def _joined(
        self,
        left: tree.Expression,
        sign: str,
        right: tree.Expression,
        *,
        column: int,
        tail: int,
        levels: tuple[int, int],
    ) -> Lines:
        """Two operands round a sign at which no line is broken, unless a comment stands there."""
        lines = ended(self._expression(left, column, len(sign), levels[0]), sign)
        own = self._own(end(left), start(right))
        return beside(lines, [*own, *self._expression(right, column + len(lines[-1].text), tail, levels[1])])

    def _pipe(self, node: tree.Pipe, column: int, tail: int) -> Lines:
        head = ended(self._expression(node.head, column, 0, _RANGE), " ")
        column += len(head[-1].text)
        lines: Lines = []
        previous = end(node.head)
        for index, stage in enumerate(node.stages):
            lines += self._before(lines, previous, start(stage))
            is_last = index + 1 == len(node.stages)
            lines += beside([Line("-> ")], self._expression(stage, column + 3, tail if is_last else 0))
            previous = end(stage)
        return beside(head, lines)

    def _chain(self, node: tree.Binary, column: int, tail: int) -> Lines:
        """A sum or a product, one operand on a line."""
        operands: list[tree.Binary] = []
        first: tree.Expression = node
        while isinstance(first, tree.Binary) and level(first) == level(node):
            operands.append(first)
            first = first.left
        lines = self._expression(first, column, 0, level(node))
        previous = end(first)
        for index, part in enumerate(reversed(operands), 1):
            lines += self._before(lines, previous, start(part.right))
            sign = f"{part.operator} "
            after = tail if index == len(operands) else 0
            lines += beside([Line(sign)], self._expression(part.right, column + len(sign), after, level(node) + 1))
            previous = end(part.right)
        return lines

    def _elements(self, nodes: Sequence[_Element], first: int, last: int, column: int, tail: int) -> Lines:
        """What stands between two brackets: as many in a line as fit."""
        lines: Lines = []
        previous = first
        for index, node in enumerate(nodes):
            above = self._before(lines, previous, start(node))
            is_last = index + 1 == len(nodes)
            piece = self._element(node, column, tail if is_last else 1)
            if not is_last:
                piece = ended(piece, ",")
            after = tail if is_last else 0
            if above or not lines or not _fits_behind(lines, piece, column + after):
                lines += [*above, *piece]
            else:
                lines[-1].text += f" {piece[0].text}"
            previous = end(node)
        behind, own = self._split(previous, last) if nodes else (None, self._between(first, last))
        if behind is not None:
            lines[-1].comment = self._shown(behind)
        lines += comments(map(self._shown, own))
        return lines if lines and not lines[-1].comment else [*lines, Line()]

    def _element(self, node: _Element, column: int, tail: int) -> Lines:
        match node:
            case tree.Argument():
                return self._setting(node.name, node.value, column, tail)
            case tree.BlockParameter():
                return self._setting(node.name, node.default, column, tail)
            case _:
                return self._expression(node, column, tail)

    def _setting(self, name: tree.Name | None, value: tree.Expression | None, column: int, tail: int) -> Lines:
        """``name = value``, or one of them alone."""
        if value is None:
            return [Line(name.text if name is not None else "")]
        if name is None:
            return self._expression(value, column, tail)
        head = f"{name.text} = "
        own = self._own(name.span.end, start(value))
        return beside([Line(head)], [*own, *self._expression(value, column + len(head), tail)])

    # Comments

    def _between(self, first: int, last: int) -> Sequence[Comment]:
        return self._comments[bisect_left(self._starts, first) : bisect_left(self._starts, last)]

    def _shown(self, comment: Comment) -> str:
        return self.text[comment.start : comment.end].rstrip()

    def _own(self, first: int, last: int) -> Lines:
        """The comments between two places, each on its own line."""
        return comments(map(self._shown, self._between(first, last)))

    def _split(self, first: int, last: int) -> tuple[Comment | None, Sequence[Comment]]:
        """The comment on the line where something ends, and those between it and the next thing."""
        found = self._between(first, last)
        if found and "\n" not in self.text[first : found[0].start]:
            return found[0], found[1:]
        return None, found

    def _before(self, lines: Lines, first: int, last: int) -> Lines:
        """The comments between two parts: one may stand behind the line of the first part, the others are returned."""
        if not lines:
            return self._own(first, last)
        behind, own = self._split(first, last)
        if behind is not None:
            lines[-1].comment = self._shown(behind)
        return comments(map(self._shown, own))


def _fits_behind(lines: Lines, piece: Lines, column: int) -> bool:
    """Whether a piece of one line can stand in the last line."""
    last = lines[-1]
    return len(piece) == 1 and not last.comment and column + len(last.text) + 1 + len(piece[0].text) <= WIDTH


def _family(node: _Entry) -> str:
    """Neighbours of one family are aligned."""
    match node:
        case tree.Input() | tree.Target():
            return "variable"
        case tree.Loss() | tree.Metric() | tree.Output():
            return "objective"
        case _:
            return type(node).__name__


def _cells(node: _Entry) -> tuple[str, ...]:
    """The words that a line starts with, each of which is aligned with those above and below."""
    match node:
        case tree.Input() | tree.Target():
            cells: tuple[str, ...] = (_word(node), f"{node.name.text}:")
        case tree.Parameter():
            cells = (f"parameter {node.name.text}:",)
        case tree.Let() | tree.Layer():
            cells = (f"{_word(node)} {node.name.text}", "=")
        case tree.Binding():
            cells = (node.name.text, "=")
        case tree.Loss() | tree.Metric() | tree.Output() | tree.Network() | tree.Import():
            cells = (_word(node),)
        case tree.Section() | tree.Block() | tree.Broken():
            cells = ()
        case _:
            cells = ("return",)
    return cells


def _word(node: tree.Item) -> str:
    """The word of the language that an item of this kind starts with."""
    return type(node).__name__.lower()


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells with their columns aligned, and a blank behind.

    >>> _aligned([("input", "left:"), ("target", "y:")])
    ['input  left: ', 'target y:    ']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["".join(f"{cell.ljust(width)} " for cell, width in zip(row, widths, strict=True)) for row in rows]


def _flat(node: _Element, least: int = _PIPE) -> str:
    """An expression on one line."""
    match node:
        case tree.Argument():
            return _flat_setting(node.name, node.value)
        case tree.BlockParameter():
            return _flat_setting(node.name, node.default)
        case tree.Pipe():
            text = " -> ".join([_flat(node.head, _RANGE), *map(_flat, node.stages)])
        case tree.Range():
            text = f"{_flat(node.first, _SUM)}{_dots(node)}{_flat(node.last, _SUM)}"
        case tree.Binary(operator="^"):
            text = f"{_flat(node.left, _ATOM)}^{_flat(node.right, _UNARY)}"
        case tree.Binary():
            text = f"{_flat(node.left, level(node))} {node.operator} {_flat(node.right, level(node) + 1)}"
        case tree.Unary():
            text = f"-{_flat(node.operand, _UNARY)}"
        case tree.Call():
            text = f"{node.function.text}({', '.join(map(_flat, node.arguments))})"
        case tree.List():
            text = f"[{', '.join(map(_flat, node.items))}]"
        case _:
            text = _literal(node)
    return text if level(node) >= least else f"({text})"


def _flat_setting(name: tree.Name | None, value: tree.Expression | None) -> str:
    return " = ".join([*([name.text] if name is not None else []), *([_flat(value)] if value is not None else [])])


def _literal(node: tree.Name | tree.Number | tree.String | tree.Boolean) -> str:
    match node:
        case tree.Name():
            return node.text
        case tree.Number():
            return node.literal
        case tree.String():
            return f'"{node.value.translate(_ESCAPES)}"'
        case tree.Boolean():
            return "true" if node.value else "false"


def _dots(node: tree.Range) -> str:
    """Blanks stand around the dots where an operand has some itself."""
    return ".." if min(level(node.first), level(node.last)) >= _UNARY else " .. "

"""What holds for every text: generated programs mean what they were made from, and mutated ones raise nothing.

Trees of every kind of item and expression are made at random, written down by a few lines that know the grammar on
their own, with comments and line ends anywhere, and read back, formatted and read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lark import Lark

from dsl import Source, format_source, parse, read_source, render, tree
from dsl.lexer import Comment, Token, lex
from dsl.source import Span

ROOT = Path(__file__).parents[2]
S = Span(Source("", ""), 0, 0)

quick = settings(
    max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

# Trees

NAMES = ["x", "y", "W1", "relu", "dense", "image", "a_rather_long_name_of_something", "η", "float", "losses", "e1"]
WORDS = ["train", "loss", "data", "input", "return"]

names = st.sampled_from(NAMES).map(lambda text: tree.Name(S, text))
setting_names = st.sampled_from(NAMES + WORDS).map(lambda text: tree.Name(S, text))


def number(literal: str) -> tree.Number:
    plain = literal.replace("_", "")
    return tree.Number(S, int(plain) if plain.isdigit() else Fraction(plain), literal)


numbers = st.sampled_from(["0", "1", "16", "1_000", "0.001", "2.50", "1e-3", "3.5E+2", "7e0"]).map(number)
strings = st.text("ab\"\\\n\t ä#'→", max_size=6).map(lambda text: tree.String(S, text))
signs = st.sampled_from(["+", "-", "*", "/", "//", "@", "^"])
leaves = st.one_of(names, numbers, strings, st.booleans().map(lambda value: tree.Boolean(S, value)))


def larger(inner: st.SearchStrategy[tree.Expression]) -> st.SearchStrategy[tree.Expression]:
    argument = st.builds(lambda name, value: tree.Argument(S, name, value), st.none() | setting_names, inner)
    call = st.builds(
        lambda name, arguments: tree.Call(S, name, tuple(arguments)), names, st.lists(argument, min_size=1, max_size=4)
    )
    stages = st.lists(names | call, min_size=1, max_size=4)
    return st.one_of(
        call,
        st.builds(lambda sign, a, b: tree.Binary(S, sign, a, b), signs, inner, inner),
        st.builds(lambda a: tree.Unary(S, "-", a), inner),
        st.builds(lambda a, b: tree.Range(S, a, b), inner, inner),
        st.builds(lambda head, parts: tree.Pipe(S, head, tuple(parts)), inner, stages),
        st.lists(inner, max_size=4).map(lambda items: tree.List(S, tuple(items))),
    )


expressions = st.recursive(leaves, larger, max_leaves=12)
several = st.lists(expressions, max_size=3).map(tuple)
types = st.builds(
    lambda kind, count, sizes: tree.TypeTree(S, tree.Name(S, kind), count, sizes),
    st.sampled_from(["float", "class", "token", "flag"]),
    st.none() | expressions,
    st.none() | several,
)
bindings = st.builds(lambda name, value: tree.Binding(S, name, value), names, expressions)
bodies = st.lists(bindings, max_size=3).map(tuple)
formals = st.builds(lambda name, default: tree.BlockParameter(S, name, default), names, st.none() | expressions)
items = st.one_of(
    bindings,
    st.builds(lambda name: tree.Network(S, name), names),
    st.builds(lambda path: tree.Import(S, path), strings),
    st.builds(lambda name, value: tree.Let(S, name, value), names, expressions),
    st.builds(lambda name, type_: tree.Input(S, name, type_), names, types),
    st.builds(lambda name, type_: tree.Target(S, name, type_), names, types),
    st.builds(lambda name, type_, start: tree.Parameter(S, name, type_, start), names, types, st.none() | expressions),
    st.builds(
        lambda name, parameters, body, result: tree.Block(S, name, tuple(parameters), body, result),
        names, st.lists(formals, min_size=1, max_size=3), bodies, expressions,
    ),
    st.builds(lambda name, value: tree.Layer(S, name, value), names, expressions),
    st.builds(lambda name, value: tree.Loss(S, name, value), st.none() | names, expressions),
    st.builds(lambda name, value: tree.Metric(S, name, value), st.none() | names, expressions),
    st.builds(lambda name, value: tree.Output(S, name, value), names, st.none() | expressions),
    st.builds(
        lambda kind, inside: tree.Section(S, tree.Name(S, kind), inside),
        st.sampled_from(["data", "train", "export"]), bodies,
    ),
)  # fmt: skip
programs = st.lists(items, min_size=1, max_size=6).map(tuple)

# Texts

ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t"}
ATOMS = (tree.Name, tree.Number, tree.String, tree.Boolean, tree.Call, tree.List)


def expression(node: tree.Expression) -> list[str]:
    """The words and signs of an expression, with parentheses round every operand that is no atom."""
    match node:
        case tree.Name(text=text) | tree.Number(literal=text):
            words = [text]
        case tree.String():
            words = ['"' + "".join(ESCAPES.get(character, character) for character in node.value) + '"']
        case tree.Boolean():
            words = ["true" if node.value else "false"]
        case tree.List():
            words = ["[", *between_commas(map(expression, node.items)), "]"]
        case tree.Call():
            arguments = (definition(argument.name, argument.value) for argument in node.arguments)
            words = [node.function.text, "(", *between_commas(arguments), ")"]
        case tree.Binary():
            words = [*operand(node.left), node.operator, *operand(node.right)]
        case tree.Unary():
            words = ["-", *operand(node.operand)]
        case tree.Range():
            words = [*operand(node.first), "..", *operand(node.last)]
        case tree.Pipe():
            words = [*operand(node.head), *(word for stage in node.stages for word in ("->", *expression(stage)))]
    return words


def operand(node: tree.Expression) -> list[str]:
    return expression(node) if isinstance(node, ATOMS) else ["(", *expression(node), ")"]


def between_commas(parts: Iterable[list[str]]) -> list[str]:
    return [word for part in parts for word in (",", *part)][1:]


def definition(name: tree.Name | None, value: tree.Expression | None) -> list[str]:
    sides = [*([[name.text]] if name is not None else []), *([expression(value)] if value is not None else [])]
    return [word for side in sides for word in ("=", *side)][1:]


def type_words(type_: tree.TypeTree) -> list[str]:
    count = ["(", *expression(type_.count), ")"] if type_.count is not None else []
    sizes = ["[", *between_commas(map(expression, type_.sizes)), "]"] if type_.sizes is not None else []
    return [type_.kind.text, *count, *sizes]


def body(nodes: Iterable[tree.Binding]) -> list[str]:
    return [word for binding in nodes for word in definition(binding.name, binding.value)]


def item(node: tree.Item) -> list[str]:
    word = type(node).__name__.lower()
    match node:
        case tree.Network():
            words = [word, node.name.text]
        case tree.Import():
            words = [word, *expression(node.path)]
        case tree.Input() | tree.Target():
            words = [word, node.name.text, ":", *type_words(node.type)]
        case tree.Parameter():
            start = ["=", *expression(node.initializer)] if node.initializer is not None else []
            words = [word, node.name.text, ":", *type_words(node.type), *start]
        case tree.Block():
            parameters = (definition(parameter.name, parameter.default) for parameter in node.parameters)
            inside = [*body(node.bindings), "return", *expression(node.result)]
            words = [word, node.name.text, "(", *between_commas(parameters), ")", "{", *inside, "}"]
        case tree.Section():
            words = [node.kind.text, "{", *body(node.bindings), "}"]
        case tree.Binding():
            words = definition(node.name, node.value)
        case _:
            assert not isinstance(node, tree.Broken)
            words = [word, *definition(node.name, node.value)]
    return words


SEPARATORS = [" "] * 8 + ["\n", "\n\n\n", "\t", "\r\n", "  # {}\n", "\n# {}\n", "\n\n  #{}\n\n"]


def written(program: tuple[tree.Item, ...], random: Random) -> str:
    """A text of the program, with blanks, line ends and numbered comments wherever they may stand."""
    tokens = [word for node in program for word in item(node)]
    pieces = [random.choice(SEPARATORS).format(f"comment {index}") + word for index, word in enumerate(tokens)]
    return "".join([*pieces, random.choice(["", "\n", " # the end", "\n# the end\n\n"])])


def comments(text: str) -> list[str]:
    source = Source("", text)
    return [text[piece.start : piece.end].rstrip() for piece in lex(source) if isinstance(piece, Comment)]


randoms = st.randoms(use_true_random=False)


@quick
@given(programs, randoms)
def test_a_written_tree_is_read_back(program: tuple[tree.Item, ...], random: Random) -> None:
    parsed = parse(Source("a.net", written(program, random)))
    assert not parsed.diagnostics
    assert parsed.file is not None
    assert parsed.file.items == program


@quick
@given(programs, randoms)
def test_formatting_keeps_the_tree_and_the_comments_and_happens_once(
    program: tuple[tree.Item, ...], random: Random
) -> None:
    text = written(program, random)
    formatted = format_source(Source("a.net", text))
    file = parse(Source("a.net", formatted)).file
    assert file is not None
    assert file.items == program
    assert comments(formatted) == comments(text)
    assert format_source(Source("a.net", formatted)) == formatted
    assert not any(line != line.rstrip() for line in formatted.split("\n"))
    assert "\n\n\n" not in formatted


@quick
@given(programs, randoms)
def test_comments_and_line_ends_alone_do_not_matter_to_the_layout(
    program: tuple[tree.Item, ...], random: Random
) -> None:
    tokens = [word for node in program for word in item(node)]
    spread = "".join(random.choice([" ", "\n", "\t\n "]) + word for word in tokens)
    assert format_source(Source("a.net", spread)) == format_source(Source("a.net", " ".join(tokens)))


@quick
@given(expressions)
def test_no_pair_of_parentheses_can_be_left_out(value: tree.Expression) -> None:
    text = format_source(Source("a.net", " ".join(["y", "=", *expression(value)])))
    program = parse(Source("a.net", text)).file
    tokens = [piece for piece in lex(Source("a.net", text)) if isinstance(piece, Token)]
    opened: list[Token] = []
    for before, token in pairwise(tokens):
        if token.kind == "(":
            opened.append(token if before.kind != "NAME" else before)
        if token.kind == ")":
            opening = opened.pop()
            if opening.kind == "(":
                without = f"{text[: opening.start]} {text[opening.end : token.start]} {text[token.end :]}"
                assert parse(Source("a.net", without)).file != program


LARK = Lark((ROOT / "dsl" / "grammar.lark").read_text("utf-8"), parser="lalr", lexer="basic", start="file")


@quick
@given(programs, randoms)
def test_lark_reads_what_the_parser_reads(program: tuple[tree.Item, ...], random: Random) -> None:
    LARK.parse(written(program, random))


# Mutated files

FRAGMENTS = [
    "(", ")", "[", "]", "{", "}", "->", "=", ":", ",", "..", "//", "@", "^", "-", ".", "\n", " ", "#", '"', "'", "\\",
    "$", ";", "**", "True", "loss", "return", "let ", "data {", "block f(x) {", "\n  y = ", "2x", "1e", "1.5.2", "x",
    "\0", "\x7f", "²", "\u200b", "\ud800", "“",
]  # fmt: skip
FILES = [path.read_text("utf-8") for path in sorted((ROOT / "examples").rglob("*.net"))[:6]]

edits = st.tuples(
    st.sampled_from(["cut", "insert", "repeat"]), st.integers(0, 5000), st.integers(1, 60), st.sampled_from(FRAGMENTS)
)


def mutated(text: str, changes: list[tuple[str, int, int, str]]) -> str:
    for kind, place, length, fragment in changes:
        at = place % (len(text) + 1)
        if kind == "cut":
            text = text[:at] + text[at + length :]
        else:
            text = text[:at] + (fragment if kind == "insert" else text[at : at + length]) + text[at:]
    return text


@settings(quick, max_examples=250)
@given(st.sampled_from(FILES), st.lists(edits, min_size=1, max_size=6))
def test_a_mutated_file_gives_a_tree_or_diagnostics(text: str, changes: list[tuple[str, int, int, str]]) -> None:
    source = Source("a.net", mutated(text, changes))
    parsed = parse(source)
    assert [found.span.start for found in parsed.diagnostics] == sorted(
        found.span.start for found in parsed.diagnostics
    )
    for found in parsed.diagnostics:
        assert 0 <= found.span.start <= found.span.end <= len(source.text)
        assert "NAME" not in found.message
        assert "NUMBER" not in found.message
    assert bool(parsed.diagnostics) == bool(render(parsed.diagnostics))
    if parsed.diagnostics:
        with pytest.raises(ValueError, match=r"error\["):
            format_source(source)
    else:
        formatted = format_source(source)
        assert format_source(Source("a.net", formatted)) == formatted
        assert comments(formatted) == comments(source.text)
        LARK.parse(source.text)


@settings(quick, max_examples=100)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_file_of_mutated_bytes_gives_a_tree_or_diagnostics(text: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(text.encode())
    for place, byte in changes:
        data[place % len(data)] = byte
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.net")
        path.write_bytes(data)
        parsed = parse(read_source(path))
    assert parsed.file is not None or parsed.diagnostics
    render(parsed.diagnostics)

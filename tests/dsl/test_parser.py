"""From texts to trees, from mistakes to sentences, and what hostile files cost. `mistakes.txt` pins what is said."""

from __future__ import annotations

import os
import re
import time
from fractions import Fraction
from pathlib import Path

import pytest

from dsl import Source, parse, read_source
from dsl.codes_syntax import unknown_item
from dsl.compile_grammar import compile_grammar
from dsl.grammar import grammar
from dsl.signature import Limits
from dsl.source import Span
from dsl.tree import (
    Argument,
    Binary,
    Binding,
    Block,
    BlockParameter,
    Boolean,
    Broken,
    Call,
    Expression,
    File,
    Import,
    Input,
    Item,
    Layer,
    Let,
    List,
    Loss,
    Metric,
    Name,
    Network,
    Number,
    Output,
    Parameter,
    Pipe,
    Range,
    Section,
    String,
    Target,
    TypeTree,
    Unary,
)

HERE = Path(__file__).parent
S = Span(Source("", ""), 0, 0)  # places take no part in the comparison of trees


def name(text: str) -> Name:
    return Name(S, text)


a, b, c, x = map(name, "abcx")


def number(value: int | Fraction) -> Number:
    return Number(S, value, "")


def plus(left: Expression, right: Expression) -> Binary:
    return Binary(S, "+", left, right)


def minus(left: Expression, right: Expression) -> Binary:
    return Binary(S, "-", left, right)


def times(left: Expression, right: Expression) -> Binary:
    return Binary(S, "*", left, right)


def power(left: Expression, right: Expression) -> Binary:
    return Binary(S, "^", left, right)


def negative(operand: Expression) -> Unary:
    return Unary(S, "-", operand)


def items(text: str) -> tuple[Item, ...]:
    parsed = parse(Source("a.net", text))
    assert not parsed.diagnostics
    assert parsed.file is not None
    return parsed.file.items


def value(text: str) -> Expression:
    (binding,) = items(f"y = {text}")
    assert isinstance(binding, Binding)
    return binding.value


def said(text: str) -> list[str]:
    return [found.message for found in parse(Source("a.net", text)).diagnostics]


# Trees


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b + c", plus(plus(a, b), c)),
        ("a + b * c", plus(a, times(b, c))),
        ("(a + b) * c", times(plus(a, b), c)),
        ("a - (b - c)", minus(a, minus(b, c))),
        ("-a ^ b", negative(power(a, b))),
        ("(-a) ^ b", power(negative(a), b)),
        ("a ^ -b ^ c", power(a, negative(power(b, c)))),
        ("a * -b", times(a, negative(b))),
        ("--a", negative(negative(a))),
        ("a // b @ c", Binary(S, "@", Binary(S, "//", a, b), c)),
        ("a / b", Binary(S, "/", a, b)),
        ("a .. b + c", Range(S, a, plus(b, c))),
        ('"p0".."p63"', Range(S, String(S, "p0"), String(S, "p63"))),
        ("1..5", Range(S, number(1), number(5))),
        ("a + b -> x", Pipe(S, plus(a, b), (x,))),
        ("a -> b -> c(x)", Pipe(S, a, (b, Call(S, c, (Argument(S, None, x),))))),
        ("(a -> b) -> c", Pipe(S, Pipe(S, a, (b,)), (c,))),
        ("(a -> b) - c", minus(Pipe(S, a, (b,)), c)),
        (
            "f(a -> b, train = x)",
            Call(S, name("f"), (Argument(S, None, Pipe(S, a, (b,))), Argument(S, name("train"), x))),
        ),
        ("[]", List(S, ())),
        ("[a, [b], true]", List(S, (a, List(S, (b,)), Boolean(S, True)))),
        ("((((false))))", Boolean(S, False)),
        ("a\n-b", minus(a, b)),
    ],
)
def test_expressions(text: str, tree: Expression) -> None:
    assert value(text) == tree


def test_every_item() -> None:
    text = """
    network digits
    import "blocks.net"
    let width = 16
    input image: float[1, 8, T]
    target digit: class(10)
    target pixels: class(2)[h]
    input scalar: float[]
    parameter W: float[5] = zeros
    parameter b: float
    block unit(x, filters = 8) { y = x  return y }
    block one(x) { return x }
    layer encoder = relu -> tanh
    merged = x
    loss mse(a, b)
    loss E = mse(a, b)
    metric accuracy(a, b)
    metric top = accuracy(a, b)
    output a
    output p = b
    data { source = a }
    train {}
    export { opset = 17 }
    """
    f = TypeTree(S, name("float"), None, None)
    both = (Argument(S, None, a), Argument(S, None, b))
    assert items(text) == (
        Network(S, name("digits")),
        Import(S, String(S, "blocks.net")),
        Let(S, name("width"), number(16)),
        Input(S, name("image"), TypeTree(S, name("float"), None, (number(1), number(8), name("T")))),
        Target(S, name("digit"), TypeTree(S, name("class"), number(10), None)),
        Target(S, name("pixels"), TypeTree(S, name("class"), number(2), (name("h"),))),
        Input(S, name("scalar"), TypeTree(S, name("float"), None, ())),
        Parameter(S, name("W"), TypeTree(S, name("float"), None, (number(5),)), name("zeros")),
        Parameter(S, b, f, None),
        Block(
            S, name("unit"), (BlockParameter(S, x, None), BlockParameter(S, name("filters"), number(8))),
            (Binding(S, name("y"), x),), name("y"),
        ),
        Block(S, name("one"), (BlockParameter(S, x, None),), (), x),
        Layer(S, name("encoder"), Pipe(S, name("relu"), (name("tanh"),))),
        Binding(S, name("merged"), x),
        Loss(S, None, Call(S, name("mse"), both)),
        Loss(S, name("E"), Call(S, name("mse"), both)),
        Metric(S, None, Call(S, name("accuracy"), both)),
        Metric(S, name("top"), Call(S, name("accuracy"), both)),
        Output(S, a, None),
        Output(S, name("p"), b),
        Section(S, name("data"), (Binding(S, name("source"), a),)),
        Section(S, name("train"), ()),
        Section(S, name("export"), (Binding(S, name("opset"), number(17)),)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("0", 0),
        ("007", 7),
        ("1_000_000", 1_000_000),
        ("0.1", Fraction(1, 10)),
        ("2.50", Fraction(5, 2)),
        ("1e-3", Fraction(1, 1000)),
        ("1.5E+2", Fraction(150)),
        ("3e400", Fraction(3 * 10**400)),
    ],
)
def test_numbers_are_exact(literal: str, expected: int | Fraction) -> None:
    found = value(literal)
    assert isinstance(found, Number)
    assert (found.value, found.literal) == (expected, literal)


def test_strings_and_their_escapes() -> None:
    assert value(r'"a \"b\" \\ \t\n ö # no comment"') == String(S, 'a "b" \\ \t\n ö # no comment')
    assert value('"a\tb"') == String(S, "a\tb")


def test_names_may_be_greek() -> None:
    assert value("η_1") == Name(S, "η_1")


def test_spans_are_the_characters_of_a_tree() -> None:
    text = "# c\n\ny = (a + b) * f(\n  k = 3)  # c"
    (binding,) = items(text)
    assert isinstance(binding, Binding)
    product = binding.value
    assert isinstance(product, Binary)
    assert isinstance(product.right, Call)
    assert (binding.span.line, binding.span.column) == (3, 1)
    assert product.span.text == "(a + b) * f(\n  k = 3)"
    assert product.left.span.text == "a + b"
    assert product.right.arguments[0].span.text == "k = 3"
    assert (product.right.arguments[0].span.line, product.right.arguments[0].span.column) == (4, 3)


def test_trees_are_equal_when_their_meaning_is() -> None:
    assert items("y = 1.0 + x") == items("y=\n1.00+(x)")
    assert hash(items("y = 1.0 + x")) == hash(items("y=\n1.00+(x)"))
    assert items("y = x") != items("y = z")
    assert items("output y") != items("network y")
    assert repr(value("-x")) == "Unary(operator='-', operand=Name(text='x'))"


# Mistakes


def mistakes() -> list[tuple[str, str]]:
    _, *cases = (HERE / "mistakes.txt").read_text("utf-8").split("\n====\n")
    return [(text, expected.strip("\n")) for text, _, expected in (case.partition("\n----\n") for case in cases)]


def unescaped(text: str) -> str:
    return re.sub(r"\\x(..)|\\u(....)", lambda found: chr(int(found[1] or found[2], 16)), text)


@pytest.mark.parametrize(("text", "expected"), mistakes(), ids=lambda text: text.partition("\n")[0])
def test_what_is_said_of_a_mistake(text: str, expected: str) -> None:
    lines = []
    for found in parse(Source("a.net", unescaped(text))).diagnostics:
        lines.append(f"{found.span.line}:{found.span.column} {found.code.name}: {found.message}")
        lines += [f"  help: {found.help}"] if found.help is not None else []
    assert "\n".join(lines) == expected


def test_what_can_be_read_stays_and_what_cannot_leaves_its_names() -> None:
    text = (
        "let n = 2\nhidden = x -> dense(\nlayer e = relu\ndata {\n  source = $\n  image = a\n}\nloss mse(a b)\noutput e"
    )
    file = parse(Source("a.net", text)).file
    assert file == File(
        file.source if file is not None else Source("", ""),
        (
            Let(S, name("n"), number(2)),
            Broken(S, "", ("hidden",)),
            Layer(S, name("e"), name("relu")),
            Broken(S, "data", ("source", "image")),
            Broken(S, "loss", ()),
            Output(S, name("e"), None),
        ),
    )


def test_an_item_in_front_of_a_mistaken_line_is_complete() -> None:
    file = parse(Source("a.net", "output e\n$\nlet n = 2")).file
    assert file is not None
    assert [type(item) for item in file.items] == [Output, Broken, Let]


def test_a_word_that_is_no_name_is_reported_once() -> None:
    assert said("input loss: float\ny = loss\nz = loss + 1\nw = 2 + target") == [
        "`loss` is a word of the language, and cannot be a name",
        "`target` is a word of the language, and cannot be a name",
    ]


def test_a_thousand_mistakes_are_enough() -> None:
    parsed = parse(Source("a.net", "x = $\n" * 5000))
    assert len(parsed.diagnostics) == 1000
    assert parsed.file is not None
    assert {type(item) for item in parsed.file.items} == {Broken}


def test_long_pieces_of_the_file_are_cut_in_sentences() -> None:
    assert said(f'network "{"a" * 100_000}"') == [
        f'a name is needed after `network`, and this is `"{"a" * 38}…`',
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", " \t\n#"])
def test_a_file_without_items(text: str) -> None:
    parsed = parse(Source("a.net", text))
    assert parsed.file is None
    assert said(text) == ["the file declares nothing"]


@pytest.mark.parametrize("text", ["FANN_FLO_2.1\nnum_layers=3", "FANN_FIX_2.0\n\x00"])
def test_a_file_of_the_fann_library_is_recognised(text: str) -> None:
    assert parse(Source("a.net", text)).file is None
    assert said(text) == ["this is a network of the FANN library, and no declaration in the `.net` language"]


# Hostile texts


DEEP = 20_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * DEEP, "`(` is never closed"),
        ("[" * DEEP + "]" * DEEP, "this is nested more than 100 levels deep"),
        ("-" * DEEP + "x", "this is nested more than 100 levels deep"),
        ("x" + " - x" * DEEP, "this is nested more than 100 levels deep"),
        ("x" + "^x" * DEEP, "this is nested more than 100 levels deep"),
        ("f(" * DEEP + "x" + ")" * DEEP, "this is nested more than 100 levels deep"),
        ("'\\" * 2_000_000, "this text has more than 4,000,000 characters"),
        ('"' + "\\a" * 1_000_000, "this string has no end"),
        ('"' + "\\a" * 1_000_000 + '"', "`\\a` stands for no character"),
        ("1" * 1_000_000, f"`{'1' * 39}…` has more than 400 digits"),
        ("1e999999999", "`1e999999999` has more than 400 digits"),
        ("1_" * 1_000_000, f"`{'1_' * 19}1…` is no number"),
        ("$" * 600_000, "this text has more than 500,000 words and signs"),
        (";" * 600_000, "this text has more than 500,000 words and signs"),
    ],
    ids=lambda text: text[:8],
)
def test_hostile_texts_are_refused_quickly(text: str, message: str) -> None:
    start = time.process_time()
    assert said(f"y = {text}") == [message]
    assert time.process_time() - start < 10  # seconds; it takes one


@pytest.mark.parametrize("text", ["(" * DEEP + "x" + ")" * DEEP, "x" + " -> relu" * 10_000, f"[{'1, ' * DEEP}1]"])
def test_length_is_no_depth(text: str) -> None:
    assert value(text) is not None


def test_the_limit_of_depth() -> None:
    assert value("-" * 100 + "x") is not None
    assert said("y = " + "-" * 101 + "x") == ["this is nested more than 100 levels deep"]
    assert parse(Source("a.net", "y = --x"), Limits(nesting=1)).diagnostics[0].code.name == "too-deep"


def test_a_deep_item_hides_no_mistake_below_it() -> None:
    assert said(f"y = {'-' * 200}x\n$\nz = )") == [
        "this is nested more than 100 levels deep",
        "`$` means nothing here",
        "this `)` closes nothing",
    ]


# Files


def fault(path: str | Path, limits: Limits | None = None) -> str:
    """The message and the help for a file that cannot be read."""
    source = read_source(path, limits)
    parsed = parse(source)
    assert parsed.file is None
    (found,) = parsed.diagnostics
    assert found.code.name == "unreadable-file"
    return f"{found.span.line}:{found.span.column} {found.message} | {found.help}"


def test_a_file_is_read_in_utf8_with_any_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.write_bytes("\ufeffnetwork η\r\nlet a = 1\rlet b = 2\n".encode())
    source = read_source(path)
    assert (source.text, source.name, source.fault) == ("network η\nlet a = 1\nlet b = 2\n", str(path), None)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits.net").write_text("network digits")
    Path("folder").mkdir()
    Path("latin.net").write_bytes(b"network d\r\n# caf\xe9")
    Path("wide.net").write_bytes("network digits".encode("utf-16"))
    Path("model.onnx").write_bytes(b"\x08\x08\x12\x00pytorch")
    Path("large.net").write_text("let a = 1 # long")
    os.mkfifo("pipe")
    assert fault("digts.net") == "1:1 `digts.net` does not exist | did you mean `digits.net`?"
    assert fault(Path("digits")) == "1:1 `digits` does not exist | did you mean `digits.net`?"
    assert fault("folder/a.net") == "1:1 `folder/a.net` does not exist | None"
    assert fault("nowhere/a.net") == "1:1 `nowhere/a.net` does not exist | None"
    assert fault(".") == "1:1 `.` is a folder, and a `.net` file is needed | name a file in it, such as `digits.net`"
    assert fault("folder") == "1:1 `folder` is a folder, and a `.net` file is needed | None"
    assert fault("latin.net") == "2:6 `latin.net` is not in UTF-8: there is a byte 0xE9 | save it as UTF-8"
    assert fault("wide.net") == "1:1 `wide.net` is in UTF-16, and a `.net` file is in UTF-8 | save it as UTF-8"
    assert fault("model.onnx") == "1:1 `model.onnx` is no text: it holds zero bytes | name a `.net` file"
    assert fault("large.net", Limits(characters=10)) == (
        "1:1 `large.net` is larger than 10 bytes | a network of this size is not meant to be read: is it a `.net` file?"
    )
    assert fault("pipe") == "1:1 `pipe` is no regular file | None"
    assert fault("/dev/zero") == "1:1 `/dev/zero` is no regular file | None"
    assert fault("digits.net/a") == "1:1 `digits.net/a` cannot be read: Not a directory | None"
    assert fault("a\0b").endswith("is no regular file | None")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.touch(mode=0)
    assert fault(path) == f"1:1 `{path}` cannot be read: permission is denied | None"


def test_a_large_fann_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.write_bytes(b"FANN_FLO_2.1\n" + b"0.5 " * 1000)
    assert [found.code.name for found in parse(read_source(path, Limits(characters=100))).diagnostics] == ["fann-file"]


def test_positions_count_from_one() -> None:
    source = Source("a.net", "ab\n\ncd")
    assert [source.position(offset) for offset in (0, 2, 3, 4, 6)] == [(1, 1), (1, 3), (2, 1), (3, 1), (3, 3)]
    assert [source.line(number) for number in (1, 2, 3)] == ["ab", "", "cd"]
    assert str(Span(source, 4, 6)) == "a.net:3"


# The table


def test_the_table_is_that_of_the_grammar() -> None:
    table = Path(compile_grammar.__code__.co_filename).with_name("grammar.json").read_text("utf-8")
    assert table == compile_grammar(), "run `python -m dsl.compile_grammar`"


def test_the_page_of_unknown_items_names_every_word() -> None:
    page = unknown_item.__doc__ or ""
    assert all(f"`{word}`" in page for word in grammar().words - {"true", "false", "return"})

"""Wrong files: ``mistakes/NAME.net`` is the file, ``mistakes/NAME.txt`` all that is printed of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dsl import Checked, Source, check, render
from dsl.signature import Limits, Port, Setting, Signature, Table

FOLDER = Path(__file__).with_name("mistakes")
FILES = sorted(FOLDER.glob("*.net"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_the_whole_report_of_a_file(path: Path, table: Table) -> None:
    found = check(Source(path.name, path.read_text()), table)
    assert render(found.diagnostics) + "\n" == path.with_suffix(".txt").read_text()
    assert (found.program is None) == any(diagnostic.severity == "error" for diagnostic in found.diagnostics)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_a_report_is_in_the_order_of_the_file(path: Path, table: Table) -> None:
    found = check(Source(path.name, path.read_text()), table)
    places = [diagnostic.span.start for diagnostic in found.diagnostics]
    assert places == sorted(places)


def test_every_report_has_its_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {path.stem for path in FILES}


@pytest.mark.parametrize(
    ("line", "first_wrong"),
    [
        ("y = x -> bogus -> dense(3) -> relu\nz = y + x\nw = blend(y, z) -> conv(3)", 2),
        ("y = x -> dense(q)\nloss mse(y, x)\nz = -y * 2 ^ q", 2),
        ("let q = 1 / 0\ny = x -> dense(q + 1) -> dropout(q)\nlet r = q ^ 2", 2),
        ("input q: class\nloss cross_entropy(x, q)", 2),
        ("block b(v) { return v -> bogus }\ny = x -> b -> b\nz = x -> repeat(3, b)", 2),
        ("layer l = bogus\ny = x -> l -> l", 2),
        ("y = x -> relu(1)\nz = repeat(y, 3, dense(3))", 2),
    ],
)
def test_what_hangs_on_a_mistake_is_silent(checked: Callable[..., Checked], line: str, first_wrong: int) -> None:
    found = checked(f"input x: float[4]\n{line}\noutput x")
    assert [diagnostic.span.line for diagnostic in found.diagnostics] == [first_wrong]


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("let width = (", "y = x -> dense(width)"),
        ("block unit(v { return v }", "y = x -> unit"),
        ("h = x -> -> relu", "y = h + h"),
        ("target t float[4]", "loss mse(x, t)"),
        ("loss mse(x, ] y)", "train { epochs = 3 }"),
    ],
)
def test_what_hangs_on_an_item_that_cannot_be_read_is_silent(
    checked: Callable[..., Checked], broken: str, line: str
) -> None:
    found = checked(f"input x: float[4]\n{broken}\n{line}\noutput x")
    assert [diagnostic.span.line for diagnostic in found.diagnostics if diagnostic.severity == "error"] == [2]


def test_warnings_leave_a_program(checked: Callable[..., Checked]) -> None:
    found = checked("let unused = 3\ninput x: float\noutput x")
    assert found.program is not None
    assert [diagnostic.code.name for diagnostic in found.diagnostics] == ["unused"]


def test_unused_names_are_not_said_of_a_wrong_file(checked: Callable[..., Checked]) -> None:
    found = checked("let width = 3\ninput x: float[4]\noutput y = x -> dense(widht)")
    assert [diagnostic.code.name for diagnostic in found.diagnostics] == ["unknown-name"]


def test_more_mistakes_than_anybody_reads_are_cut(checked: Callable[..., Checked]) -> None:
    lines = "\n".join(f"y{number} = x -> dense(0)" for number in range(1200))
    found = checked(f"input x: float[4]\n{lines}\noutput x")
    assert len(found.diagnostics) == 1001
    assert str(found.diagnostics[-1]) == (
        "error[too-many-mistakes]: there are more than 1000 mistakes: the others are not shown\n"
        "    --> example.net:1001:19\n"
        "     |\n"
        "1001 | y999 = x -> dense(0)\n"
        "     |                   ^"
    )


def test_more_warnings_than_anybody_reads_are_cut(checked: Callable[..., Checked]) -> None:
    lines = "\n".join(f"let y{number} = 1" for number in range(1200))
    found = checked(f"input x: float[4]\n{lines}\noutput x")
    assert found.program is not None
    assert len(found.diagnostics) == 1000


def test_the_limits_are_those_of_the_table(table: Table) -> None:
    small = Table(table.signatures, Limits(nodes=2, parameters=20, size=8, values=30, nesting=4))
    for line, code in (
        ("y = x -> relu -> relu -> relu", "too-many-nodes"),
        ("y = x -> dense(7)", "too-large"),
        ("parameter p: float[5, 5]\ny = p @ x", "too-large"),
        ("input y: float[9]", "bad-size"),
        ("input y: float[6, 6]", "too-large"),
        ("y = x -> reshape([1, 31])", "shape-mismatch"),
        ("y = -(-(-(-x)))", "too-deep"),
        ("y = x -> repeat(3, relu)", "out-of-range"),
    ):
        found = check(Source("a.net", f"input x: float[5]\n{line}\noutput x"), small)
        assert [diagnostic.code.name for diagnostic in found.diagnostics] == [code], line


def test_choices_are_of_the_strings_of_a_union(table: Table) -> None:
    padding = Setting("padding", "string|sizes", "valid", minimum=0, choices=("valid", "same"))
    pad = Signature("layer", "pad", (padding,), (Port("X"),), lambda settings, types: types[0])
    wider = Table({**table.signatures, "layer": {**table.signatures["layer"], "pad": pad}})

    def checked(text: str) -> Checked:
        return check(Source("a.net", f"input x: float[5]\noutput y = x -> pad({text})"), wider)

    for text, value in (('"same"', "same"), ("2", (2,)), ("[1, 2]", (1, 2))):
        program = checked(text).program
        assert program is not None
        assert program.nodes[0].settings == {"padding": value}
    for text, message in (
        ('"sme"', '`padding` of `pad` must be "valid" or "same", and this is "sme"'),
        ("-1", "`padding` of `pad` must be at least 0, and this is -1"),
    ):
        assert [diagnostic.message for diagnostic in checked(text).diagnostics] == [message]

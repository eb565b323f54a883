"""How messages look: carets, several places, files, wide and harmful characters, long lines; and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from dsl import Code, Diagnostic, Label, Source, Span, parse, read_source, render
from dsl.codes import Message, error

ERROR = Code("wrong-thing", "error", "Something is wrong.")
WARNING = Code("odd-thing", "warning", "Something is odd.")


def label(source: Source, part: str, text: str = "", nth: int = 0) -> Label:
    """The label of the nth place where a part of the text stands."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(part, start + 1)
    return Label(Span(source, start, start + len(part)), text)


def said(*labels: Label, code: Code = ERROR, notes: tuple[str, ...] = (), help: str | None = None) -> Diagnostic:
    return Diagnostic(code, "this is wrong", labels, notes, help)


def test_one_place_with_notes_and_help() -> None:
    source = Source("a.net", "network a\nlet b = 3\n")
    assert str(said(label(source, "3", "here"), notes=("first", "second"), help="write 4")) == (
        "error[wrong-thing]: this is wrong\n"
        " --> a.net:2:9\n"
        "  |\n"
        "2 | let b = 3\n"
        "  |         ^ here\n"
        "  = first\n"
        "  = second\n"
        "  = help: write 4"
    )


def test_the_count_closes_the_report() -> None:
    source = Source("a.net", "x")
    wrong, odd = said(label(source, "x")), said(label(source, "x"), code=WARNING)
    assert render([]) == ""
    assert render([wrong]).endswith("\n\n1 mistake")
    assert render([odd]).endswith("\n\n1 warning")
    assert render([wrong, odd, wrong, odd]).endswith("\n\n2 mistakes, 2 warnings")
    assert render([wrong, wrong, odd]).count("\n\n") == 3


def test_several_places_on_a_line_hang_below_each_other() -> None:
    source = Source("a.net", "a + bb + ccc + d")
    assert str(said(label(source, "bb", "second"), label(source, "a", "first"), label(source, "d", "fourth"))) == (
        "error[wrong-thing]: this is wrong\n"
        " --> a.net:1:5\n"
        "  |\n"
        "1 | a + bb + ccc + d\n"
        "  | ^   ^^         ^ fourth\n"
        "  | |   second\n"
        "  | first"
    )


def test_lines_between_places_are_left_out() -> None:
    source = Source("a.net", "\n".join(f"line {number}" for number in range(1, 13)))
    labels = (label(source, "line 11"), label(source, "line 2", "a"), label(source, "line 3", "b"))
    assert str(said(*labels)) == (
        "error[wrong-thing]: this is wrong\n"
        "  --> a.net:11:1\n"
        "   |\n"
        " 2 | line 2\n"
        "   | ^^^^^^ a\n"
        " 3 | line 3\n"
        "   | ^^^^^^ b\n"
        "   ⋮\n"
        "11 | line 11\n"
        "   | ^^^^^^^"
    )


def test_places_in_several_files() -> None:
    first, second = Source("a.net", "import\nit"), Source("lib/b.net", "let x = 1")
    assert str(said(label(second, "x"), label(first, "it", "imported here"))) == (
        "error[wrong-thing]: this is wrong\n"
        " --> lib/b.net:1:5\n"
        "  |\n"
        "1 | let x = 1\n"
        "  |     ^\n"
        " ::: a.net:2:1\n"
        "  |\n"
        "2 | it\n"
        "  | ^^ imported here"
    )


def test_a_place_over_several_lines_is_shown_on_its_first() -> None:
    source = Source("a.net", "y = x\n  -> relu")
    assert str(said(label(source, "x\n  -> relu"))).splitlines()[-2:] == ["1 | y = x", "  |     ^"]


def test_tabs_are_four_columns_and_wide_characters_two() -> None:
    source = Source("a.net", "\ta = '画像' + x # é")
    shown = str(said(label(source, "x", "ä"))).splitlines()
    assert shown[-2:] == ["1 |     a = '画像' + x # é", "  |                  ^ ä"]
    combining = Source("a.net", "e\N{COMBINING ACUTE ACCENT} x")
    assert str(said(label(combining, "x"))).splitlines()[-1] == "  |   ^"


def test_control_characters_become_harmless() -> None:
    source = Source("a\x1b[2J.net", "a\x1b[31m\x00\u202e x")
    diagnostic = Diagnostic(ERROR, "found `\x07\n`", (label(source, "x", "\x9b"),), ("\x1b",), "\r")
    text = str(diagnostic)
    assert text == (
        "error[wrong-thing]: found `��`\n --> a�[2J.net:1:10\n  |\n1 | a�[31m�� x\n  |          ^ �\n  = �\n  = help: �"
    )


def test_a_long_line_is_cut_around_its_places() -> None:
    source = Source("a.net", "a" * 300 + " here " + "b" * 300)
    line, carets = str(said(label(source, "here", "!"))).splitlines()[-2:]
    assert line == f"1 | …{'a' * 26} here {'b' * 78}…"
    assert carets == "  | " + " " * 28 + "^^^^ !"
    first = Source("a.net", "here " + "b" * 300)
    assert str(said(label(first, "here"))).splitlines()[-2:] == [f"1 | here {'b' * 105}…", "  | ^^^^"]
    last = Source("a.net", "a" * 300 + " here")
    assert str(said(label(last, "here"))).splitlines()[-2:] == [f"1 | …{'a' * 105} here", "  | " + " " * 107 + "^^^^"]


def test_places_far_apart_on_a_long_line_stay_on_the_shown_part() -> None:
    source = Source("a.net", "one " + "a" * 300 + " two")
    line, carets, below = str(said(label(source, "one", "1"), label(source, "two", "2"))).splitlines()[-3:]
    assert line == f"1 | one {'a' * 106}…"
    assert carets == "  | ^^^" + " " * 107 + "^ 2"
    assert below == "  | 1"


def test_an_empty_place_at_the_end_of_the_text_has_a_caret() -> None:
    source = Source("a.net", "let a =\n")
    assert str(Diagnostic(ERROR, "m", (Label(Span(source, 8, 8)),))).splitlines()[1:] == [
        " --> a.net:2:1",
        "  |",
        "2 |",
        "  | ^",
    ]


def test_json_has_places_from_one() -> None:
    source = Source("a.net", "network a\nlet b = 3 + 4\n")
    found = said(label(source, "3", "here"), label(source, "4"), notes=("n",), help="h").to_json()
    assert json.loads(json.dumps(found)) == {
        "code": "wrong-thing",
        "severity": "error",
        "message": "this is wrong",
        "file": "a.net",
        "line": 2,
        "column": 9,
        "labels": [
            {"file": "a.net", "line": 2, "column": 9, "length": 1, "text": "here"},
            {"file": "a.net", "line": 2, "column": 13, "length": 1, "text": ""},
        ],
        "notes": ["n"],
        "help": "h",
    }


def test_the_page_of_a_code_is_cut_into_its_parts() -> None:
    text = (
        "It is wrong.\n\nBecause of this\nand that.\n\n"
        "```net --set a.b=1 --set c.d=2\nlet a\n```\n```net other.net\nlet b\n```\n```text\nerror\n\nerror\n```"
    )
    code = Code("wrong-thing", "error", text)
    assert code.summary == "It is wrong."
    assert code.explanation == "Because of this\nand that."
    assert code.example == "let a\n"
    assert code.options == ("a.b=1", "c.d=2")
    assert code.other_files == {"other.net": "let b\n"}
    assert code.rendered == "error\n\nerror\n"
    assert (ERROR.example, ERROR.rendered, ERROR.explanation) == ("", "", "")


def test_a_rule_gives_diagnostics_of_its_code() -> None:
    from dsl import codes

    def test_rule_of_its_own(at: Span) -> Message:
        """Summary.

        More.
        """
        return Message("text", (Label(at),))

    try:
        found = error(test_rule_of_its_own)(Span(Source("a", "b"), 0, 1))
        assert (found.code.name, found.code.summary, found.message) == ("test-rule-of-its-own", "Summary.", "text")
    finally:
        del codes._codes["test-rule-of-its-own"]


def test_a_file_that_cannot_be_read_has_a_name_and_no_line(tmp_path: Path) -> None:
    path = tmp_path / "nothing.net"
    (diagnostic,) = parse(read_source(path)).diagnostics
    assert str(diagnostic) == f"error[unreadable-file]: `{path}` does not exist\n --> {path}"

"""`check` and `fmt`: files, standard input, several mistakes at once, in place or not."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

MISTAKE = "network a\ninput x: float[3]\ny = x -> dnse(3)\noutput y\n"
RENDERED = """\
error[unknown-name]: no layer or block is named `dnse`
 --> a.net:3:10
  |
3 | y = x -> dnse(3)
  |          ^^^^
  = help: did you mean `dense`?

1 mistake
"""
UGLY = "# A comment.\nnetwork a\ninput x:float[ 3 ]\ny=x->dense(2,bias=false)\noutput y\n"
PRETTY = "# A comment.\nnetwork a\ninput x: float[3]\ny = x -> dense(2, bias = false)\noutput y\n"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    """Put a text (or bytes) on standard input."""

    def give(text: str | bytes) -> None:
        raw = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return give


def test_a_file_without_mistakes(project: Path, tflbp) -> None:
    ran = tflbp("check", "points.net")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == "points.net: network points, 4 nodes, no mistakes\n"


def test_a_mistake_goes_to_stderr(here: Path, tflbp) -> None:
    Path("a.net").write_text(MISTAKE)
    ran = tflbp("check", "a.net")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", RENDERED)


def test_check_as_json(project: Path, tflbp) -> None:
    Path("a.net").write_text(MISTAKE)
    ran = tflbp("check", "points.net", "a.net", "--json")
    assert (ran.exit_code, ran.stderr) == (1, RENDERED)
    good, bad = ran.json["files"]
    assert good == {"file": "points.net", "ok": True, "network": "points", "diagnostics": []}
    assert (bad["file"], bad["ok"], bad["network"]) == ("a.net", False, None)
    (diagnostic,) = bad["diagnostics"]
    assert {key: diagnostic[key] for key in ("code", "severity", "line", "column", "help")} == {
        "code": "unknown-name",
        "severity": "error",
        "line": 3,
        "column": 10,
        "help": "did you mean `dense`?",
    }
    assert ran.json["error"] == {
        "kind": "input",
        "message": "1 file of 2 with mistakes",
        "exit_code": 1,
        "diagnostics": [diagnostic],
    }


def test_check_reads_standard_input(stdin, tflbp) -> None:
    stdin(MISTAKE)
    ran = tflbp("check", "-")
    assert (ran.exit_code, ran.stderr) == (1, RENDERED.replace("a.net", "<stdin>"))


def test_check_takes_overrides(project: Path, tflbp) -> None:
    ran = tflbp("check", "points.net", "--set", "train.epochs=0")
    assert ran.exit_code == 1
    assert "error[out-of-range]" in ran.stderr


@pytest.mark.parametrize("command", ["check", "fmt", "summary", "train"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "`a.net` does not exist"),
        ("folder", "`a.net` is a folder, and a `.net` file is needed"),
        (b"\x7fELF\0\0", "`a.net` is no text: it holds zero bytes"),
        (b"network \xff", "`a.net` is not in UTF-8: there is a byte 0xFF"),
        (b"", "empty-file"),
        (b"FANN_FLO_2.1\nnum_layers=3\n", "fann-file"),
        (b"network a\x1b[31m", "bad-character"),
        (b"y = " + b"(" * 10_000, "error["),
    ],
)
def test_unreadable_files(command: str, content, said: str, here: Path, tflbp) -> None:
    file = Path("a.net")
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    ran = tflbp(command, "a.net", "--json")
    assert ran.exit_code == 1
    assert said in ran.stderr
    assert ran.json["error"]["diagnostics"]
    assert ran.json["error"]["message"] in ("1 mistake in a.net", "1 file of 1 with mistakes")
    assert "\x1b" not in ran.stderr
    assert not Path("runs").exists()


def test_fmt_writes_in_place(here: Path, tflbp) -> None:
    Path("a.net").write_text(UGLY)
    ran = tflbp("fmt", "a.net", "--json")
    assert ran.json == {"files": [{"file": "a.net", "changed": True}], "written": True}
    assert (ran.exit_code, Path("a.net").read_text()) == (0, PRETTY)
    ran = tflbp("fmt", "a.net")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "0 files of 1 changed\n")


@pytest.mark.parametrize(("options", "exit_code"), [(["--check"], 1), (["--diff"], 0), (["--check", "--diff"], 1)])
def test_fmt_changes_nothing_when_asked(options, exit_code: int, here: Path, tflbp) -> None:
    Path("a.net").write_text(UGLY)
    ran = tflbp("fmt", "a.net", *options)
    assert ran.exit_code == exit_code
    assert ran.stderr == "a.net would change\n1 file of 1 would change\n"
    assert ("+input x: float[3]\n" in ran.stdout) == ("--diff" in options)
    assert Path("a.net").read_text() == UGLY


def test_fmt_of_standard_input(stdin, tflbp) -> None:
    stdin(UGLY)
    ran = tflbp("fmt", "-")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, PRETTY, "")


def test_fmt_writes_no_file_when_one_cannot_be_read(here: Path, tflbp) -> None:
    Path("a.net").write_text(UGLY)
    Path("b.net").write_text("network (")
    assert tflbp("fmt", "a.net", "b.net").exit_code == 1
    assert Path("a.net").read_text() == UGLY


def test_fmt_keeps_what_a_comment_holds(stdin, tflbp) -> None:
    text = PRETTY.replace("A comment", "\x1b[31mred\x1b[0m")
    stdin(text)
    assert tflbp("fmt", "-").stdout == text

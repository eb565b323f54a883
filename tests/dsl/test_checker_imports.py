"""Imports: what they bring, what they may read, and what is said of those that cannot be had."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dsl import Checked, Source, check, render
from dsl.signature import Table

UNIT = "block unit(v, n) { return v -> dense(n) -> relu }\n"
BODY = "input x: float[3]\noutput y = x -> unit(width)\n"

Check = Callable[..., Checked]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project folder, the current one."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def check_files(folder: Path, table: Table) -> Check:
    """Write files and check the first."""

    def check_first(**files: str) -> Checked:
        for name, text in files.items():
            path = folder / f"{name.replace('__', '/')}.net"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        name = f"{next(iter(files))}.net"
        return check(Source(name, (folder / name).read_text()), table)

    return check_first


def messages(found: Checked) -> list[str]:
    return [f"{diagnostic.span}: {diagnostic.message}" for diagnostic in found.diagnostics]


def test_an_import_brings_constants_and_blocks(check_files: Check) -> None:
    found = check_files(main='import "lib/blocks.net"\n' + BODY, lib__blocks="let width = 5\n" + UNIT)
    assert found.diagnostics == ()
    assert found.program is not None
    assert [node.name for node in found.program.nodes] == ["y.unit.dense", "y.unit.relu"]
    assert found.program.nodes[0].settings["units"] == 5
    assert str(found.program.nodes[0].span) == "lib/blocks.net:2"
    assert [source.name for source in found.program.imports] == ["lib/blocks.net"]


def test_imports_import_relative_to_their_own_folder_and_each_file_is_read_once(check_files: Check) -> None:
    found = check_files(
        main='import "lib/a.net"\nimport "lib/b.net"\n' + BODY,
        lib__a='import "b.net"\nblock unit(v, n) { return v -> plain(n) -> relu }\n',
        lib__b='import "../sizes.net"\nblock plain(v, n) { return v -> dense(n + extra) }',
        sizes="let width = 5\nlet extra = 1",
    )
    assert found.diagnostics == ()
    assert found.program is not None
    assert found.program.nodes[0].settings["units"] == 6
    assert [source.name for source in found.program.imports] == ["sizes.net", "lib/b.net", "lib/a.net"]


def test_a_block_sees_the_names_of_its_own_file_only(check_files: Check) -> None:
    found = check_files(
        main='let width = 4\nimport "a.net"\n' + BODY,
        a="block unit(v, n) { return v -> dense(n + width) }",
    )
    assert messages(found) == ["a.net:1: `width` is not defined"]


def test_mistakes_in_an_imported_file_have_its_name_and_stand_where_it_is_imported(check_files: Check) -> None:
    found = check_files(
        main='let b = 1 / 0\nimport "a.net"\nlet c = 1 / 0\ninput x: float\noutput x',
        a="let a = 2 / 0\nlet d = (\n",
    )
    assert messages(found) == [
        "main.net:1: this divides by zero",
        "a.net:1: this divides by zero",
        "a.net:2: `(` is never closed",
        "main.net:3: this divides by zero",
    ]


def test_a_mistake_in_an_imported_block_shows_where_it_is_used(check_files: Check) -> None:
    found = check_files(main='import "a.net"\ninput x: float[3]\noutput y = x -> unit(0)', a=UNIT)
    assert render(found.diagnostics) == (
        "error[out-of-range]: `units` of `dense` must be at least 1, and this is 0\n"
        " --> a.net:1:39\n"
        "  |\n"
        "1 | block unit(v, n) { return v -> dense(n) -> relu }\n"
        "  |                                      ^\n"
        " ::: main.net:3:17\n"
        "  |\n"
        "3 | output y = x -> unit(0)\n"
        "  |                 ^^^^^^^ used here\n"
        "\n"
        "1 mistake"
    ).replace(":1:39", ":1:38")


def test_shapes_come_from_another_file(check_files: Check) -> None:
    found = check_files(
        main='import "a.net"\ninput x: float[3]\nh = x -> dense(2)\noutput y = h -> sum_with(x)',
        a="block sum_with(v, w) {\n  wide = v -> dense(4)\n  return wide + w\n}",
    )
    (diagnostic,) = found.diagnostics
    assert diagnostic.notes == (
        "wide is [4]: h [2] -> dense(4) [4]     (line 2)",
        "x is [3]: as declared                  (main.net:2)",
    )


def test_a_name_may_not_come_twice(check_files: Check) -> None:
    found = check_files(
        main='let width = 3\nimport "a.net"\nimport "b.net"\n' + BODY,
        a="let width = 5\n" + UNIT,
        b=UNIT,
    )
    assert messages(found) == ["main.net:2: `width` is defined twice", "main.net:3: `unit` is defined twice"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.net", "`missing.net` does not exist"),
        ("lib", "`lib` is a folder, and a `.net` file is needed"),
        ("", "`` is no path"),
        ("../outside.net", "`../outside.net` leads out of the project folder"),
        ("lib/../../outside.net", "`lib/../../outside.net` leads out of the project folder"),
        ("/etc/passwd", "an import is relative to its file, and `/etc/passwd` is absolute"),
        ("link.net", "`link.net` leads out of the project folder"),
        ("linked/outside.net", "`linked/outside.net` leads out of the project folder"),
        ("twin.net", "`twin.net` has several hard links, so it may be a file from elsewhere"),
        ("pipe.net", "`pipe.net` is no regular file"),
        ("latin.net", "`latin.net` is not in UTF-8: there is a byte 0xE9"),
        ("zeros.net", "`zeros.net` is no text: it holds zero bytes"),
        ("self.net", "the imports form a circle: self.net -> self.net"),
        ("./self.net", "the imports form a circle: self.net -> self.net"),
    ],
)
def test_an_import_that_cannot_be_had_is_one_mistake(folder: Path, table: Table, path: str, message: str) -> None:
    outside = folder.parent / "outside.net"
    outside.write_text(UNIT)
    (folder / "lib").mkdir()
    (folder / "link.net").symlink_to(outside)
    (folder / "linked").symlink_to(folder.parent)
    (folder / "one.net").write_text(UNIT)
    os.link(folder / "one.net", folder / "twin.net")
    os.mkfifo(folder / "pipe.net")
    (folder / "latin.net").write_bytes("# é".encode("latin-1"))
    (folder / "zeros.net").write_bytes(b"let a = 1\0")
    text = f'import "{path}"\nlet width = 2\n{BODY}'
    (folder / "self.net").write_text(text)
    found = check(Source("self.net", text), table)
    assert messages(found) == [f"self.net:1: {message}"]


def test_a_link_inside_the_project_is_followed(folder: Path, check_files: Check) -> None:
    (folder / "link.net").symlink_to("blocks.net")
    found = check_files(main='import "link.net"\nlet width = 2\n' + BODY, blocks=UNIT)
    assert found.diagnostics == ()


def test_the_project_is_the_folder_of_the_file_not_the_current_one(
    folder: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "blocks.net").write_text(UNIT)
    text = 'import "blocks.net"\nlet width = 2\n' + BODY
    (folder / "main.net").write_text(text)
    monkeypatch.chdir("/")
    found = check(Source(str(folder / "main.net"), text), table)
    assert found.diagnostics == ()


def test_a_text_without_a_file_imports_nothing(checked: Check) -> None:
    found = checked('import "a.net"\ninput x: float\noutput x')
    assert messages(found) == ["example.net:1: a text that is no file imports nothing: it has no folder"]


def test_names_that_a_failed_import_may_bring_are_no_further_mistakes(check_files: Check) -> None:
    found = check_files(
        main='import "gone.net"\nlet hight = 2\ninput x: float[3]\noutput y = x -> unit(width) -> dense(height) -> rleu'
    )
    assert messages(found) == [
        "main.net:1: `gone.net` does not exist",
        "main.net:4: `height` is not defined",
        "main.net:4: no layer or block is named `rleu`",
    ]


def test_chains_and_numbers_of_imports_are_bounded(folder: Path, check_files: Check) -> None:
    for number in range(30):
        (folder / f"c{number}.net").write_text(f'import "c{number + 1}.net"\nlet l{number} = 1\n')
    found = check_files(main='import "c0.net"\ninput x: float\noutput y = x * l0')
    assert [str(diagnostic.span) for diagnostic in found.diagnostics] == ["c19.net:1"]
    assert found.diagnostics[0].message == "imports go at most 20 files deep, and over at most 100 files"
    for number in range(101):
        (folder / f"w{number}.net").write_text(f"let w{number} = 1\n")
    many = "".join(f'import "w{number}.net"\n' for number in range(101))
    found = check_files(main=many + "input x: float\noutput y = x * w0")
    assert [d.span.line for d in found.diagnostics if d.severity == "error"] == [101]


def test_all_files_together_are_bounded(folder: Path, check_files: Check) -> None:
    for name in "ab":
        (folder / f"{name}.net").write_text(f"# {'long ' * 500_000}\nlet {name} = 1\n")
    found = check_files(main='import "a.net"\nimport "b.net"\ninput x: float\noutput y = x * a * b')
    assert messages(found) == ["main.net:2: the imported files are too large together"]

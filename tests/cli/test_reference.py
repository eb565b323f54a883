"""`reference`: a page for everything that is declared and for every mistake, complete and rendered from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.codes import catalogue
from tensorflow_lite_bp.cli._pages import all_pages
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.table import table

DENSE_SETTINGS = """\
| setting | kind | default | range | meaning |
|---|---|---|---|---|
| `units` | int | required | at least 1 | features out |
| `bias` | bool | `true` |  | whether b is added |
| `initializer` | initializer | `glorot` |  | how W starts |
"""


def test_everything_has_a_page() -> None:
    table()
    found = {(page.category, page.name) for page in all_pages()}
    assert found == {(category, name) for category, known in registry.items() for name in known} | {
        ("mistake", name) for name in catalogue()
    }


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: f"{page.category}-{page.name}")
def test_pages_are_whole(page) -> None:
    assert page.text.startswith(f"# {page.name}\n\n*")
    assert page.summary.endswith((".", ":"))
    assert "``" not in page.text.replace("```", "")
    assert "None" not in page.text
    for title, body in re.findall(r"^## (.+)\n\n(.+)", page.text, flags=re.MULTILINE):
        assert body.strip(), title


def test_the_page_of_a_layer(tflbp) -> None:
    text = tflbp("reference", "dense").stdout
    assert "Y = X -> dense(units, bias = true, initializer = glorot)" in text
    assert DENSE_SETTINGS in text
    assert "$$ dX = {W}^{T} dY $$" in text
    assert "| units = 2 | X [3] | [2] | weight [2, 3], bias [2] |" in text


def test_the_page_of_a_mistake(tflbp) -> None:
    text = tflbp("reference", "unknown-name").stdout
    assert "`tflbp check example.net` prints:\n\n```text\nerror[unknown-name]" in text


def test_a_name_in_several_categories_shows_them_all(tflbp) -> None:
    pages = tflbp("reference", "multiply", "--json").json["pages"]
    assert [page["category"] for page in pages] == ["operator", "transform"]


def test_an_unknown_name(tflbp) -> None:
    ran = tflbp("reference", "denze")
    assert (ran.exit_code, ran.stderr) == (1, "error: there is no page `denze`: did you mean `dense`?\n")
    assert tflbp("reference", "zzzz").stderr.endswith("`tflbp reference` lists them\n")


def test_the_list_fits_a_terminal(tflbp) -> None:
    lines = tflbp("reference").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert {"layers", "losses", "mistakes", "optimizers"} <= set(lines)


def test_all_pages_as_files(tmp_path: Path, tflbp) -> None:
    ran = tflbp("reference", "--out", tmp_path / "pages", "--json")
    assert ran.exit_code == 0
    index = (tmp_path / "pages" / "README.md").read_text()
    links = re.findall(r"\]\((.+?)\)", index)
    assert len(links) == len(all_pages())
    assert all((tmp_path / "pages" / link).is_file() for link in links)


def test_a_place_that_cannot_be_written(tmp_path: Path, tflbp) -> None:
    (tmp_path / "file").write_text("")
    ran = tflbp("reference", "--out", tmp_path / "file")
    assert (ran.exit_code, ran.stdout) == (1, "")

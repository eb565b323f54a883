"""Every rule's documentation: its example makes the mistake, and what is printed is what the page shows, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl import Code, Source, check
from dsl.codes import catalogue
from dsl.signature import Table

WITHOUT_EXAMPLE = {"text-too-large", "too-many-mistakes", "unreadable-file"}
"""What a small readable file cannot show; other tests pin their texts."""

CODES = list(catalogue().values())


@pytest.mark.parametrize(
    "code", [code for code in CODES if code.name not in WITHOUT_EXAMPLE], ids=lambda code: str(code.name)
)
def test_the_example_prints_what_the_page_shows(
    code: Code, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"example.net": code.example, **code.other_files}.items():
        Path(name).write_text(text)
    found = check(Source("example.net", code.example), table, overrides=code.options)
    said = [str(diagnostic) for diagnostic in found.diagnostics if diagnostic.code is code]
    assert "\n\n".join(said) + "\n" == code.rendered
    assert (found.program is None) == any(diagnostic.severity == "error" for diagnostic in found.diagnostics)


@pytest.mark.parametrize("code", CODES, ids=lambda code: str(code.name))
def test_the_page_explains_the_mistake(code: Code) -> None:
    assert code.summary.endswith(".")
    assert len(code.summary) <= 116
    assert bool(code.example) == (code.name not in WITHOUT_EXAMPLE)


def test_codes_are_named_by_words_with_hyphens() -> None:
    assert all(name.replace("-", "").isalpha() and name.islower() for name in catalogue())

"""Programs that consist of inputs, targets and a data section, and files beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dsl.checker import check
from dsl.program import Program
from dsl.signature import Table
from dsl.source import Source
from tensorflow_lite_bp.data import Data, load_data
from tensorflow_lite_bp.declare import registry


@pytest.fixture(scope="session")
def data_table() -> Table:
    """What the language knows of data sections."""
    for package in ("data", "sections"):
        importlib.import_module(f"tensorflow_lite_bp.{package}")
    return Table(
        {category: {name: cls.signature() for name, cls in known.items()} for category, known in registry.items()}
    )


@pytest.fixture(scope="session")
def program(data_table: Table) -> Callable[[str], Program]:
    """The program of a text that declares inputs, targets and a data section."""

    def make(text: str) -> Program:
        found = check(Source("t.net", f"network t\n{text}"), data_table)
        errors = [each for each in found.diagnostics if each.severity == "error"]
        assert found.program is not None, [each.message for each in errors]
        return found.program

    return make


@pytest.fixture
def load(tmp_path: Path, program: Callable[[str], Program]) -> Callable[..., Data]:
    """The data of such a text, whose files lie in the test's folder; ``csv`` is written to ``t.csv`` first."""

    def load_text(text: str, *, csv: str | None = None, seed: int = 0) -> Data:
        if csv is not None:
            (tmp_path / "t.csv").write_text(csv, encoding="utf-8")
        return load_data(program(text), folder=tmp_path, seed=seed)

    return load_text

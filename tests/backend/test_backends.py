"""The backends: random numbers by their address, and no cupy outside of its backend."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import tensorflow_lite_bp
from tensorflow_lite_bp.backend import Draw, get_backend

PACKAGE = Path(tensorflow_lite_bp.__file__).parent


def imported(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_nothing_outside_the_backend_imports_cupy() -> None:
    users = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "cupy" in imported(path)}
    assert users == {"backend/cupy.py"}


def test_an_address_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    address = Draw(3, "layer", index=7, step=2)
    first = address.generator().random(5)
    Draw(3, "layer", index=7, step=1).generator().random(1000)
    np.testing.assert_array_equal(address.generator().random(5), first)


@pytest.mark.parametrize("other", [{"seed": 4}, {"purpose": "shuffle"}, {"index": 8}, {"step": 3}])
def test_another_address_gives_other_numbers(other: dict[str, object]) -> None:
    address = {"seed": 3, "purpose": "layer", "index": 7, "step": 2}
    numbers = Draw(**address).generator().random(100)
    assert not np.isin(Draw(**{**address, **other}).generator().random(100), numbers).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_fills_an_array_from_its_address(dtype: type) -> None:
    out = np.empty((50, 40), dtype)
    get_backend("numpy").uniform(Draw(0, "layer"), out=out)
    np.testing.assert_array_equal(out, Draw(0, "layer").generator().random((50, 40), dtype=dtype))
    assert out.min() >= 0
    assert out.max() < 1
    assert abs(out.mean() - 0.5) < 0.03


def test_threads_are_limited_inside_and_as_before_outside() -> None:
    from threadpoolctl import threadpool_info

    def counts() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = counts()
    with get_backend("numpy").threads(1):
        assert set(counts()) == {1}
    assert counts() == before

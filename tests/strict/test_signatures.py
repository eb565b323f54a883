"""The committed table of CuPy's signatures is what the script makes of the installed CuPy."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.strict.signatures import METHODS, VERSION, binding, collect, table


def cupy_is_there() -> bool:
    spec = find_spec("cupy")
    return spec is not None and "double" not in str(spec.origin)


@pytest.mark.skipif(not cupy_is_there(), reason="needs CuPy itself (no driver): pip install cupy-cuda12x")
def test_the_table_is_that_of_the_installed_cupy() -> None:
    found = json.loads(json.dumps(collect()))
    committed = table()
    if found["version"] != VERSION:
        pytest.skip(f"the table is of CuPy {VERSION}, and {found['version']} is installed")
    for group, names in committed.items():
        assert found[group] == names, f"{group}: run python tests/strict/signatures.py"


def test_the_table_is_of_one_version() -> None:
    assert table()["version"] == VERSION
    assert table()["methods"].keys() == METHODS.keys()


@pytest.mark.parametrize(
    ("text", "taken", "refused"),
    [
        ("a axis= out=", [((1,), {}), ((1, 2, 3), {}), ((1,), {"out": 2})], [((), {}), ((1,), {"where": 1})]),
        ("a * copy=", [((1,), {"copy": 2})], [((1, 2), {})]),
        ("*axes", [((), {}), ((1, 2, 3), {})], [((1,), {"axes": 2})]),
    ],
)
def test_what_the_notation_stands_for(text: str, taken: list, refused: list) -> None:
    for args, kwargs in taken:
        binding.parsed(text).bind(*args, **kwargs)
    for args, kwargs in refused:
        with pytest.raises(TypeError):
            binding.parsed(text).bind(*args, **kwargs)

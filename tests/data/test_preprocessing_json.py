"""Fitted preprocessing written as JSON and read again: the same to the last bit, and a stranger's is not believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsl.program import Program
from tensorflow_lite_bp.data import Data, Preprocessing, load_data, read_user_table
from tensorflow_lite_bp.errors import InputError

TEXT = """
    input x: float[6]
    target y: class(2)
    target f: flag
    data { source = csv("t.csv")
           x = [impute(columns("a".."b"), with = "median") -> standardize, one_hot(column("c")), minmax(column("a"))]
           y = column("y")
           f = column("f")
           split = random(train = 0.5, test = 0.5) }
"""
CSV = "a,b,c,y,f\n" + "".join(
    f"{i / 7},{i * 3 if i % 3 else ''},{'xyz'[i % 3]},{'no' if i % 2 else 'yes'},true\n" for i in range(20)
)


@pytest.fixture
def data(load: Callable[..., Data]) -> Data:
    return load(TEXT, csv=CSV)


@pytest.fixture
def checked(program: Callable[[str], Program]) -> Program:
    return program(TEXT)


def test_comes_back_to_the_last_bit(tmp_path: Path, data: Data, checked: Program) -> None:
    text = data.preprocessing.to_json()
    again = Preprocessing.from_json(checked, text)
    assert again.to_json() == text
    assert again.classes == data.preprocessing.classes == {"y": ["no", "yes"]}
    rows = again.rows(read_user_table(tmp_path / "t.csv", checked))
    assert list(rows) == ["x", "y", "f"]
    for name, values in data.rows.items():
        np.testing.assert_array_equal(rows[name], values)


def test_statistics_are_those_of_the_training_rows_alone(data: Data) -> None:
    states = json.loads(data.preprocessing.to_json())["variables"]["x"]
    a = np.array([np.float32(i / 7) for i in data.splits["train"]])
    scaling = next(state for state in states if "offset" in state)
    assert len(data.splits["train"]) == 10
    np.testing.assert_allclose(scaling["offset"][0], a.astype(np.float64).mean(), rtol=1e-12)
    np.testing.assert_allclose(scaling["divisor"][0], a.astype(np.float64).std(), rtol=1e-12)


def test_a_run_goes_on_with_what_was_fitted(tmp_path: Path, data: Data, checked: Program) -> None:
    again = load_data(checked, folder=tmp_path, seed=99, preprocessing=data.preprocessing)
    assert again.preprocessing is data.preprocessing
    np.testing.assert_array_equal(again.rows["x"], data.rows["x"])  # whatever rows the other seed trains on
    assert not np.array_equal(again.splits["train"], data.splits["train"])


def damage(content: Any, change: Callable[[Any], None]) -> str:
    change(content)
    return json.dumps(content)


DAMAGES: dict[str, Callable[[Any], Any]] = {
    "another version": lambda c: c.update(version=2),
    "other variables": lambda c: c["variables"].pop("f"),
    "no variables": lambda c: c.pop("variables"),
    "a state too few": lambda c: c["variables"]["x"].pop(),
    "a state without its values": lambda c: c["variables"]["x"][0].pop("text"),
    "a state with more values": lambda c: c["variables"]["x"][0].update(more=1),
    "text among numbers": lambda c: c["variables"]["x"][1].update(fill=[1, "x"]),
    "a number that is infinite": lambda c: c["variables"]["x"][2].update(offset=[1, float("inf")]),
    "too many numbers": lambda c: c["variables"]["x"][2].update(offset=[1, 2, 3]),
    "ragged numbers": lambda c: c["variables"]["x"][2].update(offset=[[1], [2, 3]]),
    "a column too many": lambda c: c["variables"]["x"][0]["columns"].append("c"),
    "columns that are none": lambda c: c["variables"]["x"][0].update(columns=[1, 2]),
    "a category too many": lambda c: c["variables"]["x"][4]["values"][0].append("w"),
    "missing values that are none": lambda c: c.update(missing=3),
    "a state that is no state": lambda c: c["variables"]["x"].__setitem__(0, [1]),
    "states that are none": lambda c: c["variables"].update(x=7),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_refused(data: Data, checked: Program, change: Callable[[Any], None]) -> None:
    text = damage(json.loads(data.preprocessing.to_json()), change)
    with pytest.raises(InputError, match=r"^the fitted preprocessing does not belong to `t`, or is damaged"):
        Preprocessing.from_json(checked, text)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_preprocessing_is_refused(checked: Program, text: str) -> None:
    with pytest.raises(InputError, match=r"^the fitted preprocessing does not belong to `t`, or is damaged"):
        Preprocessing.from_json(checked, text)


def test_the_whole_message(data: Data, checked: Program) -> None:
    text = damage(json.loads(data.preprocessing.to_json()), DAMAGES["another version"])
    with pytest.raises(InputError) as caught:
        Preprocessing.from_json(checked, text)
    assert str(caught.value) == (
        "the fitted preprocessing does not belong to `t`, or is damaged (its version is not 1): train again, or use "
        "the .net file that it was trained with"
    )

"""Files that a person names for prediction: with a program's preprocessing, and for programs that have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsl.program import Program
from tensorflow_lite_bp.data import Data, read_user_table, user_rows
from tensorflow_lite_bp.errors import InputError

Make = Callable[[str], Program]

TEXT = """
    input x: float[2]
    target y: class(2)
    data { source = csv("t.csv", delimiter = ";")
           x = standardize(columns("a", "b"))
           y = column("y") }
"""
BARE = """
    input x: float[2, 2]
    input k: class(3)
    target y: float[1]
"""


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


@pytest.fixture
def data(load: Callable[..., Data]) -> Data:
    return load(TEXT, csv="a;b;y\n1;10;no\n3;30;yes\n")


def test_new_rows_are_read_as_the_training_rows_were(tmp_path: Path, data: Data, program: Make) -> None:
    (tmp_path / "new.csv").write_text("y;b;other;a\nyes;10;z;5\n")
    table = read_user_table(str(tmp_path / "new.csv"), program(TEXT))
    rows = user_rows(program(TEXT), table, ["x", "y"], preprocessing=data.preprocessing)
    assert rows["x"].tolist() == [[3, -1]]
    assert rows["y"].tolist() == [1]


def test_prediction_needs_no_targets(tmp_path: Path, data: Data, program: Make) -> None:
    (tmp_path / "new.csv").write_text("a;b\n2;20\n")
    table = read_user_table(tmp_path / "new.csv", program(TEXT))
    rows = user_rows(program(TEXT), table, ["x"], preprocessing=data.preprocessing)
    assert list(rows) == ["x"]
    assert rows["x"].tolist() == [[0, 0]]
    assert message(lambda: user_rows(program(TEXT), table, ["x", "y"], preprocessing=data.preprocessing)).endswith(
        'new.csv has no column "y"; it has "a", "b"'
    )


def test_an_npz_can_stand_for_a_csv(tmp_path: Path, data: Data, program: Make) -> None:
    np.savez(tmp_path / "new.npz", a=np.array([1, 5]), b=np.array([20.0, 10.0]), y=np.array(["no", "yes"]))
    table = read_user_table(tmp_path / "new.npz", program(TEXT))
    rows = user_rows(program(TEXT), table, ["x", "y"], preprocessing=data.preprocessing)
    assert rows["x"].tolist() == [[-1, 0], [3, -1]]
    assert rows["y"].tolist() == [0, 1]


def test_the_first_column_that_is_missing(tmp_path: Path, data: Data, program: Make) -> None:
    (tmp_path / "new.csv").write_text("A;c\n2;20\n")
    table = read_user_table(tmp_path / "new.csv", program(TEXT))
    assert message(lambda: user_rows(program(TEXT), table, ["x"], preprocessing=data.preprocessing)) == (
        f'{tmp_path}/new.csv has no column "a"; did you mean "A"?'
    )


def test_a_csv_for_arrays(tmp_path: Path, load: Callable[..., Data], program: Make) -> None:
    text = 'input x: float[2, 2]\ndata { source = npz("t.npz")\nx = array("x") }'
    np.savez(tmp_path / "t.npz", x=np.ones((3, 2, 2)))
    (tmp_path / "new.csv").write_text("x\n1\n")
    table = read_user_table(tmp_path / "new.csv", program(text))
    assert message(lambda: user_rows(program(text), table, ["x"], preprocessing=load(text).preprocessing)) == (
        f'{tmp_path}/new.csv is a csv and has no arrays: write column("x") or columns(...) in place of array("x")'
    )


# Without a data section


def test_columns_fill_the_inputs_in_order(tmp_path: Path, program: Make) -> None:
    (tmp_path / "new.csv").write_text("1,2,3,4,2,0.5\n5,6,7,8,0,1.5\n")
    table = read_user_table(tmp_path / "new.csv", program(BARE))
    rows = user_rows(program(BARE), table, ["x", "k", "y"], preprocessing=None)
    assert rows["x"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert rows["k"].tolist() == [2, 0]
    assert rows["k"].dtype == np.int64
    assert rows["y"].tolist() == [[0.5], [1.5]]
    assert list(user_rows(program(BARE), table, ["x", "k"], preprocessing=None)) == ["x", "k"]


def test_arrays_fill_the_inputs_by_name(tmp_path: Path, program: Make) -> None:
    np.savez(tmp_path / "new.npz", x=np.ones((3, 4)), k=np.array([0, 1, 2]))
    table = read_user_table(tmp_path / "new.npz", program(BARE))
    rows = user_rows(program(BARE), table, ["x", "k"], preprocessing=None)
    assert rows["x"].shape == (3, 2, 2)
    assert rows["k"].tolist() == [0, 1, 2]


def test_mistakes_without_a_data_section(tmp_path: Path, program: Make) -> None:
    def predict(text: str, names: list[str], *, csv: str) -> str:
        (tmp_path / "new.csv").write_text(csv)
        table = read_user_table(tmp_path / "new.csv", program(text))
        table.name = "new.csv"
        return message(lambda: user_rows(program(text), table, names, preprocessing=None))

    assert predict(BARE, ["x", "k"], csv="a,b\n1,2\n") == "new.csv has 2 columns, and `x` and `k` take 5, in this order"
    assert predict("input x: float[T]", ["x"], csv="a,b\n1,2\n") == (
        "`x` is float[T], a size that columns cannot tell: give an npz, not new.csv"
    )
    assert predict("input k: class(3)", ["k"], csv="k\nyes\nno\n") == (
        "new.csv has text for `k`, and nobody has said which class it stands for: give whole numbers, or write a data "
        "section and train with it"
    )
    assert predict("input k: class(2)", ["k"], csv="k\n0\n2\n") == (
        'new.csv, row 2 (line 3), column "k": class(2) takes the whole numbers 0 to 1, found 2; if yours count from 1, '
        "write `- 1` behind the expression"
    )
    np.savez(tmp_path / "new.npz", k=np.array([0]))
    table = read_user_table(tmp_path / "new.npz", program(BARE))
    assert message(lambda: user_rows(program(BARE), table, ["x", "k"], preprocessing=None)).endswith(
        'new.npz has no array "x"; it has "k"'
    )


def test_files_that_are_neither(tmp_path: Path, program: Make) -> None:
    assert message(lambda: read_user_table(Path("no.csv"), program(BARE))) == (
        f'"no.csv" does not exist (looked for {Path.cwd()}/no.csv)'
    )
    (tmp_path / "x.npz").write_text("a,b\n1,2\n")
    assert message(lambda: read_user_table(tmp_path / "x.npz", program(BARE))) == (
        f"{tmp_path}/x.npz is no npz file, or a damaged one (File is not a zip file)"
    )
    assert message(lambda: read_user_table(tmp_path, program(BARE))).endswith("is a folder; expected a data file")

"""What each transform computes, against scikit-learn and numbers worked out by hand; and every message whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from tensorflow_lite_bp.data import Data
from tensorflow_lite_bp.data.transforms.statistics import moments
from tensorflow_lite_bp.errors import InputError

Load = Callable[..., Data]


def values(load: Load, expression: str, csv: str, *, shape: str = "") -> np.ndarray:
    """The rows of one float input."""
    return load(f'input x: float{shape}\ndata {{ source = csv("t.csv")\nx = {expression} }}', csv=csv).rows["x"]


def message(load: Load, expression: str, csv: str, *, kind: str = "float[1]") -> str:
    with pytest.raises(InputError) as caught:
        load(f'input x: {kind}\ndata {{ source = csv("t.csv")\nx = {expression} }}', csv=csv)
    return str(caught.value)


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    """Three columns, one far from zero and one that never changes, as float32 has them."""
    generator = np.random.default_rng(5)
    columns = [generator.normal(3, 2, 40), generator.uniform(1e4, 1e4 + 9, 40), np.full(40, 0.1)]
    return np.stack(columns, axis=1).astype(np.float32)


def as_csv(numbers: np.ndarray, names: str = "abc") -> str:
    return ",".join(names) + "\n" + "\n".join(",".join(map(repr, row)) for row in numbers.tolist()) + "\n"


# Values


def test_columns(load: Load) -> None:
    csv = "a,b,c,d\n1,2,3,4\n5,6,7,8\n"
    assert values(load, 'column("b")', csv, shape="[1]").tolist() == [[2], [6]]
    assert values(load, 'columns("d", "a")', csv, shape="[2]").tolist() == [[4, 1], [8, 5]]
    assert values(load, 'columns("a", "c".."d")', csv, shape="[3]").tolist() == [[1, 3, 4], [5, 7, 8]]
    assert values(load, 'columns(all_except = "b")', csv, shape="[3]").tolist() == [[1, 3, 4], [5, 7, 8]]
    assert values(load, 'columns(all_except = ["a".."b"])', csv, shape="[2]").tolist() == [[3, 4], [7, 8]]


def test_columns_fill_a_shape_row_by_row(load: Load) -> None:
    found = values(load, 'columns("a".."f")', "a,b,c,d,e,f\n1,2,3,4,5,6\n", shape="[1, 2, 3]")
    assert found.shape == (1, 1, 2, 3)
    assert found[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_arithmetic(load: Load) -> None:
    csv = "a,b\n1,2\n3,8\n"
    assert values(load, 'columns("a", "b") / 2 - 1', csv, shape="[2]").tolist() == [[-0.5, 0], [0.5, 3]]
    assert values(load, '1 - column("a") * column("b")', csv, shape="[1]").tolist() == [[-1], [-23]]
    assert values(load, '-column("b") ^ 2 + 2 / column("a")', csv, shape="[1]").tolist() == [
        [-2],
        [-64 + np.float32(2 / 3)],
    ]


def test_a_list_is_one_after_the_other(load: Load) -> None:
    found = values(load, '[column("b") * 10, columns("a".."b"), column("a") ^ 2]', "a,b\n1,2\n3,8\n", shape="[4]")
    assert found.tolist() == [[20, 1, 2, 1], [80, 3, 8, 9]]


def test_standardize_is_sklearns(load: Load, numbers: np.ndarray) -> None:
    found = values(load, 'standardize(columns("a".."c"))', as_csv(numbers), shape="[3]")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, StandardScaler().fit_transform(numbers.astype(np.float64)), rtol=1e-3, atol=3e-4)
    assert not found[:, 2].any()  # a column that never changes


def test_standardize_by_hand(load: Load) -> None:
    found = values(load, 'standardize(column("a"))', "a\n1\n2\n3\n6\n", shape="[1]")
    np.testing.assert_allclose(found.ravel(), np.array([-2, -1, 0, 3]) / np.sqrt(3.5), rtol=1e-6)


def test_moments_of_blocks_are_those_of_the_whole() -> None:
    generator = np.random.default_rng(2)
    whole = generator.normal([0, 1e6, -3, 5], [1, 1e-1, 1e3, 0], (500, 4))
    whole[generator.random(whole.shape) < 0.2] = np.nan
    whole[:100, 2] = np.nan  # a block without a value
    found = moments(iter(np.split(whole, [50, 100, 101, 400])))
    np.testing.assert_array_equal(found.count, (~np.isnan(whole)).sum(axis=0))
    np.testing.assert_allclose(found.mean, np.nanmean(whole, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, np.nanvar(whole, axis=0), rtol=1e-9, atol=1e-20)
    np.testing.assert_array_equal(found.low, np.nanmin(whole, axis=0))
    np.testing.assert_array_equal(found.high, np.nanmax(whole, axis=0))


def test_minmax_is_sklearns(load: Load, numbers: np.ndarray) -> None:
    found = values(load, 'minmax(columns("a".."c"))', as_csv(numbers), shape="[3]")
    np.testing.assert_allclose(found, MinMaxScaler().fit_transform(numbers.astype(np.float64)), rtol=1e-4, atol=1e-6)


def test_missing_values_do_not_count_in_statistics(load: Load) -> None:
    csv = "a,b\n1,0\n,0\n3,0\n"
    assert values(load, 'impute(standardize(column("a")), 0)', csv, shape="[1]").ravel().tolist() == [-1, 0, 1]
    assert values(load, 'impute(minmax(column("a")), with = 0.5)', csv, shape="[1]").ravel().tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_impute_is_sklearns(load: Load, strategy: str) -> None:
    table = np.array([[1, 5, 2], [np.nan, 4, 2], [3, np.nan, 1], [3, 9, 1], [8, 4, np.nan]], dtype=np.float32)
    csv = as_csv(table).replace("nan", "")
    found = values(load, f'impute(columns("a".."c"), with = "{strategy}")', csv, shape="[3]")
    np.testing.assert_allclose(found, SimpleImputer(strategy=strategy).fit_transform(table), rtol=1e-6)


def test_impute_the_mean_by_default_and_a_number(load: Load) -> None:
    assert values(load, 'column("a") -> impute', "a,b\n1,0\nNA,0\n4,0\n", shape="[1]").ravel().tolist() == [1, 2.5, 4]
    assert values(load, 'impute(column("a"), -1)', "a,b\n1,0\n?,0\n4,0\n", shape="[1]").ravel().tolist() == [1, -1, 4]


def test_one_hot_is_sklearns(load: Load) -> None:
    rows = [("red", "2"), ("green", "10"), ("red", "1"), ("blue", "2")]
    csv = "colour,size\n" + "\n".join(map(",".join, rows)) + "\n"
    found = values(load, '[one_hot(column("colour")), one_hot(column("size"))]', csv, shape="[6]")
    expected = OneHotEncoder(sparse_output=False).fit_transform([[colour, int(size)] for colour, size in rows])
    assert found.tolist() == expected.tolist()  # the sizes are numbers, so they are sorted as numbers: 1, 2, 10
    both = values(load, 'one_hot(columns("colour", "size"))', csv, shape="[6]")
    texts = OneHotEncoder(sparse_output=False).fit_transform(rows)
    assert both.tolist() == texts.tolist()  # columns that hold a text among them are text: "1", "10", "2"


def test_one_hot_of_imputed_text(load: Load) -> None:
    csv = "a,b\nx,1\ny,1\nx,1\n,1\n"
    assert values(load, 'column("a") -> impute("most_frequent") -> one_hot', csv, shape="[2]")[3].tolist() == [1, 0]
    found = values(load, 'column("a") -> impute("none") -> one_hot', csv, shape="[3]")  # a category of its own
    assert found.tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_one_hot_of_something_unseen(load: Load, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("b,a\n1,z\n1,x\n")
    text = (
        'input x: float[2]\ndata { source = csv("t.csv", test = "u.csv")\nx = one_hot(column("a"), unknown = "zeros") }'
    )
    data = load(text, csv="a,b\nx,1\ny,1\n")
    assert data.rows["x"][data.splits["test"]].tolist() == [[0, 0], [1, 0]]


def test_classes_are_an_order(load: Load) -> None:
    csv = "size\nS\nL\nM\nS\n"
    found = values(load, 'classes(column("size"), names = ["S", "M", "L"]) / 2', csv, shape="[1]")
    assert found.ravel().tolist() == [0, 1, 0.5, 0]
    assert values(load, 'classes(column("size"))', csv, shape="[1]").ravel().tolist() == [2, 0, 1, 2]
    years = values(load, 'classes(column("year"))', "year\n2010\n1999\n2010.0\n", shape="[1]")
    assert years.ravel().tolist() == [1, 0, 1]


# Kinds of variables


def rows_of(load: Load, kind: str, expression: str, csv: str) -> np.ndarray:
    return load(f'input y: {kind}\ndata {{ source = csv("t.csv")\ny = {expression} }}', csv=csv).rows["y"]


def test_classes(load: Load) -> None:
    found = rows_of(load, "class(3)", 'column("y")', "y\nb\na\nc\nb\n")
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 2, 1]
    assert rows_of(load, "class(3)", 'column("y")', "y\n2\n0.0\n 1 \n").tolist() == [2, 0, 1]
    assert rows_of(load, "class(10)", 'column("y") - 1', "y\n10\n1\n").tolist() == [9, 0]
    assert rows_of(load, "class(2)", 'classes(column("y"))', "y\n7\n3\n").tolist() == [1, 0]
    assert rows_of(load, "class(3)[2]", 'columns("a", "b")', "a,b\nx,y\ny,z\n").tolist() == [[0, 1], [1, 2]]


def test_tokens(load: Load) -> None:
    found = rows_of(load, "token(9)[3]", 'columns("a".."c")', "a,b,c\nthe,old,man\nthe,sea,the\n")
    assert found.tolist() == [[3, 1, 0], [3, 2, 3]]
    assert rows_of(load, "token(9)[2]", 'columns("a".."b")', "a,b\n8,0\n").tolist() == [[8, 0]]


@pytest.mark.parametrize("text", ["1\n0\n1", "true\nfalse\nTrue", "yes\nno\nYES", "1\nno\ntrue"])
def test_flags(load: Load, text: str) -> None:
    found = rows_of(load, "flag", 'column("y")', f"y\n{text}\n")
    assert found.dtype == np.float32
    assert found.tolist() == [1, 0, 1]


# Mistakes


@pytest.mark.parametrize(
    ("expression", "csv", "expected"),
    [
        ('column("b")', "a,c\n1,2\n", 't.net:4: t.csv has no column "b"; it has "a", "c"'),
        ('columns("a".."z")', "a,b\n1,2\n", 't.net:4: t.csv has no column "z"; it has "a", "b"'),
        ('columns("b".."a")', "a,b\n1,2\n", 't.net:4: "b".."a" runs backwards: in t.csv, "b" stands behind "a"'),
        ('columns("a".."b", "a")', "a,b\n1,2\n", 't.net:4: columns(...) names "a" twice'),
        ("columns", "a,b\n1,2\n", 't.net:4: columns(...) takes either names, or `all_except = ["label"]` alone'),
        ('columns("a", all_except = "b")', "a,b\n1,2\n",
         't.net:4: columns(...) takes either names, or `all_except = ["label"]` alone'),
        ('columns(all_except = "a".."b")', "a,b\n1,2\n", "t.net:4: columns(all_except = ...) leaves no column of "
         "t.csv"),
        ('array("a")', "a,b\n1,2\n",
         't.net:4: t.csv is a csv and has no arrays: write column("a") or columns(...) in place of array("a")'),
        ('columns("a", "b")', "a,b\n1,2\n", "t.net:4: `x` is float[1], which is 1 value, and its expression gives 2"),
        ('column("a")', "a,b\n1,2\n,3\n", 't.csv, row 2 (line 3), column "a": the value is missing: fill gaps with '
         "impute(...), or remove the row"),
        ('1 / column("a")', "a,b\n1,2\n0,3\n", 't.csv, row 2 (line 3), column "a": the value is not finite (inf)'),
        ('column("a") / column("b")', "a,b\n1,2\n1,0\n",
         't.csv, row 2 (line 3), column "a" / column "b": the value is not finite (inf)'),
        ('column("a") + columns("a", "b")', "a,b\n1,2\n", "t.net:4: t.csv: `+` needs equal shapes: [1] and [2]"),
        ('impute(column("a"))', "a,b\n,2\n,3\n",
         't.net:4: t.csv: column "a": no training row has a value to take the mean of'),
        ('impute(columns("b", "a"), with = "median")', "a,b\n,2\n,3\n",
         't.net:4: t.csv: column "a": no training row has a value to take the median of'),
        ('one_hot(impute(column("a"), with = "most_frequent"))', "a,b\n,2\n,3\n",
         't.net:4: t.csv: column "a": no training row has a value to take the most frequent of'),
        ('impute(column("a"), with = "mode")', "a,b\n1,2\n",
         't.net:4: t.csv: `impute` is told "mode"; expected "mean", "median", "most_frequent" or a number'),
        ('one_hot(impute(column("a")))', "a,b\nx,2\n,2\n",
         't.net:4: t.csv: text has no "mean": write `with = "most_frequent"`, or a word'),
        ('one_hot(column("a"))', "a,b\nx,2\n,2\n", 't.csv, row 2 (line 3), column "a": the value is missing: fill gaps '
         "with impute(...), or remove the row"),
        ('one_hot([column("a"), column("b")])', "a,b\nx,2\ny,2\n",
         "t.net:4: t.csv: a list holds text and numbers; encode them apart: [one_hot(...), one_hot(...)]"),
        ('classes(column("a"), names = ["S", "M", "S"])', "a,b\nS,2\n", 't.net:4: t.csv: `names` has "S" twice'),
        ('classes(column("a"), names = ["1", "two"])', "a,b\n1,2\n",
         't.net:4: t.csv: the column holds numbers, and `names` has "two"'),
        ('classes(column("a"), names = ["small", "large"])', "a,b\nsmall,2\nlagre,2\n",
         't.csv, row 2 (line 3), column "a": "lagre" is none of the `names`; did you mean "large"?'),
    ],
)  # fmt: skip
def test_mistakes(load: Load, expression: str, csv: str, expected: str) -> None:
    assert message(load, expression, csv) == expected


IN_Y = 't.csv, row 2 (line 3), column "y": '
GAP = IN_Y + "the value is missing: fill gaps with impute(...), or remove the row"
TAKES = IN_Y + "%s(3) takes the whole numbers 0 to 2, found %s; "
ONES = "if yours count from 1, write `- 1` behind the expression"
NUMBERS = "classes(...) numbers whatever values there are from 0"
FLAG = IN_Y + "a flag is 0 or 1, true or false, yes or no; found "
HOLDS = "t.net:4: `x` is %s, and the training rows hold 3 different values (%s): declare "
ALL = ", or give all in order: classes(..., names = [...])"


@pytest.mark.parametrize(
    ("kind", "expression", "rows", "expected"),
    [
        ("class(3)", 'column("y")', "0 3", TAKES % ("class", "3") + ONES),
        ("class(3)", 'column("y")', "0 -1", TAKES % ("class", "-1") + NUMBERS),
        ("class(3)", 'column("y")', "0 1.5", TAKES % ("class", "1.5") + NUMBERS),
        ("token(3)", 'column("y")', "0 7", TAKES % ("token", "7") + NUMBERS),
        ("class(3)", 'column("y")', "0 NA", GAP),
        ("class(3)", 'column("y")', "a NA b c", GAP),
        ("class(2)", 'column("y")', "a b c", HOLDS % ("class(2)", '"a", "b", "c"') + "class(3)" + ALL),
        ("class(4)", 'column("y")', "a b c", HOLDS % ("class(4)", '"a", "b", "c"') + "class(3)" + ALL),
        ("class(2)", 'classes(column("y"))', "5 7 9", HOLDS % ("class(2)", '"5", "7", "9"') + "class(3)" + ALL),
        ("token(2)", 'column("y")', "a b c", HOLDS % ("token(2)", '"a", "b", "c"') + "token(3)"),
        ("class(3)", 'classes(column("y"), names = ["a", "b"])', "a b",
         't.net:4: `x` is class(3), and `names` has 2 different values ("a", "b"): declare class(2)'),
        ("flag", 'column("y")', "1 2", FLAG + "2"),
        ("flag", 'column("y")', "yes maybe", FLAG + '"maybe"'),
        ("flag", 'column("y")', "yes NA", FLAG + "a missing value"),
    ],
)  # fmt: skip
def test_mistakes_in_classes_and_flags(load: Load, kind: str, expression: str, rows: str, expected: str) -> None:
    csv = "\n".join(["y", *rows.split(), ""])
    assert message(load, expression, csv, kind=kind) == expected


@pytest.mark.parametrize(
    ("kind", "expression"),
    [("class(2)", 'column("y")'), ("token(5)", 'column("y")'), ("float[2]", 'one_hot(column("y"))')],
)
def test_a_value_that_training_has_not_seen(load: Load, tmp_path: Path, kind: str, expression: str) -> None:
    (tmp_path / "u.csv").write_text("y,z\na,1\nc,1\n")
    with pytest.raises(InputError) as caught:
        load(
            f'input x: {kind}\ndata {{ source = csv("t.csv", test = "u.csv")\nx = {expression} }}',
            csv="y,z\na,1\nb,1\n",
        )
    assert str(caught.value) == (
        'u.csv, row 2 (line 3), column "y": "c" was not seen in the training rows; expected "a", "b"'
    )


def test_numbers_that_turn_to_text_behind_the_training_rows(load: Load, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("y,z\n1,1\nc,1\n")
    with pytest.raises(InputError) as caught:
        load(
            'input x: class(2)\ndata { source = csv("t.csv", test = "u.csv")\nx = column("y") }', csv="y,z\n0,1\n1,1\n"
        )
    assert str(caught.value) == (
        'u.csv, row 2 (line 3), column "y": "c" is no number, and the training rows hold numbers only'
    )

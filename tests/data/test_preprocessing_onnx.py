"""The preprocessing as an ONNX graph, run by onnxruntime on raw columns, against the rows that training sees."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from dsl.program import Program
from tensorflow_lite_bp.data import Data, RawInput, read_user_table
from tensorflow_lite_bp.exchange.builder import Builder

Load = Callable[..., Data]

TABLE = """a,b,c,colour,size,yes,label
1,-3,0.5,red,2,yes,1
2,4,,green,10,no,0
7,5,1e-3,NA,1,no,2
4.5,6,9,red,2,YES,0
-1,2,3,blue,10,no,1
"""


def run(
    program: Program, data: Data, feeds: dict[str, np.ndarray], *, opset: int = 17, dtype: str = "float32"
) -> dict[str, np.ndarray]:
    """Every input's tensor, as onnxruntime computes it."""
    g = Builder(dtype, opset)
    for variable in program.inputs:
        with g.scope(variable.name, str(variable.span)):
            name = data.preprocessing.onnx(g, variable)
        kind = "int64" if variable.type.kind in ("class", "token") else dtype
        g.output(name, f"{variable.name}_out", kind, variable.type.shape)
    model = g.model()
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, feeds)
    return {
        output.name.removesuffix("_out"): value for output, value in zip(session.get_outputs(), outputs, strict=True)
    }


def raw_feeds(raws: list[RawInput], table: str) -> dict[str, np.ndarray]:
    """What somebody who knows only the raw inputs and the csv makes of them, with the standard library."""
    rows = list(csv.DictReader(io.StringIO(table)))
    feeds = {}
    for raw in raws:
        fields = [[row[column] for column in raw.columns] for row in rows]
        if raw.kind == "string":
            feeds[raw.name] = np.array(fields, dtype=object)
        else:
            numbers = [[float(field) if field not in ("", "NA") else np.nan for field in row] for row in fields]
            feeds[raw.name] = np.array(numbers, dtype=np.int64 if raw.kind == "int" else np.float32)
    return feeds


EXPRESSIONS = {
    'column("a")': "float[1]",
    'columns("a".."b")': "float[2]",
    'columns("a".."b") / 16': "float[1, 2]",
    '1 - column("a") * column("b") + column("a") ^ 2': "float[1]",
    '-column("a") / column("b")': "float[1]",
    'standardize(columns("a", "b"))': "float[2]",
    'minmax(columns("a", "b"))': "float[2]",
    'columns("a".."c") -> impute -> standardize': "float[3]",
    'impute(column("c"), with = "median")': "float[1]",
    'impute(columns("a".."c"), with = "most_frequent")': "float[3]",
    'impute(column("c"), with = -2)': "float[1]",
    'one_hot(column("size"))': "float[3]",
    'one_hot(columns("size", "b"))': "float[8]",
    'one_hot(columns("yes", "size"))': "float[6]",
    'one_hot(impute(column("colour"), with = "most_frequent"))': "float[3]",
    'one_hot(impute(columns("colour", "yes"), with = "grey"))': "float[7]",
    'classes(column("yes"), names = ["no", "yes", "YES"])': "float[1]",
    'classes(column("size")) / 2': "float[1]",
    '[standardize(column("a")), one_hot(column("size")), columns("b")]': "float[5]",
    'column("label")': "class(3)",
    'columns("label", "size")': "token(11)[2]",
    'column("yes")': "flag",
    'column("label") / 2 ^ 0 * 0': "flag",
    'columns("yes")': "class(3)",
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_graph_computes_the_rows(load: Load, program: Callable[[str], Program], expression: str) -> None:
    text = f'input x: {EXPRESSIONS[expression]}\ndata {{ source = csv("t.csv")\nx = {expression} }}'
    data, checked = load(text, csv=TABLE), program(text)
    raws = data.preprocessing.raw_inputs(checked.inputs[0])
    found = run(checked, data, raw_feeds(raws, TABLE))["x"]
    assert found.dtype == data.rows["x"].dtype
    assert found.shape == data.rows["x"].shape
    np.testing.assert_allclose(found, data.rows["x"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("opset", [13, 15, 18, 19, 20, 21])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_opset_and_precision(load: Load, program: Callable[[str], Program], opset: int, dtype: str) -> None:
    text = """
        input x: float[13]
        input k: class(3)
        input f: flag
        data {
          source = csv("t.csv")
          x = [columns("a".."c") -> impute -> standardize, one_hot(column("size")), classes(column("size")),
               column("colour") -> impute("most_frequent") -> one_hot, minmax(columns("a".."b")), -column("a")]
          k = column("label")
          f = column("yes")
        }
    """
    data, checked = load(text, csv=TABLE), program(text)
    raws = [raw for variable in checked.inputs for raw in data.preprocessing.raw_inputs(variable)]
    feeds = {
        name: value.astype(dtype) if value.dtype.kind == "f" else value
        for name, value in raw_feeds(raws, TABLE).items()
    }
    found = run(checked, data, feeds, opset=opset, dtype=dtype)
    for name, rows in data.rows.items():
        np.testing.assert_allclose(found[name], rows, rtol=1e-5, atol=1e-6)


def test_unseen_values_get_no_1_and_no_class(load: Load, program: Callable[[str], Program]) -> None:
    text = """
        input x: float[3]
        input k: class(3)
        data { source = csv("t.csv")
               x = one_hot(column("size"), unknown = "zeros")
               k = column("yes") }
    """
    data, checked = load(text, csv=TABLE), program(text)
    feeds = {
        "x": np.array([[7], [10], [np.nan]], dtype=np.float32),
        "k": np.array([["no"], ["?"], ["yes"]], dtype=object),
    }
    found = run(checked, data, feeds)
    assert found["x"].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert found["k"].tolist() == [1, -1, 2]


def raws_of(load: Load, program: Callable[[str], Program], text: str) -> list[RawInput]:
    data = load(text, csv=TABLE)
    return [raw for variable in program(text).inputs for raw in data.preprocessing.raw_inputs(variable)]


def test_names_of_the_raw_inputs(load: Load, program: Callable[[str], Program]) -> None:
    assert raws_of(load, program, 'input x: float[2]\ndata { source = csv("t.csv")\nx = columns("a".."b") }') == [
        RawInput("x", "float", ("a", "b"), (2,))
    ]
    text = """
        input a: float[5]
        input t: float[1]
        input k: class(3)
        data { source = csv("t.csv")
               a = [column("a"), columns("a".."b"), column("a") ^ 2, columns("b", "a") -> minmax -> minmax] / 2 + 0
               t = one_hot(column("yes")) -> minmax
               k = column("label") }
    """.replace("float[5]", "float[6]").replace("float[1]", "float[3]")
    assert raws_of(load, program, text) == [
        RawInput("a_2", "float", ("a",), (1,)),  # `a` is a tensor of the network
        RawInput("a.columns", "float", ("a", "b"), (2,)),
        RawInput("a.columns_2", "float", ("b", "a"), (2,)),
        RawInput("t", "string", ("yes",), (1,)),
        RawInput("k", "int", ("label",), (1,)),
    ]


# Arrays


def arrays(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.savez(
        tmp_path / "t.npz",
        images=generator.integers(0, 256, (6, 4, 3)).astype(np.uint8),
        flat=generator.normal(size=(6, 12)).astype(np.float32),
        words=generator.integers(0, 9, (6, 5)),
        name=np.array(["a", "b", "c", "a", "b", "c"]),
    )


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ('float[1, 4, 3] = array("images") / 255', RawInput("x", "float", ("images",), (4, 3))),
        ('float[4, T] = standardize(array("images"))', RawInput("x", "float", ("images",), (4, "T"))),
        ('float[1, H, W] = array("images")', RawInput("x", "float", ("images",), (4, 3))),
        ('float[4, T] = array("flat")', RawInput("x", "float", ("flat",), (12,))),
        ('float[12] = array("images")', RawInput("x", "float", ("images",), (4, 3))),
        ('float[3, 2, 2] = array("flat")', RawInput("x", "float", ("flat",), (12,))),
        ('token(9)[T] = array("words")', RawInput("x", "int", ("words",), ("T",))),
        ('class(3) = array("name")', RawInput("x", "string", ("name",), ())),
        ('float[3] = one_hot(array("name"))', RawInput("x", "string", ("name",), ())),
    ],
)
def test_arrays_in_the_graph(
    tmp_path: Path, load: Load, program: Callable[[str], Program], text: str, raw: RawInput
) -> None:
    arrays(tmp_path)
    kind, _, expression = text.partition(" = ")
    text = f'input x: {kind}\ndata {{ source = npz("t.npz")\nx = {expression} }}'
    data, checked = load(text), program(text)
    assert data.preprocessing.raw_inputs(checked.inputs[0]) == [raw]
    with np.load(tmp_path / "t.npz") as stored:
        content = stored[raw.columns[0]]
    feed = content.astype({"float": np.float32, "int": np.int64, "string": object}[raw.kind])
    found = run(checked, data, {"x": feed})["x"]
    assert found.shape == data.rows["x"].shape
    np.testing.assert_allclose(found, data.rows["x"], rtol=1e-6, atol=1e-7)


def test_raw_rows_feed_the_graph(tmp_path: Path, load: Load, program: Callable[[str], Program]) -> None:
    text = """
        input x: float[5]
        input k: class(3)
        data { source = csv("t.csv")
               x = [standardize(columns("a".."b")), column("colour") -> impute("most_frequent") -> one_hot]
               k = column("label") }
    """
    data, checked = load(text, csv=TABLE), program(text)
    table = read_user_table(tmp_path / "t.csv", checked)
    data.preprocessing.load(table)
    feeds = {}
    for variable in checked.inputs:
        feeds |= data.preprocessing.raw_rows(table, variable, slice(1, 4))
    assert feeds["colour"].tolist() == [["green"], [""], ["red"]]
    assert {name: feed.dtype for name, feed in feeds.items()} == {"x.columns": "f4", "colour": "O", "k": "i8"}
    found = run(checked, data, feeds)
    for name, rows in data.rows.items():
        np.testing.assert_allclose(found[name], rows[1:4], rtol=1e-6)

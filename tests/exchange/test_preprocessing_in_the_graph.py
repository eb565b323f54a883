"""Models that take the raw columns: what the graph makes of them, and the samples it is compared on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.data import Table, load_data, read_user_table
from tensorflow_lite_bp.data.transforms.scaling import Scaling
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.exchange.builder import OPSETS, Tensor
from tensorflow_lite_bp.exchange.export import export
from tensorflow_lite_bp.exchange.parity import Batch, ParityFailure
from tensorflow_lite_bp.exchange.sample import drawn_rows, sample_batches

TEXT = """network people
input  person: float[6]
input  smokes: float[2]
target label: class(3)
logits = (person -> dense(8) -> relu -> dense(3)) * (smokes -> dense(3))
loss cross_entropy(logits, label)
output probabilities = softmax(logits)
data {
  source = csv("people.csv")
  person = [standardize(impute(columns("age", "height"))), one_hot(column("colour")), column("rank") / 4]
  smokes = one_hot(column("smokes"))
  label  = column("label")
}
"""
COLOURS, LABELS = ("blue", "green", "red"), ("maybe", "no", "yes")
ROWS = 40


def people() -> dict[str, list[Any]]:
    """The columns of the table: some ages are missing."""
    generator = np.random.default_rng(3)
    return {
        "age": ["" if row % 7 == 0 else f"{generator.normal(40, 10):.3f}" for row in range(ROWS)],
        "height": [f"{value:.3f}" for value in generator.normal(1.7, 0.1, ROWS)],
        "colour": [COLOURS[row % 3] for row in range(ROWS)],
        "rank": [str(row % 5) for row in range(ROWS)],
        "smokes": [("yes", "no")[row % 2] for row in range(ROWS)],
        "label": [LABELS[row % 3] for row in range(ROWS)],
    }


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network whose preprocessing is fitted, and whose weights are those it was born with."""
    columns = people()
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    made = Network.from_text(TEXT, name="people.net", seed=1)
    made.preprocessing = load_data(made.program, folder=tmp_path, seed=1).preprocessing
    return made


@pytest.fixture
def table(network: Network, tmp_path: Path) -> Table:
    return read_user_table(tmp_path / "people.csv", network.program)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def by_hand(network: Network) -> np.ndarray:
    """The probabilities from the columns, in a few lines of NumPy."""
    columns = people()
    parts = []
    for name in ("age", "height"):
        values = np.array([float(value) if value else np.nan for value in columns[name]])
        values[np.isnan(values)] = np.nanmean(values)
        parts.append((values - values.mean()) / values.std())
    parts += [np.array([value == colour for value in columns["colour"]]) for colour in COLOURS]
    parts.append(np.array(columns["rank"], float) / 4)
    smokes = np.array([[value == "no", value == "yes"] for value in columns["smokes"]], float)
    weights = {name: np.asarray(network.weights[name], float) for name in network.weights}
    names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    first, second, third = ((weights[f"{name}.weight"].T, weights[f"{name}.bias"]) for name in names)
    hidden = np.maximum(np.stack(parts, axis=1) @ first[0] + first[1], 0)
    logits = (hidden @ second[0] + second[1]) * (smokes @ third[0] + third[1])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def raw_feed(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """The columns as the model's metadata names them; a missing number is NaN."""
    columns, wanted = people(), json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    feed = {}
    for item in session.get_inputs():
        values = np.array([columns[name] for name in wanted[item.name]], dtype=object).T
        is_text = item.type == "tensor(string)"
        feed[item.name] = values if is_text else np.where(values == "", "nan", values).astype(np.float32)
    return feed


@pytest.mark.parametrize("opset", OPSETS)
def test_raw_columns_give_what_the_hand_computes(network: Network, table: Table, folder: Path, opset: int) -> None:
    export(network, folder / "people.onnx", opset=opset, sample=table)
    session = onnxruntime.InferenceSession(folder / "people.onnx")
    feed = raw_feed(session)
    assert {item.type for item in session.get_inputs()} == {"tensor(float)", "tensor(string)"}
    (found,) = session.run(None, feed)
    np.testing.assert_allclose(found, by_hand(network), rtol=1e-4)
    (one,) = session.run(None, {name: array[:1] for name, array in feed.items()})
    np.testing.assert_allclose(one, found[:1], rtol=1e-6)


def test_metadata_says_which_columns_and_classes(network: Network, folder: Path) -> None:
    export(network, folder / "people.onnx")
    model = onnx.load(folder / "people.onnx")
    metadata = {item.key: json.loads(item.value) for item in model.metadata_props}
    assert metadata["classes"] == {"label": list(LABELS)}
    assert [*metadata["columns"].values()] == [["age", "height"], ["colour"], ["rank"], ["smokes"]]
    assert [*metadata["columns"]] == [value.name for value in model.graph.input]


def test_the_preprocessing_can_be_left_out(network: Network, table: Table, folder: Path) -> None:
    for sample in (None, table):
        report = export(network, folder / "people.onnx", raw=True, sample=sample)
        assert report.inputs == (Tensor("person", "float32", (6,)), Tensor("smokes", "float32", (2,)))
        assert report.batches == (1, 2, 64 if sample is None else ROWS)
    metadata = {item.key: json.loads(item.value) for item in onnx.load(folder / "people.onnx").metadata_props}
    assert metadata["columns"] == {}
    assert metadata["classes"] == {"label": list(LABELS)}


def test_double_precision_reaches_back_to_the_raw_inputs(network: Network, table: Table, folder: Path) -> None:
    report = export(network, folder / "people.onnx", precision="float64", sample=table)
    assert {tensor.dtype for tensor in report.inputs} == {"float64", "string"}


@pytest.mark.parametrize("with_data", [True, False])
def test_a_wrong_transform_is_named(
    network: Network, table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch, with_data: bool
) -> None:
    right = Scaling.onnx
    monkeypatch.setattr(Scaling, "onnx", lambda self, g, state, x: g.Neg(right(self, g, state, x)))
    with pytest.raises(ParityFailure, match=r"; the preprocessing of `person` is the first to differ$"):
        export(network, folder / "people.onnx", sample=table if with_data else None)
    assert list(folder.iterdir()) == []


# Samples


def inputs_of(network: Network, folder: Path, **options: Any) -> tuple[Tensor, ...]:
    return export(network, folder / "model.onnx", **options).inputs


def check_sizes(batches: tuple[Batch, ...], *sizes: int) -> None:
    assert tuple(batch.size for batch in batches) == sizes
    for batch in batches:
        assert {len(array) for array in (*batch.feed.values(), *batch.rows.values())} == {batch.size}


def test_rows_from_all_over_the_table(network: Network, table: Table, folder: Path) -> None:
    inputs = inputs_of(network, folder)
    batches = sample_batches(network, inputs, sample=table)
    check_sizes(batches, 1, 2, ROWS)
    assert [*batches[2].feed] == [tensor.name for tensor in inputs]
    colours = next(array for array in batches[2].feed.values() if array.dtype == object)
    assert colours.ravel().tolist() == people()["colour"]
    assert batches[2].rows["smokes"].tolist() == [[0.0, 1.0], [1.0, 0.0]] * (ROWS // 2)


def test_a_long_table_gives_256_rows_from_first_to_last(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("x,y\n" + "".join(f"{row},0\n" for row in range(1000)))
    network = Network.from_text(
        "network long\ninput x: float\ntarget t: float\ny = x * 2\nloss mse(y, t)\noutput y\n"
        'data { source = csv("long.csv")  x = column("x")  t = column("y") }'
    )
    network.preprocessing = load_data(network.program, folder=tmp_path, seed=0).preprocessing
    table = read_user_table(tmp_path / "long.csv", network.program)
    batch = sample_batches(network, inputs_of(network, tmp_path), sample=table)[2]
    assert batch.size == 256
    assert (batch.rows["x"][0], batch.rows["x"][-1]) == (0, 999)
    assert batch.feed["x"].shape == (256, 1)


def test_made_up_rows_are_like_the_training_rows(network: Network, folder: Path) -> None:
    batches = sample_batches(network, inputs_of(network, folder))
    check_sizes(batches, 1, 2, 64)
    texts = [set(array.ravel()) for array in batches[2].feed.values() if array.dtype == object]
    assert texts == [set(COLOURS), {"yes", "no"}]
    numbers = next(array for array in batches[2].feed.values() if array.shape[1:] == (2,))
    assert np.isnan(numbers).any()  # the graph has to fill them
    assert np.nanmean(numbers, axis=0) == pytest.approx([40, 1.7], rel=0.2)
    again = sample_batches(network, inputs_of(network, folder))[2]
    np.testing.assert_array_equal(again.rows["person"], batches[2].rows["person"])


def test_inputs_that_are_no_real_numbers(tmp_path: Path) -> None:
    lines = [f"{('no', 'yes')[row % 2]},{row % 2},{row % 3},{'abc'[row % 3]},{row % 5},{row % 4}" for row in range(30)]
    (tmp_path / "kinds.csv").write_text("word,bit,number,name,first,second\n" + "\n".join(lines) + "\n")
    columns = {"word": "flag", "bit": "flag", "number": "class(3)", "name": "class(3)", "pair": "token(5)[2]"}
    network = Network.from_text(
        "network kinds\n"
        + "".join(f"input {name}: {type_}\noutput {name}_out = {name}\n" for name, type_ in columns.items())
        + 'data {\n source = csv("kinds.csv")\n pair = columns("first", "second")\n'
        + "".join(f'{name} = column("{name}")\n' for name in columns if name != "pair")
        + "}\n"
    )
    network.preprocessing = load_data(network.program, folder=tmp_path, seed=0).preprocessing
    table = read_user_table(tmp_path / "kinds.csv", network.program)
    for sample in (table, None):
        report = export(network, tmp_path / "kinds.onnx", sample=sample)
        assert [tensor.dtype for tensor in report.inputs] == ["string", "float32", "int64", "string", "int64"]
        assert [tensor.dtype for tensor in report.outputs] == ["float32", "float32", "int64", "int64", "int64"]
        assert [difference.absolute for difference in report.differences] == [0.0] * 5


def test_made_up_rows_that_the_preprocessing_refuses(tmp_path: Path) -> None:
    (tmp_path / "roots.csv").write_text("x,y\n" + "".join(f"{row},0\n" for row in range(100)))
    network = Network.from_text(
        "network roots\ninput x: float\ntarget t: float\ny = x * 2\nloss mse(y, t)\noutput y\n"
        'data { source = csv("roots.csv")  x = column("x") ^ 0.5  t = column("y") }',
        name="roots.net",
    )
    network.preprocessing = load_data(network.program, folder=tmp_path, seed=0).preprocessing
    with pytest.raises(InputError) as caught:
        export(network, tmp_path / "roots.onnx")
    start, end = str(caught.value).split(" (", 1)
    assert start == ("there is no data to compare the model on, and made-up rows do not pass the preprocessing")
    assert end.endswith("): give a table of the data as the sample, or leave the preprocessing out (`raw`)")
    export(network, tmp_path / "roots.onnx", raw=True)
    export(network, tmp_path / "roots.onnx", sample=read_user_table(tmp_path / "roots.csv", network.program))


def test_samples_that_do_not_fit(network: Network, table: Table, folder: Path) -> None:
    inputs = inputs_of(network, folder)
    rows = drawn_rows(network, 3)
    with pytest.raises(InputError) as caught:
        sample_batches(network, inputs, sample=rows)
    assert str(caught.value) == "the model starts with the preprocessing: give a table of raw columns as the sample"
    network.preprocessing = None
    with pytest.raises(InputError) as caught:
        sample_batches(network, inputs, sample=table)
    assert str(caught.value) == "the network has no preprocessing that reads a table: give arrays as the sample"
    with pytest.raises(InputError) as caught:
        sample_batches(network, inputs, sample={name: array[:0] for name, array in rows.items()})
    assert str(caught.value) == "the sample has no rows to compare the model on"


def test_arrays_as_the_sample_come_again_where_there_are_too_few(network: Network, folder: Path) -> None:
    network.preprocessing = None
    inputs = inputs_of(network, folder)
    rows = {"person": [[1, 2, 3, 4, 5, 0.1]], "smokes": [[1, 0]]}  # lists, and whole numbers, as people type them
    batches = sample_batches(network, inputs, sample=rows)
    check_sizes(batches, 1, 2, 1)
    np.testing.assert_array_equal(batches[1].feed["person"], np.array(rows["person"] * 2, np.float32))
    assert all(array.dtype == np.float32 for array in batches[0].feed.values())
    assert batches[0].rows["person"][0, 5] == np.float32(0.1)  # the network sees what is left in the model's dtype
    assert export(network, folder / "people.onnx", sample=rows).batches == (1, 2, 1)


def test_drawn_rows_are_what_the_types_say() -> None:
    network = Network.from_text(
        "network kinds\ninput x: float[2, T]\ninput f: flag[3]\ninput w: float[S]\n"
        "output y = relu(x)\noutput g = f\noutput v = relu(w)\n",
        seed=4,
    )
    rows = drawn_rows(network, 50)
    assert {name: array.shape for name, array in rows.items()} == {"x": (50, 2, 5), "f": (50, 3), "w": (50, 7)}
    assert set(rows["f"].ravel().tolist()) == {0, 1}
    assert abs(rows["x"].mean()) < 0.2
    assert rows["x"].std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(drawn_rows(network, 50)["w"], rows["w"])
    assert drawn_rows(network, 1, stretch=2)["x"].shape == (1, 2, 7)

"""Exported models: what they compute, what stands in them, and what happens when they are wrong."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tensorflow_lite_bp import Network, __version__
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.exchange import export as export_module
from tensorflow_lite_bp.exchange.builder import OPSETS, Tensor
from tensorflow_lite_bp.exchange.export import ExportReport, build, export
from tensorflow_lite_bp.exchange.parity import ParityFailure, _first_divergence, _names_classes, verify
from tensorflow_lite_bp.exchange.sample import sample_batches
from tensorflow_lite_bp.layers.dense import Dense

TEXT = """network faces
input image: float[1, 2, 3]
input unused: float[4]
target face: class(3)
parameter gain: float[3] = ones

hidden = image -> flatten -> dense(5) -> tanh -> dropout(0.5)
other  = unused -> dense(2)
logits = (hidden -> dense(3)) * gain
loss cross_entropy(logits, face)
loss mse(other, other)
output probabilities = softmax(logits)
output hidden
"""


@dataclass(frozen=True)
class Model:
    """An exported file and its network."""

    network: Network
    path: Path
    report: ExportReport

    @property
    def proto(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    def run(self, **feed: np.ndarray) -> dict[str, Any]:
        session = onnxruntime.InferenceSession(self.path)
        return dict(zip([out.name for out in session.get_outputs()], session.run(None, feed), strict=True))


@pytest.fixture
def network() -> Network:
    return Network.from_text(TEXT.replace("loss mse(other, other)\n", ""), name="faces.net", seed=11)


@pytest.fixture
def model(network: Network, tmp_path: Path) -> Model:
    path = tmp_path / "faces.onnx"
    return Model(network, path, export(network, path))


def images(m: int) -> np.ndarray:
    return np.random.default_rng(m).normal(size=(m, 1, 2, 3)).astype(np.float32)


def rows(m: int) -> dict[str, np.ndarray]:
    return {"image": images(m), "unused": np.zeros((m, 4))}


@pytest.mark.parametrize("m", [1, 2, 7])
def test_any_batch_gives_what_predict_gives(model: Model, m: int) -> None:
    found, expected = model.run(image=images(m)), model.network.predict(rows(m))
    assert set(found) == {"probabilities", "hidden"}
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset(network: Network, tmp_path: Path, opset: int) -> None:
    path = tmp_path / "faces.onnx"
    report = export(network, path, opset=opset)
    model = Model(network, path, report)
    assert model.proto.opset_import[0].version == report.opset == opset
    assert model.proto.ir_version == report.ir_version
    found, expected = model.run(image=images(3)), network.predict(rows(3))
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], rtol=1e-5)


def test_names_and_places_are_those_of_the_file(model: Model) -> None:
    graph = model.proto.graph
    assert graph.name == "faces"
    assert [value.name for value in graph.input] == ["image"]  # `unused` reaches no output
    assert [value.name for value in graph.output] == ["probabilities", "hidden"]
    places = {node.name.split("/")[0]: node.doc_string for node in graph.node}
    assert places == {
        "hidden.flatten": "faces.net:7",
        "hidden.dense": "faces.net:7",
        "hidden.tanh": "faces.net:7",
        "logits.dense": "faces.net:9",
        "logits.multiply": "faces.net:9",
        "probabilities.softmax": "faces.net:11",
    }
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    for name in ("gain", "hidden.dense.weight", "hidden.dense.bias", "logits.dense.weight", "logits.dense.bias"):
        assert weights[name].size == model.network.weights[name].size
    assert not [name for name in weights if name.startswith("other")]


def test_no_batch_size_is_baked_in(model: Model) -> None:
    for value in (*model.proto.graph.input, *model.proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_symbolic_sizes_stay_open(tmp_path: Path) -> None:
    path = tmp_path / "steps.onnx"
    network = Network.from_text("network steps\ninput x: float[2, T]\noutput y = x -> dense(3) -> relu\n")
    export(network, path)
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 2, "T"]
    session = onnxruntime.InferenceSession(path)
    for steps in (1, 4):
        x = np.random.default_rng(steps).normal(size=(2, 2, steps)).astype(np.float32)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], network.predict({"x": x})["y"], rtol=1e-5)


def test_metadata(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "faces.onnx"
    export(network, path, metrics={"test": {"accuracy": 0.75}})
    metadata = {item.key: json.loads(item.value) for item in onnx.load(path).metadata_props}
    assert metadata == {
        "network": "faces",
        "source": network.program.source.text,
        "imports": {},
        "classes": {},
        "columns": {},
        "metrics": {"test": {"accuracy": 0.75}},
        "seed": 11,
        "versions": {
            "tensorflow_lite_bp": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        },
    }


def test_the_report(model: Model) -> None:
    report = model.report
    assert (report.path, report.size) == (model.path, model.path.stat().st_size)
    assert (report.opset, report.ir_version, report.precision) == (17, 8, "float32")
    assert report.inputs == (Tensor("image", "float32", (1, 2, 3)),)
    assert report.outputs == (Tensor("probabilities", "float32", (3,)), Tensor("hidden", "float32", (5,)))
    assert report.batches == (1, 2, 64)
    assert [difference.output for difference in report.differences] == ["probabilities", "hidden"]
    assert all(0 <= difference.absolute < 1e-5 for difference in report.differences)
    assert json.loads(json.dumps(report.as_dict()))["path"] == str(model.path)


def test_double_precision_is_single_in_the_model_unless_it_is_asked_for(tmp_path: Path) -> None:
    network = Network.from_text(TEXT.replace("loss mse(other, other)\n", ""), precision="float64")
    path = tmp_path / "faces.onnx"
    for precision, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        export(network, path, precision=precision)
        (found, _) = Model(network, path, None).run(image=images(5).astype(precision)).values()  # type: ignore[arg-type]
        assert found.dtype == np.dtype(precision)
        np.testing.assert_allclose(found, network.predict(rows(5))["probabilities"], rtol=tolerance)


def test_shared_weights_stand_once(tmp_path: Path) -> None:
    network = Network.from_text(
        "network twins\ninput left: float[3]\ninput right: float[3]\nlayer encoder = dense(2) -> tanh\n"
        "output distance = abs((left -> encoder) - (right -> encoder))\n"
    )
    export(network, tmp_path / "twins.onnx")
    weights = [item.name for item in onnx.load(tmp_path / "twins.onnx").graph.initializer]
    assert len(weights) == len(set(weights))
    assert {"encoder.dense.weight", "encoder.dense.bias"} <= set(weights)


def test_the_same_network_gives_the_same_bytes(model: Model, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    export(model.network, again)
    assert again.read_bytes() == model.path.read_bytes()


def test_what_an_export_that_was_killed_left_is_swept(network: Network, tmp_path: Path) -> None:
    (tmp_path / ".0123456789abcdef.tflbp-tmp").write_bytes(b"half a model")
    export(network, tmp_path / "faces.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["faces.onnx"]


# What happens when a model is wrong


def scaled(layer: Dense, g: Any, at: Any) -> str:
    """A wrong derivation of the second dense layer: its result is twice too large."""
    result = right_onnx(layer, g, at)
    return str(g.Mul(result, g.constant(2.0))) if layer.units == 3 else result


right_onnx = Dense.onnx


@pytest.mark.parametrize("old", [b"the old file", None])
def test_a_wrong_layer_is_named_and_no_file_is_left(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Dense, "onnx", scaled)
    if old is not None:
        Path("faces.onnx").write_bytes(old)
    with pytest.raises(ParityFailure) as caught:
        export(network, "faces.onnx")
    assert caught.value.exit_code == 3
    start, end = str(caught.value).split(" is off by up to ")
    assert start == (
        "`faces.onnx` was not written: onnxruntime does not compute what the network computes: output `probabilities`"
    )
    assert end.split(" in a batch of ")[1] == "1; the first layer that differs is `logits.dense` (dense, faces.net:9)"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"faces.onnx": old} if old else {})


def test_the_report_has_the_largest_difference_of_all_batches(model: Model) -> None:
    built = build(model.network)
    batches = sample_batches(model.network, built.inputs)
    alone = [verify(str(model.path), model.network, [batch], values=built.values) for batch in batches]
    together = verify(str(model.path), model.network, batches[::-1], values=built.values)
    assert [difference.absolute for difference in together] == [
        max(each.absolute for each in differences) for differences in zip(*alone, strict=True)
    ]


def test_outputs_that_score_the_classes_of_a_target(network: Network) -> None:
    scores = {output.name: _names_classes(output, network.program) for output in network.program.outputs}
    assert scores == {"probabilities": True, "hidden": False}


def test_symbolic_sizes_are_others_in_each_batch() -> None:
    network = Network.from_text("network steps\ninput x: float[2, T]\noutput y = relu(x)\n")
    batches = sample_batches(network, build(network).inputs)
    assert [batch.rows["x"].shape for batch in batches] == [(1, 2, 5), (2, 2, 6), (64, 2, 7)]


def test_where_no_layer_alone_differs(model: Model) -> None:
    built = build(model.network)
    (batch, *_) = sample_batches(model.network, built.inputs)
    assert _first_divergence(str(model.path), model.network, batch, built.values) == (
        "every layer alone agrees, so the difference is made by onnxruntime's fusion of layers"
    )


def test_a_node_that_onnxruntime_cannot_compute(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def baked(layer: Dense, g: Any, at: Any) -> str:
        at.X = g.Reshape(at.X, g.constant([1, -1]))  # a batch of one only
        return right_onnx(layer, g, at)

    monkeypatch.setattr(Dense, "onnx", baked)
    with pytest.raises(EnvironmentFailure, match=r"faces.onnx` was not written: onnxruntime .* does not run the model"):
        export(network, tmp_path / "faces.onnx")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# What is refused


def refused(text: str, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        export(Network.from_text(text, name="n.net"), tmp_path / "n.onnx", **options)
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


SMALL = "network n\ninput x: float[2]\noutput y = x -> dense(1)\n"


def test_an_opset_that_is_not_written(tmp_path: Path) -> None:
    assert refused(SMALL, tmp_path, opset=12) == "opset 12 is not written: expected 13 to 21"
    assert refused(SMALL, tmp_path, opset=22) == "opset 22 is not written: expected 13 to 21"


def test_an_unknown_precision(tmp_path: Path) -> None:
    message = "precision `float16` is unknown: expected float32 or float64"
    assert refused(SMALL, tmp_path, precision="float16") == message


def test_a_network_without_an_output(tmp_path: Path) -> None:
    text = "network n\ninput x: float[2]\ntarget t: float[1]\ny = x -> dense(1)\nloss mse(y, t)\n"
    assert refused(text, tmp_path) == (
        "`n` gives nothing out: name what predict and ONNX should give in a line such as `output y = ...`"
    )


def test_a_size_called_like_the_sample_axis(tmp_path: Path) -> None:
    assert refused("network n\ninput x: float[2, batch]\noutput y = relu(x)\n", tmp_path) == (
        "a size is called `batch`, which is the name of ONNX's sample axis: give it another name"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    network = Network.from_text(SMALL, precision="float64")
    network.weights["y.dense.weight"] = np.array([[value, 0.0]])
    with pytest.raises(InputError) as caught:
        export(network, tmp_path / "n.onnx")
    assert str(caught.value) == (
        "weight `y.dense.weight` holds values that are not finite numbers in float32: "
        "export a checkpoint from before they broke, or train again at a lower rate"
    )
    assert list(tmp_path.iterdir()) == []


def test_weights_that_no_onnx_file_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_LARGEST", 11)
    text = "network n\ninput x: float[3]\noutput y = x -> dense(1)\n"
    assert refused(text, tmp_path) == (
        "the weights up to `y.dense.weight` take 0.0 GB, and an ONNX file holds at most 2 GB"
    )

"""The Python interface: what a user may do with a network, and what is said when it does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.table import ProgramError

TEXT = """
network faces
input image: float[1, 2, 2]
target label: class(3)
logits = image -> flatten -> dense(3)
loss cross_entropy(logits, label)
metric accuracy(logits, label)
output probabilities = softmax(logits)
train { seed = 5 }
"""
IMAGES = np.random.default_rng(0).normal(size=(4, 1, 2, 2))


@pytest.fixture
def network() -> Network:
    return Network.from_text(TEXT)


def test_predict_is_softmax_of_the_dense_layer(network: Network) -> None:
    W, b = network.weights["logits.dense.weight"], network.weights["logits.dense.bias"]
    scores = IMAGES.reshape(4, 4) @ W.T + b
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = network.predict({"image": IMAGES})["probabilities"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_rows_give_no_predictions(network: Network) -> None:
    assert network.predict({"image": IMAGES[:0]})["probabilities"].shape == (0, 3)


def test_many_rows_are_cut_into_pieces_and_joined(network: Network) -> None:
    many = np.random.default_rng(1).normal(size=(2500, 1, 2, 2))
    whole = network.predict({"image": many})["probabilities"]
    part = network.predict({"image": many[2040:2060]})["probabilities"]
    np.testing.assert_allclose(whole[2040:2060], part, rtol=1e-6)


def test_tensors_inside_can_be_looked_at_by_node_or_binding(network: Network) -> None:
    tensors = network.tensors({"image": IMAGES})
    assert set(tensors) == {"logits.flatten", "logits.dense", "probabilities.softmax"}
    found = network.tensors({"image": IMAGES}, ["logits", "logits.flatten"])
    assert set(found) == {"logits", "logits.flatten"}
    np.testing.assert_array_equal(found["logits"], tensors["logits.dense"])


def test_the_seed_decides_the_weights() -> None:
    first, same, other = (Network.from_text(TEXT, seed=seed) for seed in (None, 5, 6))
    name = "logits.dense.weight"
    np.testing.assert_array_equal(first.weights[name], same.weights[name])
    assert not np.array_equal(first.weights[name], other.weights[name])


def test_evaluate_is_exact_over_unequal_batches(network: Network) -> None:
    labels = np.array([0, 2, 1, 1])
    whole = network.evaluate([{"image": IMAGES, "label": labels}])
    parts = network.evaluate({"image": IMAGES[s], "label": labels[s]} for s in (slice(0, 3), slice(3, 4)))
    assert whole["loss"] == pytest.approx(parts["loss"], rel=1e-6)
    assert whole["accuracy"] == parts["accuracy"]
    predicted = network.predict({"image": IMAGES})["probabilities"].argmax(axis=1)
    assert whole["accuracy"] == (predicted == labels).mean()


def test_weights_are_assigned_by_name_and_read_as_copies(network: Network) -> None:
    network.weights["logits.dense.bias"] = [1, 2, 3]
    np.testing.assert_array_equal(network.weights["logits.dense.bias"], np.float32([1, 2, 3]))
    with pytest.raises(ValueError, match="read-only"):
        network.weights["logits.dense.bias"][0] = 7


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("logits.dense.bias", [1, 2], "weight `logits.dense.bias` has the shape [3], and [2] was given"),
        ("logits.dense.bias", list("abc"), "weight `logits.dense.bias` holds numbers, and an array of <U1 was given"),
        ("logits.dense.bais", [1, 2, 3], "no weight is named `logits.dense.bais`: did you mean `logits.dense.bias`?"),
    ],
)
def test_a_weight_that_does_not_fit_is_refused(network: Network, name: str, value: list[object], message: str) -> None:
    with pytest.raises(InputError) as error:
        network.weights[name] = value
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "`image` is missing: `faces` takes image"),
        ({"picture": IMAGES}, "`picture` is no input of `faces`: it takes image"),
        ({"image": IMAGES[0]}, "`image` has the shape [1, 2, 2], expected rows (m, 1, 2, 2)"),
        ({"image": IMAGES.reshape(4, 4)}, "`image` has the shape [4, 4], expected rows (m, 1, 2, 2)"),
        ({"image": np.full((1, 1, 2, 2), "a")}, "`image` holds <U1, expected numbers"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(network: Network, inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError) as error:
        network.predict(inputs)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 2, 3]), "`label`: row 3 holds 3 out of range: expected 0 to 2"),
        (np.array([0, -1, 2, 1]), "`label`: row 1 holds -1 out of range: expected 0 to 2"),
        (np.array([0, 0.5, 2, 1]), "`label` holds indices, and some values are not whole numbers"),
        (np.array([0, 1]), "the arrays have different numbers of rows: {'image': 4, 'label': 2}"),
    ],
)
def test_targets_that_do_not_fit_are_refused(network: Network, labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as error:
        network.gradients({"image": IMAGES, "label": labels})
    assert str(error.value) == message


def test_symbolic_sizes_are_bound_by_the_rows() -> None:
    text = """
    network sequences
    input x: float[2, T]
    input y: float[3, T]
    a = x -> dense(4)
    b = y -> dense(4)
    output c = a + b
    """
    network = Network.from_text(text)
    for T in (3, 5):
        assert network.predict({"x": np.ones((2, 2, T)), "y": np.ones((2, 3, T))})["c"].shape == (2, 4, T)
    with pytest.raises(InputError, match="`y`: the size T is 6 here and 5 elsewhere"):
        network.predict({"x": np.ones((2, 2, 5)), "y": np.ones((2, 3, 6))})


def test_a_file_with_mistakes_says_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "wrong.net"
    path.write_text("network wrong\ninput x: float[2]\ny = x -> dens(3)\nz = q -> dense(1)\noutput z\n")
    with pytest.raises(ProgramError) as error:
        Network.from_file(path)
    assert [d.code.name for d in error.value.diagnostics if d.severity == "error"] == ["unknown-name", "unknown-name"]


@pytest.mark.host
def test_a_backend_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match="backend `torch` is unknown: expected numpy or cupy"):
        Network.from_text(TEXT, backend="torch")
    with pytest.raises(EnvironmentFailure, match=r"^--backend cupy: "):
        Network.from_text(TEXT, backend="cupy")


def test_a_loss_against_something_learned_is_refused() -> None:
    text = """
    network wrong
    input x: float[2]
    a = x -> dense(2)
    b = x -> dense(2)
    loss mse(a, b)
    output a
    """
    with pytest.raises(InputError, match=r"wrong.net:6: the second input of `mse` depends on weights"):
        Network.from_text(text, name="wrong.net")

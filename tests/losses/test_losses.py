"""Losses against numbers worked out by hand or by scikit-learn, their limits, and what they refuse."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, floats
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.losses.binary_cross_entropy import BinaryCrossEntropy
from tensorflow_lite_bp.losses.cross_entropy import CrossEntropy, Nll
from tensorflow_lite_bp.losses.mae import Mae
from tensorflow_lite_bp.losses.squares import Mse, SquaredError

XP = get_backend("numpy")


def value_and_gradient(loss: Any, Y: Any, T: Any, dtype: str = "float64") -> tuple[float, np.ndarray]:
    """Of rows-last arrays, under the loss's own reduction."""
    Y = np.array(Y, dtype)
    T = np.array(T)
    T = T if T.dtype.kind == "i" and isinstance(loss, CrossEntropy | Nll) else T.astype(dtype)
    buffers = loss.buffers(Y.shape, T.shape)
    made = {role: np.zeros(b.shape, "int64" if b.kind == "int" else dtype) for role, b in buffers.items()}
    for role, buffer in buffers.items():
        if buffer.constant is not None:
            made[role][...] = buffer.constant()
    scale = loss.scale(Y.shape[:-1], T.shape[:-1], Y.shape[-1])
    ws = Workspace(m=Y.shape[-1], scale=scale, Y=Y, T=T, E=np.zeros((), dtype), dY=np.zeros_like(Y), **made)
    with XP.computing():
        loss.forward(XP, ws)
        loss.backward(XP, ws)
    return float(ws.E), ws.dY


def softmax(Y: np.ndarray) -> np.ndarray:
    e = np.exp(Y)
    return e / e.sum(axis=0)


def test_by_hand() -> None:
    Y, T = [[1.0, 2.0], [0.0, -1.0]], [[0.0, 2.5], [2.0, -1.0]]  # two features, two samples
    total, dY = value_and_gradient(Mse(), Y, T)
    assert total == (1 + 0.25 + 4 + 0) / 4
    np.testing.assert_array_equal(dY, [[0.5, -0.25], [-1.0, 0.0]])
    total, dY = value_and_gradient(Mse(reduction="sum"), Y, T)
    assert total == 5.25
    total, dY = value_and_gradient(SquaredError(), Y, T)
    assert total == 5.25 / 2 / 2
    np.testing.assert_array_equal(dY, [[0.5, -0.25], [-1.0, 0.0]])
    total, dY = value_and_gradient(SquaredError(reduction="sum"), Y, T)  # article 004: ∂C/∂o = o - y
    assert total == 2.625
    np.testing.assert_array_equal(dY, [[1.0, -0.5], [-2.0, 0.0]])
    total, dY = value_and_gradient(Mae(), Y, T)
    assert total == 3.5 / 4
    np.testing.assert_array_equal(dY, [[0.25, -0.25], [-0.25, 0.0]])
    total, dY = value_and_gradient(CrossEntropy(reduction="sum"), [[0.0], [log(3.0)]], [1])
    assert total == pytest.approx(log(4 / 3))
    np.testing.assert_allclose(dY, [[0.25], [-0.25]])
    total, dY = value_and_gradient(Nll(), [[0.25, 0.5], [0.75, 0.5]], [1, 0])
    assert total == pytest.approx(-(log(0.75) + log(0.5)) / 2)
    np.testing.assert_allclose(dY, [[0, -1.0], [-1 / 1.5, 0]])
    total, dY = value_and_gradient(BinaryCrossEntropy(), [log(3.0), 0.0], [1, 0])
    assert total == pytest.approx((log(4 / 3) + log(2)) / 2)
    np.testing.assert_allclose(dY, [-0.125, 0.25])


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Y, T, k = rng.normal(size=(5, 30)), rng.normal(size=(5, 30)), rng.integers(0, 5, 30)
    assert value_and_gradient(Mse(), Y, T)[0] == pytest.approx(mean_squared_error(T, Y))
    assert value_and_gradient(Mae(), Y, T)[0] == pytest.approx(mean_absolute_error(T, Y))
    P = softmax(Y)
    expected = log_loss(k, P.T, labels=range(5))
    assert value_and_gradient(CrossEntropy(), Y, k)[0] == pytest.approx(expected)
    assert value_and_gradient(Nll(), P, k)[0] == pytest.approx(expected)
    flags = rng.integers(0, 2, 30)
    expected = log_loss(flags, 1 / (1 + np.exp(-Y[0])))
    assert value_and_gradient(BinaryCrossEntropy(), Y[0], flags)[0] == pytest.approx(expected)


def test_article_002_delta() -> None:
    """δ₂ = Y - X₃ is minus the gradient of the summed loss with respect to the scores."""
    rng = np.random.default_rng(0)
    Z, k = rng.normal(size=(3, 6)), rng.integers(0, 3, 6)
    one_hot = np.eye(3)[k].T
    _, dZ = value_and_gradient(CrossEntropy(reduction="sum"), Z, k)
    np.testing.assert_allclose(-dZ, one_hot - softmax(Z), atol=1e-14)
    P = softmax(Z)
    _, dP = value_and_gradient(Nll(reduction="sum"), P, k)
    through_softmax = P * (dP - (P * dP).sum(axis=0))
    np.testing.assert_allclose(through_softmax, dZ, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
)
def test_cross_entropy_written_out(c: int, places: list[int], m: int, weighted: bool, smoothing: float) -> None:
    """Element by element, with weights, smoothing and a class for each place."""
    rng = np.random.default_rng([c, m, *places])
    Y, T = rng.normal(size=(c, *places, m)), rng.integers(0, c, (*places, m))
    w = tuple(rng.uniform(0, 2, c)) if weighted else ()
    total, dY = value_and_gradient(CrossEntropy(class_weights=w, label_smoothing=smoothing), Y, T)
    P = softmax(Y)
    expected, slope = 0.0, np.empty_like(Y)
    for place in np.ndindex(T.shape):
        right = T[place]
        target = [smoothing / c + (1 - smoothing) * (i == right) for i in range(c)]
        weight = (w[right] if w else 1.0) / T.size
        for i in range(c):
            expected -= weight * target[i] * log(P[(i, *place)])
            slope[(i, *place)] = weight * (P[(i, *place)] - target[i])
    assert total == pytest.approx(expected)
    np.testing.assert_allclose(dY, slope, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores_stay_finite_and_exact(dtype: str) -> None:
    far = 1e4
    total, dY = value_and_gradient(
        CrossEntropy(reduction="sum"), [[far, -far, 0.0], [0.0, 0.0, -20.0]], [0, 0, 0], dtype
    )
    assert total == pytest.approx(far + log(1 + exp(-20)), rel=1e-6)
    np.testing.assert_allclose(dY, [[0, -1, -exp(-20)], [0, 1, exp(-20)]], atol=1e-7)
    total, dY = value_and_gradient(CrossEntropy(reduction="sum"), [[20.0], [0.0]], [0], dtype)
    assert abs(total - exp(-20)) < np.finfo(dtype).eps
    scores, flags = [far, -far, far, -far, 20.0, -20.0], [1, 0, 0, 1, 1, 0]
    total, dY = value_and_gradient(BinaryCrossEntropy(reduction="sum"), scores, flags, dtype)
    assert total == pytest.approx(2 * far, rel=1e-6)
    np.testing.assert_allclose(dY, [0, 0, 1, -1, 0, 0], atol=1e-7)
    total, _ = value_and_gradient(BinaryCrossEntropy(reduction="sum"), [20.0, -20.0], [1, 0], dtype)
    assert total == pytest.approx(2 * exp(-20), rel=1e-5)  # no digits lost beside the 20
    total, dY = value_and_gradient(Nll(reduction="sum"), [[0.0], [1.0]], [0], dtype)
    assert total == pytest.approx(-log(1.1754944e-38))
    assert np.isfinite(dY).all()


def refusal(loss: Any, Y: TensorType, T: TensorType) -> tuple[str, str | None]:
    with pytest.raises(ShapeMismatch) as caught:
        loss.agree(Y, T)
    return caught.value.message, caught.value.help


def test_what_does_not_fit() -> None:
    digit = TensorType("class", (), 10)
    assert refusal(Mse(), floats((3,)), floats((2,))) == ("`mse` needs equal shapes: float[3] and float[2]", None)
    assert refusal(BinaryCrossEntropy(), floats((1,)), TensorType("flag", ())) == (
        "`binary_cross_entropy` needs equal shapes: float[1] and flag",
        "make a number of the vector: `reshape([])`",
    )
    assert refusal(CrossEntropy(), floats((12,)), digit) == (
        "`cross_entropy` needs a value for each class: float[12] has 12, and class(10) has 10",
        "`dense(10)` makes 10 of them",
    )
    assert refusal(CrossEntropy(), floats((10, 8, 8)), digit) == (
        "`cross_entropy` needs one class for each column of the first axis: float[10, 8, 8] and class(10)",
        "class(10) goes with float[10]",
    )
    assert refusal(Nll(), floats(()), TensorType("token", (5,), 99)) == (
        "`nll` needs one token for each column of the first axis: float[] and token(99)[5]",
        "token(99)[5] goes with float[99, 5]",
    )
    for weights, shown in (((1.0, 2.5), "[1, 2.5]"), ((1.0,) * 9 + (-1.0,), "[1, 1, 1, 1, 1, 1, 1, 1, 1, -1]")):
        assert refusal(CrossEntropy(class_weights=weights), floats((10,)), digit) == (
            f"`class_weights` needs 10 numbers, none below 0, and this is {shown}",
            None,
        )

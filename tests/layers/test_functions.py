"""Elementwise functions, softmax and dropout: their limits, their far tails, their random numbers, what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorflow_lite_bp.layers  # noqa: F401  # declares them
from dsl.signature import ShapeMismatch
from dsl.types import floats
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.dropout import Dropout
from tensorflow_lite_bp.layers.elementwise import Elementwise, Elu, Gelu, Selu, Sigmoid, Silu, Softplus, Tanh
from tensorflow_lite_bp.layers.power import Power
from tensorflow_lite_bp.layers.softmax import LogSoftmax, Softmax

XP = get_backend("numpy")
GROWING = {"exp", "log", "sqrt", "square"}  # without a limit, or not defined everywhere
BOUNDED = {
    f"{name}-{k}": cls.from_settings(example.settings)
    for name, cls in registry["layer"].items()
    if issubclass(cls, Elementwise) and name not in GROWING
    for k, example in enumerate(cls.examples)
    if example.shapes == ((),)
}


def run(layer: Any, X: Any, dtype: str = "float64", dY: Any = None) -> Workspace:
    """Forward and backward; along dY = 1 the gradient is the derivative."""
    X = np.array(X, dtype)
    buffers = {role: np.full(b.shape, np.nan, dtype) for role, b in layer.buffers(X.shape).items()}
    dY = np.ones_like(X) if dY is None else np.array(dY, dtype)
    ws = Workspace(m=X.shape[-1], X=X, Y=np.empty_like(X), dX=np.empty_like(X), dY=dY, draw=Draw(0, "test"), **buffers)
    with XP.computing():
        layer.forward(XP, ws)
        layer.backward(XP, ws)
    return ws


@pytest.mark.parametrize("layer", BOUNDED.values(), ids=BOUNDED.keys())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_inputs_give_no_nan(layer: Elementwise, dtype: str) -> None:
    largest = float(np.finfo(dtype).max) / 10
    ws = run(layer, [-largest, -1e30, -1e4, -100, 0, 100, 1e4, 1e30, largest], dtype)
    assert np.isfinite(ws.Y).all()
    assert np.isfinite(ws.dX).all()


def test_far_tails_keep_their_digits() -> None:
    np.testing.assert_allclose(run(Sigmoid(), [-50.0, -700.0]).Y, [math.exp(-50), math.exp(-700)], rtol=1e-14)
    np.testing.assert_allclose(run(Sigmoid(), [-50.0], "float32").Y, [math.exp(-50)], rtol=1e-5)
    ws = run(Softplus(), [-50.0, 800.0])
    np.testing.assert_allclose(ws.Y, [math.exp(-50), 800.0], rtol=1e-14)
    np.testing.assert_allclose(ws.dX, [math.exp(-50), 1.0], rtol=1e-14)
    np.testing.assert_allclose(run(Silu(), [-50.0]).Y, [-50 * math.exp(-50)], rtol=1e-14)
    assert run(Tanh(), [20.0]).dX == 0


def test_values_worked_out() -> None:
    x = 0.7
    phi = 0.5 * (1 + math.erf(x / math.sqrt(2)))
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    for layer, given, expected in (
        (Gelu(), x, x * phi),
        (Gelu("tanh"), x, 0.5 * x * (1 + math.tanh(u))),
        (Elu(0.5), -x, 0.5 * math.expm1(-x)),
        (Selu(), -x, scale * alpha * math.expm1(-x)),
    ):
        np.testing.assert_allclose(run(layer, [given]).Y, [expected], rtol=1e-14)


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """What its constants are for, integrated over the normal distribution."""
    x, step = np.linspace(-12, 12, 200_001, retstep=True)
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) * step
    Y = run(Selu(), x).Y
    assert float((Y * density).sum()) == pytest.approx(0, abs=1e-9)
    assert float((Y * Y * density).sum()) == pytest.approx(1, abs=1e-9)


def test_derivatives_at_kinks_and_zero() -> None:
    for name in ("relu", "abs"):
        assert run(registry["layer"][name](), [0.0]).dX == 0
    assert run(Power(2.0), [0.0]).dX == 0
    assert run(Power(1.0), [0.0]).dX == 1
    assert run(Power(0.0), [0.0]).dX == 0
    np.testing.assert_array_equal(run(Power(3.0), [-2.0]).Y, [-8])


def test_softmax_uses_the_whole_jacobian() -> None:
    """diag(y) - y yᵀ, not article 002's diagonal."""
    X, dY = np.array([[0.3], [-1.0], [2.0]]), np.array([[1.0], [-2.0], [0.5]])
    ws = run(Softmax(), X, dY=dY)
    y = np.exp(X[:, 0]) / np.exp(X[:, 0]).sum()
    np.testing.assert_allclose(ws.Y[:, 0], y, rtol=1e-14)
    np.testing.assert_allclose(ws.dX[:, 0], (np.diag(y) - np.outer(y, y)) @ dY[:, 0], rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_extreme_scores(dtype: str) -> None:
    X = [[1e4, -1e4, 1e30], [0.0, 0.0, -1e30]]
    np.testing.assert_array_equal(run(Softmax(), X, dtype).Y, [[1, 0, 1], [0, 1, 0]])
    ws = run(LogSoftmax(), X, dtype)
    expected = np.array([[0, -1e4, 0], [-1e4, 0, -2e30]], dtype)
    np.testing.assert_allclose(ws.Y, expected, rtol=1e-6)
    assert np.isfinite(ws.dX).all()


@pytest.mark.parametrize(("layer", "name"), [(Softmax(), "softmax"), (LogSoftmax(), "log_softmax")])
def test_softmax_needs_an_axis(layer: Any, name: str) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        layer.result(floats(()))
    assert caught.value.message == (
        f"`{name}` compares the values of the first axis, and this is a single number for each sample"
    )
    assert caught.value.help == "for one score of yes or no use `sigmoid`"


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    ws = run(Dropout(0.25), np.ones((100, 400)))
    assert set(np.unique(ws.Y)) == {0.0, 1 / 0.75}
    assert float((ws.Y == 0).mean()) == pytest.approx(0.25, abs=0.01)
    assert float(ws.Y.mean()) == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(ws.dX, ws.Y)


def test_dropout_is_addressed_by_the_step() -> None:
    ws = run(Dropout(0.5), np.ones((10, 10)))
    first = ws.Y.copy()
    Dropout(0.5).forward(XP, ws)
    np.testing.assert_array_equal(ws.Y, first)
    ws.draw.step = 1
    Dropout(0.5).forward(XP, ws)
    assert not np.array_equal(ws.Y, first)
    Dropout(0.5).infer(XP, ws)
    np.testing.assert_array_equal(ws.Y, ws.X)

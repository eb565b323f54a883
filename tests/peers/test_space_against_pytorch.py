"""Convolution, pooling and normalisation against PyTorch: the same weights, outputs and every gradient in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.layers.batch_norm import BatchNorm
from tensorflow_lite_bp.layers.conv import Conv
from tensorflow_lite_bp.layers.layer_norm import LayerNorm
from tensorflow_lite_bp.layers.pool import AvgPool, MaxPool

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[peers]'")
F = torch.nn.functional

XP = get_backend("numpy")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Ours:
    """A layer on rows-first arrays ``(m, c, …)``."""

    def __init__(self, layer: Layer, X: np.ndarray, dY: np.ndarray | None = None, **weights: np.ndarray) -> None:
        x = np.ascontiguousarray(np.moveaxis(X, 0, -1))
        Y = np.empty((*layer.shape(x.shape[:-1]), len(X)), X.dtype)
        gradients = {f"d{letter}": np.empty_like(W) for letter, W in weights.items()}
        self.layer, dtypes = layer, {"float": X.dtype, "bool": bool, "int": np.int64}
        self.ws = Workspace(m=len(X), X=x, Y=Y, dX=np.empty_like(x), **weights, **gradients)
        for role, buffer in layer.buffers(x.shape).items():
            array = np.zeros(buffer.shape, dtypes[buffer.kind])
            vars(self.ws)[role] = array if buffer.constant is None else np.array(buffer.constant(), array.dtype)
        layer.forward(XP, self.ws)
        self.Y = np.moveaxis(Y, -1, 0).copy()
        if dY is not None:
            self.ws.dY = np.ascontiguousarray(np.moveaxis(dY, 0, -1))
            layer.backward(XP, self.ws)
            self.dX = np.moveaxis(self.ws.dX, -1, 0)


def tensor(array: np.ndarray) -> Any:
    return torch.tensor(array, requires_grad=True)


def close(ours: np.ndarray, theirs: Any) -> None:
    """Within 1e-9 of the largest value."""
    expected = theirs.detach().numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9 * max(1e-3, np.abs(expected).max()))


CONVOLUTIONS = [
    ({"filters": 4}, (3, 9)),
    ({"filters": 4, "kernel": (5,), "stride": (2,), "padding": (3,), "dilation": (2,)}, (3, 17)),
    ({"filters": 6, "groups": 2, "bias": False, "padding": (1,)}, (4, 12)),
    ({"filters": 5, "kernel": (3, 3), "padding": (1,)}, (3, 11, 10)),
    ({"filters": 5, "kernel": (3, 2), "stride": (2, 3), "padding": (0, 1)}, (3, 11, 10)),
    ({"filters": 4, "kernel": (2, 3), "dilation": (3, 2), "padding": (2, 1), "bias": False}, (2, 11, 10)),
    ({"filters": 4, "kernel": (3,), "dilation": (2,), "stride": (2,), "groups": 2}, (4, 11, 10)),
    ({"filters": 6, "kernel": (3,), "groups": 6, "padding": (1,)}, (6, 7, 8)),
    ({"filters": 6, "kernel": (3,), "groups": 3, "stride": (2,)}, (3, 7, 8)),
    ({"filters": 7, "kernel": (1,)}, (3, 5, 6)),
    ({"filters": 7, "kernel": (1,), "stride": (2,)}, (3, 5, 6)),
    ({"filters": 40, "padding": (1,)}, (33, 6, 5)),
]


@pytest.mark.parametrize(("given", "shape"), CONVOLUTIONS, ids=str)
def test_conv(given: dict[str, Any], shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = Conv(**given)
    X = rng.normal(size=(4, *shape))
    weights = {letter: rng.normal(size=W.shape) for letter, W in layer.weights(shape).items()}
    dY = rng.normal(size=(4, *layer.shape(shape)))
    ours = Ours(layer, X, dY, **weights)

    x, own = tensor(X), {letter: tensor(W) for letter, W in weights.items()}
    conv = F.conv1d if len(shape) == 2 else F.conv2d
    Y = conv(x, own["W"], own.get("b"), layer.stride, layer.padding if given.get("padding") else 0, layer.dilation, layer.groups)  # fmt: skip  # noqa: E501
    Y.backward(torch.tensor(dY))
    close(ours.Y, Y)
    close(ours.dX, x.grad)
    for letter, W in own.items():
        close(getattr(ours.ws, f"d{letter}"), W.grad)


@pytest.mark.parametrize(("kernel", "dilation"), [((3, 3), (1, 1)), ((4, 2), (1, 3))])
def test_same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...], rng: np.random.Generator) -> None:
    X, W = rng.normal(size=(2, 3, 8, 9)), rng.normal(size=(4, 3, *kernel))
    layer = Conv(filters=4, kernel=kernel, dilation=dilation, padding="same", bias=False)
    dY = rng.normal(size=(2, 4, 8, 9))
    ours, x, w = Ours(layer, X, dY, W=W), tensor(X), tensor(W)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    ends = [end for t in reversed(total) for end in (t // 2, t - t // 2)]  # PyTorch warns of what is odd
    Y = F.conv2d(F.pad(x, ends), w, dilation=dilation)
    Y.backward(torch.tensor(dY))
    close(ours.Y, Y)
    close(ours.dX, x.grad)
    close(ours.ws.dW, w.grad)


POOLS = [
    ({"size": (2,)}, (3, 8)),
    ({"size": (2,)}, (3, 8, 6)),
    ({"size": (2,)}, (3, 7, 9)),
    ({"size": (3,), "stride": (2,), "padding": (1,)}, (3, 8, 9)),
    ({"size": (3, 2), "stride": (1, 3), "padding": (1, 0)}, (3, 8, 9)),
    ({"size": (4,), "stride": (3,), "padding": (2,)}, (2, 11)),
]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("given", "shape"), POOLS, ids=str)
@pytest.mark.parametrize("cls", [MaxPool, AvgPool])
def test_pools(cls: Any, given: dict[str, Any], shape: tuple[int, ...], ties: bool, rng: np.random.Generator) -> None:
    layer = cls(**given)
    X = rng.integers(-1, 2, (4, *shape)).astype(float) if ties else rng.normal(size=(4, *shape))
    dY = rng.normal(size=(4, *layer.shape(shape)))
    ours, x = Ours(layer, X, dY), tensor(X)
    name = f"{cls.name}{len(shape) - 1}d"
    Y = getattr(F, name)(x, layer.size if len(layer.size) > 1 else layer.size[0], layer.stride, layer.padding)
    Y.backward(torch.tensor(dY))
    close(ours.Y, Y)
    close(ours.dX, x.grad)


@pytest.mark.parametrize("shape", [(5,), (5, 7), (5, 4, 3)], ids=str)
def test_batch_norm_over_several_steps(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = BatchNorm(momentum=0.3, epsilon=1e-3)
    peer = (torch.nn.BatchNorm1d if len(shape) < 3 else torch.nn.BatchNorm2d)(5, eps=1e-3, momentum=0.3).double()
    weights = {letter: rng.normal(size=5) for letter in "gb"}
    state = {"running_mean": np.zeros(5), "running_variance": np.ones(5)}
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(weights["g"]))
        peer.bias.copy_(torch.tensor(weights["b"]))
    for _ in range(4):
        X, dY = rng.normal(3, 2, size=(6, *shape)), rng.normal(size=(6, *shape))
        ours, x = Ours(layer, X, dY, **weights, **state), tensor(X)
        peer.zero_grad()
        Y = peer(x)
        Y.backward(torch.tensor(dY))
        close(ours.Y, Y)
        close(ours.dX, x.grad)
        close(ours.ws.dg, peer.weight.grad)
        close(ours.ws.db, peer.bias.grad)
        layer.advance(XP, ours.ws)
        close(state["running_mean"], peer.running_mean)
        close(state["running_variance"], peer.running_var)
    peer.eval()
    layer.infer(XP, ours.ws)
    close(np.moveaxis(ours.ws.Y, -1, 0), peer(x))


@pytest.mark.parametrize("shape", [(5,), (5, 7), (5, 4, 3)], ids=str)
def test_layer_norm(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    X, dY = rng.normal(3, 2, size=(6, *shape)), rng.normal(size=(6, *shape))
    g, b = rng.normal(size=(2, 5))
    ours = Ours(LayerNorm(epsilon=1e-3), X, dY, g=g, b=b)
    x, gain, bias = tensor(X), tensor(g), tensor(b)
    Y = F.layer_norm(x.movedim(1, -1), (5,), gain, bias, 1e-3).movedim(-1, 1)
    Y.backward(torch.tensor(dY))
    close(ours.Y, Y)
    close(ours.dX, x.grad)
    close(ours.ws.dg, gain.grad)
    close(ours.ws.db, bias.grad)


def test_batch_norm_in_float32_is_near_that_of_float64(rng: np.random.Generator) -> None:
    """Of values around 100 with a spread of 1, whose mean float32 knows to 1e-5; PyTorch is held to the same bounds."""
    X, dY = (rng.normal(mean, 1, size=(64, 8, 16, 16)).astype(np.float32) for mean in (100, 0))
    weights = {"g": np.ones(8), "b": np.zeros(8), "running_mean": np.zeros(8), "running_variance": np.ones(8)}
    exact = Ours(BatchNorm(), X.astype(float), dY.astype(float), **weights)
    ours = Ours(BatchNorm(), X, dY, **{letter: W.astype(np.float32) for letter, W in weights.items()})
    x, g, b = tensor(X), tensor(np.ones(8, np.float32)), tensor(np.zeros(8, np.float32))
    Y = F.batch_norm(x, None, None, g, b, training=True)
    Y.backward(torch.tensor(dY))
    for found, theirs, right, bound in (
        (ours.Y, Y.detach(), exact.Y, 5e-5),
        (ours.dX, x.grad, exact.dX, 5e-6),
        (ours.ws.dg, g.grad, exact.ws.dg, 5e-3),
        (ours.ws.db, b.grad, exact.ws.db, 5e-4),
    ):
        assert np.abs(theirs.numpy() - right).max() < bound
        assert np.abs(found - right).max() < bound

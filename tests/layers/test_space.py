"""Convolution, pooling, normalisation: loops written from the definition as the other opinion, what they refuse."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.signature import ShapeMismatch
from dsl.types import Shape, floats
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers import unrolled
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.layers.batch_norm import BatchNorm
from tensorflow_lite_bp.layers.conv import Conv
from tensorflow_lite_bp.layers.global_pool import GlobalAvgPool, GlobalMaxPool
from tensorflow_lite_bp.layers.layer_norm import LayerNorm
from tensorflow_lite_bp.layers.pool import AvgPool, MaxPool
from tensorflow_lite_bp.layers.window import Axis, Geometry

XP = get_backend("numpy")


class Run:
    """Forward and backward of a layer on ``(c, …, m)``; whatever is read before it is written is NaN."""

    def __init__(self, layer: Layer, X: np.ndarray, *, seed: int = 0, **weights: np.ndarray) -> None:
        rng = np.random.default_rng(seed)
        sample = X.shape[:-1]
        self.layer, dtypes = layer, {"float": X.dtype, "bool": bool, "int": np.int64}
        given = {letter: rng.uniform(-1, 1, W.shape).astype(X.dtype) for letter, W in layer.weights(sample).items()}
        given.update(weights)
        Y = np.full((*layer.shape(sample), X.shape[-1]), np.nan, X.dtype)
        self.ws = Workspace(m=X.shape[-1], X=X, Y=Y, dX=np.full_like(X, np.nan), **given)
        self.ws.dY = rng.uniform(-1, 1, Y.shape).astype(X.dtype)
        vars(self.ws).update({f"d{letter}": np.full_like(W, np.nan) for letter, W in given.items()})
        for role, buffer in layer.buffers(X.shape).items():
            array = np.full(buffer.shape, 0 if buffer.kind != "float" or buffer.zeroed else np.nan, dtypes[buffer.kind])
            vars(self.ws)[role] = array if buffer.constant is None else np.array(buffer.constant(), array.dtype)
        layer.forward(XP, self.ws)
        layer.backward(XP, self.ws)


# Windows


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    kernel, dilation, before, after = (draw(st.integers(low, 3)) for low in (1, 1, 0, 0))
    size = draw(st.integers(max(1, 1 + dilation * (kernel - 1) - before - after), 9))
    return Axis(size, kernel, draw(st.integers(1, 3)), dilation, before, after)


@given(axes(), st.data())
def test_a_tap_reaches_what_its_windows_see(axis: Axis, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, axis.windows - 1))
    count = data.draw(st.integers(1, axis.windows - first))
    for tap in range(axis.kernel):
        places = [(first + t) * axis.stride + tap * axis.dilation - axis.before for t in range(count)]
        windows, values = axis.reach(tap, first, count)
        assert [*range(count)[windows]] == [t for t, place in enumerate(places) if 0 <= place < axis.size]
        assert [*range(axis.size)[values]] == [place for place in places if 0 <= place < axis.size]


@given(axes())
def test_the_windows_of_an_axis_are_those_that_fit(axis: Axis) -> None:
    ends = [t * axis.stride + axis.span for t in range(100)]
    assert axis.windows == sum(end <= axis.size + axis.before + axis.after for end in ends)


# Convolution


def textbook_conv(X: np.ndarray, W: np.ndarray, b: np.ndarray, axes: tuple[Axis, ...], groups: int) -> np.ndarray:
    """Each value of the result by the definition: the sum over channels and places of the kernel."""
    filters, channels = len(W), len(X) // groups
    Y = np.zeros((filters, *(axis.windows for axis in axes), X.shape[-1]))
    for f, *where in np.ndindex(Y.shape[:-1]):
        Y[f, *where] = b[f]
        for c, *taps in np.ndindex(W.shape[1:]):
            places = [
                t * axis.stride + tap * axis.dilation - axis.before
                for axis, t, tap in zip(axes, where, taps, strict=True)
            ]
            if all(0 <= place < axis.size for place, axis in zip(places, axes, strict=True)):
                Y[f, *where] += W[f, c, *taps] * X[f // (filters // groups) * channels + c, *places]
    return Y


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv, tuple[int, ...]]:
    rank = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 3))
    one_or_each = st.one_of(
        st.tuples(st.integers(1, 3)), st.tuples(*[st.integers(1, 3)] * rank)
    )  # one size for all axes, or one for each
    kernel, stride, dilation = (draw(one_or_each) for _ in range(3))
    numbers = st.tuples(*[st.integers(0, 3)] * draw(st.sampled_from((1, rank))))
    padding = draw(st.one_of(st.just("same"), st.just("valid"), numbers))
    layer = Conv(
        filters=groups * draw(st.integers(1, 2)), kernel=kernel, stride=stride, padding=padding, dilation=dilation,
        groups=groups, bias=draw(st.booleans()),
    )  # fmt: skip
    X = (groups * draw(st.integers(1, 2)), *(draw(st.integers(1, 8)) for _ in range(rank)))
    return layer, X


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(1, 60), st.sampled_from((0, 10, 1000)))
def test_conv_is_the_textbooks_sum(case: tuple[Conv, tuple[int, ...]], cached: int, unpacked: int) -> None:
    """However it is cut into blocks. The gradients are those of Σ dY ⊙ Y, which is linear in X, in W and in b."""
    layer, shape = case
    try:
        layer.shape(shape)
    except ShapeMismatch as mismatch:
        assert "larger than its input" in mismatch.message  # noqa: PT017  # hypothesis draws this now and then
        return
    X = np.random.default_rng(1).uniform(-1, 1, (*shape, 32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unrolled, "CACHED", cached)
        patch.setattr(unrolled, "UNPACKED", unpacked)
        ws = Run(layer, X).ws
    axes = layer.geometry.axes(shape)
    b = ws.b if layer.bias else np.zeros(layer.filters)
    np.testing.assert_allclose(ws.Y, textbook_conv(X, ws.W, b, axes, layer.groups), rtol=1e-12, atol=1e-12)
    if layer.bias:
        np.testing.assert_allclose(ws.db, ws.dY.reshape(layer.filters, -1).sum(axis=1), rtol=1e-12, atol=1e-12)
    none = np.zeros(layer.filters)
    for seed in range(2):  # a linear function's gradient times any direction is its value there
        rng = np.random.default_rng(seed)
        V, U = rng.normal(size=ws.W.shape), rng.normal(size=X.shape)
        along_W = (ws.dY * textbook_conv(X, V, none, axes, layer.groups)).sum()
        along_X = (ws.dY * textbook_conv(U, ws.W, none, axes, layer.groups)).sum()
        np.testing.assert_allclose((ws.dW * V).sum(), along_W, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose((ws.dX * U).sum(), along_X, rtol=1e-10, atol=1e-10)


def test_conv_by_hand() -> None:
    """[1, 2, 3, 4] with the kernel [1, 0, -1], not mirrored: 1 - 3 and 2 - 4."""
    X = np.array([[[1.0], [2.0], [3.0], [4.0]]])
    ws = Run(Conv(filters=1), X, W=np.array([[[1.0, 0.0, -1.0]]]), b=np.array([10.0])).ws
    np.testing.assert_array_equal(ws.Y, [[[8.0], [8.0]]])
    assert ws.dX[0, :, 0].tolist() == [ws.dY[0, 0, 0], ws.dY[0, 1, 0], -ws.dY[0, 0, 0], -ws.dY[0, 1, 0]]


def test_a_convolution_with_one_place_is_dense() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 4, 5, 2))
    ws = Run(Conv(filters=2, kernel=(1,)), X).ws
    expected = np.einsum("oc,chwm->ohwm", ws.W[:, :, 0, 0], X) + ws.b[:, None, None, None]
    np.testing.assert_allclose(ws.Y, expected, rtol=1e-13, atol=1e-13)


# Pooling


def each_window(axes: tuple[Axis, ...]) -> Any:
    """For each window its place, and the places of its values on the input in order."""
    for where in product(*(range(axis.windows) for axis in axes)):
        spans = [
            [t * axis.stride + tap - axis.before for tap in range(axis.kernel)]
            for axis, t in zip(axes, where, strict=True)
        ]
        on_X = [[place for place in span if 0 <= place < axis.size] for axis, span in zip(axes, spans, strict=True)]
        yield where, list(product(*on_X))


@st.composite
def pools(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[int, ...]]:
    rank = draw(st.integers(1, 2))
    size = draw(st.tuples(*[st.integers(1, 3)] * rank))
    stride = draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 3)] * rank), st.tuples(st.integers(1, 3))))
    padding = tuple(draw(st.integers(0, k - 1)) for k in size)
    X = (draw(st.integers(1, 2)), *(draw(st.integers(k, 7)) for k in size))
    return {"size": size, "stride": stride, "padding": padding}, X


@settings(max_examples=60, deadline=None)
@given(pools(), st.integers(0, 3))
def test_pools_are_what_they_say_of_each_window(case: tuple[dict[str, Any], tuple[int, ...]], levels: int) -> None:
    """Few different values, so that several are the largest: the gradient goes to the first."""
    given_, shape = case
    X = np.random.default_rng(levels).integers(-levels, levels + 1, (*shape, 3)).astype(float)
    largest, mean = Run(MaxPool(**given_), X).ws, Run(AvgPool(**given_), X).ws
    axes = MaxPool(**given_).geometry.axes(shape)
    (Y_max, Y_mean), (dX, dX_mean) = np.zeros((2, *largest.Y.shape)), np.zeros((2, *X.shape))
    count = np.prod(given_["size"])
    for where, places in each_window(axes):
        for c, s in product(range(shape[0]), range(3)):
            values = [X[c, *place, s] for place in places]
            Y_max[c, *where, s], Y_mean[c, *where, s] = max(values), sum(values) / count
            dX[c, *places[values.index(max(values))], s] += largest.dY[c, *where, s]
            for place in places:
                dX_mean[c, *place, s] += mean.dY[c, *where, s] / count
    np.testing.assert_array_equal(largest.Y, Y_max)
    np.testing.assert_allclose(largest.dX, dX, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mean.Y, Y_mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mean.dX, dX_mean, rtol=1e-12, atol=1e-14)


def test_global_pools_by_hand() -> None:
    X = np.array([[[1.0, 5.0], [3.0, 5.0]], [[-1.0, 0.0], [-2.0, 4.0]]])  # 2 channels, 2 places, 2 samples
    mean, largest = Run(GlobalAvgPool(), X).ws, Run(GlobalMaxPool(), X).ws
    np.testing.assert_array_equal(mean.Y, [[2, 5], [-1.5, 2]])
    np.testing.assert_array_equal(mean.dX, np.repeat(mean.dY[:, None] / 2, 2, axis=1))
    np.testing.assert_array_equal(largest.Y, [[3, 5], [-1, 4]])
    a, b, c, d = largest.dY.ravel()
    np.testing.assert_array_equal(largest.dX, [[[0, b], [a, 0]], [[c, 0], [0, d]]])


# Normalisation


def test_batch_norm_by_hand() -> None:
    """Mean 3, variance 2 of 1, 3, 5 in one channel; with ε = ⅓ the root of 8/3 + 1/3 is √3."""
    layer = BatchNorm(epsilon=1 / 3, momentum=0.25)
    running = {"running_mean": np.array([4.0]), "running_variance": np.array([8.0])}
    ws = Run(layer, np.array([[1.0, 3.0, 5.0]]), g=np.array([3.0]), b=np.array([1.0]), **running).ws
    np.testing.assert_allclose(ws.Y, [[1 - 6 / np.sqrt(3), 1, 1 + 6 / np.sqrt(3)]], rtol=1e-14)
    assert (ws.running_mean.item(), ws.running_variance.item()) == (4, 8)  # forward and backward leave them
    layer.advance(XP, ws)
    assert ws.running_mean.item() == 0.75 * 4 + 0.25 * 3
    assert ws.running_variance.item() == pytest.approx(0.75 * 8 + 0.25 * 4)  # 8 / (3 - 1), unbiased
    layer.infer(XP, ws)
    np.testing.assert_allclose(ws.Y, 3 * (ws.X - 3.75) / np.sqrt(7 + 1 / 3) + 1, rtol=1e-14)


def test_batch_norm_of_a_single_value() -> None:
    layer = BatchNorm()
    ws = Run(layer, np.array([[7.0]]), g=np.array([2.0]), b=np.array([0.5]), running_variance=np.array([1.0])).ws
    assert ws.Y.item() == 0.5
    assert ws.dX.item() == 0.0
    layer.advance(XP, ws)
    assert ws.running_variance.item() == 0.9


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()], ids=lambda layer: str(layer.name))
def test_values_far_from_zero_keep_their_variance(layer: Layer) -> None:
    """In float32 E[x²] - E[x]² of 1000 ± 1 has no correct digit."""
    X = np.random.default_rng(0).normal(1000, 1, (64, 256)).astype(np.float32)
    axis = 1 if isinstance(layer, BatchNorm) else 0
    one, zero = np.ones(64, np.float32), np.zeros(64, np.float32)
    Y = Run(layer, X, g=one, b=zero).ws.Y
    centred = X.astype(float) - X.astype(float).mean(axis=axis, keepdims=True)
    np.testing.assert_allclose(Y, centred / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + 1e-5), atol=2e-3)


def test_layer_norm_by_hand() -> None:
    """Each column for itself: 1, 3, 5 has the variance 8/3, 0, 0, 0 has none."""
    X = np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0]])
    ws = Run(LayerNorm(epsilon=1 / 3), X, g=np.array([1.0, 2.0, 3.0]), b=np.array([0.0, 0.0, 1.0])).ws
    np.testing.assert_allclose(ws.Y, [[-2 / np.sqrt(3), 0], [0, 0], [1 + 6 / np.sqrt(3), 1]], atol=1e-14)


NET = """
network small
input x: float[1, 4, 4]
target t: class(2)
logits = x -> conv(2, bias = false, padding = "same") -> batch_norm -> relu -> max_pool(2) -> flatten -> dense(2)
loss cross_entropy(logits, t)
output p = softmax(logits)
train { optimizer = sgd(0.1) }
"""


def test_running_statistics_move_in_training_steps_alone() -> None:
    network = Network.from_text(NET, seed=1)
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(2, 1, (8, 1, 4, 4)), "t": rng.integers(2, size=8)}
    names = [name for name in network.weights if "running" in name]
    assert len(names) == 2
    before = {name: network.weights[name] for name in network.weights}
    network.gradients(rows)
    network.predict({"x": rows["x"]})
    for name, values in before.items():
        np.testing.assert_array_equal(network.weights[name], values)
    trainer = network.trainer()
    with pytest.raises(Exception, match="not finite"):
        trainer.step({**rows, "x": rows["x"] * np.inf})
    for name, values in before.items():
        np.testing.assert_array_equal(network.weights[name], values)
    trainer.step(rows)
    assert all(not np.array_equal(network.weights[name], before[name]) for name in names)


# What they refuse


@pytest.mark.parametrize(
    ("layer", "shape", "result"),
    [
        (Conv(filters=4), (3, 8, 7), (4, 6, 5)),
        (Conv(filters=4, padding="same", stride=(2,)), (3, 8, 7), (4, 4, 4)),
        (Conv(filters=4, padding="same", stride=(1, 2)), (3, "T", 7), (4, "T", 4)),
        (Conv(filters=4, padding=(2,), kernel=(5,)), (3, "T"), (4, "T")),
        (Conv(filters=4, kernel=(1,)), (3, "H", "W"), (4, "H", "W")),
        (Conv(filters=6, kernel=(3, 1), dilation=(3, 1), groups=3), (3, 7, 7), (6, 1, 7)),
        (MaxPool(size=(2,)), (3, 5, 4), (3, 2, 2)),
        (MaxPool(size=(3,), stride=(1,), padding=(1,)), (3, "T"), (3, "T")),
        (AvgPool(size=(2, 1), stride=(1,)), (3, 5, 4), (3, 4, 4)),
        (GlobalAvgPool(), (3, "T"), (3,)),
        (GlobalMaxPool(), (3, 5, "W"), (3,)),
        (BatchNorm(), (3, "T"), (3, "T")),
        (LayerNorm(), (3, "H", "W"), (3, "H", "W")),
    ],
)
def test_shapes(layer: Layer, shape: Shape, result: Shape) -> None:
    assert layer.shape(shape) == result


def test_the_weights_of_conv() -> None:
    weights = Conv(filters=6, kernel=(3, 5), groups=2).weights((4, "T", 8))
    assert {letter: (w.name, w.shape) for letter, w in weights.items()} == {
        "W": ("weight", (6, 2, 3, 5)),
        "b": ("bias", (6,)),
    }
    assert Conv(filters=6, bias=False).weights((4, 9))["W"].shape == (6, 4, 3)


CONV = Conv(filters=4)


@pytest.mark.parametrize(
    ("layer", "shape", "message", "help_"),
    [
        (
            Conv(filters=4, kernel=(5,), dilation=(2,)),
            (3, 7, 20),
            "`conv` has a kernel that is larger than its input: 9 of 7 rows",
            'the kernel spans 1 + 2·(5 - 1) = 9 of 7 rows: make `kernel` smaller, or write `padding = "same"`',
        ),
        (
            Conv(filters=4, kernel=(2, 9), padding=(1,)),
            (3, 7, 6),
            "`conv` has a kernel that is larger than its input: 9 of 6 columns",
            'the kernel spans 9 of 6 + 2·1 columns: make `kernel` smaller, or write `padding = "same"`',
        ),
        (
            CONV,
            (3, 2),
            "`conv` has a kernel that is larger than its input: 3 of 2 steps",
            'the kernel spans 3 of 2 steps: make `kernel` smaller, or write `padding = "same"`',
        ),
        (
            MaxPool(size=(9,), padding=(1,)),
            (3, 5, 5),
            "`max_pool` has a window that is larger than its input: 9 of 5 rows",
            "the window spans 9 of 5 + 2·1 rows: make `size` smaller",
        ),
        (
            Conv(filters=4, groups=2),
            (3, 8),
            "`groups` of `conv` does not divide the channels: 3 = 1·2 + 1",
            "3 channels can be cut into 1 or 3 groups",
        ),
        (
            Conv(filters=8, groups=3),
            (6, 8),
            "`groups` of `conv` does not divide the filters: 8 = 2·3 + 2",
            "8 filters can be cut into 1, 2, 4 or 8 groups",
        ),
        (
            Conv(filters=4, kernel=(3, 3)),
            (3, 8),
            "`kernel` of `conv` has 2 sizes, and [3, 8] has 1 axis behind its channels",
            "write one size for all axes, or 1: `kernel = [3]`",
        ),
        (
            AvgPool(size=(2,), stride=(1, 2, 3)),
            (3, 8, 8),
            "`stride` of `avg_pool` has 3 sizes, and [3, 8, 8] has 2 axes behind its channels",
            "write one size for all axes, or 2: `stride = [1, 2]`",
        ),
        (
            MaxPool(size=(2,), padding=(2,)),
            (3, 8),
            "`max_pool` has a window that can lie in the padding alone: 2 values wide beside 2 of padding",
            "a window needs a value: make `padding` smaller than `size`",
        ),
        (
            CONV,
            (64,),
            "`conv` works on `[c, l]` or `[c, h, w]`, channels first, and this is [64]",
            "give it these axes with `reshape`",
        ),
        (CONV, (3, 4, 5, 6), "`conv` works on `[c, l]` or `[c, h, w]`, channels first, and this is [3, 4, 5, 6]", None),
        (
            CONV,
            ("T", 4),
            "`conv` needs a fixed number of channels, and the first size of [T, 4] is symbolic",
            "put an axis of fixed size first with `permute`",
        ),
        (
            CONV,
            (3, "T"),
            "`conv` cannot say how many kernels fit on the symbolic size T of [3, T]",
            'the size stays with `stride = 1` and `padding = "same"`',
        ),
        (
            MaxPool(size=(2,)),
            (3, 4, "W"),
            "`max_pool` cannot say how many windows fit on the symbolic size W of [3, 4, W]",
            "the size stays with `stride = 1` and `2·padding = size - 1`",
        ),
        (
            GlobalAvgPool(),
            (3,),
            "`global_avg_pool` works on the axes behind the channels, and [3] has none",
            "leave it out: there is one value for each channel already",
        ),
        (GlobalMaxPool(), (), "`global_max_pool` works on the axes behind the channels, and [] has none", None),
        (
            BatchNorm(),
            ("T", 3),
            "`batch_norm` needs a fixed number of channels on the first axis, and this is [T, 3]",
            "put an axis of fixed size first with `permute`",
        ),
        (
            LayerNorm(),
            (),
            "`layer_norm` needs a fixed number of features on the first axis, and this is []",
            "make a vector of it: `reshape([1])`",
        ),
    ],
)
def test_what_does_not_fit(layer: Layer, shape: Shape, message: str, help_: str | None) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        layer.result(floats(shape))
    assert (caught.value.message, caught.value.help) == (message, help_)


def test_same_padding_puts_what_is_odd_at_the_end() -> None:
    geometry = Geometry("conv", (4,), (2,), (1,), "same")
    assert [(axis.before, axis.after) for axis in geometry.axes((1, 6, 7))] == [(1, 1), (1, 2)]

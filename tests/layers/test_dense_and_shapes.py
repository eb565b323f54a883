"""`dense`, `@`, `flatten`, `reshape`, `permute`: rows-first NumPy as the other opinion, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.signature import ShapeMismatch
from dsl.types import Shape, TensorType, floats
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.layers.dense import Dense, Matmul
from tensorflow_lite_bp.layers.flatten import Flatten
from tensorflow_lite_bp.layers.permute import Permute
from tensorflow_lite_bp.layers.reshape import Reshape

XP = get_backend("numpy")
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def forward(layer: Layer, X: np.ndarray, **weights: np.ndarray) -> np.ndarray:
    """The result for rows-first values, rows-first."""
    Y = np.empty((*layer.shape(X.shape[1:]), len(X)))
    layer.forward(XP, Workspace(m=len(X), X=np.ascontiguousarray(np.moveaxis(X, 0, -1)), Y=Y, **weights))
    return np.moveaxis(Y, -1, 0)


@settings(max_examples=30, deadline=None)
@given(shapes, st.integers(1, 4), st.integers(1, 3))
def test_dense_maps_the_first_axis_of_any_shape(shape: tuple[int, ...], units: int, m: int) -> None:
    rng = np.random.default_rng([*shape, units])
    X, W, b = rng.normal(size=(m, *shape)), rng.normal(size=(units, shape[0])), rng.normal(size=units)
    expected = np.einsum("on,mn...->mo...", W, X) + b.reshape(-1, *[1] * (len(shape) - 1))
    np.testing.assert_allclose(forward(Dense(units), X, W=W, b=b), expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(shapes, st.data())
def test_shape_layers_agree_with_rows_first_numpy(shape: tuple[int, ...], data: st.DataObject) -> None:
    X = np.random.default_rng(0).normal(size=(3, *shape))
    np.testing.assert_array_equal(forward(Flatten(), X), X.reshape(3, -1))
    order = data.draw(st.permutations(range(len(shape))))
    turned = X.transpose(0, *(axis + 1 for axis in order))
    np.testing.assert_array_equal(forward(Permute(tuple(order)), X), turned)
    np.testing.assert_array_equal(forward(Reshape((*shape[1:], -1)), X), X.reshape(3, *shape[1:], -1))


def test_article_000_one_layer_by_hand() -> None:
    """W: 2×3 and two samples, as the article draws them; equations (1), (2) and (3) without their division by m."""
    W, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.5, -0.5])
    X, dY = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]]), np.array([[1.0, 2.0], [3.0, -1.0]])
    ws = Workspace(
        m=2, X=X, Y=np.empty((2, 2)), dX=np.empty((3, 2)), dY=dY, W=W, dW=np.empty((2, 3)), b=b, db=np.empty(2)
    )
    Dense(2).forward(XP, ws)
    Dense(2).backward(XP, ws)
    np.testing.assert_array_equal(ws.Y, [[7.5, -0.5], [15.5, -1.5]])
    np.testing.assert_array_equal(ws.dX, [[13, -2], [17, -1], [21, 0]])
    np.testing.assert_array_equal(ws.dW, [[1, 2, 0], [3, -1, 7]])
    np.testing.assert_array_equal(ws.db, [3, 2])


@pytest.mark.parametrize(
    ("layer", "shape", "result"),
    [
        (Dense(5), (3, "T"), (5, "T")),
        (Permute((1, 0)), (3, "T"), ("T", 3)),
        (Reshape((1, 28, -1)), (28, "T"), (1, 28, "T")),
        (Reshape((-1,)), ("T",), ("T",)),
        (Reshape((2, -1, 4)), (8, 3), (2, 3, 4)),
        (Reshape(()), (1, 1), ()),
        (Flatten(), (), (1,)),
    ],
)
def test_shapes(layer: Layer, shape: Shape, result: Shape) -> None:
    assert layer.shape(shape) == result


@pytest.mark.parametrize(
    ("layer", "shape", "message", "help_"),
    [
        (
            Dense(5),
            (),
            "`dense` works on the first axis, and this is a single number for each sample",
            "make a vector of it: `reshape([1])`",
        ),
        (
            Dense(5),
            ("T", 3),
            "`dense` needs a fixed number of features, and the first size of [T, 3] is symbolic",
            "put an axis of fixed size first with `permute`",
        ),
        (
            Flatten(),
            (28, "T"),
            "`flatten` needs fixed sizes, and [28, T] has a symbolic one",
            "`reshape` carries one symbolic size over, where -1 stands",
        ),
        (
            Reshape((10, 5)),
            (8, 8),
            "`reshape` keeps the number of values: [8, 8] has 64, and [10, 5] needs 50",
            None,
        ),
        (
            Reshape((10, -1)),
            (8, 8),
            "`reshape` keeps the number of values: [8, 8] has 64, and [10, -1] needs a multiple of 10",
            None,
        ),
        (Reshape((-1, -1)), (4,), "`reshape` takes sizes from 1 on and at most one -1, and this is [-1, -1]", None),
        (Reshape((0, 4)), (4,), "`reshape` takes sizes from 1 on and at most one -1, and this is [0, 4]", None),
        (
            Reshape((14, 2)),
            (28, "T"),
            "`reshape` cannot make [14, 2] of [28, T], which has a symbolic size",
            "keep the product of the other sizes, and write -1 for the symbolic one",
        ),
        (
            Reshape((5, -1)),
            (28, "T"),
            "`reshape` cannot make [5, -1] of [28, T], which has a symbolic size",
            "keep the product of the other sizes, and write -1 for the symbolic one",
        ),
        (
            Permute((0, 0)),
            (3, 4),
            "`permute` names each axis of [3, 4] once, and this is [0, 0]",
            "for example `permute([1, 0])`",
        ),
    ],
)
def test_what_does_not_fit(layer: Layer, shape: Shape, message: str, help_: str | None) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        layer.result(floats(shape))
    assert (caught.value.message, caught.value.help) == (message, help_)


def parameter(*shape: int) -> TensorType:
    return TensorType("float", shape, per_sample=False)


@pytest.mark.parametrize(
    ("types", "message", "help_", "port"),
    [
        (
            (floats((2, 3)), floats((3,))),
            "`@` multiplies a parameter by a tensor, and this is a tensor [2, 3] @ a tensor [3]",
            "write the parameter on the left: `W @ x`",
            0,
        ),
        (
            (parameter(2, 3), parameter(3)),
            "`@` multiplies a parameter by a tensor, and this is a parameter [2, 3] @ a parameter [3]",
            "write the parameter on the left: `W @ x`",
            1,
        ),
        (
            (parameter(3), floats((3,))),
            "`@` needs a matrix [out, in] on its left, and this parameter is [3]",
            None,
            0,
        ),
        (
            (parameter(5, 4), floats((3, 7))),
            "`@` needs as many features as the matrix has columns: [5, 4] @ [3, 7]",
            "declare the parameter as float[5, 3]",
            1,
        ),
        ((parameter(5, 4), floats(())), "`@` needs as many features as the matrix has columns: [5, 4] @ []", None, 1),
    ],
)
def test_what_cannot_be_multiplied(types: tuple[Any, ...], message: str, help_: str | None, port: int) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        Matmul().result(*types)
    assert (caught.value.message, caught.value.help, caught.value.input) == (message, help_, port)


def test_a_parameter_is_no_input_of_a_layer() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        Dense(5).result(parameter(3))
    assert caught.value.message == "`dense` works on a tensor with samples, and this is a parameter [3]"
    assert caught.value.help == "use a parameter beside a tensor: `W @ x`, `x + b`, `x * g`"


def test_the_weights_of_dense() -> None:
    weights = Dense(5).weights((3, "T"))
    assert {letter: (w.name, w.shape) for letter, w in weights.items()} == {
        "W": ("weight", (5, 3)),
        "b": ("bias", (5,)),
    }
    assert Dense(5, bias=False).weights((3,)).keys() == {"W"}

"""The signs between tensors and parameters: rows-first NumPy as the other opinion, and what they refuse."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, floats
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.arithmetic import Add, Divide, Multiply, Subtract

XP = get_backend("numpy")
SIGNS = {Add: operator.add, Subtract: operator.sub, Multiply: operator.mul, Divide: operator.truediv}


def parameter(*shape: int) -> TensorType:
    return TensorType("float", shape, per_sample=False)


def spread(own: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with which a parameter broadcasts against rows of this shape: channels stand second there."""
    return own if own == shape else (*own, *[1] * (len(shape) - len(own)))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(SIGNS)),
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    st.sampled_from(["tensors", "full", "channel", "scalar"]),
    st.booleans(),
)
def test_values_and_sums(cls: Any, shape: tuple[int, ...], case: str, swapped: bool) -> None:
    rng, m = np.random.default_rng(len(shape)), 4
    own = {"tensors": shape, "full": shape, "channel": shape[:1], "scalar": ()}[case]
    X = rng.uniform(0.5, 2, (m, *shape))
    P = rng.uniform(0.5, 2, (m, *shape) if case == "tensors" else own)
    wide = P if case == "tensors" else P.reshape(spread(own, shape))
    expected = SIGNS[cls](*((wide, X) if swapped else (X, wide)))

    x, p = np.ascontiguousarray(np.moveaxis(X, 0, -1)), np.moveaxis(P, 0, -1).copy() if case == "tensors" else P
    X1, X2 = (p, x) if swapped else (x, p)
    ws = Workspace(m=m, X1=X1, X2=X2, Y=np.empty((*shape, m)), dX1=np.empty_like(X1), dX2=np.empty_like(X2))
    vars(ws).update({role: np.empty(b.shape) for role, b in cls().buffers(X1.shape, X2.shape).items()})
    cls().forward(XP, ws)
    np.testing.assert_allclose(np.moveaxis(ws.Y, -1, 0), expected, rtol=1e-14)

    # along dY = Y the gradient is that of ½ Σ Y²: move the parameter by a little and look
    ws.dY = ws.Y.copy()
    cls().backward(XP, ws)
    gradient = ws.dX1 if swapped else ws.dX2
    direction, h = rng.normal(size=P.shape), 1e-6

    def half_square(step: float) -> float:
        moved = wide + step * (direction if case == "tensors" else direction.reshape(wide.shape))
        return 0.5 * float((SIGNS[cls](*((moved, X) if swapped else (X, moved))) ** 2).sum())

    slope = (half_square(h) - half_square(-h)) / (2 * h)
    turned = np.moveaxis(direction, 0, -1) if case == "tensors" else direction
    assert float((gradient * turned).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    ("X1", "X2", "result"),
    [
        (floats((2, "T")), floats((2, "T")), (2, "T")),
        (floats((2, "T")), parameter(2), (2, "T")),
        (parameter(), floats((2, "T")), (2, "T")),
        (parameter(3, 2), floats((3, 2)), (3, 2)),
    ],
)
def test_shapes(X1: TensorType, X2: TensorType, result: tuple[Any, ...]) -> None:
    assert Add().result(X1, X2) == floats(result)


@pytest.mark.parametrize(
    ("cls", "types", "expected"),
    [
        (
            Add,
            (floats((16, 8, 8)), floats((16, 6, 6))),
            ("`+` needs equal shapes: [16, 8, 8] and [16, 6, 6]", None, None),
        ),
        (
            Subtract,
            (floats((16, 8, 8)), parameter(8)),
            (
                "`-` cannot spread a parameter [8] over [16, 8, 8]",
                "a parameter beside this tensor is [16, 8, 8] or [16] or []",
                1,
            ),
        ),
        (
            Multiply,
            (parameter(3), floats((4,))),
            ("`*` cannot spread a parameter [3] over [4]", "a parameter beside this tensor is [4] or []", 0),
        ),
        (
            Divide,
            (parameter(3), parameter(3)),
            (
                "`/` needs a tensor on one side, and these are two parameters: [3] and [3]",
                "declare one parameter of the shape you need",
                None,
            ),
        ),
    ],
)
def test_what_does_not_fit(cls: Any, types: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        cls().result(*types)
    assert (caught.value.message, caught.value.help, caught.value.input) == expected

"""Scores to probabilities, and to their logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer

_EXAMPLES = (
    Example(shapes=((4,),)),
    Example(shapes=((3, 2),), low=-8.0, high=8.0),
    Example(shapes=((3, 2, 2),)),
)


class _OverFeatures(Layer):
    """What both share: they work on the first axis, for each step or pixel by itself."""

    reads = frozenset({"Y"})
    in_place = True
    activation = True
    examples = _EXAMPLES

    def shape(self, *shapes: Shape) -> Shape:
        if not shapes[0]:
            raise ShapeMismatch(
                f"`{self.name}` compares the values of the first axis, and this is a single number for each sample",
                help="for one score of yes or no use `sigmoid`",
                input=0,
            )
        return shapes[0]

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        (X,) = shapes
        return {"row": Buffer((1, *X[1:])), "S": Buffer(X)}


class Softmax(_OverFeatures, name="softmax"):
    """Scores to probabilities over the first axis: each is positive, together they are 1.

    The largest score is taken off first, which changes nothing and cannot overflow. The gradient uses the whole
    Jacobian diag(y) - y yᵀ, of which article 002 has the diagonal only (see its misprint in the reference).
    """

    formula = "Y = exp(X) / sum(exp(X), axis=0)"
    gradients = {"dX": "Y * (dY - sum(Y * dY, axis=0))"}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.max(ws.X, axis=0, keepdims=True, out=ws.row)
        xp.subtract(ws.X, ws.row, out=ws.Y)
        xp.exp(ws.Y, out=ws.Y)
        xp.sum(ws.Y, axis=0, keepdims=True, out=ws.row)
        xp.divide(ws.Y, ws.row, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.multiply(ws.Y, ws.dY, out=ws.S)
            xp.sum(ws.S, axis=0, keepdims=True, out=ws.row)
            xp.subtract(ws.dY, ws.row, out=ws.dX)
            xp.multiply(ws.Y, ws.dX, out=ws.dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Softmax(at.X, axis=1)
        return result


class LogSoftmax(_OverFeatures, name="log_softmax"):
    """The logarithm of `softmax`, exact where the probability itself would round to 0."""

    formula = "Y = X - log(sum(exp(X), axis=0))"
    gradients = {"dX": "dY - exp(Y) * sum(dY, axis=0)"}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.max(ws.X, axis=0, keepdims=True, out=ws.row)
        xp.subtract(ws.X, ws.row, out=ws.Y)
        xp.exp(ws.Y, out=ws.S)
        xp.sum(ws.S, axis=0, keepdims=True, out=ws.row)
        xp.log(ws.row, out=ws.row)
        xp.subtract(ws.Y, ws.row, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.exp(ws.Y, out=ws.S)
            xp.sum(ws.dY, axis=0, keepdims=True, out=ws.row)
            xp.multiply(ws.S, ws.row, out=ws.S)
            xp.subtract(ws.dY, ws.S, out=ws.dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.LogSoftmax(at.X, axis=1)
        return result

"""Normalise the features of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.types import Shape
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.ones import Ones
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer, Weight, fixed_first_axis, matrix


@dataclass(frozen=True)
class LayerNorm(Layer, name="layer_norm"):
    """The features of each sample minus their mean, divided by their standard deviation, times a gain, plus a bias.

    Mean μ and variance σ² are taken over the first axis of ``[n]``, ``[d, t]`` or ``[c, h, w]``, for each step or pixel
    alone; training and prediction do not differ. The gain ``[n]`` starts at one, the bias ``[n]`` at zero.

    Source: J. Ba, J. Kiros and G. Hinton, Layer normalization, arXiv:1607.06450, equations (3) and (4).
    """

    formula = """
    mu = mean(X, axis=0)
    v = mean((X - mu) ** 2, axis=0)
    N = (X - mu) / sqrt(v + epsilon)
    Y = g * N + b
    """
    gradients = {
        "dg": "sum(dY * N, axis=1)",
        "db": "sum(dY, axis=1)",
        "G": "g * dY",
        "dX": "(G - mean(G, axis=0) - N * mean(G * N, axis=0)) / sqrt(v + epsilon)",
    }
    letters = {"mu": "mean"}
    examples = (
        Example(shapes=((4,),)),
        Example({"epsilon": 0.5}, ((3, 2),)),
        Example(shapes=((4, 2, 2),)),
    )

    epsilon: float = setting(1e-5, above=0, help="ε, keeps the division finite")

    def shape(self, *shapes: Shape) -> Shape:
        return fixed_first_axis(self.name, shapes[0], "features")

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        return {"g": Weight("gain", shapes[0][:1], Ones()), "b": Weight("bias", shapes[0][:1], Zeros())}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        n, columns = shapes[0][0], prod(shapes[0][1:])
        return {
            "N": Buffer((n, columns), saved=True),
            "R": Buffer((1, columns), saved=True),
            "mean": Buffer((1, columns)),
            "work": Buffer((n, columns)),
        }

    def forward(self, xp: Any, ws: Any) -> None:
        X, Y = matrix(ws.X), matrix(ws.Y)
        _mean(xp, X, out=ws.mean)
        xp.subtract(X, ws.mean, out=ws.N)
        xp.multiply(ws.N, ws.N, out=ws.work)
        _mean(xp, ws.work, out=ws.R)
        xp.add(ws.R, self.epsilon, out=ws.R)
        xp.sqrt(ws.R, out=ws.R)
        xp.divide(1.0, ws.R, out=ws.R)
        xp.multiply(ws.N, ws.R, out=ws.N)
        xp.multiply(ws.N, ws.g[:, None], out=Y)
        xp.add(Y, ws.b[:, None], out=Y)

    def backward(self, xp: Any, ws: Any) -> None:
        dY = matrix(ws.dY)
        xp.sum(dY, axis=1, out=ws.db)
        xp.multiply(dY, ws.N, out=ws.work)
        xp.sum(ws.work, axis=1, out=ws.dg)
        if ws.dX is None:
            return
        dX = matrix(ws.dX)  # G, to begin with
        xp.multiply(dY, ws.g[:, None], out=dX)
        xp.multiply(dX, ws.N, out=ws.work)
        _mean(xp, ws.work, out=ws.mean)
        xp.multiply(ws.N, ws.mean, out=ws.work)
        _mean(xp, dX, out=ws.mean)
        xp.subtract(dX, ws.mean, out=dX)
        xp.subtract(dX, ws.work, out=dX)
        xp.multiply(dX, ws.R, out=dX)

    def onnx(self, g: Any, at: Any) -> str:
        """Composed: the operator LayerNormalization exists from opset 17 on, and normalises the last axes."""
        n, *others = at.shapes["X"]

        def mean(A: str) -> Any:
            return g.Div(g.ReduceSum(A, g.constant([1]), keepdims=1), g.constant(float(n)))

        def along_features(weight: str) -> Any:
            return g.Unsqueeze(weight, g.constant([*range(1, len(others) + 1)])) if others else weight

        centred = g.Sub(at.X, mean(at.X))
        root = g.Sqrt(g.Add(mean(g.Mul(centred, centred)), g.constant(self.epsilon)))
        result: str = g.Add(g.Mul(g.Div(centred, root), along_features(at.g)), along_features(at.b))
        return result


def _mean(xp: Any, A: Any, *, out: Any) -> None:
    """The mean of each column, ``(1, columns)``."""
    xp.sum(A, axis=0, keepdims=True, out=out)
    xp.multiply(out, 1 / A.shape[0], out=out)

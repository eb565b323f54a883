"""Normalise the features of each sample by their root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.types import Shape
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.ones import Ones
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer, Weight, fixed_first_axis, matrix


@dataclass(frozen=True)
class RmsNorm(Layer, name="rms_norm"):
    """The features of each sample divided by their root mean square, times a gain: ``Y = g ⊙ X / √(mean(X²) + ε)``.

    The mean is taken over the first axis of ``[n]``, ``[d, t]`` or ``[c, h, w]``, for each step or pixel alone; the
    gain ``[n]`` starts at one. Unlike layer normalisation nothing is subtracted.

    Source: B. Zhang and R. Sennrich, Root mean square layer normalization, NeurIPS 2019, equation (4).
    """

    formula = """
    R = sqrt(mean(X ** 2, axis=0) + epsilon)
    N = X / R
    Y = g * N
    """
    gradients = {"dg": "sum(dY * N, axis=1)", "G": "g * dY", "dX": "(G - N * mean(G * N, axis=0)) / R"}
    examples = (
        Example(shapes=((4,),)),
        Example({"epsilon": 0.5}, ((3, 2),)),
        Example(shapes=((2, 3, 2),)),
    )

    epsilon: float = setting(1e-6, above=0, help="ε, keeps the division finite")

    def shape(self, *shapes: Shape) -> Shape:
        return fixed_first_axis(self.name, shapes[0], "features")

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        return {"g": Weight("gain", shapes[0][:1], Ones())}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        n, columns = shapes[0][0], prod(shapes[0][1:])
        return {
            "N": Buffer((n, columns), saved=True),
            "R": Buffer((1, columns), saved=True),
            "mean": Buffer((1, columns)),
            "work": Buffer((n, columns)),
        }

    def forward(self, xp: Any, ws: Any) -> None:
        X, Y, n = matrix(ws.X), matrix(ws.Y), ws.X.shape[0]
        xp.multiply(X, X, out=ws.work)
        xp.sum(ws.work, axis=0, keepdims=True, out=ws.R)
        xp.multiply(ws.R, 1 / n, out=ws.R)
        xp.add(ws.R, self.epsilon, out=ws.R)
        xp.sqrt(ws.R, out=ws.R)
        xp.divide(X, ws.R, out=ws.N)
        xp.multiply(ws.N, ws.g.reshape(-1, 1), out=Y)

    def backward(self, xp: Any, ws: Any) -> None:
        dY, n = matrix(ws.dY), ws.dY.shape[0]
        if ws.dg is not None:
            xp.multiply(dY, ws.N, out=ws.work)
            xp.sum(ws.work, axis=1, out=ws.dg)
        if ws.dX is not None:
            dX = matrix(ws.dX)
            xp.multiply(dY, ws.g.reshape(-1, 1), out=dX)
            xp.multiply(dX, ws.N, out=ws.work)
            xp.sum(ws.work, axis=0, keepdims=True, out=ws.mean)
            xp.multiply(ws.mean, 1 / n, out=ws.mean)
            xp.multiply(ws.N, ws.mean, out=ws.work)
            xp.subtract(dX, ws.work, out=dX)
            xp.divide(dX, ws.R, out=dX)

    def onnx(self, g: Any, at: Any) -> str:
        n, *others = at.shapes["X"]
        squares = g.ReduceSum(g.Mul(at.X, at.X), g.constant([1]), keepdims=1)
        root = g.Sqrt(g.Add(g.Div(squares, g.constant(float(n))), g.constant(self.epsilon)))
        gain = g.Unsqueeze(at.g, g.constant([*range(1, len(others) + 1)])) if others else at.g
        result: str = g.Mul(g.Div(at.X, root), gain)
        return result

"""Random zeros while training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer


@dataclass(frozen=True)
class Dropout(Layer, name="dropout"):
    """Zeroes each value with the probability ``rate`` while training, and divides the others by 1 - rate.

    The expected value stays, so that prediction uses the values as they are ("inverted" dropout, where the paper
    multiplies the weights when predicting).

    Source: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, Dropout: a simple way to prevent
    neural networks from overfitting, JMLR 15 (2014), section 4.
    """

    in_place = True
    mixed = "either"
    formula = """
    M = [U >= p] / (1 - p)
    Y = M * X
    """
    gradients = {"dX": "M * dY"}
    letters = {"p": "rate"}
    examples = (Example({"rate": 0.5}, ((8,),)), Example({"rate": 0.25}, ((2, 3, 2),)), Example({"rate": 0.0}, ((),)))

    rate: float = setting(minimum=0, below=1, help="the probability p of a zero")

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"M": Buffer(shapes[0], saved=True, drawn=True)}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.uniform(ws.draw, out=ws.M)
        xp.greater_equal(ws.M, self.rate, out=ws.M)
        xp.multiply(ws.M, 1.0 / (1.0 - self.rate), out=ws.M)
        xp.multiply(ws.M, ws.X, out=ws.Y)

    def infer(self, xp: Any, ws: Any) -> None:
        xp.copyto(ws.Y, ws.X)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.multiply(ws.M, ws.dY, out=ws.dX)

    def onnx(self, g: Any, at: Any) -> str:
        unchanged: str = at.X
        return unchanged

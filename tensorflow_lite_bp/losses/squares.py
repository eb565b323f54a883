"""Losses of squared differences: `mse` and `squared_error`."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

from dsl.types import TensorType, floats
from tensorflow_lite_bp.layers.base import Buffer
from tensorflow_lite_bp.losses.base import Example, Loss

_EXAMPLES = (
    Example(),
    Example({"reduction": "sum"}, floats((2, 3, 2)), floats((2, 3, 2))),
    Example({}, floats(()), TensorType("flag", ())),
)


class _Squares(Loss):
    """What both share: a factor times the sum of the squared differences."""

    kinds = (("float",), ("float", "flag"))
    examples = _EXAMPLES
    factor: ClassVar[float]

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"R": Buffer(Y)}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.subtract(ws.Y, ws.T, out=ws.R)
        xp.square(ws.R, out=ws.R)
        xp.sum(ws.R, axis=None, out=ws.E)
        xp.multiply(ws.E, self.factor * ws.scale, out=ws.E)

    def backward(self, xp: Any, ws: Any) -> None:
        xp.subtract(ws.Y, ws.T, out=ws.dY)
        xp.multiply(ws.dY, 2.0 * self.factor * ws.scale, out=ws.dY)


class Mse(_Squares, name="mse"):
    """The mean of the squared differences, over all values of a sample and all samples.

    With ``reduction = "sum"`` it is their sum.
    """

    formula = "E = s * sum((Y - T) ** 2)"
    gradients = {"dY": "2 * s * (Y - T)"}
    factor = 1.0

    def terms(self, Y: tuple[int, ...], T: tuple[int, ...]) -> int:
        return prod(Y)


class SquaredError(_Squares, name="squared_error"):
    """Half the squared length of each sample's difference, ½‖y - t‖², whose gradient is the difference itself.

    ``mean`` is over the samples alone; article 004 has ``reduction = "sum"``.

    Source: article 004, its cost C and loss L = Σ C.
    """

    formula = "E = s / 2 * norm(T - Y) ** 2"
    gradients = {"dY": "s * (Y - T)"}
    factor = 0.5

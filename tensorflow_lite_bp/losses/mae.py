"""The loss of absolute differences."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from dsl.types import TensorType, floats
from tensorflow_lite_bp.layers.base import Buffer
from tensorflow_lite_bp.losses.base import Example, Loss


class Mae(Loss, name="mae"):
    """The mean of the absolute differences, over all values of a sample and all samples.

    With ``reduction = "sum"`` it is their sum. Where prediction and target are equal the derivative is taken as 0.
    """

    kinds = (("float",), ("float", "flag"))
    formula = "E = s * sum(abs(Y - T))"
    gradients = {"dY": "s * sign(Y - T)"}
    examples = (
        Example(),
        Example({"reduction": "sum"}, floats((2, 3, 2)), floats((2, 3, 2))),
        Example({}, floats(()), TensorType("flag", ())),
    )

    def terms(self, Y: tuple[int, ...], T: tuple[int, ...]) -> int:
        return prod(Y)

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"R": Buffer(Y)}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.subtract(ws.Y, ws.T, out=ws.R)
        xp.abs(ws.R, out=ws.R)
        xp.sum(ws.R, axis=None, out=ws.E)
        xp.multiply(ws.E, ws.scale, out=ws.E)

    def backward(self, xp: Any, ws: Any) -> None:
        xp.subtract(ws.Y, ws.T, out=ws.dY)
        xp.sign(ws.dY, out=ws.dY)
        xp.multiply(ws.dY, ws.scale, out=ws.dY)

"""The loss of yes-or-no predictions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from dsl.types import TensorType, floats
from tensorflow_lite_bp.layers.base import Buffer
from tensorflow_lite_bp.losses.base import Example, Loss


class BinaryCrossEntropy(Loss, name="binary_cross_entropy"):
    """The cross entropy of yes-or-no targets and scores before the sigmoid (logits).

    A target is a ``flag``, ``flag[k]`` for k independent questions, or a ``float`` probability. ``mean`` is over all
    values of a sample and all samples. The scores go in as they are: a sigmoid before this loss would be taken twice.

    ``-t log σ(y) - (1 - t) log(1 - σ(y))`` is computed as ``max(y, 0) - y t + log(1 + e^-|y|)``, which neither
    overflows nor loses small values.
    """

    kinds = (("float",), ("flag", "float"))
    formula = "E = -s * sum(T * log(sigmoid(Y)) + (1 - T) * log(1 - sigmoid(Y)))"
    gradients = {"dY": "s * (sigmoid(Y) - T)"}
    examples = (
        Example({}, floats(()), TensorType("flag", ())),
        Example({"reduction": "sum"}, floats((3,)), TensorType("flag", (3,)), low=-6.0, high=6.0),
        Example({}, floats((2, 2)), floats((2, 2)), low=0.0, high=1.0),
    )

    def terms(self, Y: tuple[int, ...], T: tuple[int, ...]) -> int:
        return prod(Y)

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"P": Buffer(Y), "Q": Buffer(Y)}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.maximum(ws.Y, 0.0, out=ws.P)
        xp.multiply(ws.Y, ws.T, out=ws.Q)
        xp.subtract(ws.P, ws.Q, out=ws.P)
        xp.abs(ws.Y, out=ws.Q)
        xp.negative(ws.Q, out=ws.Q)
        xp.exp(ws.Q, out=ws.Q)
        xp.log1p(ws.Q, out=ws.Q)
        xp.add(ws.P, ws.Q, out=ws.P)
        xp.sum(ws.P, axis=None, out=ws.E)
        xp.multiply(ws.E, ws.scale, out=ws.E)

    def backward(self, xp: Any, ws: Any) -> None:
        xp.negative(ws.Y, out=ws.dY)
        xp.exp(ws.dY, out=ws.dY)
        xp.add(ws.dY, 1.0, out=ws.dY)
        xp.reciprocal(ws.dY, out=ws.dY)
        xp.subtract(ws.dY, ws.T, out=ws.dY)
        xp.multiply(ws.dY, ws.scale, out=ws.dY)

"""A tensor to a constant power: ``x^2``, and the ``x^-1`` in ``1 / x``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.types import TensorType
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.elementwise import Elementwise, ranks


@dataclass(frozen=True)
class Power(Elementwise, category="operator", name="power"):
    """Every value to a constant power: what ``x^2`` and ``1 / x`` are.

    Of a negative value only whole powers exist; another one gives NaN, which stops the training with its place.
    """

    reads = frozenset({"X"})
    activation = False
    formula = "Y = X ** exponent"
    gradients = {"dX": "exponent * dY * X ** (exponent - 1)"}
    examples = (
        *ranks({"exponent": 2.0}),
        *ranks({"exponent": 3.0}),
        *ranks({"exponent": 0.0}),
        *ranks({"exponent": -1.0}, low=0.3, high=2.0),
        *ranks({"exponent": 0.5}, low=0.3, high=2.0),
    )

    exponent: float = setting(help="the power p")

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        p = self.exponent
        return f"Y = X ** {p!r}", {"dX": f"{p!r} * dY * X ** {p - 1.0!r}"}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.power(ws.X, self.exponent, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        if self.exponent == 0.0:
            xp.copyto(ws.D, 0.0)  # the formula would give 0 · ∞ for X = 0
            return
        xp.power(ws.X, self.exponent - 1.0, out=ws.D)
        xp.multiply(ws.D, self.exponent, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Pow(at.X, g.constant(self.exponent))
        return result

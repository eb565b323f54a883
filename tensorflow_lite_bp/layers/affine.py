"""Numbers beside a tensor: ``x * 2``, ``x / 16``, ``x + 1``, ``1 - x``, ``-x``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.types import TensorType
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Example, Operator


@dataclass(frozen=True)
class Affine(Operator, name="affine"):
    """A number times every value, plus a number: what ``2 * x``, ``x / 16``, ``1 - x`` and ``-x`` are."""

    in_place = True
    mixed = "inputs"
    formula = "Y = scale * X + shift"
    gradients = {"dX": "scale * dY"}
    examples = (
        Example({"scale": -2.5}, ((3,),)),
        Example({"shift": 1.5}, ((),)),
        Example({"scale": -1.0, "shift": 1.0}, ((2, 3, 2),)),
        Example({}, ((3, 2),)),
    )

    scale: float = setting(1.0, help="the factor a")
    shift: float = setting(0.0, help="the summand c")

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        scaled, dX = (f"{{}} * {name}" if self.scale != 1.0 else name for name in ("X", "dY"))
        formula = f"Y = {scaled} + {self.shift!r}" if self.shift else f"Y = {scaled}"
        return formula.format(repr(self.scale)), {"dX": dX.format(repr(self.scale))}

    def forward(self, xp: Any, ws: Any) -> None:
        if self.scale == 1.0:
            xp.add(ws.X, self.shift, out=ws.Y)
            return
        xp.multiply(ws.X, self.scale, out=ws.Y)
        if self.shift != 0.0:
            xp.add(ws.Y, self.shift, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.multiply(ws.dY, self.scale, out=ws.dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = at.X
        if self.scale != 1.0:
            result = g.Mul(result, g.constant(self.scale))
        if self.shift != 0.0:
            result = g.Add(result, g.constant(self.shift))
        return result

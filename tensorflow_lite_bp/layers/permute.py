"""The axes of a sample in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, show
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Example, Layer


@dataclass(frozen=True)
class Permute(Layer, name="permute"):
    """The axes of a sample in another order, counted from 0: ``permute([1, 0])`` makes ``[d, t]`` of ``[t, d]``.

    Axis k of the result is axis p_k = ``order[k]`` of the input.
    """

    mixed = "either"
    formula = "Y = permute(X)"
    gradients = {"dX": "unpermute(dY)"}
    words = {
        "permute": "the same values with their axes in another order",
        "unpermute": "the axes in their first order",
    }
    examples = (
        Example({"order": (1, 0)}, ((3, 2),)),
        Example({"order": (2, 0, 1)}, ((2, 3, 4),)),
        Example({"order": (0,)}, ((3,),)),
    )

    order: tuple[int, ...] = setting(minimum=0, help="for each axis of the result, the axis it is of the input")

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if sorted(self.order) != list(range(len(X))):
            every = ", ".join(map(str, reversed(range(len(X)))))
            raise ShapeMismatch(
                f"`permute` names each axis of {show(X)} once, and this is {show(self.order)}",
                help=f"for example `permute([{every}])`",
            )
        return tuple(X[axis] for axis in self.order)

    def forward(self, xp: Any, ws: Any) -> None:
        xp.copyto(self._turned(ws.Y), ws.X)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.copyto(ws.dX, self._turned(ws.dY))

    def _turned(self, Y: Any) -> Any:
        """A view of an array in the result's order with its axes where the input has them."""
        places = sorted(range(len(self.order)), key=self.order.__getitem__)
        return Y.transpose(*places, len(places))

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Transpose(at.X, perm=[0, *(axis + 1 for axis in self.order)])
        return result

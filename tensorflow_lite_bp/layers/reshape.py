"""The same values in another shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, Size, show
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Example, Layer


@dataclass(frozen=True)
class Reshape(Layer, name="reshape"):
    """The same values in another shape, in row-major order.

    One size may be -1: it takes what is left. ``reshape([])`` makes of a single value a number without axes, as a
    ``flag`` or a ``float`` target is. A symbolic size goes over to the -1: ``[28, T]`` becomes ``[1, 28, T]`` by
    ``reshape([1, 28, -1])``.
    """

    in_place = True
    view = True
    mixed = "either"
    formula = "Y = reshape(X)"
    gradients = {"dX": "unreshape(dY)"}
    words = {"reshape": "the same values in another shape", "unreshape": "the same values in the first shape"}
    examples = (
        Example({"sizes": (3, 2)}, ((6,),)),
        Example({"sizes": (2, -1)}, ((2, 3, 2),)),
        Example({"sizes": ()}, ((1,),)),
        Example({"sizes": (-1,)}, ((),)),
    )

    sizes: tuple[int, ...] = setting(minimum=-1, help="the shape of one sample; one size may be -1")

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if 0 in self.sizes or self.sizes.count(-1) > 1:
            raise ShapeMismatch(f"`reshape` takes sizes from 1 on and at most one -1, and this is {show(self.sizes)}")
        symbols = [size for size in X if isinstance(size, str)]
        have = prod(size for size in X if isinstance(size, int))
        given = prod(size for size in self.sizes if size != -1)
        if symbols:
            if len(symbols) > 1 or -1 not in self.sizes or given != have:
                raise ShapeMismatch(
                    f"`reshape` cannot make {show(self.sizes)} of {show(X)}, which has a symbolic size",
                    help="keep the product of the other sizes, and write -1 for the symbolic one",
                    input=0,
                )
            rest: Size = symbols[0]
        elif have % given or (-1 not in self.sizes and have != given):
            needed = f"a multiple of {given}" if -1 in self.sizes else str(given)
            raise ShapeMismatch(
                f"`reshape` keeps the number of values: {show(X)} has {have}, and {show(self.sizes)} needs {needed}",
                input=0,
            )
        else:
            rest = have // given
        return tuple(rest if size == -1 else size for size in self.sizes)

    def forward(self, xp: Any, ws: Any) -> None:
        xp.copyto(ws.Y.reshape(ws.X.shape), ws.X)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.copyto(ws.dX, ws.dY.reshape(ws.dX.shape))

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Reshape(at.X, g.constant([0, *self.sizes]))
        return result

"""All values of a sample in one vector."""

from __future__ import annotations

from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, count, known, show
from tensorflow_lite_bp.layers.base import Example, Layer


class Flatten(Layer, name="flatten"):
    """All values of a sample in one vector, in row-major order: ``[c, h, w]`` becomes ``[c·h·w]``."""

    in_place = True
    view = True
    mixed = "either"
    formula = "Y = vec(X)"
    gradients = {"dX": "unvec(dY)"}
    words = {"vec": "all values of a sample in one column", "unvec": "the same values in the sample's shape"}
    examples = (Example(shapes=((2, 3, 2),)), Example(shapes=((3, 2),)), Example(shapes=((3,),)), Example(shapes=((),)))

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        sizes = known(X)
        if sizes is None:
            raise ShapeMismatch(
                f"`flatten` needs fixed sizes, and {show(X)} has a symbolic one",
                help="`reshape` carries one symbolic size over, where -1 stands",
                input=0,
            )
        return (count(sizes),)

    def forward(self, xp: Any, ws: Any) -> None:
        xp.copyto(ws.Y.reshape(ws.X.shape), ws.X)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.copyto(ws.dX, ws.dY.reshape(ws.dX.shape))

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Flatten(at.X, axis=1)
        return result

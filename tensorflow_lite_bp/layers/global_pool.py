"""Pooling over everything behind the channels: a sequence or an image becomes one value for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, show
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer

if TYPE_CHECKING:
    import numpy as np

_EXAMPLES = (Example(shapes=((3, 2, 2),)), Example(shapes=((2, 4),)), Example(shapes=((2, 1),)))


class _GlobalPool(Layer):
    """What both share: ``[c, …]`` becomes ``[c]``."""

    examples = _EXAMPLES

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if len(X) < 2:
            raise ShapeMismatch(
                f"`{self.name}` works on the axes behind the channels, and {show(X)} has none",
                help="leave it out: there is one value for each channel already" if X else None,
                input=0,
            )
        return X[:1]


def _places(X: Any) -> Any:
    """``(c, h, w, m)`` seen as ``(c, h·w, m)``."""
    return X.reshape(X.shape[0], -1, X.shape[-1])


class GlobalAvgPool(_GlobalPool, name="global_avg_pool"):
    """The mean of each channel over all places: ``[c, h, w]`` or ``[c, l]`` becomes ``[c]``.

    Source: M. Lin, Q. Chen and S. Yan, Network in network, arXiv:1312.4400, section 3.2.
    """

    formula = "Y = avgpool(X)"
    gradients = {"dX": "unavgpool(dY)"}
    words = {
        "avgpool": "the mean of each channel",
        "unavgpool": "each channel's gradient in equal shares for all its places",
    }

    def forward(self, xp: Any, ws: Any) -> None:
        X = _places(ws.X)
        xp.sum(X, axis=1, out=ws.Y)
        xp.multiply(ws.Y, 1 / X.shape[1], out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            dX = _places(ws.dX)
            xp.multiply(ws.dY[:, None], 1 / dX.shape[1], out=dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Flatten(g.GlobalAveragePool(at.X), axis=1)
        return result


class GlobalMaxPool(_GlobalPool, name="global_max_pool"):
    """The largest value of each channel over all places: ``[c, h, w]`` or ``[c, l]`` becomes ``[c]``.

    The gradient goes to the largest value, to the first of equal ones.
    """

    mixed = "either"
    formula = "Y = maxpool(X)"
    gradients = {"dX": "unmaxpool(dY)"}
    words = {
        "maxpool": "the largest value of each channel",
        "unmaxpool": "each channel's gradient where its largest value lies, the first of equal ones",
    }

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        c, m, places = shapes[0][0], shapes[0][-1], prod(shapes[0][1:-1])

        def start() -> np.ndarray:
            """Where the first place of each channel and sample lies in memory."""
            import numpy as np

            return np.arange(c)[:, None] * places * m + np.arange(m)

        return {"start": Buffer((c, m), "int", constant=start), "largest": Buffer((c, m), "int", saved=True)}

    def forward(self, xp: Any, ws: Any) -> None:
        """``largest`` is where in memory the largest values lie."""
        xp.argmax(_places(ws.X), axis=1, out=ws.largest)
        xp.multiply(ws.largest, ws.X.shape[-1], out=ws.largest)
        xp.add(ws.largest, ws.start, out=ws.largest)
        xp.take(ws.X.reshape(-1), ws.largest, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.copyto(ws.dX, 0.0)
            xp.put(ws.dX.reshape(-1), ws.largest, ws.dY)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Flatten(g.GlobalMaxPool(at.X), axis=1)
        return result

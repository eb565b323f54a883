"""Pooling: the largest value or the mean of each window, each channel for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import inf, prod
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer
from tensorflow_lite_bp.layers.window import Geometry

_EXAMPLES = (
    Example({"size": (2,)}, ((2, 4, 4),)),
    Example({"size": (2, 3), "stride": (1, 2), "padding": (1,)}, ((2, 3, 4),)),
    Example({"size": (2,), "stride": (3,)}, ((1, 5, 4),)),
    Example({"size": (3,), "padding": (1,), "stride": (2,)}, ((2, 6),)),
)


class _Pool(Layer):
    """What both share: their windows, and a way back that adds up over windows that overlap."""

    size: tuple[int, ...]
    stride: tuple[int, ...] | None
    padding: tuple[int, ...]

    @property
    def geometry(self) -> Geometry:
        stride = self.size if self.stride is None else self.stride
        return Geometry(self.name, self.size, stride, (1,), self.padding, window="window", setting="size")

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        sizes = self.geometry.shape(X)
        for axis in self.geometry.axes((1,) * len(X)):
            if axis.before >= axis.kernel:
                raise ShapeMismatch(
                    f"`{self.name}` has a window that can lie in the padding alone: {axis.kernel} values wide beside "
                    f"{axis.before} of padding",
                    help="a window needs a value: make `padding` smaller than `size`",
                )
        return (X[0], *sizes)

    def taps(self, X: Any) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """For each place in a window, row by row: the windows whose place lies on X, and the values there."""
        axes = self.geometry.axes(X.shape[:-1])
        reached = [[axis.reach(tap) for tap in range(axis.kernel)] for axis in axes]
        every = slice(None)
        return [((every, *(w for w, _ in place)), (every, *(v for _, v in place))) for place in product(*reached)]

    def padded(self) -> bool:
        return any(self.padding)

    def tiled(self, X: Any) -> bool:
        """Whether each value lies in one window, and in one only: then nothing is to be added up."""
        return all(axis.tiled for axis in self.geometry.axes(X.shape[:-1]))

    def windows(self, X: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result, the sample axis included."""
        return (X[0], *(axis.windows for axis in self.geometry.axes(X[:-1])), X[-1])


@dataclass(frozen=True)
class MaxPool(_Pool, name="max_pool"):
    """The largest value of each window, each channel for itself: ``[c, h, w]`` becomes ``[c, h', w']``.

    Without a stride the windows lie side by side. An axis has ⌊(size + 2·padding - window) / stride⌋ + 1 of them;
    what is left over at the end is dropped. Padding is never the largest. The gradient goes to the largest value, to
    the first of equal ones.
    """

    mixed = "either"
    formula = "Y = maxpool(X)"
    gradients = {"dX": "unmaxpool(dY)"}
    words = {
        "maxpool": "the largest value of each window",
        "unmaxpool": "each window's gradient where its largest value lies, the first of equal ones; added up",
    }
    examples = _EXAMPLES

    size: tuple[int, ...] = setting(minimum=1, help="the window, one number for all axes or one for each")
    stride: tuple[int, ...] | None = setting(None, minimum=1, help="from one window to the next; the size by default")
    padding: tuple[int, ...] = setting((0,), minimum=0, help="places added at both ends of each axis")

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        Y, kernel = self.windows(shapes[0]), prod(axis.kernel for axis in self.geometry.axes(shapes[0][:-1]))
        return {
            "larger": Buffer((kernel - 1, *Y), kind="bool", saved=True),
            "later": Buffer(Y, kind="bool"),
            "first": Buffer(Y, kind="bool"),
            "share": Buffer(Y),
        }

    def forward(self, xp: Any, ws: Any) -> None:
        """``larger`` says for each place but the first whether its value is larger than all before it in the window."""
        self._largest(xp, ws, ws.larger)

    def infer(self, xp: Any, ws: Any) -> None:
        self._largest(xp, ws, None)

    def _largest(self, xp: Any, ws: Any, larger: Any) -> None:
        if self.padded():
            xp.copyto(ws.Y, -inf)
            if larger is not None:
                xp.copyto(larger, False)
        for number, (windows, values) in enumerate(self.taps(ws.X)):
            X, Y = ws.X[values], ws.Y[windows]
            if number == 0:
                xp.copyto(Y, X)
                continue
            if larger is not None:
                xp.greater(X, Y, out=larger[number - 1][windows])
            xp.maximum(X, Y, out=Y)

    def backward(self, xp: Any, ws: Any) -> None:
        """From the last place to the first: the maximum is where no later value was larger."""
        if ws.dX is None:
            return
        tiled = self.tiled(ws.dX)
        if not tiled:
            xp.copyto(ws.dX, 0.0)
        xp.copyto(ws.later, False)
        for number, (windows, values) in reversed(list(enumerate(self.taps(ws.dX)))):
            first, later, dX = ws.first[windows], ws.later[windows], ws.dX[values]
            if number == 0:
                xp.logical_not(later, out=first)
            else:
                larger = ws.larger[number - 1][windows]
                xp.greater(larger, later, out=first)
                xp.logical_or(larger, later, out=later)
            if tiled:
                xp.multiply(ws.dY[windows], first, out=dX)
            else:
                share = ws.share[windows]
                xp.multiply(ws.dY[windows], first, out=share)
                xp.add(dX, share, out=dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.MaxPool(at.X, **self.geometry.onnx(at.shapes["X"]))
        return result


@dataclass(frozen=True)
class AvgPool(_Pool, name="avg_pool"):
    """The mean of each window, each channel for itself: ``[c, h, w]`` becomes ``[c, h', w']``.

    Windows, stride and padding are those of `max_pool`. Padding counts as zeros: the sum is divided by the window's
    size everywhere (ONNX's count_include_pad, PyTorch's default).
    """

    formula = "Y = avgpool(X)"
    gradients = {"dX": "unavgpool(dY)"}
    words = {
        "avgpool": "the mean of each window",
        "unavgpool": "each window's gradient in equal shares where its values lie, added up",
    }
    examples = _EXAMPLES

    size: tuple[int, ...] = setting(minimum=1, help="the window, one number for all axes or one for each")
    stride: tuple[int, ...] | None = setting(None, minimum=1, help="from one window to the next; the size by default")
    padding: tuple[int, ...] = setting((0,), minimum=0, help="zeros added at both ends of each axis")

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"share": Buffer(self.windows(shapes[0]))}

    def forward(self, xp: Any, ws: Any) -> None:
        taps = self.taps(ws.X)
        if self.padded():
            xp.copyto(ws.Y, 0.0)
        for number, (windows, values) in enumerate(taps):
            Y = ws.Y[windows]
            if number == 0:
                xp.copyto(Y, ws.X[values])
            else:
                xp.add(Y, ws.X[values], out=Y)
        xp.multiply(ws.Y, 1 / len(taps), out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is None:
            return
        tiled, taps = self.tiled(ws.dX), self.taps(ws.dX)
        if not tiled:
            xp.copyto(ws.dX, 0.0)
        xp.multiply(ws.dY, 1 / len(taps), out=ws.share)
        for windows, values in taps:
            dX = ws.dX[values]
            if tiled:
                xp.copyto(dX, ws.share[windows])
            else:
                xp.add(dX, ws.share[windows], out=dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.AveragePool(at.X, count_include_pad=1, **self.geometry.onnx(at.shapes["X"]))
        return result

"""Convolution: the matrix product of `dense` with the unrolled input.

A column of the unrolled input U holds what the kernel sees at one place, so that with W seen as (filters, c·k)

    Y = W U + b        dW = dY Uᵀ        db = Σ dY        dX = the sum, for each value, of its copies in Wᵀ dY

U is never made as a whole: see `unrolled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, TensorType
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer
from tensorflow_lite_bp.initializers.he import He
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer, Weight, matrix
from tensorflow_lite_bp.layers.unrolled import Unrolled
from tensorflow_lite_bp.layers.window import Geometry, Padding, for_each


@dataclass(frozen=True)
class Conv(Layer, name="conv"):
    """A kernel that slides over a sequence or an image: Y = W U + b, where a column of U is what it sees at one place.

    It works on ``[c, l]`` and on ``[c, h, w]`` and gives ``[filters, …]``. Kernel, stride, dilation and padding are one
    number for all axes, or a list of one for each. As everywhere in machine learning the kernel is not mirrored.

    ``padding = "valid"`` adds nothing: the result has ⌊(size - span) / stride⌋ + 1 places, where the kernel spans
    1 + dilation·(kernel - 1). ``"same"`` adds as many zeros as ⌈size / stride⌉ places need, an odd one at the end.
    Numbers add that many zeros at both ends.

    With ``groups = g`` the channels and the filters are cut into g groups, and each group of filters sees its own
    channels; ``groups`` equal to the channels is a depthwise convolution. The weight is
    ``[filters, c / groups, kernel…]``, the bias ``[filters]``.

    Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285; the product
    with U: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for document
    processing, 2006.
    """

    reads = frozenset({"X"})
    mixed = "half"
    formula = "Y = W @ unroll(X) + b"
    gradients = {"dX": "fold(W.T @ dY)", "dW": "dY @ unroll(X).T", "db": "sum(dY, axis=1)"}
    words = {
        "unroll": "a column for each place of the kernel, with the values that it sees there",
        "fold": "adds each of these values to the place that it was taken from",
    }
    examples = (
        Example({"filters": 2}, ((2, 4, 3),)),
        Example({"filters": 2, "kernel": (2, 3), "padding": "same", "bias": False}, ((1, 3, 4),)),
        Example({"filters": 2, "stride": (2,), "padding": "same"}, ((2, 5, 4),)),
        Example({"filters": 1, "kernel": (2,), "stride": (2, 1), "padding": (1, 2)}, ((2, 3, 3),)),
        Example({"filters": 4, "dilation": (2, 1), "groups": 2, "padding": (1,)}, ((2, 4, 3),)),
        Example({"filters": 6, "kernel": (3, 2), "groups": 3, "padding": "same", "stride": (1, 2)}, ((3, 3, 4),)),
        Example({"filters": 2, "kernel": (1,), "initializer": Zeros()}, ((3, 2, 2),)),
        Example({"filters": 3}, ((2, 5),)),
        Example({"filters": 2, "kernel": (2,), "stride": (2,), "dilation": (3,), "padding": (2,)}, ((2, 6),)),
        Example({"filters": 2, "kernel": (1,), "padding": (1,)}, ((2, 3),)),
    )

    filters: int = setting(minimum=1, help="channels out")
    kernel: tuple[int, ...] = setting((3,), minimum=1, help="size of the kernel")
    stride: tuple[int, ...] = setting((1,), minimum=1, help="from one place of the kernel to the next")
    padding: Padding = setting(
        "valid", kind="string|sizes", minimum=0, choices=("valid", "same"), help="zeros around the input, or how many"
    )
    dilation: tuple[int, ...] = setting((1,), minimum=1, help="from one value that the kernel sees to the next")
    groups: int = setting(1, minimum=1, help="groups of channels that do not see each other")
    bias: bool = setting(True, help="whether b is added")
    initializer: Initializer = setting(He(), kind="initializer", help="how W starts")

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.name, self.kernel, self.stride, self.dilation, self.padding)

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        sizes = self.geometry.shape(X)
        for what, count, port in (("channels", X[0], 0), ("filters", self.filters, None)):
            assert isinstance(count, int), "the geometry refuses symbolic channels"
            if count % self.groups:
                raise ShapeMismatch(
                    f"`groups` of `{self.name}` does not divide the {what}: "
                    f"{count} = {count // self.groups}·{self.groups} + {count % self.groups}",
                    help=f"{count} {what} can be cut into {_divisors(count)} groups",
                    input=port,
                )
        return (self.filters, *sizes)

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        if self.bias:
            return self.formula, self.gradients
        return "Y = W @ unroll(X)", {letter: self.gradients[letter] for letter in ("dX", "dW")}

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        channels, *axes = shapes[0]
        assert isinstance(channels, int)
        kernel = for_each(len(axes), self.kernel)
        W = Weight("weight", (self.filters, channels // self.groups, *kernel), self.initializer)
        return {"W": W, "b": Weight("bias", (self.filters,), Zeros())} if self.bias else {"W": W}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        """``U`` for what is unrolled, ``V`` for the kernel as a matrix, ``S`` for dWᵀ, ``parts`` for its summands."""
        X = self._unrolled(shapes[0])
        back = X.transposed(self.filters)
        filters = self.filters // self.groups
        return {
            "U": Buffer((max(X.size, back.size if back is not None else X.copies),)),
            "V": Buffer((self.filters * X.height,)),
            "parts": Buffer(X.parts(filters)),
            "S": Buffer((X.groups, X.height, filters)),
        }

    def forward(self, xp: Any, ws: Any) -> None:
        X = self._unrolled(ws.X.shape)
        X.product(xp, self._kernel(xp, ws, X), ws.X, ws.U, out=ws.Y, b=ws.b if self.bias else None)

    def backward(self, xp: Any, ws: Any) -> None:
        X = self._unrolled(ws.X.shape)
        if self.bias:
            xp.sum(matrix(ws.dY), axis=1, out=ws.db)
        X.outer(xp, ws.dY, ws.X, ws.U, ws.parts, out=ws.S)
        by_tap = (X.groups, X.rows.kernel, X.channels, X.columns.kernel, -1)
        xp.copyto(self._taps(ws.dW, X).transpose(0, 3, 2, 4, 1), ws.S.reshape(by_tap))
        if ws.dX is None:
            return
        back = X.transposed(self.filters)
        if back is not None:
            back.product(xp, self._mirrored_kernel(xp, ws, X), ws.dY, ws.U, out=ws.dX)
        else:
            X.scatter(xp, self._kernel(xp, ws, X), ws.dY, ws.U, out=ws.dX)

    def _unrolled(self, X: tuple[int, ...]) -> Unrolled:
        return Unrolled.of(self.groups, X, self.geometry.axes(X[:-1]))

    def _taps(self, W: Any, X: Unrolled) -> Any:
        """The weight as ``(g, o, c, kh, kw)``."""
        return W.reshape(X.groups, -1, X.channels, X.rows.kernel, X.columns.kernel)

    def _kernel(self, xp: Any, ws: Any, X: Unrolled) -> Any:
        """The weight as the matrices ``(g, o, kh·c·kw)``."""
        W = self._taps(ws.W, X).transpose(0, 1, 3, 2, 4)
        xp.copyto(ws.V.reshape(W.shape), W)
        return ws.V.reshape(X.groups, -1, X.height)

    def _mirrored_kernel(self, xp: Any, ws: Any, X: Unrolled) -> Any:
        """For the way back, where inputs and outputs change places: ``(g, c, kh·o·kw)``, the taps in reverse."""
        W = self._taps(ws.W, X)[..., ::-1, ::-1].transpose(0, 2, 3, 1, 4)
        xp.copyto(ws.V.reshape(W.shape), W)
        return ws.V.reshape(X.groups, X.channels, -1)

    def onnx(self, g: Any, at: Any) -> str:
        X, b = at.shapes["X"], at.b if self.bias else None
        dilations = for_each(len(X) - 1, self.dilation)
        result: str = g.Conv(at.X, at.W, b, group=self.groups, dilations=dilations, **self.geometry.onnx(X))
        return result


def _divisors(count: int) -> str:
    """The small divisors of a number as a sentence lists them.

    >>> _divisors(12), _divisors(7 * 1024)
    ('1, 2, 3, 4, 6 or 12', '1, 2, 4, 7, 8, 14, 16, 28, 32, 56 or 64')
    """
    *others, last = (str(number) for number in range(1, min(count, 64) + 1) if count % number == 0)
    return f"{', '.join(others)} or {last}" if others else last

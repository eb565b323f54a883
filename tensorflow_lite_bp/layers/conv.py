"""Convolution: the matrix product of `dense` with the unrolled input.

A column of the unrolled input U holds what the kernel sees at one place, so that with W seen as (filters, c·k)

    Y = W U + b        dW = dY Uᵀ        db = Σ dY        dX = the sum, for each value, of its copies in Wᵀ dY

U is never made as a whole. It is unrolled for as many rows of the result as fit the cache, and only along the rows of
the image, kw times instead of kh·kw: because the rows of the image come outermost there, the kh rows that a kernel sees
lie one behind the other, and the next window, a row further on, overlaps with them in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer
from tensorflow_lite_bp.initializers.he import He
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer, Weight, matrix
from tensorflow_lite_bp.layers.window import Axis, Geometry, Padding

CACHED = 1 << 19
"""Values of U that are unrolled at a time: half of a core's second cache in float32, measured as the best."""

UNPACKED = 1_000_000
"""Multiplications up to which OpenBLAS computes a product without first copying its operands."""


@dataclass(frozen=True)
class Unrolled:
    """How an image ``(g·c, h, w, m)`` is unrolled: ``g`` groups of ``c`` channels, each unrolled for itself.

    The buffer is ``(g, lines, c, kw, w', m)``; w' counts the windows in a row. The kernel's matrix has its columns in
    the order ``(kh, c, kw)``.
    """

    groups: int
    channels: int  # of one group
    rows: Axis
    columns: Axis
    m: int

    @staticmethod
    def of(groups: int, X: tuple[int, ...], axes: tuple[Axis, ...]) -> Unrolled:
        """For an array ``(g·c, l, m)`` or ``(g·c, h, w, m)``; a sequence is an image of one row."""
        if all(axis == Axis(axis.size) for axis in axes):  # each window is one value: U is the image itself
            axes = (Axis(prod(axis.size for axis in axes)),)
        rows, columns = axes if len(axes) == 2 else (Axis(1), axes[0])
        return Unrolled(groups, X[0] // groups, rows, columns, X[-1])

    @property
    def plain(self) -> bool:
        return self.rows == Axis(1) and self.columns == Axis(self.columns.size)

    @property
    def height(self) -> int:
        """Rows of U: the values that one window sees."""
        return self.rows.kernel * self.channels * self.columns.kernel

    @property
    def width(self) -> int:
        """Columns of U for one row of windows."""
        return self.columns.windows * self.m

    @property
    def overlapping(self) -> bool:
        """Whether rows of windows share lines of the buffer; if not, each has its own."""
        return self.rows.dilation == 1 and self.rows.stride < self.rows.kernel

    @property
    def step(self) -> int:
        """Lines from one row of windows to the next."""
        return self.rows.stride if self.overlapping else self.rows.kernel

    def lines(self, count: int) -> int:
        """Lines of the buffer that ``count`` rows of windows see."""
        return (count - 1) * self.step + self.rows.kernel

    def buffer(self, count: int) -> tuple[int, ...]:
        return (self.groups, self.lines(count), self.channels, self.columns.kernel, self.columns.windows, self.m)

    @property
    def block(self) -> int:
        """Rows of windows that are unrolled at a time: as many as fit, in blocks of about one size."""
        line = prod(self.buffer(1)) // self.lines(1)
        fitting = max(1, (CACHED // line - self.rows.kernel) // self.step + 1)
        return -(-self.rows.windows // -(-self.rows.windows // fitting))

    @property
    def size(self) -> int:
        """Values of the buffer."""
        return 0 if self.plain else prod(self.buffer(self.block))

    @property
    def copies(self) -> int:
        """Values of Wᵀ dY for a block."""
        return self.groups * self.block * self.height * self.width

    def transposed(self, filters: int) -> Unrolled | None:
        """For a stride of 1 the way back is a convolution too: of dY, with the mirrored kernel."""
        if self.rows.stride > 1 or self.columns.stride > 1:
            return None
        rows, columns = self.rows.transposed(), self.columns.transposed()
        return Unrolled(self.groups, filters // self.groups, rows, columns, self.m)

    def blocks(self) -> Iterator[slice]:
        """The rows of windows of each block."""
        for first in range(0, self.rows.windows, self.block):
            yield slice(first, min(first + self.block, self.rows.windows))

    def unroll(self, xp: Any, X: Any, buffer: Any, block: slice, pieces: int = 1) -> Any:
        """U for a block: ``(g, rows, pieces, height, width / pieces)``, a view of the filled buffer.

        Args:
            X: ``(g·c, h, w, m)`` or of the same size.
            buffer: flat, at least as large as `buffer` says for a block.
        """
        g, c, piece = self.groups, self.channels, self.width // pieces
        if self.plain:
            return X.reshape(g, 1, c, pieces, piece).swapaxes(2, 3)
        U = buffer[: prod(self.buffer(self.block))].reshape(self.buffer(self.block))
        self._fill(xp, X.reshape(g, c, self.rows.size, self.columns.size, self.m), U, block)
        line, size = U.strides[1], U.itemsize
        strides = (U.strides[0], self.step * line, piece * size, self.width * size, size)
        return xp.lib.stride_tricks.as_strided(U, (g, block.stop - block.start, pieces, self.height, piece), strides)

    def _fill(self, xp: Any, X: Any, U: Any, block: slice) -> None:
        """Copy what the windows of a block see; padding is zero."""
        first, count = block.start, block.stop - block.start
        lines = list(self._lines(first, count))
        seen = sum(len(range(*of_U.indices(self.lines(count)))) for of_U, _ in lines)
        columns = [self.columns.reach(tap) for tap in range(self.columns.kernel)]
        ends = any(of_U != slice(0, self.columns.windows) for of_U, _ in columns)
        if seen < self.lines(count) or (first == 0 and ends):  # the ends of the rows stay zero in later blocks
            xp.copyto(U, 0.0)
        for of_U, of_X in lines:
            for tap, (left, right) in enumerate(columns):
                xp.copyto(U[:, of_U, :, tap, left], X[:, :, of_X, right].swapaxes(1, 2))

    def _lines(self, first: int, count: int) -> Iterator[tuple[slice, slice]]:
        """Lines of the buffer and the rows of the image that are copied there."""
        rows, k = self.rows, self.rows.kernel
        if self.overlapping:
            yield Axis(rows.size, before=rows.before).reach(0, first * rows.stride, self.lines(count))
            return
        for tap in range(k):
            windows, of_X = rows.reach(tap, first, count)
            yield slice(windows.start * k + tap, windows.stop * k, k), of_X

    def windows_of(self, Y: Any, block: slice, pieces: int = 1) -> Any:
        """A block of an array ``(g·o, h', w', m)`` as ``(g, rows, pieces, o, width / pieces)``."""
        g, piece = self.groups, self.width // pieces
        rows = Y.reshape(g, -1, self.rows.windows, pieces, piece)[:, :, block]
        return rows.transpose(0, 2, 3, 1, 4)

    def pieces(self, outputs: int) -> int:
        """Into how many pieces U's columns are cut: for few filters it is not worth copying a product's operands."""
        if outputs > 32:
            return 1
        fitting = UNPACKED // (outputs * self.height)
        sizes = (size for size in range(min(self.width, fitting), 31, -1) if self.width % size == 0)
        return self.width // next(sizes, self.width)

    def product(self, xp: Any, W: Any, X: Any, buffer: Any, *, out: Any, b: Any = None) -> None:
        """Y = W U + b, with ``W`` as ``(g, o, height)``."""
        pieces = self.pieces(W.shape[1])
        W = W[:, None, None]
        for block in self.blocks():
            Y = self.windows_of(out, block, pieces)
            xp.matmul(W, self.unroll(xp, X, buffer, block, pieces), out=Y)
            if b is not None:
                xp.add(Y, b.reshape(self.groups, 1, 1, -1, 1), out=Y)

    def outer(self, xp: Any, dY: Any, X: Any, buffer: Any, parts: Any, *, out: Any) -> None:
        """dWᵀ = U dYᵀ, ``(g, height, o)``: the larger factor first, which BLAS likes better."""
        for block in self.blocks():
            U = self.unroll(xp, X, buffer, block)[:, :, 0]
            rows = parts[:, : block.stop - block.start]
            xp.matmul(U, self.windows_of(dY, block)[:, :, 0].swapaxes(2, 3), out=rows)
            if block.start == 0:
                xp.sum(rows, axis=1, out=out)
            else:
                xp.add(out, rows[:, 0], out=rows[:, 0])
                xp.sum(rows, axis=1, out=out)

    def scatter(self, xp: Any, W: Any, dY: Any, buffer: Any, *, out: Any) -> None:
        """dX: each value's copies in Wᵀ dY added up. ``W`` is ``(g, o, height)``."""
        g, c, k = self.groups, self.channels, self.rows.kernel
        dX = out.reshape(g, c, self.rows.size, self.columns.size, self.m)
        xp.copyto(dX, 0.0)
        for block in self.blocks():
            first, count = block.start, block.stop - block.start
            copies = buffer[: g * count * self.height * self.width].reshape(g, count, self.height, self.width)
            xp.matmul(W.swapaxes(1, 2)[:, None], self.windows_of(dY, block)[:, :, 0], out=copies)
            copies = copies.reshape(g, count, k, c, self.columns.kernel, self.columns.windows, self.m)
            for i in range(k):
                windows, rows = self.rows.reach(i, first, count)
                for j in range(self.columns.kernel):
                    left, right = self.columns.reach(j)
                    part = dX[:, :, rows, right]
                    xp.add(part, copies[:, windows, i, :, j, left].swapaxes(1, 2), out=part)


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
    formula = r"Y = W\,U(X) + b"
    gradients = {
        "dX": r"U^\top\!\left(W^\top dY\right), \text{ each value's copies added up}",
        "dW": r"dY\,U(X)^\top",
        "db": r"\sum_{\text{columns}} dY",
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
        for count, what, change in ((X[0], "channels", "input"), (self.filters, "filters", "layer")):
            assert isinstance(count, int), "the geometry refuses symbolic channels"
            if count % self.groups:
                divisors = [str(d) for d in range(1, count + 1) if count % d == 0]
                raise ShapeMismatch(
                    f"`groups` of `{self.name}` does not divide the {what}: {count} / {self.groups} leaves "
                    f"{count % self.groups}",
                    help=f"what divides {count} is {', '.join(divisors[:12])}",
                    input=0 if change == "input" else None,
                )
        return (self.filters, *sizes)

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        channels, *axes = shapes[0]
        assert isinstance(channels, int)
        kernel = self.kernel if len(self.kernel) == len(axes) else self.kernel * len(axes)
        W = Weight("weight", (self.filters, channels // self.groups, *kernel), self.initializer)
        return {"W": W, "b": Weight("bias", (self.filters,), Zeros())} if self.bias else {"W": W}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        """``U`` for what is unrolled, ``V`` for the kernel as a matrix, ``S`` for dWᵀ, ``parts`` for its summands."""
        X = self._unrolled(shapes[0])
        back = X.transposed(self.filters)
        size = max(X.size, back.size if back is not None else X.copies)
        return {
            "U": Buffer((size,)),
            "V": Buffer((X.groups * X.height * self.filters // X.groups,)),
            "parts": Buffer((X.groups, X.block, X.height, self.filters // X.groups)),
            "S": Buffer((X.groups, X.height, self.filters // X.groups)),
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
        axes = self.geometry.onnx(at.shapes["X"])
        dilations = [axis.dilation for axis in self.geometry.axes((1,) * len(at.shapes["X"]))]
        b = at.b if self.bias else None
        result: str = g.Conv(at.X, at.W, b, group=self.groups, dilations=dilations, **axes)
        return result

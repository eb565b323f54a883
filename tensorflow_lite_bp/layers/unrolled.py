"""The unrolled input of a convolution, in blocks that fit the cache, and the products with it.

U is unrolled for as many rows of the result as fit the cache, and only along the rows of the image: kw times instead of
kh·kw. Because the image's rows come outermost in the buffer, the kh rows that a kernel sees lie one behind the other,
and the next window, a row further on, overlaps with them in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any

from tensorflow_lite_bp.layers.window import Axis

CACHED = 1 << 19
"""Values of U that are unrolled at a time: 2 MB in float32. Of 2^15 to 2^20 this was the fastest, by up to a tenth."""

UNPACKED = 1_000_000
"""Multiplications up to which OpenBLAS computes a product without first copying its operands."""

_whole: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def whole(yes: bool) -> Iterator[None]:
    """Plans made inside unroll an image at once and multiply it at once: for a backend that gains nothing by blocks."""
    before = _whole.set(yes)
    try:
        yield
    finally:
        _whole.reset(before)


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
        if _whole.get():
            return self.rows.windows
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

    def parts(self, outputs: int) -> tuple[int, ...]:
        """The shape of the memory for as many rows' products U dYᵀ as fit."""
        product = self.groups * self.height * outputs
        if _whole.get():
            return (self.groups, self.block, self.height, outputs)
        return (self.groups, max(1, min(self.block, CACHED // product)), self.height, outputs)

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
        columns = [self.columns.reach(tap) for tap in range(self.columns.kernel)]
        if block.start == 0:  # what is padding at the ends of a row stays so in later blocks
            for tap, (windows, _) in enumerate(columns):
                for gap in _around(windows, self.columns.windows):
                    xp.copyto(U[:, :, :, tap, gap], 0.0)
        for lines, windows, rows in self._lines(U, block.start, block.stop - block.start):
            for gap in _around(windows, lines.shape[1]):
                xp.copyto(lines[:, gap], 0.0)
            for tap, (left, right) in enumerate(columns):
                xp.copyto(lines[:, windows, :, tap, left], X[:, :, rows, right].swapaxes(1, 2))

    def _lines(self, U: Any, first: int, count: int) -> Iterator[tuple[Any, slice, slice]]:
        """Lines of the buffer, which of them have a row of the image, and these rows."""
        if self.overlapping:
            lines = self.lines(count)
            image = Axis(self.rows.size, before=self.rows.before)
            yield U[:, :lines], *image.reach(0, first * self.rows.stride, lines)
        else:
            for tap in range(self.rows.kernel):
                yield U[:, tap : self.lines(count) : self.rows.kernel], *self.rows.reach(tap, first, count)

    def windows_of(self, Y: Any, block: slice, pieces: int = 1) -> Any:
        """A block of an array ``(g·o, h', w', m)`` as ``(g, rows, pieces, o, width / pieces)``."""
        g, piece = self.groups, self.width // pieces
        rows = Y.reshape(g, -1, self.rows.windows, pieces, piece)[:, :, block]
        return rows.transpose(0, 2, 3, 1, 4)

    def pieces(self, outputs: int) -> int:
        """Into how many pieces U's columns are cut: for few filters it is not worth copying a product's operands."""
        if outputs > 32 or _whole.get():
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
        """dWᵀ = U dYᵀ, ``(g, height, o)``, summed over the rows. The larger factor comes first: BLAS is faster so.

        Args:
            parts: of the shape that `parts` says, for the products of some rows.
        """
        at_once, started = parts.shape[1], False
        for block in self.blocks():
            U = self.unroll(xp, X, buffer, block)[:, :, 0]
            dYT = self.windows_of(dY, block)[:, :, 0].swapaxes(2, 3)
            for first in range(0, block.stop - block.start, at_once):
                rows = slice(first, first + at_once)
                summands = parts[:, : U[:, rows].shape[1]]
                xp.matmul(U[:, rows], dYT[:, rows], out=summands)
                if started:
                    xp.add(summands[:, 0], out, out=summands[:, 0])
                xp.sum(summands, axis=1, out=out)
                started = True

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


def _around(inside: slice, count: int) -> list[slice]:
    """What is left of ``range(count)`` before and after a slice."""
    return [gap for gap in (slice(0, inside.start), slice(inside.stop, count)) if gap.start < gap.stop]

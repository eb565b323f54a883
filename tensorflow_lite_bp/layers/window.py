"""Windows that slide over the axes behind the channels: the geometry that convolution and pooling share.

Window t of an axis starts at ``t·stride - before`` and looks at ``kernel`` values, its taps, ``dilation`` apart. What
lies outside the axis is padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from dsl.signature import ShapeMismatch
from dsl.types import Shape, Size, show

Padding = str | tuple[int, ...]
"""``"valid"``: none; ``"same"``: as many windows as the stride leaves, ⌈size / stride⌉; numbers: at both ends."""

_AXES = {1: ("steps",), 2: ("rows", "columns")}


@dataclass(frozen=True)
class Axis:
    """One axis of ``size`` values with its windows. ``before`` and ``after`` count the padding at its ends."""

    size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def span(self) -> int:
        """From a window's first tap to its last."""
        return 1 + self.dilation * (self.kernel - 1)

    @property
    def windows(self) -> int:
        return (self.size + self.before + self.after - self.span) // self.stride + 1

    @property
    def tiled(self) -> bool:
        """Whether each value lies in one window, and in one only."""
        unpadded = self.before == self.after == 0
        return unpadded and self.span == self.kernel == self.stride and self.windows * self.stride == self.size

    def reach(self, tap: int, first: int = 0, count: int | None = None) -> tuple[slice, slice]:
        """The windows whose tap lies on the axis, counted from ``first``, and the values on which it lies.

        Args:
            tap: from 0 to kernel - 1.
            first, count: the windows looked at, all by default.

        >>> Axis(5, kernel=3, before=1, after=1).reach(0), Axis(5, kernel=2, stride=2).reach(1)
        ((slice(1, 5, None), slice(0, 4, 1)), (slice(0, 2, None), slice(1, 4, 2)))
        """
        count = self.windows if count is None else count
        start = first * self.stride + tap * self.dilation - self.before  # where the tap of window ``first`` lies
        low = max(0, -(start // self.stride))
        high = max(low, min(count, (self.size - 1 - start) // self.stride + 1))
        begin = start + low * self.stride
        return slice(low, high), slice(begin, max(begin, begin + (high - low - 1) * self.stride + 1), self.stride)

    def transposed(self) -> Axis:
        """For a stride of 1, the axis of the windows: each value lies in the windows of its own mirrored window."""
        assert self.stride == 1
        before = self.span - 1 - self.before
        after = self.size - self.windows + self.span - 1 - before
        return Axis(self.windows, self.kernel, 1, self.dilation, before, after)


def for_each(axes: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """A size for each axis: a single one is that of all."""
    return sizes if len(sizes) == axes else sizes[:1] * axes


@dataclass(frozen=True)
class Geometry:
    """The settings of a layer's windows: one number for all axes or one for each.

    ``window`` is the word for a window in messages, ``setting`` the name of its size in a file.
    """

    layer: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding
    window: str = "kernel"
    setting: str = "kernel"

    def shape(self, X: Shape) -> tuple[Size, ...]:
        """How many windows each axis behind the channels has; a symbolic size stays where as many are left.

        Raises:
            ShapeMismatch: for an input that has no such axes, or settings that do not fit it.
        """
        if len(X) - 1 not in _AXES:
            raise ShapeMismatch(
                f"`{self.layer}` works on `[c, l]` or `[c, h, w]`, channels first, and this is {show(X)}",
                help="give it these axes with `reshape`" if len(X) < 2 else None,
                input=0,
            )
        if isinstance(X[0], str):
            raise ShapeMismatch(
                f"`{self.layer}` needs a fixed number of channels, and the first size of {show(X)} is symbolic",
                help="put an axis of fixed size first with `permute`",
                input=0,
            )
        return tuple(self._count(size, place, X) for place, size in enumerate(X[1:]))

    def axes(self, X: tuple[int, ...]) -> tuple[Axis, ...]:
        """The axes behind the channels of a sample ``(c, l)`` or ``(c, h, w)``."""
        return tuple(self._axis(size, place, len(X) - 1) for place, size in enumerate(X[1:]))

    def onnx(self, X: Shape) -> dict[str, list[int]]:
        """The attributes that ONNX's Conv and its kin share. No padding depends on a size that is symbolic."""
        axes = self.axes(tuple(1 if isinstance(size, str) else size for size in X))
        return {
            "kernel_shape": [axis.kernel for axis in axes],
            "strides": [axis.stride for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
        }

    def _count(self, size: Size, place: int, X: Shape) -> Size:
        axes = len(X) - 1
        for setting, sizes in self._given().items():
            if len(sizes) not in (1, axes):
                raise ShapeMismatch(
                    f"`{setting}` of `{self.layer}` has {len(sizes)} sizes, and {show(X)} has {axes} "
                    f"{'axis' if axes == 1 else 'axes'} behind its channels",
                    help=f"write one size for all axes, or {axes}: `{setting} = {list((*sizes, 1, 1)[:axes])}`",
                )
        axis = self._axis(1 if isinstance(size, str) else size, place, axes)
        if isinstance(size, str):
            if axis.stride != 1 or axis.windows != axis.size:
                same = 'padding = "same"' if self.window == "kernel" else f"2·padding = {self.setting} - 1"
                raise ShapeMismatch(
                    f"`{self.layer}` cannot say how many {self.window}s fit on the symbolic size {size} of {show(X)}",
                    help=f"the size stays with `stride = 1` and `{same}`",
                    input=0,
                )
            return size
        if axis.windows < 1:
            raise self._too_large(axis, _AXES[axes][place])
        return axis.windows

    def _given(self) -> dict[str, tuple[int, ...]]:
        padding = {} if isinstance(self.padding, str) else {"padding": self.padding}
        return {self.setting: self.kernel, "stride": self.stride, "dilation": self.dilation, **padding}

    def _axis(self, size: int, place: int, axes: int) -> Axis:
        def of(sizes: tuple[int, ...]) -> int:
            return for_each(axes, sizes)[place]

        axis = Axis(size, of(self.kernel), of(self.stride), of(self.dilation))
        if self.padding == "valid":
            return axis
        if self.padding == "same":  # what is odd goes to the end, as in ONNX's SAME_UPPER
            total = max(0, (ceil(size / axis.stride) - 1) * axis.stride + axis.span - size)
            before, after = total // 2, total - total // 2
        else:
            assert isinstance(self.padding, tuple)
            before = after = of(self.padding)
        return Axis(size, axis.kernel, axis.stride, axis.dilation, before, after)

    def _too_large(self, axis: Axis, values: str) -> ShapeMismatch:
        padded = f"{axis.size} + 2·{axis.before}" if axis.before else str(axis.size)
        span = f"1 + {axis.dilation}·({axis.kernel} - 1) = {axis.span}" if axis.dilation > 1 else str(axis.kernel)
        same = ', or write `padding = "same"`' if self.window == "kernel" else ""
        return ShapeMismatch(
            f"`{self.layer}` has a {self.window} that is larger than its input: {axis.span} of {axis.size} {values}",
            help=f"the {self.window} spans {span} of {padded} {values}: make `{self.setting}` smaller{same}",
            input=0,
        )

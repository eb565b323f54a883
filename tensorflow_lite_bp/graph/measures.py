"""The few numbers that decide about an update: whether the step came out finite, and how long its gradient is.

`HostMeasures` reads them: the host waits until the step is computed, and decides. `QueuedMeasures` leaves them on the
device, where the calls that change weights look at them: the host goes on with the next step, and looks now and then.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.graph.weights import Weights


class HostMeasures:
    """Squares of lengths are Python numbers.

    Args:
        longest: to which a gradient is clipped; None for any length.
    """

    def __init__(self, backend: Backend, longest: float | None) -> None:
        self._xp, self._longest = backend, longest

    def square(self, gradient: Any) -> float:
        """The sum of the squares of a flat gradient."""
        return self._xp.number(self._xp.dot(gradient, gradient))

    def clip(self, gradient: Any, square: float) -> None:
        """Shorten a gradient with this sum of squares."""
        if self._longest is not None and square > self._longest**2:
            self._xp.multiply(gradient, self._longest / self._length(gradient, square), out=gradient)

    def _length(self, gradient: Any, square: float) -> float:
        """The root of the square, also where that is too large a number."""
        if isfinite(square):
            return sqrt(square)
        xp = self._xp
        largest = xp.number(xp.abs(gradient).max())
        return largest * sqrt(xp.number(xp.square(gradient / largest).sum()))


class QueuedMeasures:
    """Squares of lengths are arrays without axes on the device, and so is what comes of them.

    The numbers are those of `HostMeasures`, but for a square that is too large: it counts as not finite, even where
    every entry of the gradient is. Whoever looks then takes the step again with `HostMeasures`.

    Args:
        weights: whose flag ``sound`` falls with the first step that is not finite.
        longest: to which a gradient is clipped; None for any length.
        batches: whose gradients are added up for an update: the square of their sum is finite too.
    """

    def __init__(self, backend: Backend, weights: Weights, longest: float | None, *, batches: int) -> None:
        self._xp, self._sound, self._longest = backend, weights.sound, longest
        self._margin = float(batches**2)
        dtype = weights.trainable.flat.dtype
        self._square, self._factor = backend.zeros((), dtype=dtype), backend.zeros((), dtype=dtype)
        self._good = backend.zeros((), dtype="int64")

    def square(self, gradient: Any) -> Any:
        """The sum of the squares of a flat gradient; the next call overwrites it."""
        return self._xp.dot(gradient, gradient, out=self._square)

    def clip(self, gradient: Any, square: Any) -> None:
        """Shorten a gradient with this sum of squares."""
        if self._longest is not None:
            self._xp.shortening(square, self._longest, out=self._factor)
            self._xp.multiply(gradient, self._factor, out=gradient)

    def judge(self, losses: Any, square: Any) -> None:
        """Count a step, if it and all before it came out finite; else let no step change the weights any more."""
        self._xp.judge(losses, square, self._margin, sound=self._sound, good=self._good)

    def look(self) -> int:
        """How many steps came out finite before the first that did not, since the last look. From here on steps count
        and change the weights again. This waits for the device."""
        found = int(self._xp.number(self._good))
        self._good.fill(0)
        self._sound.fill(True)
        return found

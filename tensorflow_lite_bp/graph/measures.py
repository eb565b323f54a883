"""The few numbers that decide about an update: whether the step came out finite, and how long its gradient is.

`HostMeasures` reads them: the host waits until the step is computed, and decides. `QueuedMeasures` leaves them on the
device, where the calls that change weights look at them: the host goes on with the next step, and looks now and then.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any
from weakref import WeakKeyDictionary

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.backend.base import Program
from tensorflow_lite_bp.graph.plan import Calls, Plan
from tensorflow_lite_bp.graph.recorder import Recorder, only_if
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
        return self._xp.read(self._xp.dot(gradient, gradient))

    def clip(self, gradient: Any, square: float) -> None:
        """Shorten a gradient with this sum of squares."""
        if self._longest is not None and square > self._longest**2:
            self._xp.multiply(gradient, self._longest / self._length(gradient, square), out=gradient)

    def _length(self, gradient: Any, square: float) -> float:
        """The root of the square, also where that is too large a number."""
        if isfinite(square):
            return sqrt(square)
        xp = self._xp
        largest = xp.read(xp.abs(gradient).max())
        return largest * sqrt(xp.read(xp.square(gradient / largest).sum()))


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
        self._xp, self._sound, self._margin = backend, weights.sound, float(batches**2)
        dtype = weights.trainable.flat.dtype
        self._square, self._sum, self._factor = (backend.zeros((), dtype=dtype) for _ in range(3))
        self._finite, self._good = backend.zeros((), dtype=bool), backend.zeros((), dtype="int64")
        self._gradient = weights.gradients.flat
        self._squaring = backend.program(self._squares().calls)
        self._judging: WeakKeyDictionary[Plan, Program] = WeakKeyDictionary()
        self._clipping = self._clip(weights.gradients.flat, longest) if longest is not None else []

    def square(self, gradient: Any) -> Any:
        """The sum of the squares of the weights' gradient; the next call overwrites it."""
        for call in self._squaring:
            call()
        return self._square

    def clip(self, gradient: Any, square: Any) -> None:
        """Shorten the weights' gradient, whose square was the last."""
        for call in self._clipping:
            call()

    def judge(self, plan: Plan) -> Any:
        """Count the step that a plan holds, if it and all before it came out finite; else let no step change the
        weights any more. Returns its `square`."""
        for call in self.program(plan):
            call()
        return self._square

    def program(self, plan: Plan) -> Program:
        """What `judge` calls."""
        if plan not in self._judging:
            self._judging[plan] = self._judge(plan.losses())
        return self._judging[plan]

    def look(self) -> int:
        """How many steps came out finite before the first that did not, since the last look. From here on steps count
        and change the weights again. This waits for the device."""
        found = int(self._xp.read(self._good))
        self._good.fill(0)
        self._sound.fill(True)
        return found

    def _squares(self) -> Recorder:
        recorder = Recorder(self._xp)
        recorder.squares(self._gradient, out=self._square)
        return recorder

    def _judge(self, losses: Any) -> Program:
        """A sum is finite only if every term is."""
        recorder = self._squares()
        recorder.multiply(self._square, self._margin, out=self._sum)
        for index in range(len(losses)):
            recorder.add(self._sum, losses[index : index + 1].reshape(()), out=self._sum)
        recorder.isfinite(self._sum, out=self._finite)
        recorder.logical_and(self._sound, self._finite, out=self._sound)
        recorder.add(self._good, self._sound, out=self._good)
        return self._xp.program(recorder.calls)

    def _clip(self, gradient: Any, longest: float) -> Calls:
        """Multiply by ``longest / max(length, longest)``, computed in float64 as by the host: 1 where nothing is to be
        shortened. A step that does not count leaves the gradient alone: what lies between weights stays zero."""
        recorder, work = Recorder(self._xp), self._xp.zeros((), dtype="float64")
        recorder.copyto(work, self._square)
        recorder.sqrt(work, out=work)
        recorder.maximum(work, longest, out=work)
        recorder.divide(longest, work, out=work)
        recorder.copyto(self._factor, work)
        recorder.multiply(gradient, self._factor, out=gradient)
        return self._xp.program(only_if(self._sound, recorder.calls))

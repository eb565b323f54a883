"""Mixed precision: the weights that half-precision layers compute with, and the scale of the loss.

The weights stay float32, and each step rounds those that half-precision layers read. Small gradients would vanish in
float16, so the gradient of the loss is multiplied by a scale, and the weights' gradients, as float32 again, are divided
by it. Only the steps of training are mixed: predictions, evaluation and `Network.gradients` compute in float32.

Source: P. Micikevicius et al., Mixed precision training, ICLR 2018, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.half import Half
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.weights import FlatArrays, Weights


class HalfWeights:
    """What the half-precision layers have in the place of the weights and their gradients.

    Attributes:
        half: which weights these are: the first ones of ``Weights.trainable``, at the same places.
        weights: rounded anew with each step.
        gradients: times the scale of the loss.
        scale: this scale, as recorded calls read it.
    """

    def __init__(self, backend: Backend, arrays: Weights, half: Half) -> None:
        specs = [spec for name, spec in arrays.specs.items() if name in half.names]
        self.half, self._arrays = half, arrays
        self.weights, self.gradients = (FlatArrays(backend, specs, real(half.dtype)) for _ in range(2))
        self.scale, self._inverse = (backend.factor(arrays.trainable.flat.dtype) for _ in range(2))
        self.use_scale(1.0)

    def use_scale(self, scale: float) -> None:
        """Multiply the gradient of the loss by a power of two from now on."""
        self.scale.fill(scale)
        self._inverse.fill(1.0 / scale)

    def record_rounding(self, recorder: Recorder) -> None:
        """Before all layers: the weights as these read them."""
        flat = self.weights.flat
        recorder.copyto(flat, self._arrays.trainable.flat[: flat.size])

    def record_unscaling(self, recorder: Recorder) -> None:
        """Behind all layers: the gradients of all weights, without the scale."""
        halves, whole = self.gradients.flat, self._arrays.gradients.flat
        rest = whole[halves.size :]
        recorder.multiply(halves, self._inverse, out=whole[: halves.size])
        if rest.size:
            recorder.multiply(rest, self._inverse, out=rest)


class LossScale:
    """The scale of the loss: halved when a gradient overflows, doubled when none has for a while.

    A step whose gradient overflows changes no weights. Only float16 needs it: bfloat16 has the range of float32.

    Attributes:
        moves: whether it is ever anything but 1.
        value: a power of two.
        since: steps without an overflow since the value changed.
        skipped: steps with an overflow.
    """

    FIRST, SMALLEST, LARGEST = 2.0**16, 2.0**-16, 2.0**24
    PATIENCE = 2000
    """Steps without an overflow after which the value is doubled."""

    def __init__(self, *, moves: bool) -> None:
        self.moves = moves
        self.value = self.FIRST if moves else 1.0
        self.since = self.skipped = 0

    @property
    def may_fall(self) -> bool:
        return self.moves and self.value > self.SMALLEST

    def fell_short(self) -> None:
        """A gradient overflowed."""
        self.value /= 2
        self.since = 0
        self.skipped += 1

    def held(self) -> None:
        """A gradient was finite."""
        self.since += 1
        if self.moves and self.since == self.PATIENCE:
            self.value = min(2 * self.value, self.LARGEST)
            self.since = 0

    @property
    def state(self) -> tuple[float, int, int]:
        return self.value, self.since, self.skipped

    @state.setter
    def state(self, state: tuple[float, int, int]) -> None:
        self.value, self.since, self.skipped = state

    def restore(self, state: Sequence[float]) -> None:
        """Go on from a `state` that was saved; raises InputError for numbers that it never has."""
        value, since, skipped = state
        if not (self.SMALLEST <= value <= self.LARGEST and 0 <= since < self.PATIENCE and 0 <= skipped < 1 << 53):
            raise InputError(f"the saved state has a loss scale that no training has: {state}")
        self.state = value, int(since), int(skipped)

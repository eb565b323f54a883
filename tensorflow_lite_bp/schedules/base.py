"""The contract of a schedule: the factor on the learning rate, as a function of the position in the training.

A schedule has no state: what it needs of the past it is given, so a resumed run has the same rates. The trainer asks
once for each step, at its middle: the first step of ten in an epoch stands at 0.05, so no rate is ever 0 by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from tensorflow_lite_bp.declare import Declared, setting


@dataclass(frozen=True)
class Schedule(Declared, category="schedule"):
    """Base of all schedules."""

    _: KW_ONLY
    warmup: float = setting(0.0, minimum=0, help="epochs over which the rate first climbs linearly from 0")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        """The factor once warm-up is over. ``epoch`` counts from the end of warm-up with a fraction for the step,
        ``epochs`` is the planned number from there on, ``history`` the monitored value after each finished epoch
        since the start of training, lower being better."""
        raise NotImplementedError

    def rate(self, epoch: float, epochs: int, history: Sequence[float]) -> float:
        """The factor with warm-up, after which the schedule has the epochs that are left. ``epoch`` counts from the
        start of training."""
        left = epochs - self.warmup
        if epoch < self.warmup:
            return epoch / self.warmup * self.factor(0.0, left, history)
        return self.factor(epoch - self.warmup, left, history)

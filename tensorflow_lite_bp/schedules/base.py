"""The contract of a schedule: the factor on the learning rate, as a function of the position in the training.

A schedule has no state: what it needs of the past it is given, so a resumed run has the same rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.declare import Declared, setting


@dataclass(frozen=True)
class Schedule(Declared, category="schedule"):
    """Base of all schedules."""

    warmup: float = setting(0.0, minimum=0, help="epochs over which the rate climbs linearly from 0")

    def factor(self, epoch: float, epochs: int, history: Sequence[float]) -> float:
        """The factor after warm-up. ``epoch`` counts from 0 with a fraction for the step, ``epochs`` is the planned
        number, ``history`` the monitored loss after each finished epoch."""
        raise NotImplementedError

    def rate(self, epoch: float, epochs: int, history: Sequence[float]) -> float:
        """The factor with warm-up."""
        if epoch < self.warmup:
            return (epoch / self.warmup) * self.factor(self.warmup, epochs, history)
        return self.factor(epoch, epochs, history)

"""The rate climbs to its full height, then falls to almost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.schedules.base import Schedule
from tensorflow_lite_bp.schedules.cosine import glide


@dataclass(frozen=True)
class OneCycle(Schedule, name="one_cycle"):
    """From `start` times the rate up to the rate, then down to `end` times it, both along half a cosine.

    Source: L. Smith and N. Topin, Super-convergence: very fast training of neural networks using large learning rates,
    2018, with cosines for straight lines.
    """

    rise: float = setting(0.3, above=0, below=1, help="part of the training that the climb takes")
    start: float = setting(0.04, above=0, maximum=1, help="the factor at the start")
    end: float = setting(4e-6, minimum=0, maximum=1, help="the factor at the end")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        if epoch <= 0:  # also where warm-up leaves no epochs to divide by
            return self.start
        part = min(epoch / epochs, 1.0)
        if part < self.rise:
            return glide(self.start, 1.0, part / self.rise)
        return glide(1.0, self.end, (part - self.rise) / (1 - self.rise))

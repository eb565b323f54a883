"""The rate falls along half a cosine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.schedules.base import Schedule


@dataclass(frozen=True)
class Cosine(Schedule, name="cosine"):
    """From the full rate to `end` times it along half a cosine: ``end + (1 − end) (1 + cos(π epoch / epochs)) / 2``.

    Source: I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, equation (5),
    without restarts.
    """

    end: float = setting(0.0, minimum=0, maximum=1, help="the factor at the end")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        if epoch <= 0:  # also where warm-up leaves no epochs to divide by
            return 1.0
        return glide(1.0, self.end, min(epoch / epochs, 1.0))


def glide(first: float, last: float, part: float) -> float:
    """From one value to another along half a cosine; ``part`` goes from 0 to 1."""
    return last + (first - last) * (1 + cos(pi * part)) / 2

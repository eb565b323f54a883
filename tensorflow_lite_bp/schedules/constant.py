"""The rate as the optimizer has it."""

from __future__ import annotations

from collections.abc import Sequence

from tensorflow_lite_bp.schedules.base import Schedule


class Constant(Schedule, name="constant"):
    """The same rate all the time."""

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        return 1.0

"""The rate falls by the same factor in each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.schedules.base import Schedule


@dataclass(frozen=True)
class Exponential(Schedule, name="exponential"):
    """The rate times `decay` over each epoch, smoothly: ``decay^epoch``."""

    decay: float = setting(above=0, maximum=1, help="factor over one epoch")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        return float(self.decay**epoch)

"""The rate falls at regular epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.schedules.base import Schedule


@dataclass(frozen=True)
class Step(Schedule, name="step"):
    """The rate times `decay` every so many epochs: ``decay^⌊epoch / every⌋``."""

    every: int = setting(minimum=1, help="epochs between two falls")
    decay: float = setting(0.1, above=0, maximum=1, help="factor of each fall")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        return self.decay ** int(epoch // self.every)

"""The rate falls when the loss does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.schedules.base import Schedule


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule, name="reduce_on_plateau"):
    """The rate times `decay` whenever `patience` epochs in a row brought no better loss.

    An epoch is better when it lowers the best loss so far by more than `threshold` of its size. After a fall the
    counting starts again. The whole history is gone through each time: nothing is kept between epochs.
    """

    patience: int = setting(5, minimum=1, help="epochs in a row without a better loss")
    decay: float = setting(0.1, above=0, below=1, help="factor of each fall")
    threshold: float = setting(1e-4, minimum=0, help="how much better counts, as a part of the best loss")
    end: float = setting(0.0, minimum=0, maximum=1, help="the smallest factor")

    def factor(self, epoch: float, epochs: float, history: Sequence[float]) -> float:
        best: float | None = None
        waited = falls = 0
        for loss in history:
            if best is None or loss < best - self.threshold * abs(best):
                best, waited = loss, 0
                continue
            waited += 1
            if waited == self.patience:
                waited, falls = 0, falls + 1
        return max(self.decay**falls, self.end)

"""How far predictions of values are from the truth: mae, rmse, r2."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

from dsl.types import TensorType
from tensorflow_lite_bp.metrics.base import Metric, equal_shapes


class MAE(Metric, name="mae"):
    """The mean absolute error over all values of all samples, in the target's unit."""

    higher_is_better: ClassVar[bool] = False

    def agree(self, Y: TensorType, T: TensorType) -> None:
        equal_shapes(self.name, Y, T)

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        errors = xp.abs(Y - T).sum(dtype=xp.float64)
        return xp.stack([errors, xp.full_like(errors, T.size)])

    def value(self, sums: Any) -> float:
        errors, values = sums
        return float(errors / values)


class RMSE(Metric, name="rmse"):
    """The root of the mean squared error over all values of all samples, in the target's unit."""

    higher_is_better: ClassVar[bool] = False

    def agree(self, Y: TensorType, T: TensorType) -> None:
        equal_shapes(self.name, Y, T)

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        squares = xp.square(Y - T).sum(dtype=xp.float64)
        return xp.stack([squares, xp.full_like(squares, T.size)])

    def value(self, sums: Any) -> float:
        squares, values = sums
        return sqrt(squares / values)


class R2(Metric, name="r2"):
    """The part of the target's variance that the prediction explains: ``1 − Σ(t − y)² / Σ(t − t̄)²``.

    Of several values per sample, each has its own, and the report is their mean. A value that never varies counts as 1
    when predicted exactly and 0 otherwise.
    """

    def agree(self, Y: TensorType, T: TensorType) -> None:
        equal_shapes(self.name, Y, T)

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        Y, T = (array.reshape(-1, T.shape[-1]).astype(xp.float64) for array in (Y, T))
        samples = xp.full(T.shape[0], T.shape[1], dtype=xp.float64)
        return xp.stack([xp.square(Y - T).sum(axis=1), T.sum(axis=1), xp.square(T).sum(axis=1), samples])

    def value(self, sums: Any) -> float:
        import numpy as np

        left, total, squares, samples = sums
        # Σ(t − t̄)² from sums that batches can add; below the rounding of these it is nothing.
        spread = squares - total**2 / samples
        spread = np.where(spread > 1e-14 * squares, spread, 0.0)
        explained = 1 - left / np.where(spread > 0, spread, 1)
        return float(np.where(spread > 0, explained, left == 0).mean())

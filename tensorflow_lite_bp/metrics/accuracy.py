"""Accuracy: the part of the decisions that are right."""

from __future__ import annotations

from typing import Any

from tensorflow_lite_bp.metrics.classification import Decision


class Accuracy(Decision, name="accuracy"):
    """The part of the classes or flags that are predicted rightly.

    ``Y: (n, *shape, m)`` with ``T: class(n)[shape]``, or ``Y`` and ``T`` of one shape for flags.
    """

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        right = (self.decide(xp, Y, T) == T).sum()
        return xp.stack([right, xp.full_like(right, T.size)]).astype(xp.float64)

    def value(self, sums: Any) -> float:
        right, decisions = sums
        return float(right / decisions)

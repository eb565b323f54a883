"""Precision, recall and F1: how many of the found are right, how many of the right are found, and both in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.metrics.classification import Decision, count_classes, count_flags


@dataclass(frozen=True)
class Retrieval(Decision):
    """Base of the three; no entry of the language itself.

    Each is ``numerator / denominator`` of one class's counts, averaged over the classes: ``macro`` plainly,
    ``weighted`` by how often each is true, ``micro`` by adding up the counts first. Classes that neither occur nor are
    predicted do not take part. A ratio of nothing is 0. Each flag is a class whose yes is looked for; with a single
    flag all three averages are the plain binary value.
    """

    average: str = setting("macro", choices=("macro", "micro", "weighted"), help="how the classes make one number")

    def ratio(self, right: Any, decided: Any, true: Any) -> tuple[Any, Any]:
        """The numerator and the denominator from the three counts."""
        raise NotImplementedError

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        decided = self.decide(xp, Y, T)
        return count_classes(xp, decided, T, Y.shape[0]) if Y.ndim > T.ndim else count_flags(xp, decided, T)

    def value(self, sums: Any) -> float:
        import numpy as np

        right, decided, true = sums[:, (sums[1] > 0) | (sums[2] > 0)]
        if right.size == 0:
            return 0.0
        if self.average == "micro":
            right, decided, true = (counts.sum(keepdims=True) for counts in (right, decided, true))
        numerator, denominator = self.ratio(right, decided, true)
        ratios = numerator / np.maximum(denominator, 1)
        if self.average != "weighted":
            return float(ratios.mean())
        return float(ratios @ true / max(true.sum(), 1))


class Precision(Retrieval, name="precision"):
    """The part of the predictions of a class that are right."""

    def ratio(self, right: Any, decided: Any, true: Any) -> tuple[Any, Any]:
        return right, decided


class Recall(Retrieval, name="recall"):
    """The part of a class's samples that are predicted as it."""

    def ratio(self, right: Any, decided: Any, true: Any) -> tuple[Any, Any]:
        return right, true


class F1(Retrieval, name="f1"):
    """The harmonic mean of precision and recall of a class."""

    def ratio(self, right: Any, decided: Any, true: Any) -> tuple[Any, Any]:
        return 2 * right, decided + true

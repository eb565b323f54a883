"""The confusion matrix: how often each class is taken for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsl.signature import ShapeMismatch
from dsl.types import TensorType
from tensorflow_lite_bp.metrics.classification import Decision, counted

if TYPE_CHECKING:
    import numpy as np

_MOST_CLASSES = 1000


class Confusion(Decision, name="confusion"):
    """The matrix of true classes (rows) and predicted classes (columns) in the final report; as one number, accuracy.

    Flags, however many, make one matrix of no and yes.
    """

    def agree(self, Y: TensorType, T: TensorType) -> None:
        super().agree(Y, T)
        if T.count is not None and T.count > _MOST_CLASSES:
            raise ShapeMismatch(
                f"`confusion` of {T.count} classes is a matrix that nobody reads: expected at most {_MOST_CLASSES}",
                help="use `accuracy` or `top_k`",
                input=1,
            )

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        classes = Y.shape[0] if Y.ndim > T.ndim else 2
        pairs = T.astype(xp.int64) * classes + self.decide(xp, Y, T)
        return counted(xp, pairs.reshape(-1), classes * classes).reshape(classes, classes)

    def value(self, sums: Any) -> float:
        return float(sums.trace() / sums.sum())

    def matrix(self, sums: Any) -> np.ndarray:
        """Counts, int64: row i, column j says how often the class i was taken for j."""
        counts: np.ndarray = sums.astype("int64")
        return counts

"""Top-k accuracy: the right class is among the k highest scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from dsl.signature import ShapeMismatch
from dsl.types import TensorType
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.metrics.base import Metric
from tensorflow_lite_bp.metrics.classification import scores_for


@dataclass(frozen=True)
class TopK(Metric, name="top_k"):
    """The part of the samples whose class has one of the k highest scores; of equal scores the first counts as higher.

    ``Y: (n, *shape, m)`` with ``T: class(n)[shape]``. ``top_k(1)`` is accuracy.
    """

    kinds: ClassVar[tuple[tuple[str, ...], ...]] = (("float",), ("class", "token"))

    k: int = setting(minimum=1, help="how many guesses are allowed")

    def agree(self, Y: TensorType, T: TensorType) -> None:
        scores_for(self.name, Y, T)
        if T.count is not None and self.k >= T.count:
            raise ShapeMismatch(
                f"`top_k({self.k})` of {T.count} classes is always right",
                help=f"take a k from 1 to {T.count - 1}",
                input=1,
            )

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        own = xp.take_along_axis(Y, T[None], axis=0)
        classes = xp.arange(Y.shape[0]).reshape(-1, *(1,) * T.ndim)
        lower = xp.less(Y, own) | (xp.equal(Y, own) & (classes > T))  # a NaN is lower than nothing, so it never helps
        right = (lower.sum(axis=0) >= Y.shape[0] - self.k).sum()
        return xp.stack([right, xp.full_like(right, T.size)]).astype(xp.float64)

    def value(self, sums: Any) -> float:
        right, decisions = sums
        return float(right / decisions)

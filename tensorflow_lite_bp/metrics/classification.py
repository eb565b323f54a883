"""What metrics of classes and flags share: shape rules, decisions, and counts for each class.

A class target is held against scores with the classes on the first axis: the highest score decides, the first of equal
ones. A flag target is held against one value for each flag: yes when it is above `threshold`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, show
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.metrics.base import Metric, equal_shapes


@dataclass(frozen=True)
class Decision(Metric):
    """Base of metrics that turn scores into decisions; no entry of the language itself."""

    kinds: ClassVar[tuple[tuple[str, ...], ...]] = (("float",), ("class", "token", "flag"))

    threshold: float = setting(
        0.0, help="a flag's value above this is a yes: 0 for what goes into a sigmoid, 0.5 for a probability"
    )

    def agree(self, Y: TensorType, T: TensorType) -> None:
        if T.kind == "flag":
            equal_shapes(self.name, Y, T)
        else:
            scores_for(self.name, Y, T)

    def decide(self, xp: Any, Y: Any, T: Any) -> Any:
        """The class of each target (an index), or each flag (a bool). The axes tell which: scores have one more."""
        return xp.argmax(Y, axis=0) if Y.ndim > T.ndim else xp.greater(Y, self.threshold)


def scores_for(name: str, Y: TensorType, T: TensorType) -> None:
    """The rule of metrics that hold scores against a class: one score for each class, on the first axis.

    Raises:
        ShapeMismatch: when the number of scores is not that of the classes, or the other axes differ.
    """
    assert T.count is not None
    expected = (T.count, *T.shape)
    if Y.shape != expected:
        end = f"dense({T.count})" if len(Y.shape) <= 1 else f"flatten -> dense({T.count})"
        raise ShapeMismatch(
            f"`{name}` needs one score for each class: {show(expected)} for a target {T}, and this is {show(Y.shape)}",
            help=f"end with `{end}`" if not T.shape else None,
            input=0,
        )


def count_classes(xp: Any, decided: Any, T: Any, classes: int) -> Any:
    """Three counts for each class, ``(3, classes)``: decided rightly, decided, and true."""
    decided, T = decided.reshape(-1), T.reshape(-1)
    right = (decided == T).astype(xp.float64)
    return xp.stack([counted(xp, T, classes, right), counted(xp, decided, classes), counted(xp, T, classes)])


def counted(xp: Any, places: Any, length: int, amounts: Any = 1.0) -> Any:
    """How often each number below ``length`` is among the places, float64; ``amounts`` is what each of them counts.

    CuPy's bincount looks at the largest of them first, for which the host waits; the sum of ones is exact in any order.
    """
    counts = xp.zeros(length, dtype=xp.float64)
    xp.add.at(counts, places, amounts)
    return counts


def count_flags(xp: Any, decided: Any, T: Any) -> Any:
    """The same three counts for the yes of each flag, ``(3, flags)``."""
    decided, true = decided.reshape(-1, decided.shape[-1]), T.reshape(-1, T.shape[-1]) > 0.5
    return xp.stack([(decided & true).sum(axis=-1), decided.sum(axis=-1), true.sum(axis=-1)]).astype(xp.float64)

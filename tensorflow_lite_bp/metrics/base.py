"""The contract of a metric: a sum over samples, and a number made of that sum.

`measure` reduces one batch to an array of sums; sums of batches add; `value` makes the reported number of the total.
So a metric is exact over a whole data set whatever the batches, and nothing is kept for each sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.signature import Port, Settings, ShapeMismatch, Signature
from dsl.types import TensorType, floats, show
from tensorflow_lite_bp.declare import Declared, settings_of, summary

if TYPE_CHECKING:
    import numpy as np


class Metric(Declared, category="metric"):
    """Base of all metrics. Arrays have the sample axis last; ``xp`` is the backend, operators may be used."""

    ports: ClassVar[tuple[str, ...]] = ("Y", "T")
    kinds: ClassVar[tuple[tuple[str, ...], ...]] = (("float",), ("float", "flag"))
    higher_is_better: ClassVar[bool] = True

    def agree(self, Y: TensorType, T: TensorType) -> None:
        """Raise `ShapeMismatch` unless this prediction can be held against this target."""
        raise NotImplementedError

    def measure(self, xp: Any, Y: Any, T: Any) -> Any:
        """The sums of one batch of at least one sample: a float64 array of a fixed shape."""
        raise NotImplementedError

    def value(self, sums: Any) -> float:
        """The metric from the total of the sums (a NumPy array)."""
        raise NotImplementedError

    def matrix(self, sums: Any) -> np.ndarray | None:
        """A table of counts for the final report, from the total of the sums; most metrics have none."""
        return None

    @classmethod
    def signature(cls) -> Signature:
        """What the checker knows of this metric."""

        def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
            cls.from_settings(settings).agree(*types)
            return floats(())

        ports = tuple(Port(port, kinds) for port, kinds in zip(cls.ports, cls.kinds, strict=True))
        return Signature(cls.category, cls.name, settings_of(cls), ports, rule, None, summary(cls))


def equal_shapes(name: str, Y: TensorType, T: TensorType) -> None:
    """The rule of metrics that hold each value against one of the target.

    Raises:
        ShapeMismatch: when the shapes differ.
    """
    if Y.shape != T.shape:
        raise ShapeMismatch(f"`{name}` needs equal shapes: {show(Y.shape)} and {T}")

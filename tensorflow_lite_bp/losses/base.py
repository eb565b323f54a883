"""The contract of a loss: a number for a batch and its gradient.

The arrays have the sample axis last. A loss writes ``ws.E``, the total over the columns that it is given times
``ws.scale``, and ``ws.dY = ∂E/∂Y``, under the rules of `tensorflow_lite_bp.layers.base`. ``ws.scale`` holds the
factor of the file and the reduction: for ``mean`` it is divided by the number of samples in the whole batch (and by
the number of terms of one sample, see `Loss.terms`), for ``sum`` it is not. No gradient flows to the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dsl.signature import Port, Settings, ShapeMismatch, Signature
from dsl.types import TensorType, floats
from tensorflow_lite_bp.declare import Declared, setting, settings_of, summary
from tensorflow_lite_bp.layers.base import Buffer


@dataclass(frozen=True)
class Example:
    """A small use of a loss. ``prediction`` and ``target`` are types of one sample; see `layers.base.Example`."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    prediction: TensorType = field(default=floats((3,)))
    target: TensorType = field(default=floats((3,)))
    low: float = -2.0
    high: float = 2.0


@dataclass(frozen=True)
class Loss(Declared, category="loss"):
    """Base of all losses."""

    ports: ClassVar[tuple[str, ...]] = ("Y", "T")
    kinds: ClassVar[tuple[tuple[str, ...], ...]] = (("float",), ("float",))
    """The kinds of tensor each port takes."""
    reads: ClassVar[frozenset[str]] = frozenset({"Y", "T"})
    """What backward reads besides its saved buffers."""
    formula: ClassVar[str] = ""
    """E as `explain.expression` reads it; s stands for the scale. Where the target holds classes, T has a column for
    each, 1 in the row of the right class and 0 elsewhere."""
    gradients: ClassVar[Mapping[str, str]] = {}
    letters: ClassVar[Mapping[str, str]] = {}
    """Letters of the formulas that stand for attributes of another name."""
    examples: ClassVar[tuple[Example, ...]] = (Example(),)

    reduction: str = setting("mean", choices=("mean", "sum"), help="over the samples of a batch")

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        """`formula` and `gradients` as they are with these settings, for a prediction and a target of these types."""
        return self.formula, self.gradients

    def through(self, layer: str) -> str | None:
        """∂E/∂X where Y = f(X) is the result of this layer, if the two together are simpler than each; else None."""
        return None

    def agree(self, Y: TensorType, T: TensorType) -> None:
        """Raise `ShapeMismatch` unless this prediction can be held against this target."""
        if Y.shape != T.shape:
            single = Y.shape == (1,) and T.shape == ()
            raise ShapeMismatch(
                f"`{self.name}` needs equal shapes: {Y} and {T}",
                help="make a number of the vector: `reshape([])`" if single else None,
            )

    def terms(self, Y: tuple[int, ...], T: tuple[int, ...]) -> int:
        """How many terms of one sample ``mean`` averages: 1 for a sum over the features (cross_entropy, squared_error),
        the number of elements for mse and mae. The shapes are those of one sample."""
        return 1

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        """The buffers by role, for arrays of these whole shapes (sample axis last)."""
        return {}

    def forward(self, xp: Any, ws: Any) -> None:
        """Write ``ws.E`` (shape ``()``) from ``ws.Y`` and ``ws.T``."""
        raise NotImplementedError

    def backward(self, xp: Any, ws: Any) -> None:
        """Write ``ws.dY``. Runs after forward: what forward left in saved buffers may be used."""
        raise NotImplementedError

    def scale(self, Y: tuple[int, ...], T: tuple[int, ...], m: int) -> float:
        """The factor that the reduction puts before the sum, for samples of these shapes and a batch of ``m``."""
        return 1.0 / (m * self.terms(Y, T)) if self.reduction == "mean" else 1.0

    @classmethod
    def signature(cls) -> Signature:
        """What the checker knows of this loss."""

        def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
            cls.from_settings(settings).agree(*types)
            return floats(())

        ports = tuple(Port(port, kinds) for port, kinds in zip(cls.ports, cls.kinds, strict=True))
        return Signature(cls.category, cls.name, settings_of(cls), ports, rule, None, summary(cls))

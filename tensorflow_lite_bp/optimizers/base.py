"""The contract of an optimizer: one update of all weights at once, on flat arrays.

All weights of a network lie in one flat array, all gradients in another of the same length, and each of the
optimizer's `slots` in a further one. An update is a few vectorised passes with ``out=`` over these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import Declared, setting


@dataclass(frozen=True)
class Optimizer(Declared, category="optimizer"):
    """Base of all optimizers."""

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state arrays, each as long as the weights, zero at the start."""
    scratch: ClassVar[int] = 1
    """How many arrays of that length the update needs to work in."""
    formula: ClassVar[str] = ""

    rate: float = setting(above=0, help="learning rate η, before the schedule")

    def used_slots(self) -> tuple[str, ...]:
        """The slots that these settings really need (plain sgd needs no velocity)."""
        return self.slots

    def update(
        self, xp: Any, W: Any, dW: Any, state: dict[str, Any], scratch: list[Any], *, rate: float, step: int
    ) -> None:
        """Change ``W`` and ``state`` in place; ``dW`` may be overwritten. ``step`` counts from 1."""
        raise NotImplementedError

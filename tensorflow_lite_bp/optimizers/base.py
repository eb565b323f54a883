"""The contract of an optimizer: one update of all weights at once, on flat arrays.

All weights of a network lie in one flat array, all gradients in another of the same length, and each of the
optimizer's `slots` in a further one. An update is a few vectorised passes with ``out=`` over these. Every pass is
elementwise, so the caller may cut the arrays into blocks, and give each block to `update` in turn or to another thread,
without changing a bit of the result.
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


def descend(xp: Any, W: Any, direction: Any, square: Any, work: Any, *, rate: float, epsilon: float) -> None:
    """``W ← W − rate · direction / (√square + epsilon)``: the last line of every optimizer with a rate for each weight.

    ``work`` is overwritten; it may be no other argument.
    """
    xp.sqrt(square, out=work)
    xp.add(work, epsilon, out=work)
    xp.divide(direction, work, out=work)
    xp.multiply(work, rate, out=work)
    xp.subtract(W, work, out=W)

"""The contract of an optimizer: one update of all weights at once, on flat arrays.

All weights of a network lie in one flat array, all gradients in another of the same length, and each of the
optimizer's `slots` in a further one. An update is a few vectorised passes with ``out=`` over these, under the
rules of `tensorflow_lite_bp.layers.base`: they are recorded once and replayed. Every pass is elementwise, so the arrays
are cut into blocks that fit a core's cache and shared out over threads, without changing a bit of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import Declared, setting

State = Mapping[str, Any]
"""The slots by name."""
Factors = Mapping[str, Any]
"""What `Optimizer.factors` gave for this step, each as an array without axes."""


@dataclass(frozen=True)
class Optimizer(Declared, category="optimizer"):
    """Base of all optimizers."""

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state arrays, each as long as the weights, zero at the start."""
    scratch: ClassVar[int] = 1
    """How many arrays of that length the update needs to work in."""
    formula: ClassVar[str] = ""
    """The update, one assignment a line, as `explain.expression` reads it; t counts the steps from 1."""
    letters: ClassVar[Mapping[str, str]] = {"eta": "rate", "mu": "momentum", "rho": "decay", "lam": "weight_decay"}
    """Letters of the formula that stand for settings of another name."""

    rate: float = setting(above=0, help="learning rate η, before the schedule")

    def used_slots(self) -> tuple[str, ...]:
        """The slots that these settings really need (plain sgd needs no velocity)."""
        return self.slots

    def equations(self) -> str:
        """`formula` as it is with these settings."""
        return self.formula

    def factors(self, *, rate: float, step: int) -> dict[str, float]:
        """The numbers that change from step to step; ``step`` counts from 1."""
        return {"rate": rate}

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        """Change ``W`` and ``state`` in place by the numbers of this step; ``dW`` may be overwritten."""
        raise NotImplementedError


def descend(xp: Any, W: Any, direction: Any, square: Any, work: Any, *, rate: Any, epsilon: Any) -> None:
    """``W ← W − rate · direction / (√square + epsilon)``: the last line of every optimizer with a rate for each weight.

    ``work`` is overwritten; it may be no other argument.
    """
    xp.sqrt(square, out=work)
    xp.add(work, epsilon, out=work)
    xp.divide(direction, work, out=work)
    xp.multiply(work, rate, out=work)
    xp.subtract(W, work, out=W)

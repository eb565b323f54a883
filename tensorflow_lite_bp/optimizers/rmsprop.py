"""RMSprop: each gradient divided by the running size of its like."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.optimizers.base import Factors, Optimizer, State, descend


@dataclass(frozen=True)
class RMSprop(Optimizer, name="rmsprop"):
    """Gradient descent with a rate for each weight, from the running mean of its squared gradient.

    ``S ← ρ S + (1 − ρ) (∂E/∂W)²``, then ``W ← W − η ∂E/∂W / (√S + ε)``. The slot holds ``S / (1 − ρ)``: the same
    update in one pass less.

    Source: T. Tieleman and G. Hinton, Lecture 6.5, Neural Networks for Machine Learning, 2012.
    """

    slots: ClassVar[tuple[str, ...]] = ("square",)
    formula: ClassVar[str] = """
    S = rho * S + (1 - rho) * dW ** 2
    W = W - eta * dW / (sqrt(S) + epsilon)
    """

    decay: float = setting(0.9, minimum=0, below=1, help="ρ, how much of the running mean is kept")
    epsilon: float = setting(1e-8, above=0, help="ε, keeps the division finite")

    def factors(self, *, rate: float, step: int) -> dict[str, float]:
        scale = sqrt(1 - self.decay)
        return {"rate": rate / scale, "epsilon": self.epsilon / scale}

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        S, work = state["square"], scratch[0]
        xp.multiply(S, self.decay, out=S)
        xp.multiply(dW, dW, out=work)
        xp.add(S, work, out=S)
        descend(xp, W, dW, S, work, rate=by["rate"], epsilon=by["epsilon"])

"""Adam: momentum, and a rate for each weight."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.optimizers.base import Factors, Optimizer, State, descend


@dataclass(frozen=True)
class Adam(Optimizer, name="adam"):
    """Gradient descent along the running mean of the gradient, divided by the root of the running mean of its square.

    ``M ← β₁ M + (1 − β₁) G``, ``V ← β₂ V + (1 − β₂) G²`` with ``G = ∂E/∂W``, then
    ``W ← W − η M̂ / (√V̂ + ε)`` where ``M̂ = M / (1 − β₁ᵗ)`` and ``V̂ = V / (1 − β₂ᵗ)`` at step t.

    The slots hold ``M / (1 − β₁)`` and ``V / (1 − β₂)``, and every factor is folded into the rate and ε: the same
    update in ten passes over the arrays where the formulas as written take thirteen.

    Source: D. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
    """

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")
    scratch: ClassVar[int] = 0
    formula: ClassVar[str] = """
    M = beta1 * M + (1 - beta1) * dW
    V = beta2 * V + (1 - beta2) * dW ** 2
    W = W - eta * (M / (1 - beta1 ** t)) / (sqrt(V / (1 - beta2 ** t)) + epsilon)
    """

    beta1: float = setting(0.9, minimum=0, below=1, help="β₁, how much of the running mean is kept")
    beta2: float = setting(0.999, minimum=0, below=1, help="β₂, how much of the running mean of squares is kept")
    epsilon: float = setting(1e-8, above=0, help="ε, keeps the division finite")

    def factors(self, *, rate: float, step: int) -> dict[str, float]:
        mean = (1 - self.beta1) / (1 - self.beta1**step)  # M̂ = mean · M as stored
        root = sqrt((1 - self.beta2) / (1 - self.beta2**step))  # √V̂ = root · √V as stored
        return {"rate": rate * mean / root, "epsilon": self.epsilon / root}

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        M, V = state["mean"], state["square"]
        xp.multiply(M, self.beta1, out=M)
        xp.add(M, dW, out=M)
        xp.multiply(V, self.beta2, out=V)
        xp.multiply(dW, dW, out=dW)
        xp.add(V, dW, out=V)
        descend(xp, W, M, V, dW, rate=by["rate"], epsilon=by["epsilon"])

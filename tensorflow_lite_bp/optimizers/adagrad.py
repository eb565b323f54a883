"""AdaGrad: each gradient divided by the size of all its like so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.optimizers.base import Factors, Optimizer, State, descend


@dataclass(frozen=True)
class Adagrad(Optimizer, name="adagrad"):
    """Gradient descent with a rate for each weight, from the sum of its squared gradients.

    ``S ← S + (∂E/∂W)²``, then ``W ← W − η ∂E/∂W / (√S + ε)``.

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic
    optimization, JMLR 12, 2011, figure 1 with diagonal matrices.
    """

    slots: ClassVar[tuple[str, ...]] = ("square",)
    formula: ClassVar[str] = """
    S = S + dW ** 2
    W = W - eta * dW / (sqrt(S) + epsilon)
    """

    epsilon: float = setting(1e-10, above=0, help="ε, keeps the division finite")

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        S, work = state["square"], scratch[0]
        xp.multiply(dW, dW, out=work)
        xp.add(S, work, out=S)
        descend(xp, W, dW, S, work, rate=by["rate"], epsilon=self.epsilon)

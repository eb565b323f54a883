"""Stochastic gradient descent: plain, with momentum, with Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.optimizers.base import Factors, Optimizer, State


@dataclass(frozen=True)
class SGD(Optimizer, name="sgd"):
    """Gradient descent, with momentum if asked for.

    ``V ← μ V + ∂E/∂W``, then ``W ← W − η V``, or with Nesterov ``W ← W − η (∂E/∂W + μ V)``. Weight decay λ adds
    ``λ W`` to the gradient, biases included.

    Source: article 000, the updates after (2) and (3), for μ = 0; I. Sutskever, J. Martens, G. Dahl and G. Hinton, On
    the importance of initialization and momentum in deep learning, ICML 2013, with η outside of V, so that a schedule
    does not reach into the past.
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum",)
    formula: ClassVar[str] = """
    V = mu * V + dW
    W = W - eta * V
    """

    momentum: float = setting(0.0, minimum=0, below=1, help="μ, how much of the last direction is kept")
    nesterov: bool = setting(False, help="look ahead along the momentum")
    weight_decay: float = setting(0.0, minimum=0, help="λ, pulls every weight to zero through the gradient")

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise InputError(
                "sgd: `nesterov = true` looks ahead along a momentum, and the momentum is 0: "
                "write `momentum = 0.9`, or leave `nesterov` out"
            )

    def equations(self) -> str:
        direction = "dW + lam * W" if self.weight_decay else "dW"
        if not self.momentum:
            return f"W = W - eta * ({direction})"
        step = f"{direction} + mu * V" if self.nesterov else "V"
        return f"V = mu * V + {direction}\nW = W - eta * ({step})"

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum else ()

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        if self.weight_decay:
            xp.multiply(W, self.weight_decay, out=scratch[0])
            xp.add(dW, scratch[0], out=dW)
        direction = dW
        if self.momentum:
            direction = V = state["momentum"]
            xp.multiply(V, self.momentum, out=V)
            xp.add(V, dW, out=V)
        if self.nesterov:
            xp.multiply(V, self.momentum, out=scratch[0])
            direction = xp.add(dW, scratch[0], out=dW)
        xp.multiply(direction, by["rate"], out=dW)
        xp.subtract(W, dW, out=W)

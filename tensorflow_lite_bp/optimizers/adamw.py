"""AdamW: Adam with a pull to zero that its division does not reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.optimizers.adam import Adam
from tensorflow_lite_bp.optimizers.base import Factors, State


@dataclass(frozen=True)
class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay: first ``W ← W − η λ W``, biases included, then Adam's update.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2, with the decay
    scaled by the whole rate η as PyTorch does it.
    """

    formula: ClassVar[str] = "W = W - eta * lam * W\n" + Adam.formula

    weight_decay: float = setting(0.01, minimum=0, help="λ, pulls every weight to zero")

    def factors(self, *, rate: float, step: int) -> dict[str, float]:
        return {**super().factors(rate=rate, step=step), "kept": 1 - rate * self.weight_decay}

    def update(self, xp: Any, W: Any, dW: Any, state: State, scratch: list[Any], *, by: Factors) -> None:
        xp.multiply(W, by["kept"], out=W)
        super().update(xp, W, dW, state, scratch, by=by)

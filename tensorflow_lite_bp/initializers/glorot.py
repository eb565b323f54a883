"""Glorot's initialiser: the spread that keeps signals alike in both directions."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from tensorflow_lite_bp.initializers.base import Initializer, fans

if TYPE_CHECKING:
    import numpy as np


class Glorot(Initializer, name="glorot"):
    """Uniform in ±√(6 / (in + out)): for layers followed by tanh, sigmoid, softmax or nothing.

    The variance 2 / (in + out) is the compromise between 1/in, which keeps the variance of the activations from layer
    to layer, and 1/out, which keeps that of the gradients.

    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, equation (16).
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        bound = sqrt(6.0 / (fan_in + fan_out))
        return generator.uniform(-bound, bound, shape)

"""He's initialiser: the spread that keeps signals alike through rectifiers."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from tensorflow_lite_bp.initializers.base import Initializer, fans

if TYPE_CHECKING:
    import numpy as np


class He(Initializer, name="he"):
    """Normal with variance 2 / in: for layers followed by relu and its kin.

    A rectifier zeroes half of what arrives, so the weights have twice the variance that a linear layer needs.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015, equation (10).
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        fan_in, _ = fans(shape)
        return generator.normal(0.0, sqrt(2.0 / fan_in), shape)

"""Uniform numbers of a given range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Uniform(Initializer, name="uniform"):
    """Uniform numbers between `low` and `high`."""

    low: float = setting(help="one end of the range")
    high: float = setting(help="the other end")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return self.low + (self.high - self.low) * generator.random(shape)

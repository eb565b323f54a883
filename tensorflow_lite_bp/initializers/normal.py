"""Normal numbers of a given spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Normal(Initializer, name="normal"):
    """Normal numbers around zero."""

    std: float = setting(above=0, help="standard deviation")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return generator.normal(0.0, self.std, shape)

"""The contract of an initialiser: the first values of a weight, drawn on the host from an addressed generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import Declared

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Initializer(Declared, category="initializer"):
    """Base of all initialisers."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Values of this shape, float64. Axis 0 is the features out, the others the features in (``W: out × in``)."""
        raise NotImplementedError

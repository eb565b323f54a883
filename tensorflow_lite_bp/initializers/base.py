"""The contract of an initialiser: the first values of a weight, drawn on the host from an addressed generator."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import Declared

if TYPE_CHECKING:
    import numpy as np


class Initializer(Declared, category="initializer"):
    """Base of all initialisers."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Values of this shape, float64. Axis 0 is the features out, the others the features in (``W: out × in``)."""
        raise NotImplementedError


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many values one output sums over, and how many outputs one input reaches.

    A matrix is ``(out, in)``, a kernel ``(out, in, *places)`` is used at every place; a vector is a column.

    >>> fans((10, 64)), fans((16, 3, 5, 5)), fans((7,))
    ((64, 10), (75, 400), (1, 7))
    """
    fan_in = prod(shape[1:])
    fan_out = prod(shape[:1]) * prod(shape[2:])
    return fan_in, fan_out

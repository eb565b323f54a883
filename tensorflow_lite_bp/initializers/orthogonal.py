"""Orthogonal matrices: signals keep their length exactly."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Orthogonal(Initializer, name="orthogonal"):
    """A random matrix with orthonormal rows or columns (whichever are fewer), times a gain.

    The weight is seen as a matrix ``out × in``. The sign of R's diagonal is moved into Q, which makes the draw uniform
    over all such matrices (F. Mezzadri, Notices of the AMS 54, 2007).

    Source: A. Saxe, J. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, ICLR 2014.
    """

    gain: float = setting(1.0, above=0, help="factor on the matrix")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        rows, columns = (shape[0], prod(shape[1:])) if shape else (1, 1)
        tall = generator.normal(size=(max(rows, columns), min(rows, columns)))
        Q, R = np.linalg.qr(tall)
        Q *= np.where(np.diagonal(R) < 0, -1.0, 1.0)
        return self.gain * (Q if rows >= columns else Q.T).reshape(shape)

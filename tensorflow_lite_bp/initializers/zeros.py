"""All zero: where a bias starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


class Zeros(Initializer, name="zeros"):
    """All zero."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        return np.zeros(shape)

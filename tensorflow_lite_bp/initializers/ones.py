"""All one: where a gain starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


class Ones(Initializer, name="ones"):
    """All one."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        return np.ones(shape)

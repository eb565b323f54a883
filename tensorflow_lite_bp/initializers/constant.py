"""One given value everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Constant(Initializer, name="constant"):
    """The same value everywhere."""

    value: float = setting(help="the value")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        return np.full(shape, self.value, dtype=np.float64)

"""Rows dealt out at random."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tensorflow_lite_bp.data.splits.base import Fractions, largest_remainder

if TYPE_CHECKING:
    import numpy as np


class Random(Fractions, name="random"):
    """Rows drawn at random, a fraction of them for each split."""

    def deal(self, rows: int, *, seed: int, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        import numpy as np

        from tensorflow_lite_bp.backend import Draw

        fractions = self.fractions()
        unused = 1 - sum(fractions.values(), Fraction(0))
        quotas = [fraction * rows for fraction in (*fractions.values(), unused)]
        counts = dict(zip(fractions, largest_remainder(quotas, rows), strict=False))
        self.refuse_empty(counts, rows)
        order = Draw(seed if self.seed is None else self.seed, "split").generator().permutation(rows)
        ends = np.cumsum(list(counts.values()))
        pieces = np.split(order, ends)
        return {split: np.sort(piece) for split, piece in zip(counts, pieces, strict=False)}

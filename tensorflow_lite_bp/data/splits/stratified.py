"""Rows dealt out at random with the same fraction of each class in every split."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tensorflow_lite_bp.data.splits.base import Fractions, largest_remainder
from tensorflow_lite_bp.declare import setting

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Stratified(Fractions, name="stratified"):
    """Rows drawn at random from each class apart, so that every split has the same mix of classes.

    What rounding takes from a split in one class it gives back in the next, so each split as a whole has its fraction.
    """

    by: str | None = setting(None, help="the target whose classes count; may be left out when there is one")

    def target(self) -> str | None:
        return self.by if self.by is not None else ""

    def deal(self, rows: int, *, seed: int, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        import numpy as np

        from tensorflow_lite_bp.backend import Draw

        assert classes is not None
        fractions = self.fractions()
        shares = [*fractions.values(), 1 - sum(fractions.values(), Fraction(0))]
        generator = Draw(seed if self.seed is None else self.seed, "split").generator()
        dealt: list[list[np.ndarray]] = [[] for _ in shares]
        owed = [Fraction(0)] * len(shares)
        for number in range(int(classes.max()) + 1):
            members = generator.permutation(np.flatnonzero(classes == number))
            owed = [debt + share * len(members) for debt, share in zip(owed, shares, strict=True)]
            counts = largest_remainder(owed, len(members))
            owed = [debt - count for debt, count in zip(owed, counts, strict=True)]
            for pieces, piece in zip(dealt, np.split(members, np.cumsum(counts)[:-1]), strict=True):
                pieces.append(piece)
        splits = {split: np.sort(np.concatenate(pieces)) for split, pieces in zip(fractions, dealt, strict=False)}
        self.refuse_empty({split: len(found) for split, found in splits.items()}, rows)
        return splits

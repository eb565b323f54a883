"""Sums over rows that come in blocks, in float64, without the missing values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from tensorflow_lite_bp.data.base import Block


@dataclass(frozen=True)
class Moments:
    """What each value of a row is over all rows: how many there were, mean, (population) variance and extremes."""

    count: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray


def moments(blocks: Iterator[Block]) -> Moments:
    """The moments of all rows; of no value at all, the mean is 0 and the extremes are 0.

    Blocks are joined by the pairwise update of Chan, Golub and LeVeque (1979), which loses no digits to a large mean.
    """
    import numpy as np

    first = True
    for block in blocks:
        rows = block.astype(np.float64)
        there = np.isfinite(rows)
        n = there.sum(axis=0)
        total = np.where(there, rows, 0).sum(axis=0)
        centre = total / np.maximum(n, 1)
        spread = (np.where(there, rows - centre, 0) ** 2).sum(axis=0)
        least = np.where(there, rows, np.inf).min(axis=0)
        most = np.where(there, rows, -np.inf).max(axis=0)
        if first:
            count, mean, squares, low, high = n, centre, spread, least, most
            first = False
            continue
        both = np.maximum(count + n, 1)
        shift = centre - mean
        squares = squares + spread + shift**2 * (count * n / both)
        mean = mean + shift * (n / both)
        count, low, high = count + n, np.minimum(low, least), np.maximum(high, most)
    assert not first, "a split has rows"
    seen = count > 0
    return Moments(count, mean, squares / np.maximum(count, 1), np.where(seen, low, 0), np.where(seen, high, 0))

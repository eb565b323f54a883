"""What splits by fractions share: the settings, and how fractions of a number of rows become whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from tensorflow_lite_bp.data.base import Split
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.errors import InputError

_FINEST = 10**9


@dataclass(frozen=True)
class Fractions(Split):
    """Base of the splits that give each split a fraction of the rows."""

    train: float | None = setting(None, above=0, maximum=1, help="fraction of the rows to train on; else the rest")
    validation: float = setting(0.0, minimum=0, maximum=1, help="fraction of the rows to validate on")
    test: float = setting(0.0, minimum=0, maximum=1, help="fraction of the rows to test on")
    seed: int | None = setting(
        None, minimum=0, maximum=(1 << 63) - 1, help="of the draw; the seed of the training by default"
    )

    def fractions(self) -> dict[str, Fraction]:
        """The fraction of each split that is asked for, exactly as written.

        Raises:
            InputError: when they are more than the whole.
        """
        validation, test = _exact(self.validation), _exact(self.test)
        train = 1 - validation - test if self.train is None else _exact(self.train)
        total = train + validation + test
        if train <= 0 or total > 1:
            rest = " and leave rows to train on" if self.train is None else ""
            raise InputError(
                f"the fractions of the split `{self.name}` are {self._written()}; they must add up to at most 1{rest}"
            )
        found = {"train": train, "validation": validation, "test": test}
        return {split: fraction for split, fraction in found.items() if fraction > 0}

    def refuse_empty(self, counts: dict[str, int], rows: int) -> None:
        """Raise InputError when a split that was asked for has no row."""
        empty = next((split for split, count in counts.items() if count == 0), None)
        if empty is not None:
            raise InputError(
                f"the split `{self.name}` ({self._written()}) of {rows} row{'' if rows == 1 else 's'} leaves none for "
                f"`{empty}`: give it a larger fraction, or the data more rows"
            )

    def _written(self) -> str:
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return ", ".join(f"{split} = {value:g}" for split, value in given.items() if value)


def largest_remainder(quotas: Sequence[Fraction], total: int) -> list[int]:
    """Whole numbers that sum to ``total``, as do the quotas: each rounded down, then up where most was cut off.

    A quota below 0, from a share that was already overpaid, gets 0, and the others pay for it.

    >>> largest_remainder([Fraction(14, 10), Fraction(13, 10), Fraction(13, 10)], 4)
    [2, 1, 1]
    """
    counts = [max(floor(quota), 0) for quota in quotas]

    def cut_off(index: int) -> Fraction:
        return quotas[index] - counts[index]

    while sum(counts) < total:
        counts[max(range(len(counts)), key=cut_off)] += 1
    while sum(counts) > total:
        counts[min((index for index, count in enumerate(counts) if count), key=cut_off)] -= 1
    return counts


def _exact(value: float) -> Fraction:
    """The fraction that was written: a tenth for 0.1."""
    return Fraction(value).limit_denominator(_FINEST)

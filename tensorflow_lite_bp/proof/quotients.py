"""Difference quotients of a function at single entries of an array, against the gradient that is claimed for them.

For an entry w and a step h the function is computed at w, w ± h and w ± h/2. With the central quotient
``D(h) = (f(w + h) - f(w - h)) / 2h`` and the second difference ``S(h) = f(w + h) - 2 f(w) + f(w - h)``,

- where f is smooth, ``D(h) - D(h/2) = O(h²)`` and ``S(h) - 4 S(h/2) = O(h⁴)``;
- a kink at w ± s, s < h, where the slope jumps by J, leaves in D(h) a mistake of ``J (h - s) / 2h``, in the first of
  these ``J/2 · s/h`` (s ≤ h/2) or ``J/2 · (h - s)/h``, in the second, divided by h, ``J |3s - h| / h`` or
  ``J (h - s) / h``. The first alone misses a kink at w itself, the second alone one at s = h/3; the larger of both is
  never less than 0.4 times the mistake. It is the *doubt* about a quotient.

A quotient is trusted when its doubt is far below the tolerance. Otherwise a smaller h is tried, which leaves a kink
beside w behind; where none is trusted the entry is a kink and is left out, unless each of them is further from the
gradient than a small kink can explain. Before a gradient is called wrong by one quotient it must be so at another h.

The rounding of f, ``eps · magnitude``, makes a *noise* of ``ROUNDING · eps · magnitude / h`` in the quotient. The
relative error of a gradient g against a quotient d is ``|g - d| / max(|g|, |d|, noise / tolerance)``: differences
below the noise never count as wrong, so that gradients that are zero, or nearly, are judged fairly.

Source: for h and the error, W. H. Press et al., Numerical Recipes, 3rd edition (2007), section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import frexp, inf, isfinite
from sys import float_info
from typing import Any, NamedTuple

import numpy as np

STEPS = (2.0**-16, 2.0**-19, 2.0**-22)
"""The steps h that are tried, for an entry between -1 and 1; larger entries take them times their power of two."""

ROUNDING = 128
"""Rounding errors of f, in units of ``eps · magnitude``, that a quotient may hold."""

_MOST_DOUBT = 0.25  # of what is tolerated: a kink that is not seen then makes no right gradient wrong
_BEYOND_DOUBT = 4.0  # a kink explains 2.5 times the doubt
_SEEN = 0.1  # of the slope: doubts beyond are of worse than kinks, and in a noise beyond nothing is seen
_AGAIN = 0.75  # of h: other rounding errors, no larger by much


@dataclass(frozen=True)
class Entry:
    """One entry: its place, the gradient that is claimed, the quotient, and the relative error of the one."""

    index: tuple[int, ...]
    gradient: float
    difference: float
    error: float


@dataclass(frozen=True)
class Compared:
    """The entries of one array that were looked at.

    Attributes:
        entries: how many were compared.
        kinks: how many were left out.
        wrong: how many of those compared have an error above the tolerance.
        worst: that with the largest error; None when none was compared.
    """

    entries: int
    kinks: int
    wrong: int
    worst: Entry | None


def compare(
    f: Callable[[], float],
    array: np.ndarray,
    gradient: np.ndarray,
    places: Iterable[int],
    *,
    magnitude: float,
    tolerance: float,
    after: Callable[[], None] = lambda: None,
) -> Compared:
    """Hold a gradient against the difference quotients of a function.

    Args:
        f: what is differentiated: it reads ``array``, whose entries are changed one by one and put back.
        gradient: what is claimed, in the array's shape.
        places: the entries to look at, counted in row-major order; see `drawn_places`.
        magnitude: of the numbers whose sum f is; its rounding errors are measured by it.
        after: is called when an entry is done.
    """
    start, found, wrong, worst = f(), [0, 0], 0, None
    for place in places:
        index = tuple(map(int, np.unravel_index(place, array.shape)))
        entry = _entry(f, array, index, float(gradient[index]), start=start, magnitude=magnitude, tolerance=tolerance)
        found[entry is None] += 1
        if entry is not None:
            wrong += entry.error > tolerance
            worst = entry if worst is None or entry.error > worst.error else worst
        after()
    entries, kinks = found
    return Compared(entries, kinks, wrong, worst)


def drawn_places(size: int, count: int | None, generator: np.random.Generator) -> Sequence[int]:
    """So many different entries of an array of that size, ascending; all where there are no more, or for None."""
    if count is None or count >= size:
        return range(size)
    places: list[int] = np.sort(generator.choice(size, count, replace=False)).tolist()
    return places


def _steps(w: float) -> Iterator[float]:
    """The steps for an entry; at last one that is small beside a small entry, as functions like 1/w and log w need."""
    _, exponent = frexp(w)
    yield from (step * 2.0 ** max(0, exponent) for step in STEPS)
    if w != 0 and STEPS[0] * 2.0**exponent < STEPS[-1]:
        yield STEPS[0] * 2.0**exponent


def _quotient(values: Sequence[float], middle: float, h: float) -> tuple[float, float]:
    """D(h) and the doubt about it, from the function at w - h, w - h/2, w + h/2, w + h, and at w itself."""
    far_below, below, above, far_above = values
    difference = (far_above - far_below) / (2 * h)
    bend = far_above - 2 * middle + far_below
    near_bend = above - 2 * middle + below
    return difference, max(abs(difference - (above - below) / h), abs(bend - 4 * near_bend) / h)


class _Judged(NamedTuple):
    """An entry at one h: whether its quotient is trusted, and whether no kink explains the difference."""

    entry: Entry
    trusted: bool
    beyond: bool


def _entry(
    f: Callable[[], float],
    array: Any,
    index: tuple[int, ...],
    gradient: float,
    *,
    start: float,
    magnitude: float,
    tolerance: float,
) -> Entry | None:
    """One entry; None for a kink."""
    kept = array[index]

    def at(w: float) -> float:
        array[index] = w
        return f()

    def judged(h: float) -> _Judged:
        difference, doubt = _quotient([at(kept + d) for d in (-h, -h / 2, h / 2, h)], start, h)
        noise = ROUNDING * float_info.epsilon * magnitude / h
        off, largest = abs(gradient - difference), max(abs(gradient), abs(difference))
        if not isfinite(gradient):
            off, largest = inf, abs(difference)
        error = off / max(largest, noise / tolerance, float_info.min)
        known = isfinite(difference + doubt)  # not beside a pole, or where a logarithm ends
        known = known and (h >= STEPS[-1] or noise <= _SEEN * abs(difference))
        return _Judged(
            Entry(index, gradient, difference, error),
            trusted=known and doubt <= _MOST_DOUBT * max(tolerance * abs(difference), noise),
            beyond=known
            and doubt < _SEEN * abs(difference)
            and off > max(tolerance * largest, noise) + _BEYOND_DOUBT * doubt,
        )

    try:
        tried = []
        for h in _steps(float(kept)):
            entry, trusted, _ = found = judged(h)
            if trusted and entry.error > tolerance:
                again = judged(_AGAIN * h)
                trusted = again.trusted and again.entry.error > tolerance
            if trusted:
                return entry
            tried.append(found)
        return tried[0].entry if all(found.beyond for found in tried) else None
    finally:
        array[index] = kept

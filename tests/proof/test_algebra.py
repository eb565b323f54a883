"""The normal form: it finds equal what is, by each of its relations, and nothing else."""

from __future__ import annotations

from time import monotonic

import pytest
from sympy import Rational, diff, erf, exp, log, pi, sqrt, symbols, tanh

from tensorflow_lite_bp.proof.algebra import TooLarge, Tower

x, y, z, w = symbols("x y z w")
sigmoid = 1 / (1 + exp(-x))

EQUAL = [
    ((x + y) ** 3, x**3 + 3 * x**2 * y + 3 * x * y**2 + y**3),
    (1 / x + 1 / y, (x + y) / (x * y)),
    (1 / (1 + 1 / (1 + x)), (1 + x) / (2 + x)),
    (x / (x**2 + x * y), 1 / (x + y)),
    (sqrt(x + y) ** 2, x + y),
    (1 / sqrt(x + y), sqrt(x + y) / (x + y)),
    (sqrt((x + y) ** 2 + z) ** 3, (x**2 + 2 * x * y + y**2 + z) * sqrt(x * (x + 2 * y) + y**2 + z)),
    ((x + y) ** Rational(2, 3) * (x + y) ** Rational(1, 3), x + y),
    (exp(x + 2 * y), exp(x) * exp(y) ** 2),
    (exp(x - y) / (exp(x - y) + 1), exp(x) / (exp(x) + exp(y))),
    (exp(x / 2) * exp(x / 2), exp(x)),
    (exp(-(x**2) / 2 - log(2 * pi) / 2), exp(-(x**2) / 2) / sqrt(2 * pi)),
    (exp((x + y) * (x - y)), exp(x**2) / exp(y**2)),
    (sigmoid * (1 - sigmoid), diff(sigmoid, x)),
    (1 - tanh(x) ** 2, diff(tanh(x), x)),
    (2 / sqrt(pi) * exp(-(x**2)), diff(erf(x), x)),
    (log((x + y) ** 2), log(x**2 + 2 * x * y + y**2)),
]
DIFFERENT = [
    (x * y, x * z),
    (sqrt(x + y), sqrt(x) + sqrt(y)),
    (1 / (x + y), 1 / x + 1 / y),
    (exp(x * y), exp(x) * exp(y)),
    (tanh(x), x),
    (sigmoid, sigmoid + Rational(1, 10**30)),
    (exp(x), exp(y)),
    (erf(x), tanh(x)),
]


@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_equal(first, second) -> None:
    assert Tower().difference(first, second) == {}
    assert Tower().difference(first, second + w) != {}


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_different(first, second) -> None:
    assert Tower().difference(first, second) != {}


def test_one_tower_serves_many_comparisons() -> None:
    tower = Tower()
    assert [bool(tower.difference(*pair)) for pair in EQUAL + DIFFERENT] == [False] * len(EQUAL) + [True] * len(
        DIFFERENT
    )


def test_two_sides_over_one_denominator() -> None:
    first, second = Tower().pair(x / (1 + y), (x + Rational(1, 10**16)) / (1 + y))
    assert first != second
    assert {monomial: float(c) for monomial, c in first.items()}.items() <= {
        m: float(c) for m, c in second.items()
    }.items()


def test_it_stops_in_time() -> None:
    with pytest.raises(TooLarge):
        Tower(deadline=monotonic() - 1).difference((x + y + z + w) ** 30, 0)
    with pytest.raises(TooLarge):
        Tower().convert(x ** (10**9))

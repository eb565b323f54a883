"""Difference quotients: right and wrong gradients of functions whose derivatives are known, with kinks and without."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, inf, log, nan, sin, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorflow_lite_bp.proof.quotients import STEPS, Compared, compare, drawn_places

NEAR = [0.0, 2 / 7, 0.3, 1 / 3, 0.4, 0.5, 0.7, 0.99]
"""Distances of a kink in units of h: where one of the two signs of a kink vanishes, and between."""


def compared(f: Callable[[float], float], w: float, gradient: float, *, tolerance: float = 1e-5) -> Compared:
    W = np.array([w])
    found = compare(lambda: f(float(W[0])), W, np.array([gradient]), [0], magnitude=abs(f(w)), tolerance=tolerance)
    assert W[0] == w
    return found


@given(st.floats(-300, 300), st.floats(1e-4, 1e4))
def test_a_smooth_function(w: float, factor: float) -> None:
    def f(x: float) -> float:
        return factor * (sin(x) + 2)

    right = compared(f, w, factor * cos(w))
    assert (right.entries, right.wrong, right.kinks) == (1, 0, 0)
    assert right.worst is not None
    assert right.worst.error < 1e-5
    wrong = compared(f, w, factor * (cos(w) + 0.001))
    assert (wrong.entries, wrong.wrong) == (1, 1)


def test_the_error_is_relative() -> None:
    found = compared(exp, 1.0, 1.01 * exp(1.0))
    assert found.worst is not None
    assert found.worst.error == pytest.approx(0.01 / 1.01, rel=1e-6)
    assert found.worst.difference == pytest.approx(exp(1.0), rel=1e-9)
    assert compared(exp, 1.0, 1.01 * exp(1.0), tolerance=0.02).wrong == 0


@pytest.mark.parametrize("distance", [*NEAR, *(-s for s in NEAR)])
@pytest.mark.parametrize("jump", [2.0, -0.5, 1e-3, 1e-5])
def test_a_kink_makes_no_right_gradient_wrong(distance: float, jump: float) -> None:
    kink = 0.3 + distance * STEPS[0]

    def f(w: float) -> float:
        return 1 + sin(w) + jump * max(0.0, w - kink)

    slope = cos(0.3) + (jump if kink < 0.3 else 0.0)
    found = compared(f, 0.3, slope)
    assert found.wrong == 0
    assert found.kinks == (distance == 0)  # a smaller h leaves the others behind
    assert compared(f, 0.3, 10 * (1 + slope)).wrong == (distance != 0 or abs(jump) < 0.1)


@pytest.mark.parametrize("gradient", [-1.0, 0.0, 0.3, 1.0])
def test_at_the_kink_itself_any_slope_between_is_left_out(gradient: float) -> None:
    assert compared(lambda w: 1 + abs(w), 0.0, gradient).kinks == 1


def test_a_wrong_gradient_beside_a_kink_is_wrong() -> None:
    kinks = np.random.default_rng(0).uniform(-1e-7, 1e-7, 50)  # nearer than the smallest h
    found = compared(lambda w: 1 + w + 1e-4 * np.maximum(0, w - kinks).sum(), 0.0, 3.0)
    assert (found.entries, found.wrong, found.kinks) == (1, 1, 0)


@pytest.mark.parametrize("w", [0.5, 1e-3, 1e-9, 1e-15])
def test_a_logarithm_near_its_end(w: float) -> None:
    def f(x: float) -> float:
        return -log(max(x, 1e-300))

    found = compared(f, w, -1 / w)
    assert (found.entries, found.wrong) == (1, 0)
    assert compared(f, w, -1.01 / w).wrong == 1
    assert compared(f, 0.0, -1e300).kinks == 1


def test_a_jump_is_a_kink() -> None:
    assert compared(lambda w: 1.0 + (w > 0), 0.0, 0.0).kinks == 1


def test_rounding_alone_is_no_error() -> None:
    found = compared(lambda w: 1e6 + 1e-12 * w, 0.5, 0.0)
    assert (found.entries, found.wrong) == (1, 0)
    constant = compared(lambda w: 0.0, 0.5, 0.0)
    assert constant.worst is not None
    assert (constant.entries, constant.worst.error) == (1, 0.0)


@pytest.mark.parametrize("gradient", [nan, inf, -inf])
def test_a_gradient_that_is_not_finite_is_wrong(gradient: float) -> None:
    found = compared(lambda w: w * w + 1, 0.5, gradient)
    assert found.wrong == 1
    assert found.worst is not None
    assert found.worst.error == inf


def test_a_function_that_ends_beside_the_entry_is_not_compared() -> None:
    assert compared(lambda w: sqrt(w) if w >= 0 else nan, 0.0, inf).kinks == 1


def test_an_entry_is_put_back_after_an_interruption() -> None:
    W = np.array([[0.25, 2.0]])
    calls = 0

    def f() -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        compare(f, W, np.zeros((1, 2)), [1], magnitude=1.0, tolerance=1e-5)
    assert W.tolist() == [[0.25, 2.0]]


def test_drawn_places() -> None:
    generator = np.random.default_rng(0)
    assert drawn_places(4, 4, generator) == drawn_places(4, None, generator) == range(4)
    some = drawn_places(100, 30, generator)
    assert len(set(some)) == 30
    assert some == sorted(some)
    assert min(some) >= 0
    assert max(some) < 100


def test_a_single_number_and_the_worst_of_several() -> None:
    X = np.array(0.5)
    single = compare(lambda: float(X) ** 2, X, np.array(1.0), range(1), magnitude=1.0, tolerance=1e-5)
    assert single.worst is not None
    assert (single.entries, single.wrong, single.worst.index) == (1, 0, ())
    Y = np.arange(6.0).reshape(2, 3)
    wrong = np.array([[0.0, 2.2, 4.0], [6.0, 8.0, 5.0]])  # of y², but for 10 % and 50 %
    several = compare(lambda: float((Y * Y).sum()), Y, wrong, range(6), magnitude=55.0, tolerance=1e-5)
    assert several.worst is not None
    assert (several.entries, several.wrong, several.worst.index) == (6, 2, (1, 2))
    assert several.worst.error == pytest.approx(0.5)
    some = compare(lambda: float((Y * Y).sum()), Y, wrong, [0, 1, 3], magnitude=55.0, tolerance=1e-5)
    assert (some.entries, some.wrong) == (3, 1)

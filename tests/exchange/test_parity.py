"""What counts as the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tensorflow_lite_bp.exchange.parity import Difference, _disagreement


def scores(*values: float) -> np.ndarray:
    return np.array([values])


def test_the_largest_differences_over_finite_entries() -> None:
    found = np.array([1.5, 2.0, -3.0, 2e-6, np.inf, np.nan], np.float32)
    expected = np.array([1.0, 2.0, -4.0, 1e-6, np.inf, np.nan])
    difference = Difference.between("y", found, expected)
    assert difference.absolute == pytest.approx(1.0)  # of -3 and -4
    assert difference.relative == pytest.approx(0.5)  # of 1.5 and 1; 2e-6 and 1e-6 are too small to be a ratio


def test_no_entries_differ_by_nothing() -> None:
    assert Difference.between("y", np.empty((0, 3)), np.empty((0, 3))) == Difference("y", 0.0, 0.0)


@pytest.mark.parametrize(
    ("found", "expected", "problem"),
    [
        ([1.0009, 0.0], [1.0, 0.0], None),
        ([1.0, 9e-6], [1.0, 0.0], None),
        ([1.002, 0.0], [1.0, 0.0], "is off by up to 0.002 (relative 0.002)"),
        ([1.0, 2e-5], [1.0, 0.0], "is off by up to 2e-05 (relative 0)"),
        ([np.nan, np.inf], [np.nan, np.inf], None),
        ([np.nan, 1.0], [0.0, 1.0], "is not finite in the same places"),
        ([-np.inf, 1.0], [np.inf, 1.0], "is not finite in the same places"),
        ([1.0], [1.0, 1.0], "has the shape [1] instead of [2]"),
    ],
)
def test_what_is_wrong_with_numbers(found: list[float], expected: list[float], problem: str | None) -> None:
    assert _disagreement(np.array(found), np.array(expected), classes=False) == problem


@pytest.mark.parametrize(
    ("found", "expected", "problem"),
    [
        (scores(0.1, 0.9), scores(0.1, 0.9), None),
        (scores(0.50001, 0.5), scores(0.5, 0.50001), None),  # as good as a tie
        (scores(0.5002, 0.4998), scores(0.4999, 0.5001), "names another class"),
        (scores(np.nan, 0.5), scores(np.nan, 0.5), None),
    ],
)
def test_a_class_may_change_only_at_a_tie(found: np.ndarray, expected: np.ndarray, problem: str | None) -> None:
    assert _disagreement(found, expected, classes=True) == problem
    assert _disagreement(found, expected, classes=False) is None


def test_classes_are_along_the_first_axis_of_a_sample() -> None:
    """One class for each pixel: scores of (class, pixel)."""
    expected = np.array([[[0.9, 0.2], [0.1, 0.2001]]])
    found = np.array([[[0.9, 0.2002], [0.1, 0.2]]])
    assert _disagreement(found, expected, classes=True) == "names another class"
    assert _disagreement(expected, expected, classes=True) is None

"""Schedules against closed formulas and tables made by hand."""

from __future__ import annotations

from math import cos, pi

import pytest

import tensorflow_lite_bp.schedules  # noqa: F401  declares them all
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.schedules.constant import Constant
from tensorflow_lite_bp.schedules.cosine import Cosine
from tensorflow_lite_bp.schedules.exponential import Exponential
from tensorflow_lite_bp.schedules.one_cycle import OneCycle
from tensorflow_lite_bp.schedules.reduce_on_plateau import ReduceOnPlateau
from tensorflow_lite_bp.schedules.step import Step

EACH = [Constant(), Step(2), Exponential(0.5), Cosine(), OneCycle(), ReduceOnPlateau()]


def rates(schedule, epochs, at, history=()):
    return [schedule.rate(epoch, epochs, history) for epoch in at]


def test_every_schedule_stands_in_this_file():
    assert {type(schedule) for schedule in EACH} == set(registry["schedule"].values())


def test_constant():
    assert rates(Constant(), 10, [0.05, 3.2, 9.95]) == [1.0, 1.0, 1.0]


def test_step():
    at = [0.5, 2.999, 3.0, 5.5, 6.5, 9.5]
    assert rates(Step(3, decay=0.5), 10, at) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]


def test_exponential():
    assert rates(Exponential(0.25), 10, [0.5, 1.0, 2.5]) == pytest.approx([0.5, 0.25, 0.03125])


def test_cosine():
    assert rates(Cosine(), 12, [0.0, 3.0, 4.0, 6.0, 8.0, 12.0]) == pytest.approx(
        [1.0, 0.5 + 0.5 * cos(pi / 4), 0.75, 0.5, 0.25, 0.0], abs=1e-15
    )
    assert rates(Cosine(end=0.1), 12, [0.0, 6.0, 12.0]) == pytest.approx([1.0, 0.55, 0.1])


def test_one_cycle():
    schedule = OneCycle(rise=0.25, start=0.2, end=0.1)
    assert rates(schedule, 8, [0.0, 1.0, 2.0, 5.0, 8.0]) == pytest.approx([0.2, 0.6, 1.0, 0.55, 0.1])
    assert OneCycle().rate(10, 10, ()) == pytest.approx(4e-6)


@pytest.mark.parametrize(
    ("losses", "factor"),
    [
        ([], 1.0),
        ([5.0], 1.0),
        ([5.0, 4.0, 3.0], 1.0),
        ([3.0, 3.0], 1.0),
        ([3.0, 3.0, 3.0], 0.5),
        ([3.0, 4.0, 5.0], 0.5),
        ([3.0, 4.0, 2.0, 2.5], 1.0),
        ([3.0, 4.0, 4.0, 4.0], 0.5),
        ([3.0, 4.0, 4.0, 4.0, 4.0], 0.25),
        ([3.0, 4.0, 4.0, 2.0, 1.0], 0.5),
        ([3.0, 2.95, 2.91], 0.5),  # better, but by less than a tenth
        ([-3.0, -3.2, -3.25], 0.5),  # a metric to be raised comes negated
        ([-3.0, -3.4, -3.8], 1.0),
        ([3.0] + [4.0] * 8, 0.1),
    ],
)
def test_reduce_on_plateau(losses, factor):
    schedule = ReduceOnPlateau(patience=2, decay=0.5, threshold=0.1, end=0.1)
    assert schedule.rate(len(losses) + 0.5, 20, losses) == factor


@pytest.mark.parametrize("schedule", EACH, ids=lambda s: s.name)
def test_warmup_climbs_to_where_the_schedule_starts(schedule):
    warm = type(schedule)(**{**vars(schedule), "warmup": 4.0})
    history = (3.0, 2.0)
    start = schedule.rate(0.0, 6, history)
    assert rates(warm, 10, [0.5, 1.0, 3.0], history) == pytest.approx([start / 8, start / 4, 3 * start / 4])
    assert rates(warm, 10, [4.0, 7.0, 9.5], history) == rates(schedule, 6, [0.0, 3.0, 5.5], history)


@pytest.mark.parametrize("schedule", EACH, ids=lambda s: s.name)
@pytest.mark.parametrize("warmup", [0.0, 0.7, 2.0, 3.0, 5.0])
def test_every_step_of_any_training_has_a_rate_above_0(schedule, warmup):
    warm = type(schedule)(**{**vars(schedule), "warmup": warmup})
    for epochs in (1, 2, 3):
        middles = [(step + 0.5) / 10 for step in range(10 * epochs)]
        assert all(0 < rate <= 1 for rate in rates(warm, epochs, middles, [1.0] * 3))

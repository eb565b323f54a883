"""The ladder's networks: the shapes that were declared, and a text of ours that checks and has them too."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.ours import network_of
from benchmarks.ladder import CNN_28, CNN_32, LARGE, RESNET, ROWS, SMALL, WIDE, Row
from benchmarks.networks import BatchNorm, Conv, draw_weights, walked, weight_shapes
from benchmarks.work import Adam, Task

BY_NAME = {row.name: row for row in ROWS}


def test_the_dense_networks_have_the_declared_matrices() -> None:
    assert weight_shapes(SMALL) == [(32, 64), (32,), (10, 32), (10,)]
    assert weight_shapes(LARGE) == [(2048, 1024), (2048,), (2048, 2048), (2048,), (10, 2048), (10,)]
    assert weight_shapes(WIDE) == [(512, 4096), (512,), (1000, 512), (1000,)]


def test_the_images_are_halved_twice_before_the_dense_layers() -> None:
    assert weight_shapes(CNN_28)[:5] == [(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (128, 32 * 7 * 7)]
    assert weight_shapes(CNN_32)[:5] == [(32, 3, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 64 * 8 * 8)]


def test_the_residual_net_has_seven_convolutions_in_three_stages() -> None:
    convolutions = [step for step in walked(RESNET) if isinstance(step.layer, Conv)]
    assert [step.weights[0] for step in convolutions] == [
        (16, 3, 3, 3),
        (16, 16, 3, 3),
        (16, 16, 3, 3),
        (32, 16, 3, 3),
        (32, 32, 3, 3),
        (64, 32, 3, 3),
        (64, 64, 3, 3),
    ]
    assert [step.output[1:] for step in convolutions] == [(32, 32)] * 3 + [(16, 16)] * 2 + [(8, 8)] * 2
    assert sum(isinstance(step.layer, BatchNorm) for step in walked(RESNET)) == 7
    assert weight_shapes(RESNET)[-2:] == [(10, 64), (10,)]


def test_first_weights_are_the_same_each_time_and_of_the_usual_size() -> None:
    first, again = draw_weights(LARGE, seed=3), draw_weights(LARGE, seed=3)
    assert all(np.array_equal(a, b) and a.dtype == np.float32 for a, b in zip(first, again, strict=True))
    assert first[2].std() == pytest.approx((2 / 2048) ** 0.5, rel=0.01)


def test_batches_repeat_their_samples_and_not_their_labels() -> None:
    batches = Task(SMALL, 8, Adam()).batches()
    taken = [next(batches) for _ in range(33)]
    assert np.array_equal(taken[0][0], taken[16][0])
    assert not np.array_equal(taken[0][1], taken[16][1])
    assert not np.array_equal(taken[0][0], taken[1][0])


@pytest.mark.parametrize("row", [row for row in ROWS if row.quantity != "process"], ids=lambda row: row.name)
def test_our_text_has_the_declared_weights(row: Row) -> None:
    task = row.entrants[next(iter(row.entrants))].task
    assert task is not None
    weights = task.weights()
    network = network_of(task, weights)
    trained = {name: spec.shape for name, spec in network.weights.specs.items() if spec.trainable}
    assert list(trained.values()) == weight_shapes(task.network)
    assert all(np.array_equal(network.weights[name], w) for name, w in zip(trained, weights, strict=True))
    assert sum(map(prod, trained.values())) == sum(array.size for array in weights)


def test_every_row_names_contenders_that_there_are_and_targets_that_stand_for_one() -> None:
    assert len(BY_NAME) == len(ROWS)
    for row in ROWS:
        families = {CONTENDERS[entrant.contender].family for entrant in row.entrants.values()}
        for target in row.targets:
            assert {target.above, target.below} <= {"best", *families, *row.entrants}
            assert (target.at_least is None) != (target.at_most is None)

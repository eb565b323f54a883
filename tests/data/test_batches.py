"""Batches: every row once in an epoch, in an order that seed and epoch decide alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorflow_lite_bp.data import Data, batches
from tensorflow_lite_bp.errors import InputError


@pytest.fixture
def data(load: Callable[..., Data]) -> Data:
    csv = "a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(20))
    return load(
        """
        input x: float[1]
        target y: class(2)
        data { source = csv("t.csv")
               x = column("a")
               y = column("b")
               split = random(train = 0.75, test = 0.25, seed = 1) }
        """,
        csv=csv,
    )


def order(
    data: Data, *, seed: int = 0, epoch: int = 0, batch: int = 4, shuffle: bool = True, start: int = 0
) -> list[float]:
    found = batches(data, "train", batch=batch, seed=seed, epoch=epoch, shuffle=shuffle, start=start)
    return [float(value) for rows in found for value in rows["x"].ravel()]


def test_every_row_once_with_its_own_target(data: Data) -> None:
    found = list(batches(data, "train", batch=4, seed=0, epoch=0, shuffle=True))
    assert [len(rows["x"]) for rows in found] == [4, 4, 4, 3]
    assert sorted(order(data)) == data.splits["train"].tolist()
    for rows in found:
        np.testing.assert_array_equal(rows["x"].ravel() % 2, rows["y"])


def test_seed_and_epoch_decide(data: Data) -> None:
    assert order(data) == order(data)
    assert order(data) != order(data, epoch=1)
    assert order(data) != order(data, seed=1)
    assert order(data, batch=4) == order(data, batch=5)
    assert order(data) != sorted(order(data))


def test_without_shuffling_the_files_order(data: Data) -> None:
    assert order(data, shuffle=False, seed=3) == data.splits["train"].tolist()


def test_a_run_goes_on_in_the_middle_of_an_epoch(data: Data) -> None:
    assert order(data, epoch=3, start=2) == order(data, epoch=3)[8:]
    assert order(data, start=4) == []


def test_a_batch_is_a_copy(data: Data) -> None:
    rows = next(iter(batches(data, "test", batch=2, seed=0, epoch=0, shuffle=False)))
    rows["x"][:] = -1
    assert data.rows["x"].min() == 0


def test_a_split_that_is_not_there(data: Data) -> None:
    with pytest.raises(InputError) as caught:
        next(batches(data, "validation", batch=2, seed=0, epoch=0, shuffle=False))
    assert str(caught.value) == (
        "there is no `validation` split: the data section gives train and test; add `split = random(validation = "
        "0.1)`, or name a file for it in the source"
    )

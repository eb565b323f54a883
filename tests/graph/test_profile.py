"""The profile of a step: work and bytes counted by hand, nothing changed by measuring, and what cannot be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph import profile as module
from tensorflow_lite_bp.graph.profile import Profile, Row, profile, random_rows
from tensorflow_lite_bp.graph.threads import Division

TEXT = """
network measured
input x: float[5, T]
target t: float[2, T]
parameter M: float[4, 5]
h = (M @ x) -> tanh -> dense(3)
y = h -> relu -> dense(2)
loss mse(y, t)
loss 0.5 * mae(h -> dense(2), t)
output y
train { batch = 10 }
"""
SIZES = {"T": 6}
COLUMNS = 10 * 6


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "SECONDS_OF_PRODUCTS", 0.0)


def measured(network: Network, *, repetitions: int | None = 2) -> Profile:
    return profile(network, random_rows(network, SIZES), repetitions=repetitions)


def network(train: str = "", **options: object) -> Network:
    return Network.from_text(TEXT.replace("batch = 10", f"batch = 10 {train}"), **options)


def test_pieces_stand_in_the_order_of_computation() -> None:
    rows = measured(network()).rows
    forward = ["h.matmul", "h.tanh", "h.dense", "y.relu", "y.dense", "mae.dense"]
    assert [row.name for row in rows if (row.kind, row.direction) == ("layer", "forward")] == forward
    back = ["mae.dense", "y.dense", "y.relu", "h.dense", "h.tanh", "h.matmul"]
    assert [row.name for row in rows if (row.kind, row.direction) == ("layer", "back")] == back
    around = [row.kind for row in rows if row.direction is None]
    assert around == ["feed", "gather", "update", "else", "noise"]
    assert rows[0].kind == "feed"


def test_multiplications_are_those_of_the_products() -> None:
    """Back there are two products for each matrix, and one where what comes in depends on no weight."""
    found = {(row.name, row.direction): row.multiplications for row in measured(network()).rows if row.multiplications}
    assert found == {
        ("h.matmul", "forward"): COLUMNS * 4 * 5,
        ("h.dense", "forward"): COLUMNS * 3 * 4,
        ("y.dense", "forward"): COLUMNS * 2 * 3,
        ("mae.dense", "forward"): COLUMNS * 2 * 3,
        ("h.matmul", "back"): COLUMNS * 4 * 5,
        ("h.dense", "back"): COLUMNS * 2 * 3 * 4,
        ("y.dense", "back"): COLUMNS * 2 * 2 * 3,
        ("mae.dense", "back"): COLUMNS * 2 * 2 * 3,
    }


def test_an_addition_comes_with_each_multiplication() -> None:
    found = measured(network())
    assert found.gflops(Row("layer", "a", "forward", 0.5, 0, multiplications=10**9)) == pytest.approx(4.0)
    assert found.gflops(Row("layer", "a", "forward", 0.5, 0)) is None
    hidden = found.start_seconds / 2
    assert found.gflops(Row("layer", "a", "forward", hidden, 0, multiplications=10**9)) is None


@pytest.mark.parametrize(("precision", "size"), [("float32", 4), ("float64", 8)])
def test_bytes_are_those_of_the_arrays(precision: str, size: int) -> None:
    net = network(precision=precision)
    found = measured(net)
    octets = {(row.name, row.direction): row.bytes for row in found.rows}
    assert octets["h.matmul", "forward"] == size * COLUMNS * 4  # its result
    assert octets["h.matmul", "back"] == 0  # the gradient of M lies among those of the weights
    assert octets["h.dense", "back"] == size * COLUMNS * 4  # the gradient of what came in
    weights = size * (4 * 5 + (3 * 4 + 3) + 2 * (2 * 3 + 2))
    assert octets["feed the batch", None] == size * COLUMNS * (5 + 2) * (1 + net.backend.staged)
    assert octets["gather the gradients", None] == weights
    assert octets["update by adam", None] == 3 * weights
    assert found.total.bytes == sum(octets.values())
    assert 0 < found.plan_bytes <= sum(row.bytes for row in found.rows if row.direction is not None)


@pytest.mark.host
def test_bytes_of_all_shards_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow_lite_bp.graph.threads.COLUMNS", 0)
    one, two = (measured(network(threads=threads)) for threads in (1, 2))
    assert (one.division, two.division) == (Division(1, None), Division(2, 1))
    for alone, row in zip(one.rows, two.rows, strict=True):
        if row.kind in ("layer", "feed"):
            assert row.bytes == alone.bytes, row
        assert row.multiplications == alone.multiplications
    gathered = [row.bytes for found in (one, two) for row in found.rows if row.kind == "gather"]
    assert gathered[1] == 2 * gathered[0]  # each shard has gradients of its own


def test_the_pieces_add_up_to_the_step() -> None:
    found = measured(network(), repetitions=3)
    assert found.repetitions == 3
    assert sum(row.seconds for row in found.rows) == pytest.approx(found.seconds)
    assert all(row.seconds >= 0 for row in found.rows[:-2])
    assert found.parts_seconds > 0
    assert found.plan_seconds > 0
    assert found.matrix_gflops > 0


def test_a_median_is_taken_of_some_repetitions_at_least() -> None:
    assert measured(network(), repetitions=None).repetitions == module.FEWEST


@pytest.mark.parametrize("optimizer", sorted(registry["optimizer"]))
def test_measuring_leaves_the_weights(optimizer: str) -> None:
    net = network(f"optimizer = {optimizer}(0.1) clip_norm = 0.001")
    before = {name: np.array(value) for name, value in net.weights.items()}
    measured(net)
    for name, value in net.weights.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_a_step_has_its_update_when_batches_are_accumulated() -> None:
    net = network("accumulate = 4")
    found = measured(net)
    assert next(row for row in found.rows if row.kind == "update").seconds > 0
    assert net.trainer().accumulate == 4


def test_without_a_loss_there_is_no_step() -> None:
    net = Network.from_text("network a\ninput x: float[3]\noutput y = x -> dense(2)\n")
    with pytest.raises(InputError, match="`a` has no loss, so it has no training step: declare one, such as `loss mse"):
        measured(net)


def test_a_step_that_is_not_finite_is_not_measured() -> None:
    net = network()
    with pytest.raises(NumericalFailure, match=r"^`x` is not finite for the rows that the step was to be measured on$"):
        profile(net, {**random_rows(net, SIZES), "x": np.full((10, 5, 6), np.inf)})


def test_random_rows_fit_what_is_declared() -> None:
    text = """
    network kinds
    input x: float[2, 6]
    input word: token(7)[4]
    target kind: class(3)
    target yes: flag[2]
    loss cross_entropy(x -> flatten -> dense(3), kind)
    train { batch = 200 }
    """
    net = Network.from_text(text)
    rows = random_rows(net, {})
    assert {name: (array.shape, str(array.dtype)) for name, array in rows.items()} == {
        "x": ((200, 2, 6), "float32"),
        "word": ((200, 4), "int64"),
        "kind": ((200,), "int64"),
        "yes": ((200, 2), "float32"),
    }
    assert (set(rows["word"].ravel()), set(rows["kind"]), set(rows["yes"].ravel())) == (
        set(range(7)),
        set(range(3)),
        {0.0, 1.0},
    )
    assert 0 <= rows["x"].min() < 0.01
    assert 0.99 < rows["x"].max() < 1


def test_a_batch_that_no_machine_holds_is_refused_before_it_is_drawn() -> None:
    net = Network.from_text(TEXT, overrides=["train.batch=16777216"])
    with pytest.raises(MemoryError, match=r"`x` would have the shape \[16777216, 5, 999999999999\]"):
        random_rows(net, {"T": 999_999_999_999})


def test_a_mixed_step_is_measured_with_products_in_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = type(network().backend)
    dtypes, bind = set(), backend.bind

    def noted(self: Backend, function: Any, args: Any, kwargs: Any) -> Any:
        if args and getattr(args[0], "shape", None) == (module.SIDE, module.SIDE):
            dtypes.add(args[0].dtype.name)
        return bind(self, function, args, kwargs)

    monkeypatch.setattr(backend, "bind", noted)
    found, plain = measured(network(precision="mixed_bfloat16")), measured(network())
    assert dtypes == {"bfloat16", "float32"}
    assert [row.name for row in found.rows] == [row.name for row in plain.rows]

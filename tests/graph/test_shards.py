"""A batch cut into shards, one for each thread: the same numbers as with one thread, and the same bits every time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph.evaluation import Totals
from tensorflow_lite_bp.graph.layout import columns
from tensorflow_lite_bp.graph.plan import Plan

Finished = Callable[[Callable[[], Any]], Any]
Rows = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def shards_whatever_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few columns for heavy weights would be left to the matrix library's threads."""
    monkeypatch.setattr("tensorflow_lite_bp.graph.threads.COLUMNS", 0)


quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

EVERYTHING = """
network everything
input x: float[3]
input z: float[2, 4, 4]
target t: class(3)
target v: float[3]
parameter g: float[3] = ones
layer shared = dense(3) -> batch_norm -> tanh
a = x -> shared
b = (a * g) -> shared
i = z -> conv(3, kernel = 3, padding = "same") -> batch_norm -> relu -> max_pool(2) -> flatten
c = i -> dense(3) -> layer_norm
logits = a + b * c -> dense(3)
y = c -> rms_norm -> dense(3)
loss cross_entropy(logits, t)
loss 0.5 * mse(y, v)
loss 0.01 * squared_error(b, v, reduction = "sum")
metric accuracy(logits, t)
metric rmse(y, v)
metric f1(logits, t)
metric confusion(logits, t)
output p = softmax(logits)
output y
train { optimizer = sgd(0.05, momentum = 0.9) }
"""


def rows_of(m: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(m, 3)),
        "z": rng.normal(size=(m, 2, 4, 4)),
        "t": rng.integers(0, 3, m),
        "v": rng.normal(size=(m, 3)),
    }


def outcome(text: str, rows: Rows, threads: int, *, precision: str = "float64", steps: int = 3) -> dict[str, Any]:
    """All that a network computes of a batch, before and after some steps of training, by name."""
    network = Network.from_text(text, precision=precision, threads=threads, seed=5)
    m = len(next(iter(rows.values())))
    inputs = {variable.name: rows[variable.name] for variable in network.program.inputs}
    loss, gradients = network.gradients(rows, of_inputs=True)
    assert len(network.plan("train", network.accepted(rows), gradient_of=list(inputs)).shards) == min(threads, m)
    found: dict[str, Any] = {"loss": loss, **{f"d{name}": gradient for name, gradient in gradients.items()}}
    trainer = network.trainer()
    trainer.totals = Totals(network)
    found["losses"] = [trainer.step(rows) for _ in range(steps)]
    found |= {f"while training: {name}": value for name, value in trainer.totals.report().items()}
    found |= {f"after: {name}": np.array(value) for name, value in network.weights.items()}
    found |= {f"predicted: {name}": value for name, value in network.predict(inputs).items()}
    found |= {f"evaluated: {name}": value for name, value in network.evaluate([rows, rows]).items()}
    return found


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        size = max(1.0, float(np.abs(value).max(initial=0)))
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-12 * size, err_msg=name)


@pytest.mark.parametrize("m", [1, 2, 7, 64])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_any_number_of_threads_gives_the_numbers_of_one(m: int, threads: int) -> None:
    assert_close(outcome(EVERYTHING, rows_of(m), threads), outcome(EVERYTHING, rows_of(m), 1))


@quick
@given(data=st.data())
def test_that_holds_for_any_network(data: Any, networks: Any, batch: Any) -> None:
    text, rows = data.draw(networks()), batch(data.draw(st.integers(1, 9)))
    threads = data.draw(st.sampled_from([2, 3, 5]))
    assert_close(outcome(text, rows, threads), outcome(text, rows, 1))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_number_of_threads_gives_the_same_bits_every_time(threads: int, precision: str) -> None:
    text = EVERYTHING.replace("a + b * c -> dense(3)", "a + b * c -> dropout(0.4) -> dense(3)")
    first = outcome(text, rows_of(50), threads, precision=precision)
    for _ in range(3):
        again = outcome(text, rows_of(50), threads, precision=precision)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_dropout_draws_other_numbers_in_each_shard() -> None:
    text = """
    network drops
    input x: float[40]
    target t: float[40]
    parameter one: float[40] = ones
    y = x * one -> dropout(0.5)
    loss mse(y, t)
    output y
    """
    network = Network.from_text(text, threads=2)
    rows = network.accepted({"x": np.ones((6, 40)), "t": np.zeros((6, 40))})
    plan = network.plan("train", rows, tensors=[network.program.names["y"]])
    plan.feed(rows)
    plan.run()
    kept = plan.fetch(network.program.names["y"]) > 0
    assert not np.array_equal(kept[:3], kept[3:])
    assert 60 < kept.sum() < 180


def test_batch_norm_sees_the_whole_batch() -> None:
    text = """
    network norm
    input x: float[2]
    target t: float[2]
    y = x -> batch_norm(momentum = 1)
    loss mse(y, t)
    output y
    """
    x = np.random.default_rng(0).normal(size=(7, 2)) * [1, 5] + [100, -3]
    network = Network.from_text(text, precision="float64", threads=3)
    network.trainer().step({"x": x, "t": np.zeros((7, 2))})
    np.testing.assert_allclose(network.weights["y.batch_norm.running_mean"], x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(network.weights["y.batch_norm.running_variance"], x.var(axis=0, ddof=1), rtol=1e-12)


def test_columns_are_cut_as_equal_as_can_be() -> None:
    for m in range(1, 30):
        for shards in range(1, 9):
            parts = columns(m, shards)
            assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
            lengths = [part.stop - part.start for part in parts]
            assert (len(parts), sum(lengths)) == (min(m, shards), m)
            assert max(lengths) - min(lengths) <= 1
    assert columns(0, 4) == [slice(0, 0)]


# When something goes wrong


def planned(threads: int = 2, *, text: str = EVERYTHING, m: int = 9) -> tuple[Network, Plan]:
    network = Network.from_text(text, precision="float64", threads=threads, seed=5)
    rows = network.accepted(rows_of(m))
    plan = network.plan("train", rows)
    plan.feed(rows)
    return network, plan


def gradient_of(network: Network, plan: Plan) -> np.ndarray:
    plan.run()
    plan.gather()
    gradient: np.ndarray = network.arrays.gradients.flat.copy()
    return gradient


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("shard", [0, 1, 2])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_failure_in_one_shard_is_raised_and_the_next_run_is_right(
    finished: Finished, shard: int, kind: type[BaseException], place: float
) -> None:
    """The others wait for the failed one where batch_norm adds up over the batch: they are let go."""
    network, plan = planned(3)
    expected = finished(partial(gradient_of, network, plan))
    program = plan.shards[shard].program
    at = round(place * len(program))

    def fails() -> None:
        raise kind("in the middle")

    program.insert(at, fails)
    for _ in range(2):
        with pytest.raises(kind, match="in the middle"):
            finished(plan.run)
    del program[at]
    np.testing.assert_array_equal(finished(partial(gradient_of, network, plan)), expected)


def test_the_first_array_that_is_not_finite_is_found_in_any_shard(finished: Finished) -> None:
    text = """
    network overflow
    input x: float[3]
    target v: float[3]
    y = x -> dense(3) -> exp
    loss mse(y, v)
    output y
    """
    network = Network.from_text(text, precision="float64", threads=2, name="overflow.net")
    rows = network.accepted({"x": np.zeros((9, 3)), "v": np.zeros((9, 3))})
    rows["x"][8] = np.linalg.solve(network.weights["y.dense.weight"], np.full(3, 1000.0))  # in the last shard alone
    plan = network.plan("train", rows)
    plan.feed(rows)
    assert finished(plan.first_not_finite) == "the result of `y.exp` (overflow.net:5)"


def test_two_networks_in_two_threads_of_the_user_give_what_each_gives_alone(finished: Finished) -> None:
    def train(seed: int) -> list[float]:
        network = Network.from_text(EVERYTHING, threads=2, seed=seed)
        trainer, rows = network.trainer(), rows_of(40, seed)
        return [trainer.step(rows) for _ in range(10)]

    alone = [train(seed) for seed in range(3)]

    def at_once() -> list[list[float]]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(train, range(3)))

    assert finished(at_once) == alone


FORKS = f"""
import os, signal
import numpy as np
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph import threads
threads.COLUMNS = 0
TEXT = '''{EVERYTHING}'''
rng = np.random.default_rng(0)
rows = {{"x": rng.normal(size=(9, 3)), "z": rng.normal(size=(9, 2, 4, 4)), "t": rng.integers(0, 3, 9),
        "v": rng.normal(size=(9, 3))}}
network = Network.from_text(TEXT, threads=2)
trainer = network.trainer()
trainer.step(rows)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(5)  # a child that hangs is killed
    if KIND == "new":
        network = Network.from_text(TEXT, threads=2)
        trainer = network.trainer()
        trainer.step(rows)
    os.write(writing, repr(trainer.step(rows)).encode())
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with {{status}}"
assert float(os.read(reading, 100)) == trainer.step(rows)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
@pytest.mark.parametrize("kind", ["new", "its parent's"])
def test_a_forked_child_trains(kind: str) -> None:
    """With a network of its own, and with that which its parent used, whose threads it does not have."""
    code = f"KIND = {kind!r}\n{FORKS}"
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]

"""The passes over all weights after a step: the textbook's numbers, the same bits however cut, and no array made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.errors import NumericalFailure
from tensorflow_lite_bp.graph import update as module
from tensorflow_lite_bp.graph.update import Gathering, Update, cuts
from tensorflow_lite_bp.optimizers.adagrad import Adagrad
from tensorflow_lite_bp.optimizers.adam import Adam
from tensorflow_lite_bp.optimizers.adamw import AdamW
from tensorflow_lite_bp.optimizers.base import Optimizer
from tensorflow_lite_bp.optimizers.rmsprop import RMSprop
from tensorflow_lite_bp.optimizers.sgd import SGD

COUNT, STEPS = 1000, 6
RATES = [0.03 / (1 + step) for step in range(STEPS)]
rng = np.random.default_rng(1)
START = rng.normal(size=COUNT)
GRADIENTS = rng.normal(size=(STEPS, COUNT)) * 10.0 ** rng.integers(-3, 3, COUNT)


# The textbook, on whole arrays in float64. G is the gradient, t counts from 1.


def sgd(W: Any, G: Any, rate: float, t: int, s: dict[str, Any]) -> Any:
    s["v"] = 0.9 * s.get("v", 0.0) + (G + 0.1 * W)
    return W - rate * ((G + 0.1 * W) + 0.9 * s["v"])


def rmsprop(W: Any, G: Any, rate: float, t: int, s: dict[str, Any]) -> Any:
    s["s"] = 0.9 * s.get("s", 0.0) + 0.1 * G**2
    return W - rate * G / (np.sqrt(s["s"]) + 1e-8)


def adagrad(W: Any, G: Any, rate: float, t: int, s: dict[str, Any]) -> Any:
    s["s"] = s.get("s", 0.0) + G**2
    return W - rate * G / (np.sqrt(s["s"]) + 1e-10)


def adam(W: Any, G: Any, rate: float, t: int, s: dict[str, Any]) -> Any:
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * G
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * G**2
    return W - rate * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def adamw(W: Any, G: Any, rate: float, t: int, s: dict[str, Any]) -> Any:
    return adam(W - rate * 0.01 * W, G, rate, t, s)


CASES = [
    pytest.param(SGD(1.0, momentum=0.9, nesterov=True, weight_decay=0.1), sgd, id="sgd"),
    pytest.param(RMSprop(1.0), rmsprop, id="rmsprop"),
    pytest.param(Adagrad(1.0), adagrad, id="adagrad"),
    pytest.param(Adam(1.0), adam, id="adam"),
    pytest.param(AdamW(1.0), adamw, id="adamw"),
]
each_optimizer = pytest.mark.parametrize(("optimizer", "textbook"), CASES)


def backend(cache: int) -> NumpyBackend:
    made = NumpyBackend()
    made.cache = cache
    return made


def updated(
    optimizer: Optimizer, *, cache: int = 1 << 20, threads: int = 1, dtype: str = "float64"
) -> list[np.ndarray]:
    """The weights after each step."""
    W, dW = START.astype(dtype), np.empty(COUNT, dtype)
    slots = {name: np.zeros_like(W) for name in optimizer.used_slots()}
    update, found = Update(backend(cache), optimizer, W, dW, slots, threads=threads), []
    for step, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), start=1):
        dW[:] = gradient
        update.apply(rate=rate, step=step)
        found.append(W.copy())
    return found


@each_optimizer
def test_each_step_is_the_textbooks_with_its_own_rate_and_count(optimizer: Optimizer, textbook: Any) -> None:
    W, state = START, {}
    for step, found in enumerate(updated(optimizer, cache=999)):
        W = textbook(W, GRADIENTS[step], RATES[step], step + 1, state)
        np.testing.assert_allclose(found, W, rtol=1e-12, atol=1e-13, err_msg=f"step {step + 1}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cache", "threads"), [(1, 1), (777, 1), (5000, 1), (1 << 30, 1), (777, 2), (777, 3)])
@each_optimizer
def test_blocks_and_threads_change_no_bit(
    optimizer: Optimizer, textbook: Any, cache: int, *, threads: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTH_A_THREAD", 10)
    whole = updated(optimizer, dtype=dtype)
    cut = updated(optimizer, cache=cache, threads=threads, dtype=dtype)
    np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("size", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("cache", [None, 1, 100, 1 << 20])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_blocks_of_all_threads_are_the_whole_array_once(
    size: int, cache: int | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTH_A_THREAD", 10)
    xp = NumpyBackend()
    xp.cache = cache  # type: ignore[assignment]  # None is the base's
    parts = cuts(xp, np.zeros(size, np.float32), arrays=3, threads=threads)
    places = [place for part in parts for block in part for place in range(size)[block]]
    assert places == [*range(size)]
    assert len(parts) <= (threads if cache is not None else 1)
    if cache is not None:
        lengths = [block.stop - block.start for part in parts for block in part]
        assert all(1 <= length <= max(1, cache // 12) for length in lengths)


def test_a_thread_more_needs_weights_that_are_worth_it() -> None:
    for size, threads in ((module.WORTH_A_THREAD * 2 - 1, 1), (module.WORTH_A_THREAD * 2, 2)):
        assert len(cuts(NumpyBackend(), np.zeros(size, np.float32), arrays=3, threads=4)) == threads


# The gradient of a batch from those of its shards


def gathered(gradients: list[np.ndarray], *, cache: int = 1 << 20, threads: int = 1) -> float:
    xp = backend(cache)
    with xp.computing():
        return Gathering(xp, gradients, threads=threads).run()


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
@pytest.mark.parametrize(("cache", "threads"), [(1, 1), (999, 2), (1 << 20, 1)])
def test_the_first_gets_the_sum_and_its_square_is_returned(
    shards: int, cache: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTH_A_THREAD", 10)
    numbers = np.random.default_rng(shards).integers(-9, 9, (shards, 100)).astype(np.float32)
    gradients = [row.copy() for row in numbers]
    square = gathered(gradients, cache=cache, threads=threads)
    np.testing.assert_array_equal(gradients[0], numbers.sum(axis=0))
    np.testing.assert_array_equal(np.array(gradients)[1:], numbers[1:])
    assert square == (numbers.sum(axis=0).astype(float) ** 2).sum()


def test_shards_are_added_in_their_order() -> None:
    gradients = [row.copy() for row in np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32)]
    expected = ((gradients[0] + gradients[1]) + gradients[2]) + gradients[3]
    gathered(gradients)
    np.testing.assert_array_equal(gradients[0], expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shard", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 57, 99])
def test_what_is_not_finite_in_any_shard_is_seen_in_the_square(value: float, shard: int, place: int) -> None:
    gradients = [np.ones(100, np.float32) for _ in range(3)]
    gradients[shard][place] = value
    assert not np.isfinite(gathered(gradients, cache=100))


def test_infinities_that_meet_are_seen_too() -> None:
    gradients = [np.full(10, np.inf), np.full(10, -np.inf)]
    assert np.isnan(gathered(gradients))


# Through the trainer

LINE = """
network line
input x: float[2]
target t: float[1]
y = x -> dense(1)
loss mse(y, t, reduction = "sum")
output y
train {{ optimizer = sgd(1) {more} }}
"""


def trained(more: str, x: list[float], t: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias after one step from zero, whose gradient is -2 t (x, 1)."""
    network = Network.from_text(LINE.format(more=more))
    network.weights["y.dense.weight"] = np.zeros((1, 2))
    network.trainer().step({"x": np.array([x]), "t": np.array([[t]])})
    return network.weights["y.dense.weight"][0], network.weights["y.dense.bias"]


def test_a_finite_gradient_whose_square_overflows_is_no_failure() -> None:
    W, b = trained("", [1e24, 0.0], 1.0)
    np.testing.assert_allclose(W, [2e24, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b, [2.0])


def test_a_gradient_whose_square_overflows_is_clipped_to_the_norm() -> None:
    W, _ = trained("clip_norm = 5", [3e24, 4e24], 1.0)
    np.testing.assert_allclose(W, [3.0, 4.0], rtol=1e-6)


def test_a_gradient_that_is_not_finite_is_a_failure() -> None:
    with pytest.raises(NumericalFailure):
        trained("", [1e24, 0.0], 1e18)


UNREACHED = """
network unreached
input x: float[3]
target t: float[2]
h = x -> dense(4) -> tanh
y = h -> dense(2)
side = h -> dense(2)
loss mse(y, t)
output y
output side
train { optimizer = sgd(0.1, weight_decay = 0.5) }
"""


def test_a_weight_that_no_loss_reaches_has_no_gradient_whatever_the_optimizer_left_there() -> None:
    network = Network.from_text(UNREACHED, precision="float64")
    rows = {"x": rng.normal(size=(5, 3)), "t": rng.normal(size=(5, 2))}
    trainer, start = network.trainer(), np.array(network.weights["side.dense.weight"])
    for step in range(1, 5):
        trainer.step(rows)
        np.testing.assert_allclose(network.weights["side.dense.weight"], start * (1 - 0.1 * 0.5) ** step, rtol=1e-12)
    assert not network.gradients(rows)[1]["side.dense.weight"].any()


def peak_of(step: Callable[[], Any]) -> int:
    """The most bytes that a step needs beyond those before it."""
    for _ in range(2):
        step()
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


STEADY = """
network steady
input x: float[3]
input z: float[1, 4, 4]
target t: class(3)
target v: float[3]
parameter g: float[3] = ones
i = z -> conv(2, kernel = 3, padding = "same") -> batch_norm -> relu -> max_pool(2) -> flatten -> dense(3)
a = x -> dense(3) -> layer_norm -> tanh
b = a * g + i -> dropout(0.5)
logits = b -> dense(3)
y = b -> rms_norm -> dense(3) -> sigmoid
loss cross_entropy(logits, t)
loss mse(y, v)
output y
train {{ optimizer = adam(0.01)  clip_norm = 1  {more} }}
"""


@pytest.mark.host
@pytest.mark.parametrize("more", ["", "clip_value = 0.1", "accumulate = 2"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_steady_step_makes_no_array(threads: int, more: str) -> None:
    network, m = Network.from_text(STEADY.format(more=more), threads=threads), 1 << 17
    rows = {
        "x": rng.normal(size=(m, 3)).astype(np.float32),
        "z": rng.normal(size=(m, 1, 4, 4)).astype(np.float32),
        "t": rng.integers(0, 3, m),
        "v": rng.normal(size=(m, 3)).astype(np.float32),
    }
    trainer = network.trainer()
    smallest = m // threads * 4  # one number for each column of a shard
    assert len(network.plan("train", network.accepted(rows)).shards) == threads
    assert peak_of(lambda: trainer.step(rows)) < smallest


def test_a_steady_update_of_many_weights_makes_no_array() -> None:
    size = 3 * module.WORTH_A_THREAD
    for threads in (1, 2):
        W, dW, M, V = (np.ones(size, np.float32) for _ in range(4))
        update = Update(NumpyBackend(), Adam(0.1), W, dW, {"mean": M, "square": V}, threads=threads)
        gathering = Gathering(NumpyBackend(), [dW, V], threads=threads)
        assert peak_of(lambda u=update, g=gathering: (g.run(), u.apply(rate=sqrt(0.1), step=1))) < 20_000

"""The plan: gradients of whole networks against finite differences, sums over several uses, replay, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tensorflow_lite_bp import Network

BRANCHES = """
network branches
input x: float[4]
input z: float[2, 3]
target t: class(3)
target v: float[2]
parameter g: float[4] = ones
parameter M: float[4, 4]
layer shared = dense(4) -> tanh
a = x -> shared
b = (a * g) -> shared
c = (M @ b) * b + a
d = c * c - x
e = z -> dense(2) -> flatten -> dense(4)
f = d + e
logits = f -> tanh -> dense(3)
w = f -> dense(2) -> sigmoid
loss cross_entropy(logits, t)
loss 0.3 * mse(w, v)
loss 0.01 * squared_error(w, v, reduction = "sum")
output p = softmax(logits)
metric accuracy(logits, t)
"""


def batch(m: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "x": generator.normal(size=(m, 4)),
        "z": generator.normal(size=(m, 2, 3)),
        "t": generator.integers(0, 3, m),
        "v": generator.normal(size=(m, 2)),
    }


def central_difference(network: Network, name: str, rows: dict[str, np.ndarray], step: float = 1e-6) -> np.ndarray:
    start = np.array(network.weights[name])
    found = np.zeros_like(start)
    for place in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            network.weights[name] = moved
            ends.append(network.gradients(rows)[0])
        found[place] = (ends[0] - ends[1]) / (2 * step)
    network.weights[name] = start
    return found


def test_every_weight_of_a_branching_network_has_the_gradient_of_finite_differences() -> None:
    network = Network.from_text(BRANCHES, precision="float64", seed=3)
    rows = batch(5)
    _, gradients = network.gradients(rows)
    assert set(gradients) == set(network.weights)
    for name, gradient in gradients.items():
        expected = central_difference(network, name, rows)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8, err_msg=name)


def test_gradients_of_inputs_are_finite_differences() -> None:
    network = Network.from_text(BRANCHES, precision="float64", seed=3)
    rows = batch(3)
    _, gradients = network.gradients(rows, of_inputs=True)
    for name in ("x", "z"):
        expected = np.zeros_like(rows[name])
        for place in np.ndindex(rows[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {**rows, name: rows[name].copy()}
                moved[name][place] += sign * 1e-6
                ends.append(network.gradients(moved)[0])
            expected[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-6, atol=1e-8, err_msg=name)


def test_a_plan_gives_the_same_for_the_same_batch_whatever_it_computed_before() -> None:
    network = Network.from_text(BRANCHES, precision="float64")
    first = network.gradients(batch(5, seed=1))
    network.gradients(batch(5, seed=2))
    network.predict({name: batch(5, seed=9)[name] for name in ("x", "z")})
    again = network.gradients(batch(5, seed=1))
    assert first[0] == again[0]
    for name, gradient in first[1].items():
        np.testing.assert_array_equal(gradient, again[1][name], err_msg=name)


def test_what_is_fed_is_not_changed() -> None:
    network = Network.from_text(BRANCHES, precision="float64")
    rows = batch(4)
    before = {name: value.copy() for name, value in rows.items()}
    network.gradients(rows)
    for name, value in rows.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.host
def test_a_steady_step_allocates_no_array() -> None:
    network = Network.from_text(BRANCHES)
    rows = network.accepted(batch(1 << 16))
    plan = network.plan("train", rows)
    plan.feed(rows)
    plan.run()
    tracemalloc.start()
    try:
        plan.run(1)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        plan.run(2)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # NumPy's iterator may buffer 8,192 numbers of each operand while it broadcasts, whatever the size of the arrays
    assert peak < 3 * 8192 * 4 < 4 << 16, f"{peak} bytes: the smallest array of this batch has {4 << 16}"


@pytest.mark.parametrize("m", [1, 2, 7])
def test_batches_of_any_size_agree_with_single_samples(m: int) -> None:
    network = Network.from_text(BRANCHES, precision="float64")
    rows = {name: batch(m)[name] for name in ("x", "z")}
    together = network.predict(rows)["p"]
    alone = [network.predict({name: value[i : i + 1] for name, value in rows.items()})["p"][0] for i in range(m)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_the_first_array_that_is_not_finite_is_named() -> None:
    text = """
    network overflow
    input x: float[2]
    target t: float[2]
    h = x -> dense(2)
    y = h -> exp
    loss mse(y, t)
    output y
    """
    network = Network.from_text(text, name="overflow.net")
    rows = network.accepted({"x": np.full((3, 2), 1e30), "t": np.zeros((3, 2))})
    plan = network.plan("train", rows)
    plan.feed(rows)
    plan.run()
    network.weights["h.dense.weight"] = np.eye(2)
    assert plan.first_not_finite() == "the result of `y.exp` (overflow.net:6)"
    network.weights["h.dense.weight"] = np.full((2, 2), np.nan)
    assert plan.first_not_finite() == "`h.dense.weight`"


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.host)])
def test_parts_one_by_one_compute_what_the_plan_does_in_one_go(threads: int) -> None:
    network = Network.from_text(BRANCHES, precision="float64", threads=threads)
    rows = network.accepted(batch(700))
    plan = network.plan("train", rows)
    assert len(plan.shards) == threads
    plan.feed(rows)
    found, to_host = [], network.backend.to_host
    for compute in (plan.run, lambda: [plan.compute(programs) for _, programs in plan.by_parts()]):
        network.arrays.gradients.flat.fill(np.nan)
        compute()
        plan.gather()
        found.append({name: np.array(to_host(view)) for name, view in network.arrays.gradients.views.items()})
    for name, gradient in found[0].items():
        np.testing.assert_array_equal(found[1][name], gradient, err_msg=name)

"""One update: the textbook formula, clipping, accumulation, exact restoring, and nothing changed when it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.errors import InputError, NumericalFailure


def network(
    train: str = "optimizer = sgd(0.1)", *, body: str = "x -> dense(4) -> tanh -> dense(2)", loss: str = "mse(y, t)"
) -> Network:
    text = f"""
    network small
    input x: float[3]
    target t: float[2]
    y = {body}
    loss {loss}
    output y
    train {{ {train} }}
    """
    return Network.from_text(text, precision="float64", name="small.net")


def batch(m: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {"x": generator.normal(size=(m, 3)), "t": generator.normal(size=(m, 2))}


def copy(net: Network) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in net.weights.items()}


def test_sgd_moves_every_weight_against_its_gradient() -> None:
    net = network()
    before, (loss, gradients) = copy(net), net.gradients(batch())
    assert net.trainer().step(batch()) == loss
    for name, value in net.weights.items():
        np.testing.assert_allclose(value, before[name] - 0.1 * gradients[name], rtol=1e-14)


def test_the_rate_of_a_step_stands_in_for_the_optimizers() -> None:
    net = network()
    before, (_, gradients) = copy(net), net.gradients(batch())
    net.trainer().step(batch(), rate=0.25)
    for name, value in net.weights.items():
        np.testing.assert_allclose(value, before[name] - 0.25 * gradients[name], rtol=1e-14)


@pytest.mark.parametrize("loss", ["mse(y, t)", 'squared_error(y, t, reduction = "sum")'])
def test_accumulated_unequal_batches_are_one_large_batch(loss: str) -> None:
    rows = batch(10)
    large, small = network(loss=loss), network("optimizer = sgd(0.1)  accumulate = 2", loss=loss)
    large.trainer().step(rows)
    trainer = small.trainer()
    untouched = copy(small)
    trainer.step({name: value[:7] for name, value in rows.items()})
    assert all(np.array_equal(untouched[name], small.weights[name]) for name in untouched)
    trainer.step({name: value[7:] for name, value in rows.items()})
    assert (trainer.steps, trainer.updates) == (2, 1)
    for name in large.weights:
        np.testing.assert_allclose(small.weights[name], large.weights[name], rtol=1e-12)


def test_flush_updates_with_what_was_collected_and_only_once() -> None:
    net, plain = network("optimizer = sgd(0.1)  accumulate = 4"), network()
    trainer = net.trainer()
    trainer.step(batch())
    trainer.flush()
    trainer.flush()
    plain.trainer().step(batch())
    assert trainer.updates == 1
    for name in net.weights:
        np.testing.assert_allclose(net.weights[name], plain.weights[name], rtol=1e-12)


def test_after_a_flush_the_next_update_takes_a_whole_set_of_batches() -> None:
    trainer = network("optimizer = sgd(0.1)  accumulate = 4").trainer()
    for _ in range(6):
        trainer.step(batch())
    trainer.flush()
    for _ in range(3):
        trainer.step(batch())
    assert trainer.updates == 2
    trainer.step(batch())
    assert trainer.updates == 3


def test_sums_and_means_cannot_be_accumulated_together() -> None:
    net = network("accumulate = 4", loss='mse(y, t)\n    loss mae(y, t, reduction = "sum")')
    with pytest.raises(InputError) as error:
        net.trainer()
    assert str(error.value) == (
        '`accumulate = 4` needs losses of one reduction, and `small` has "mean" and "sum": give them the same'
    )


def test_the_whole_gradient_is_clipped_to_its_norm() -> None:
    net = network("optimizer = sgd(1)  clip_norm = 0.01")
    before, (_, gradients) = copy(net), net.gradients(batch())
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    assert norm > 0.01
    net.trainer().step(batch())
    for name, value in net.weights.items():
        np.testing.assert_allclose(before[name] - value, gradients[name] * 0.01 / norm, rtol=1e-6)


def test_a_small_gradient_is_not_clipped() -> None:
    net, plain = network("optimizer = sgd(1)  clip_norm = 1000"), network("optimizer = sgd(1)")
    net.trainer().step(batch())
    plain.trainer().step(batch())
    for name in net.weights:
        np.testing.assert_allclose(net.weights[name], plain.weights[name], rtol=1e-12)


def test_each_entry_is_clipped_to_its_value() -> None:
    net = network("optimizer = sgd(1)  clip_value = 0.001")
    before, (_, gradients) = copy(net), net.gradients(batch())
    net.trainer().step(batch())
    for name, value in net.weights.items():
        np.testing.assert_allclose(before[name] - value, np.clip(gradients[name], -0.001, 0.001), rtol=1e-9)


@pytest.mark.parametrize(
    "train",
    [
        "optimizer = adam(0.01)",
        "optimizer = sgd(0.1, momentum = 0.9)",
        "optimizer = rmsprop(0.01)  accumulate = 3",
    ],
)
def test_a_restored_trainer_goes_on_bit_for_bit(train: str) -> None:
    body = "x -> dense(4) -> tanh -> dropout(0.5) -> dense(2)"
    whole, part = network(train, body=body), network(train, body=body)
    trainer, first = whole.trainer(), part.trainer()
    for step in range(5):
        trainer.step(batch(seed=step))
        first.step(batch(seed=step))
    resumed = network(train, body=body)
    for name, value in part.weights.items():
        resumed.weights[name] = value
    second = resumed.trainer()
    second.restore(first.state())
    for step in range(5, 9):
        assert trainer.step(batch(seed=step)) == second.step(batch(seed=step))
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(value, resumed.weights[name])


def test_the_state_of_another_optimizer_is_refused() -> None:
    state = network("optimizer = adam(0.01)").trainer().state()
    with pytest.raises(InputError, match="is not that of this network with sgd"):
        network().trainer().restore(state)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ({"x": np.full((2, 3), np.nan), "t": np.zeros((2, 2))}, "`x`"),
        ({"x": np.full((2, 3), 1e200), "t": np.zeros((2, 2))}, "the value of the loss `mse` (small.net:6)"),
    ],
)
def test_a_loss_that_is_not_finite_stops_before_the_update(rows: dict[str, Any], place: str) -> None:
    net = network(body="x -> dense(2)")
    before = copy(net)
    with pytest.raises(NumericalFailure) as failure:
        net.trainer().step(rows)
    assert str(failure.value).startswith(f"step 1: {place} is not finite (the loss is ")
    for name, value in net.weights.items():
        np.testing.assert_array_equal(value, before[name])


def test_a_gradient_that_is_not_finite_stops_before_the_update() -> None:
    net = network(body="(x -> dense(2)) * 0 -> sqrt")
    before = copy(net)
    with pytest.raises(NumericalFailure, match=r"the gradient dX of `y\.sqrt` is not finite"):
        net.trainer().step(batch())
    for name, value in net.weights.items():
        np.testing.assert_array_equal(value, before[name])

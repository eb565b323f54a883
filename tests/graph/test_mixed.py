"""Mixed precision: what is computed in 16 bits, with which numbers, and what the scale of the loss does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp import Network, precision
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph.half import Half
from tensorflow_lite_bp.graph.mixed import LossScale
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.trainer import Trainer
from tensorflow_lite_bp.precision import PRECISIONS, Precision

HALVES = ("mixed", "mixed_bfloat16")


def network(body: str, *, loss: str = "mse(y, t)", train: str = "optimizer = sgd(0.1)", **options: Any) -> Network:
    text = f"""
    network small
    input x: float[4]
    target t: float[3]
    parameter g: float[3] = ones
    parameter h: float[3] = ones
    layer shared = dense(3)
    {body}
    loss {loss}
    output y
    train {{ {train} }}
    """
    return Network.from_text(text, name="small.net", **{"precision": "mixed", **options})


def batch(m: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {"x": generator.normal(size=(m, 4)), "t": generator.normal(size=(m, 3))}


def copy(net: Network) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in net.weights.items()}


def gradient_of(net: Network, weight: str) -> np.ndarray:
    """What the last step left."""
    return np.array(net.backend.to_host(net.arrays.gradients.views[weight]))


def halves(net: Network) -> set[str]:
    assert net.mixed is not None
    return set(net.mixed.half.names)


# What is computed in half precision


def test_products_and_what_follows_them_exactly_are_in_half_precision() -> None:
    net = network("a = x -> dense(3) -> relu\n b = a -> dense(3) -> tanh -> dense(3)\n y = a + b")
    assert halves(net) == {
        "a.dense", "a.relu", "a.dense.weight", "a.dense.bias",
        "b.dense", "b.dense.weight", "b.dense.bias", "b.dense_2", "b.dense_2.weight", "b.dense_2.bias",
        "y.add", "g", "h",
    }  # fmt: skip


def test_what_adds_up_or_needs_the_range_is_not_and_neither_is_what_follows_it() -> None:
    net = network("a = x -> dense(3) -> layer_norm -> relu\n y = a * g + (x -> dense(3)) * h")
    assert halves(net) == {"a.dense", "a.dense.weight", "a.dense.bias", "y.dense", "y.dense.weight", "y.dense.bias",
                           "y.multiply_2", "h"}  # fmt: skip
    assert "g" not in halves(net)  # it is multiplied by what is in float32


def test_what_is_fed_is_in_float32_and_so_is_what_follows_it_exactly_unless_nobody_needs_that() -> None:
    chain = "x -> reshape([2, 2]) -> flatten -> relu"
    weights = {"y.dense", "y.dense.weight", "y.dense.bias", "g", "h"}
    assert halves(network(f"y = {chain} -> tanh -> dense(3)")) == weights
    assert halves(network(f"y = {chain} -> dense(3)")) == weights | {"y.reshape", "y.flatten", "y.relu"}
    (shard,) = mixed_plan(network(f"y = {chain} -> dense(3)"), batch()).shards
    assert {array.dtype.name for array in shard.fed.values()} == {"float32"}


def test_what_is_hardly_rounded_follows_those_that_read_it() -> None:
    body = "a = x -> dense(3) -> layer_norm -> relu\n y = a -> dense(3)"
    assert "a.relu" in halves(network(body))
    assert "a.relu" not in halves(network(f"{body}\n loss mse(a, t)"))
    assert "a.relu" not in halves(network(f"{body}\n metric rmse(a, t)"))
    assert "a.relu" in halves(network(f"{body}\n output s = softmax(a)"))  # which no training step computes
    assert "y.add" not in halves(network("a = x -> dense(3) -> layer_norm\n y = (a + a) -> dense(3)"))


def test_other_precisions_have_none() -> None:
    for name in ("float32", "float64"):
        net = network("y = x -> dense(3)", precision=name)
        assert net.mixed is None
        rows = net.accepted(batch())
        assert net.plan("train", rows, mixed=True) is net.plan("train", rows)
        assert Half.of(net.graph, name) is None


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        network("y = x -> dense(3)", precision="float16")
    assert str(caught.value) == (
        "precision `float16` is unknown: expected float32 or float64 or mixed or mixed_bfloat16"
    )


# Which numbers


@pytest.mark.parametrize("name", HALVES)
def test_a_step_computes_with_rounded_factors_and_rounds_each_result_once(name: str) -> None:
    """By hand: every product in float64 of rounded factors, and rounded."""
    net, rows = network("y = x -> dense(5, bias = false) -> relu -> dense(3)", precision=name), batch()
    half = real(PRECISIONS[name].half or "")

    def rounded(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32).astype(half).astype(np.float64)

    names = ("y.dense.weight", "y.dense_2.weight", "y.dense_2.bias")
    W1, W2, b = (np.array(net.weights[weight], np.float64) for weight in names)
    x, t = rounded(rows["x"].T), rows["t"].T
    h = np.maximum(rounded(rounded(W1) @ x), 0)
    y = rounded(rounded(rounded(W2) @ h) + rounded(b)[:, None])
    trainer = net.trainer()
    scale = trainer.scale.value
    assert scale == (65536 if name == "mixed" else 1)
    dy = rounded(scale * 2 * (y - t) / y.size)
    dh = rounded(rounded(W2).T @ dy) * (h > 0)
    expected = dict(zip(names, (dh @ x.T, dy @ h.T, dy.sum(axis=1)), strict=True))
    plan = trainer.feed(rows)
    plan.run()
    assert plan.loss() == pytest.approx(((y - t) ** 2).mean(), rel=1e-6)
    one = float(np.finfo(np.float16).eps) if name == "mixed" else 2.0**-7
    for weight, gradient in expected.items():
        found = gradient_of(net, weight)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, gradient / scale, rtol=one, err_msg=weight)


@pytest.fixture
def finer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A precision that is mixed of float64 and float32, so that what is mixed can be compared closely."""
    monkeypatch.setitem(precision.PRECISIONS, "finer", Precision("float64", half="float32"))


def mixed_plan(net: Network, rows: dict[str, np.ndarray], *, scale: float = 1.0) -> Plan:
    assert net.mixed is not None
    program = net.program
    names = [name for item in program.metrics for name in item.inputs] + [item.tensor for item in program.outputs]
    accepted = net.accepted(rows)
    plan = net.plan("train", accepted, mixed=True, tensors=[name for name in names if name in net.graph.nodes])
    plan.feed(accepted)
    net.mixed.use_scale(scale)
    return plan


drawn = settings(
    max_examples=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.mark.usefixtures("finer")
@drawn
@given(data=st.data())
def test_networks_of_any_form_have_the_gradients_of_the_finer_precision(data: Any, networks: Any, batch: Any) -> None:
    text, rows = data.draw(networks()), batch(4)
    plain, mixed = (Network.from_text(text, precision=name) for name in ("float64", "finer"))
    plan = mixed_plan(mixed, rows, scale=2.0**10)
    plan.run()
    expected, gradients = plain.gradients(rows)
    assert plan.loss() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    size = max(np.abs(gradient).max(initial=0.0) for gradient in gradients.values())
    for name, gradient in gradients.items():
        found = gradient_of(mixed, name)
        np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=1e-4 * max(size, 1e-2), err_msg=name)
    for name, loss in mixed.evaluate([rows]).items():  # which is not mixed
        assert loss == plain.evaluate([rows])[name]


@pytest.mark.parametrize("name", HALVES)
@drawn
@given(data=st.data())
def test_no_result_depends_on_what_the_memory_held_before(data: Any, name: str, networks: Any, batch: Any) -> None:
    net = Network.from_text(data.draw(networks(dropout=True)), precision=name)
    plan = mixed_plan(net, batch(4), scale=8.0)
    assert net.mixed is not None

    def found() -> list[bytes]:
        tensors = [shard.arrays[tensor] for shard in plan.shards for tensor in shard.arrays if tensor in asked]
        return [array.tobytes() for array in (plan.losses(), net.arrays.gradients.flat, *tensors)]

    asked = {item.tensor for item in net.program.outputs}
    plan.run(3)
    expected = found()
    (shard,) = plan.shards
    shard.memory.fill(0xFF)
    for array in (net.arrays.gradients.flat, net.mixed.gradients.flat):
        array.fill(0)
    plan.run(3)
    assert found() == expected


@pytest.mark.parametrize("body", ["y = x -> reshape([2, 2]) -> layer_norm -> flatten", "y = x"])
def test_a_network_without_products_is_one_of_float32(body: str) -> None:
    text = f"network n\ninput x: float[4]\ntarget t: float[4]\n{body}\nloss mse(y, t)\noutput y\n"
    mixed, plain = (Network.from_text(text, precision=name) for name in ("mixed", "float32"))
    rows = {"x": batch()["x"], "t": batch(seed=1)["x"]}
    for network in (mixed, plain):
        network.trainer().step(rows)
    for name, value in plain.weights.items():
        assert value.tobytes() == mixed.weights[name].tobytes()


def test_what_was_asked_for_is_there_in_float32_at_the_end() -> None:
    net = network("z = x -> dense(3)\n y = z -> dense(3) -> dense(3) -> dense(3)\n metric rmse(z, t)")
    plan = mixed_plan(net, batch())
    plan.run()
    found = plan.fetch(net.program.names["z"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, net.tensors({"x": batch()["x"]}, ["z"])["z"], rtol=0.01, atol=0.01)


@pytest.mark.usefixtures("finer")
@drawn
@given(data=st.data())
def test_a_layer_sees_one_precision(data: Any, networks: Any, batch: Any) -> None:
    """Which is why the code of a layer knows nothing of mixed precision."""
    each_sees_one(mixed_plan(Network.from_text(data.draw(networks()), precision="finer"), batch(4)))


def test_a_weight_that_is_read_in_both_precisions_has_a_copy_and_two_gradients() -> None:
    body = "a = (x -> dense(3)) + g\n y = (a -> tanh) * g"
    net = network(body)
    plan = mixed_plan(net, batch())
    each_sees_one(plan)
    plan.run()
    _, expected = network(body, precision="float32").gradients(batch())
    np.testing.assert_allclose(gradient_of(net, "g"), expected["g"], rtol=0.01)


def each_sees_one(plan: Plan) -> None:
    (shard,) = plan.shards
    for step, space in shard._spaces.items():
        given = {role: array.dtype.name for role, array in vars(space).items() if hasattr(array, "strides")}
        assert set(given.values()) <= {shard.layout.computes(step), "int64", "bool"}, (step.name, given)


def test_predictions_evaluation_and_gradients_are_those_of_float32() -> None:
    body = "y = x -> dense(8) -> relu -> dense(3)"
    mixed, plain = network(body), network(body, precision="float32")
    assert mixed.predict({"x": batch()["x"]})["y"].tobytes() == plain.predict({"x": batch()["x"]})["y"].tobytes()
    assert mixed.evaluate([batch()]) == plain.evaluate([batch()])
    ours, theirs = mixed.gradients(batch()), plain.gradients(batch())
    assert ours[0] == theirs[0]
    assert all(np.array_equal(ours[1][name], theirs[1][name]) for name in theirs[1])


def test_dropout_leaves_out_what_it_does_in_float32() -> None:
    left_out = []
    for name in ("float32", *HALVES):
        net = network("y = x -> dense(3, bias = false) -> dropout(0.4)", precision=name, seed=3)
        plan = mixed_plan(net, batch(200)) if net.mixed is not None else net.plan("train", net.accepted(batch(200)))
        plan.feed(net.accepted(batch(200)))
        plan.run()
        left_out.append(plan.fetch(net.program.names["y"]) == 0)
    assert left_out[0].mean() == pytest.approx(0.4, abs=0.05)
    assert np.array_equal(left_out[0], left_out[1])
    assert np.array_equal(left_out[0], left_out[2])


# The scale of the loss


def test_gradients_that_would_vanish_in_float16_do_not() -> None:
    loss, body = "1e-7 * mse(y, t)", "y = x -> dense(8) -> relu -> dense(3)"
    _, expected = network(body, loss=loss, precision="float32").gradients(batch())
    found = {}
    for scale in (1.0, LossScale.FIRST):
        net = network(body, loss=loss)
        mixed_plan(net, batch(), scale=scale).run()
        found[scale] = gradient_of(net, "y.dense.weight")
    wanted = expected["y.dense.weight"]
    np.testing.assert_allclose(found[LossScale.FIRST], wanted, rtol=0.1, atol=0.01 * np.abs(wanted).max())
    assert np.abs(found[1.0] - wanted).max() > 0.1 * np.abs(wanted).max()


def test_a_gradient_that_overflows_changes_no_weights_and_halves_the_scale() -> None:
    net = network("y = x -> dense(5) -> batch_norm -> relu -> dense(3)", loss="1000 * mse(y, t)")
    trainer, before = net.trainer(), copy(net)
    loss = trainer.step(batch())
    assert np.isfinite(loss)
    assert (trainer.scale.value, trainer.scale.skipped, trainer.steps, trainer.updates) == (2.0**15, 1, 1, 0)
    assert changed(net, before) == {"y.batch_norm.running_mean", "y.batch_norm.running_variance"}  # forward was fine
    while trainer.updates == 0:
        trainer.step(batch())
    assert trainer.steps == trainer.scale.skipped + 1
    assert changed(net, before) == set(before) - {"g", "h"}


def changed(net: Network, before: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in net.weights.items() if not np.array_equal(value, before[name])}


def test_a_batch_that_overflows_is_left_out_of_an_accumulated_gradient() -> None:
    body, train = "y = x -> dense(3)", "optimizer = sgd(0.1)  accumulate = 2"
    ours, theirs = network(body, train=train).trainer(), network(body, train=train).trainer()
    large = {**batch(seed=1), "t": np.full((6, 3), 1e4)}
    for rows in (batch(seed=0), large, batch(seed=2)):
        ours.step(rows)
    for rows in (batch(seed=0), batch(seed=2)):
        theirs.step(rows)
    assert ours.scale.skipped == 1
    assert (ours.steps, ours.updates) == (3, 1)
    assert_close(ours, theirs)


def assert_close(ours: Trainer, theirs: Trainer) -> None:
    for name, value in theirs.network.weights.items():
        np.testing.assert_allclose(ours.network.weights[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", HALVES)
def test_where_no_scale_helps_the_step_fails_and_changes_nothing(name: str) -> None:
    net = network("z = x -> dense(3)\n y = (z * 0 -> sqrt)", precision=name)
    trainer, before = net.trainer(), copy(net)
    for _ in range(32 if name == "mixed" else 0):  # from 2^16 to 2^-16
        trainer.step(batch())
    with pytest.raises(NumericalFailure) as caught:
        trainer.step(batch())
    assert "the gradient dX of `y.sqrt` is not finite" in str(caught.value)
    assert not changed(net, before)


def test_a_value_that_overflows_is_named_and_what_helps() -> None:
    net = network("y = x -> dense(5) -> relu -> dense(3)")
    rows = {**batch(), "x": np.full((6, 4), 1e5)}
    with pytest.raises(NumericalFailure) as caught:
        net.trainer().step(rows)
    assert "the result of `y.dense` (small.net:8) is not finite" in str(caught.value)
    assert 'Try `precision = "mixed_bfloat16"`, whose range is that of float32, a smaller' in str(caught.value)
    network("y = x -> dense(5) -> relu -> dense(3)", precision="mixed_bfloat16").trainer().step(rows)


def test_the_scale_grows_after_a_while_without_an_overflow() -> None:
    scale = LossScale(moves=True)
    for _ in range(LossScale.PATIENCE - 1):
        scale.held()
    assert scale.state == (2.0**16, LossScale.PATIENCE - 1, 0)
    scale.fell_short()
    assert scale.state == (2.0**15, 0, 1)
    for _ in range(20 * LossScale.PATIENCE):
        scale.held()
    assert scale.value == LossScale.LARGEST


def test_bfloat16_needs_no_scale() -> None:
    scale = LossScale(moves=False)
    for _ in range(2 * LossScale.PATIENCE):
        scale.held()
    assert (scale.value, scale.may_fall) == (1.0, False)


def test_a_state_goes_on_exactly() -> None:
    source = "y = x -> dense(5) -> relu -> dropout(0.2) -> dense(3)"
    ours, theirs = (
        network(source, loss="1000 * mse(y, t)", train="optimizer = adam(0.01)").trainer() for _ in range(2)
    )
    for step in range(6):
        ours.step(batch(seed=step))
    theirs.restore(ours.state())
    for name, value in ours.network.weights.items():
        theirs.network.weights[name] = value
    assert theirs.scale.skipped > 0
    for step in range(6, 9):
        for trainer in (ours, theirs):
            trainer.step(batch(seed=step))
    for name, array in ours.state().items():
        assert array.tobytes() == theirs.state()[name].tobytes()
    for name, value in ours.network.weights.items():
        assert value.tobytes() == theirs.network.weights[name].tobytes()


@pytest.mark.parametrize(
    "numbers",
    [(value, 0, 0) for value in (0.0, -1.0, 2.0**30, np.nan, np.inf)]
    + [(1.0, since, 0) for since in (-1, LossScale.PATIENCE, np.nan)]
    + [(1.0, 0, skipped) for skipped in (-1, np.nan, np.inf)],
)
def test_a_state_with_a_scale_that_no_training_has_is_refused(numbers: tuple[float, float, float]) -> None:
    trainer = network("y = x -> dense(3)").trainer()
    state, before = trainer.state(), trainer.scale.state
    state["loss_scale"][:] = numbers
    with pytest.raises(InputError, match="has a loss scale that no training has"):
        trainer.restore(state)
    assert trainer.scale.state == before


def test_a_state_of_float32_is_refused() -> None:
    state = network("y = x -> dense(3)", precision="float32").trainer().state()
    with pytest.raises(InputError, match="is not that of this network"):
        network("y = x -> dense(3)").trainer().restore(state)

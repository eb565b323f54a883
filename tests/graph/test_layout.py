"""Networks drawn at random: memory that is used again changes no result, and gradients are finite differences."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph.evaluation import Totals
from tensorflow_lite_bp.graph.layout import Layout
from tensorflow_lite_bp.graph.plan import Plan, Shard

Rows = dict[str, np.ndarray]
INPUTS = ("x", "z")


def quick(examples: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=slow)


def looked_at(network: Network) -> tuple[str, ...]:
    """The nodes that metrics and outputs fetch."""
    program = network.program
    names = [*(name for item in program.metrics for name in item.inputs), *(item.tensor for item in program.outputs)]
    return tuple(dict.fromkeys(name for name in names if name in network.graph.nodes))


def planned(network: Network, rows: Rows, mode: str = "train") -> Plan:
    """A plan with everything that may be asked for, fed."""
    accepted = network.accepted(rows)
    gradient_of = INPUTS if mode == "train" else ()
    plan = network.plan(mode, accepted, tensors=looked_at(network), gradient_of=gradient_of)
    plan.feed(accepted)
    return plan


def results(network: Network, plan: Plan) -> dict[str, bytes]:
    """The bits of all that a plan leaves behind."""
    plan.gather()
    found = {"losses": plan.losses(), "gradients": network.arrays.gradients.flat}
    found |= {name: plan.fetch(name) for name in looked_at(network)}
    for name in INPUTS:
        gradient = plan.fetch_gradient(name)
        if gradient is not None:
            found[f"d{name}"] = gradient
    return {name: array.tobytes() for name, array in found.items()}


def spoil(plan: Plan) -> None:
    """0xFF everywhere: NaN as a real number, -1 as an index."""
    for shard in plan.shards:
        shard.memory.fill(0xFF)


def spoil_dead(shard: Shard, now: int) -> None:
    """The memory in which no slot holds anything that a later moment than ``now`` needs."""
    dead = np.ones(shard.memory.size, dtype=bool)
    for slot in shard.layout.memory.slots:
        if slot.first <= now < slot.last:
            dead[slot.offset : slot.offset + slot.bytes] = False
    shard.memory[shard.backend.from_host(dead)] = 0xFF


MODES = ["train", "evaluate", "infer"]


def drawn_run(data: Any, mode: str, networks: Any, rows: Rows) -> tuple[Network, Plan]:
    """A drawn network on one or two threads, and its plan after the third step."""
    text, threads = data.draw(networks(dropout=True)), data.draw(st.sampled_from([1, 2]))
    network = Network.from_text(text, precision="float64", threads=threads)
    plan = planned(network, rows, mode)
    plan.run(3)
    return network, plan


@pytest.mark.parametrize("mode", MODES)
@quick(80)
@given(data=st.data())
def test_no_result_depends_on_what_the_memory_held_before(data: Any, mode: str, networks: Any, batch: Any) -> None:
    network, plan = drawn_run(data, mode, networks, batch(4))
    expected = results(network, plan)
    spoil(plan)
    network.arrays.gradients.flat.fill(0)
    plan.run(3)
    assert results(network, plan) == expected


@pytest.mark.parametrize("mode", MODES)
@quick(80)
@given(data=st.data())
def test_nothing_is_needed_after_the_layout_calls_it_dead(data: Any, mode: str, networks: Any, batch: Any) -> None:
    network, plan = drawn_run(data, mode, networks, batch(4))
    expected = results(network, plan)
    spoil(plan)
    for now, (_, programs) in enumerate(plan.by_parts()):
        plan.compute(programs)
        for shard in plan.shards:
            spoil_dead(shard, now)
    assert results(network, plan) == expected


@quick(100)
@given(data=st.data())
def test_slots_that_live_at_the_same_time_lie_apart(data: Any, networks: Any, batch: Any) -> None:
    network = Network.from_text(data.draw(networks(dropout=True)))
    layout = planned(network, batch(5)).shards[0].layout
    owners = [slot for slot in layout.memory.slots if slot.shares is None and slot.bytes]
    for slot in owners:
        assert slot.offset + slot.bytes <= layout.memory.peak
        for other in owners:
            at_once = slot.first <= other.last and other.first <= slot.last
            overlap = slot.offset < other.offset + other.bytes and other.offset < slot.offset + slot.bytes
            assert slot is other or not (at_once and overlap), (slot, other)


def differences(network: Network, rows: Rows) -> Iterator[tuple[str, np.ndarray]]:
    """The derivative of the loss by each weight and each float input, by central differences."""
    step = 1e-6

    def loss(name: str, value: np.ndarray) -> float:
        if name in rows:
            return network.gradients({**rows, name: value})[0]
        network.weights[name] = value
        return network.gradients(rows)[0]

    for name in (*network.graph.trainable, *INPUTS):
        start = np.array(rows[name] if name in rows else network.weights[name])
        slope = np.empty_like(start)
        for place in np.ndindex(start.shape):
            ends = []
            for sign in (1, -1):
                moved = start.copy()
                moved[place] += sign * step
                ends.append(loss(name, moved))
            slope[place] = (ends[0] - ends[1]) / (2 * step)
        loss(name, start)
        yield name, slope


@quick(80)
@given(data=st.data())
def test_gradients_are_those_of_central_differences(data: Any, networks: Any, batch: Any) -> None:
    network = Network.from_text(data.draw(networks(dropout=True)), precision="float64")
    rows = batch(data.draw(st.integers(1, 3)))
    before = {name: array.copy() for name, array in rows.items()}
    loss, gradients = network.gradients(rows, of_inputs=True)
    size = max(1.0, abs(loss))
    for name, slope in differences(network, rows):
        np.testing.assert_allclose(gradients[name], slope, rtol=1e-6, atol=1e-7 * size, err_msg=name)
    for name, array in rows.items():
        np.testing.assert_array_equal(array, before[name], err_msg=f"{name}, which was fed")


@quick(80)
@given(data=st.data())
def test_what_is_fed_stays_as_it_is_in_the_plan(data: Any, networks: Any, batch: Any) -> None:
    """A function in place never writes to an input, whatever view of it the function was given."""
    network = Network.from_text(data.draw(networks()), precision="float64")
    rows = batch(3)
    for mode in MODES:
        plan = planned(network, rows, mode)
        plan.run()
        for name in plan.shards[0].fed:
            np.testing.assert_array_equal(plan.fetch(name), rows[name], err_msg=name)


SIDE = """
network side
input x: float[3]
target v: float[3]
target w: float[64]
h = x -> dense(3)
s = h -> batch_norm -> dense(64)
loss mse(h, v)
metric rmse(s, w)
output s
"""


def test_metrics_are_measured_before_the_layers_state_moves_in_memory_that_they_lie_in() -> None:
    """No loss reaches this batch_norm: what `advance` works in is free after its forward step."""
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(size=(4, 3)), "v": rng.normal(size=(4, 3)), "w": rng.normal(size=(4, 64))}
    network = Network.from_text(SIDE, precision="float64")
    trainer, weights = network.trainer(), dict(network.weights)
    trainer.totals = Totals(network)
    trainer.step(rows)
    h = rows["x"] @ weights["h.dense.weight"].T
    n = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5)
    s = n @ weights["s.dense.weight"].T
    assert trainer.totals.report()["rmse"] == pytest.approx(np.sqrt(((s - rows["w"]) ** 2).mean()), rel=1e-12)


# What takes how much memory, counted by hand

CHAIN = """
network chain
input x: float[16]
target t: float[16]
h = x -> dense(16)
y = h -> {functions}
loss mse(y, t)
output y
"""


def layout_of(functions: str, mode: str, m: int = 4) -> Layout:
    network = Network.from_text(CHAIN.format(functions=functions))
    tensors = [network.program.names["y"]] if mode == "infer" else []
    return Layout(
        network.graph, mode=mode, columns=m, sizes={}, dtype="float32", whole=False, staged=0, tensors=tensors
    )


ARRAY = 16 * 4 * 4  # bytes of one tensor of the chain


@pytest.mark.parametrize("length", [1, 2, 30])
def test_a_chain_in_place_is_one_array_when_it_predicts(length: int) -> None:
    layout = layout_of(" -> ".join(["softplus", *["sigmoid"] * length]), "infer")
    results = {slot.offset for slot in layout.tensors.values()}
    assert len(results) == 1
    scratch = {slot.offset for slot in layout.memory.slots} - results
    assert layout.memory.peak == ARRAY * (1 + len(scratch))
    assert len(scratch) <= 2


@pytest.mark.parametrize("length", [1, 2, 30])
def test_training_keeps_one_array_for_each_function_that_reads_its_result(length: int) -> None:
    layout = layout_of(" -> ".join(["tanh"] * length), "train")
    assert len({slot.offset for slot in layout.tensors.values()}) == length  # the first tanh lies where the dense lay
    gradients = [slot for name, slot in layout.gradients.items() if name not in layout.fed]
    assert len({slot.root.offset for slot in gradients}) == 1  # one gradient, passed on in place


def test_a_result_that_is_asked_for_keeps_its_memory() -> None:
    network = Network.from_text(CHAIN.format(functions="sigmoid -> softplus -> sigmoid"))
    names = list(network.graph.nodes)
    layout = Layout(
        network.graph, mode="infer", columns=4, sizes={}, dtype="float32", whole=False, staged=0, tensors=names
    )
    assert len({slot.offset for slot in layout.tensors.values()}) == len(names)


def array_bytes() -> int:
    """The bytes that NumPy's arrays hold, without Python's objects."""
    snapshot = tracemalloc.take_snapshot()
    arrays = snapshot.filter_traces([tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)])
    return sum(trace.size for trace in arrays.traces)


@pytest.mark.host
@pytest.mark.parametrize("threads", [1, 2])
def test_the_peak_that_the_layout_says_is_what_a_plan_holds(threads: int) -> None:
    text, m = CHAIN.format(functions="softplus -> dense(256) -> rms_norm -> dense(16)"), 3000
    rows = {name: np.zeros((m, 16), dtype=np.float32) for name in ("x", "t")}
    Network.from_text(text, threads=threads).gradients(rows)  # what all plans share
    network = Network.from_text(text, threads=threads)
    tracemalloc.start()
    try:
        plan = planned(network, rows)
        plan.run()
        held = array_bytes()
    finally:
        tracemalloc.stop()
    layouts = [shard.layout for shard in plan.shards]
    assert [shard.memory.nbytes for shard in plan.shards] == [layout.memory.peak for layout in layouts]
    expected = sum(layout.memory.peak + layout.fed_bytes + layout.own_bytes for layout in layouts)
    expected += (threads - 1) * network.arrays.gradients.flat.nbytes  # the other shards'
    assert expected <= held <= expected + 1000


def test_twice_the_depth_takes_at_most_twice_the_memory() -> None:
    single, double = (layout_of(" -> ".join(["dense(16) -> tanh"] * depth), "train").memory.peak for depth in (20, 40))
    assert double <= 2 * single


def test_a_plan_of_no_rows() -> None:
    network = Network.from_text(CHAIN.format(functions="tanh"), threads=3)
    assert network.predict({"x": np.zeros((0, 16))})["y"].shape == (0, 16)


def test_each_mode_computes_no_more_than_it_needs() -> None:
    network = Network.from_text(CHAIN.format(functions="dense(4)").replace("loss mse(y, t)", "loss mse(h, t)"))
    names = {
        mode: {
            step.name
            for step in Layout(
                network.graph, mode=mode, columns=2, sizes={}, dtype="float32", whole=False, staged=0
            ).steps
        }
        for mode in MODES
    }
    assert names == {"train": {"h.dense"}, "evaluate": {"h.dense"}, "infer": set()}

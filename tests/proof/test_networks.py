"""Whole networks: the plan's order, memory and sums are part of what is proved, and so of what is refuted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from dsl import Source
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.backend.exact import ExactBackend, exactly, symbol
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph import plan as plan_module
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.memory import Slot
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.weights import Weights
from tensorflow_lite_bp.layers.elementwise import Tanh
from tensorflow_lite_bp.proof.algebra import Tower
from tensorflow_lite_bp.proof.ledger import LEFT, PROVED, REFUTED
from tensorflow_lite_bp.proof.network import network_proofs
from tensorflow_lite_bp.proof.shrink import small
from tensorflow_lite_bp.table import checked

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("*.net"))

DIAMOND = """
    network diamond
    input  x: float[3]
    target t: float[2]
    parameter W: float[2, 3]
    parameter g: float[]
    h = tanh(W @ x)
    y = tanh(h * h + h) * g + h * g
    loss 0.5 * mse(y, t)
    loss squared_error(h, t, reduction = "sum")
    output y
"""
"""One tensor used five times, one parameter twice, two losses."""


def program(text: str) -> Any:
    return checked(Source("test.net", text))


def verdicts(proofs: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for proof in proofs:
        for entry in proof.entries:
            found.setdefault(entry.of, set()).add(entry.verdict)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_is_proved(path: Path) -> None:
    declared = checked(path)
    proved = small(declared)
    found = verdicts(network_proofs(proved))
    assert set().union(*found.values()) == {PROVED}
    assert found.keys() >= Graph(declared).trainable.keys()
    assert [(node.name, node.op) for node in proved.nodes] == [(node.name, node.op) for node in declared.nodes]


def test_uses_are_summed() -> None:
    assert set().union(*verdicts(network_proofs(program(DIAMOND))).values()) == {PROVED}


@pytest.fixture
def unnamed() -> tuple[Any, Any]:
    """The diamond's plan, run on symbols in one go: every result is one expression of weights and inputs."""
    xp, graph = get_backend("exact"), Graph(program(DIAMOND))
    weights = Weights(xp, graph.weights, np.dtype(object))
    rng = np.random.default_rng(3)

    def drawn(letter: str, shape: tuple[int, ...]) -> Any:
        made: Any = np.empty(shape, dtype=object)
        for number, place in enumerate(np.ndindex(shape)):
            made[place] = symbol(f"{letter}{number}", Fraction(int(rng.integers(-99, 99)), 100))
        return made

    for spec in graph.weights:
        weights.arrays[spec.name][...] = drawn(spec.name, spec.shape)
    plan = Plan(graph, weights, xp, mode="train", m=2, sizes={}, dtype="object", seed=0)
    rows = {"x": drawn("x", (2, 3)), "t": drawn("t", (2, 2))}
    plan.feed(rows)
    plan.run()
    return plan, rows


def test_what_names_stand_for_is_proved_without_them_too(unnamed: tuple[Any, Any]) -> None:
    """SymPy's derivative of the whole loss as one expression, with no chain rule of ours."""
    plan, _ = unnamed
    E = sum(exactly(loss).expression for loss in plan.shards[0].losses)
    for name, W in plan.weights.arrays.items():
        for variable, gradient in zip(W.flat, plan.weights.gradients.views[name].flat, strict=True):
            assert Tower().difference(sympy.diff(E, variable.expression), gradient.expression) == {}


def test_sample_values_are_what_numpy_computes(unnamed: tuple[Any, Any]) -> None:
    plan, rows = unnamed

    def numbers(array: Any) -> np.ndarray:
        return np.array([float(exactly(item).value) for item in array.flat]).reshape(array.shape)

    net = Network.from_text(DIAMOND, precision="float64")
    for name, W in plan.weights.arrays.items():
        net.weights[name] = numbers(W)
    loss, gradients = net.gradients({name: numbers(array) for name, array in rows.items()})
    assert float(sum(numbers(plan.shards[0].losses))) == pytest.approx(loss, rel=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(numbers(plan.weights.gradients.views[name]), gradient, rtol=1e-13)


def test_a_sum_over_uses_that_is_forgotten_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(plan_module.Recorder):
        def add(self, A: Any, B: Any, *, out: Any) -> Any:
            if out is A:  # what the plan adds up, in place
                return out
            return self.__getattr__("add")(A, B, out=out)

    monkeypatch.setattr(plan_module, "Recorder", Forgetful)
    found = verdicts(network_proofs(program(DIAMOND)))
    assert REFUTED in found["h"]
    assert REFUTED in found["g"]


def test_memory_that_is_reused_too_early_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slot, "take_over", Slot.join)  # whether or not somebody still needs it
    found = verdicts(network_proofs(program(DIAMOND)))
    assert REFUTED in set().union(*found.values())


def test_the_guilty_node_is_the_one_that_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind it is right, given what it was handed."""
    text = """
        network chain
        input  x: float[2]
        target t: float[2]
        a = x -> dense(2)
        b = tanh(a)
        c = b -> dense(2)
        loss mse(c, t)
        output c
    """
    monkeypatch.setattr(Tanh, "slope", lambda self, xp, ws: xp.subtract(1.0, ws.Y, out=ws.D))
    found = verdicts(network_proofs(program(text)))
    assert [of for of, kinds in found.items() if REFUTED in kinds] == ["a"]


def test_a_view_shares_the_names_of_what_it_views() -> None:
    text = """
        network viewed
        input  x: float[4]
        target t: float[2, 2]
        h = x -> dense(4)
        v = h -> reshape([2, 2])
        y = v * (tanh(h) -> reshape([2, 2]))
        loss mse(y, t)
        output y
    """
    assert set().union(*verdicts(network_proofs(program(text))).values()) == {PROVED}


def test_symbolic_sizes_and_tokens_are_bound() -> None:
    text = """
        network steps
        input  x: float[2, T]
        target t: token(3)[T]
        y = x -> conv(3, 3, padding = "same") -> relu -> dense(3)
        loss cross_entropy(y, t)
        output y
    """
    assert set().union(*verdicts(network_proofs(program(text))).values()) == {PROVED}


def test_a_network_is_shrunk_as_a_whole() -> None:
    text = """
        network large
        input  image: float[3, 32, 40]
        target kind: class(10)
        y = image -> conv(64, 5, stride = 2) -> conv(64, 3, padding = "same", groups = 64) -> relu
                  -> max_pool(2) -> flatten -> dense(100) -> dense(10)
        loss cross_entropy(y, kind)
        output y
    """
    declared = program(text)
    made = small(declared)
    settings = [
        {k: v for k, v in node.settings.items() if k not in ("filters", "units", "groups")} for node in made.nodes
    ]
    assert settings == [
        {k: v for k, v in node.settings.items() if k not in ("filters", "units", "groups")} for node in declared.nodes
    ]
    filters = [node.settings["filters"] for node in made.nodes if node.op == "conv"]
    assert filters[0] == filters[1] == made.nodes[1].settings["groups"] < 64
    assert made.nodes[-1].type.shape == (made.targets[0].type.count,)
    height, width = made.inputs[0].type.shape[1:]
    assert height != width
    assert set().union(*verdicts(network_proofs(made)).values()) == {PROVED}


def test_sizes_that_follow_from_others_are_learned() -> None:
    text = """
        network learned
        input  image: float[1, 28, 28]
        input  words: float[300]
        target kind:  class(10)
        parameter W: float[10, 784]
        y = W @ (image -> flatten)
        z = words -> reshape([10, 30]) -> permute([1, 0]) -> dense(200) -> flatten -> dense(10)
        loss cross_entropy(y + z, kind, class_weights = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2])
        output y
    """
    made = small(program(text))
    assert made.targets[0].type.count == 10  # as many as there are class weights
    assert made.parameters[0].type.shape == (10, 9)
    assert made.inputs[0].type.shape == (1, 3, 3)
    assert set().union(*verdicts(network_proofs(made)).values()) == {PROVED}


def test_a_small_network_stays_as_it_is() -> None:
    declared = checked(EXAMPLES / "articles" / "columns.net")
    assert small(declared) is declared


def test_time_that_is_up_leaves_entries_out() -> None:
    found = verdicts(network_proofs(program(DIAMOND), deadline=0.0))
    assert set().union(*found.values()) == {LEFT}


def test_what_cannot_be_differentiated_is_refused() -> None:
    with pytest.raises(InputError, match="has no loss"):
        network_proofs(program("network n\ninput x: float[2]\noutput y = x -> dense(2)"))
    text = """
        network impossible
        input  x: float[2]
        target t: float[2]
        y = log(0 - (x -> dense(2)) ^ 2)
        loss mse(y, t)
        output y
    """
    with pytest.raises(InputError, match="no sample point was found"):
        network_proofs(program(text))


def test_a_function_that_is_missing_is_named() -> None:
    with pytest.raises(AttributeError, match=r"has no `xp\.cumsum`: add it to backend/exact\.py"):
        ExactBackend().cumsum(1)

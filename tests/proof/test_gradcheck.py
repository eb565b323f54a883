"""The check of a network's gradients: all examples are right, and whatever is broken is found and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph.plan import Shard
from tensorflow_lite_bp.layers.base import matrix
from tensorflow_lite_bp.layers.batch_norm import BatchNorm
from tensorflow_lite_bp.layers.conv import Conv
from tensorflow_lite_bp.layers.dense import Dense
from tensorflow_lite_bp.layers.elementwise import Tanh
from tensorflow_lite_bp.losses.squares import Mse
from tensorflow_lite_bp.proof.gradcheck import (
    FEWEST,
    MOST,
    Report,
    default_entries,
    drawn_rows,
    gradcheck,
    off_constants,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("*.net"))


def network_of(text: str, *, moved: bool = True) -> Network:
    network = Network.from_text(text, precision="float64", threads=1)
    if moved:
        off_constants(network)
    return network


def checked(text: str, *, m: int = 4, entries: int | None = None) -> Report:
    network = network_of(text)
    return gradcheck(network, drawn_rows(network, m), entries=entries)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_the_examples_are_right(path: Path) -> None:
    network = network_of(path.read_text(encoding="utf-8"))
    report = gradcheck(network, drawn_rows(network, 3), entries=3)
    assert report.right
    assert report.guilty is None
    assert report.worst is not None
    assert report.worst[1].error < 1e-6
    inputs = {variable.name for variable in network.program.inputs}
    assert {row.name for row in report.rows} == {*network.graph.trainable, *inputs}
    assert sum(row.compared.entries for row in report.rows if row.compared) > 5


# Broken backwards. Each network is such that the mistake is not the last layer's alone.

CHAIN = """network chain
input x: float[3]
target t: float[3]
y = x -> dense(3) -> tanh -> dense(3)
loss mse(y, t)
"""
IMAGES = """network images
input x: float[2, 4, 5]
target t: class(3)
y = x -> conv(3, kernel = 3) -> batch_norm -> tanh -> conv(2, kernel = 2) -> batch_norm -> flatten -> dense(3)
loss cross_entropy(y, t)
"""

Broken = Callable[[Any, Any, Any], None]


def transposed(self: Any, xp: Any, ws: Any) -> None:
    if ws.dX is not None:
        xp.matmul(ws.W, ws.dY, out=ws.dX)


def wrong_sign(self: Any, xp: Any, ws: Any) -> None:
    xp.negative(ws.db, out=ws.db)


def sample_forgotten(self: Any, xp: Any, ws: Any) -> None:
    xp.matmul(ws.dY[:, 1:], ws.X[:, 1:].T, out=ws.dW)


def wrong_scale(self: Any, xp: Any, ws: Any) -> None:
    xp.multiply(ws.dY, ws.m, out=ws.dY)


def mean_term_missing(self: Any, xp: Any, ws: Any) -> None:
    if ws.dX is not None:
        xp.multiply(ws.sums[0], ws.scale, out=ws.sums[0])
        xp.subtract(matrix(ws.dX), ws.sums[0], out=matrix(ws.dX))


def one_place_wrong(self: Any, xp: Any, ws: Any) -> None:
    if ws.dX is not None:
        xp.multiply(ws.dX[1, 1, 2], 1.001, out=ws.dX[1, 1, 2])


def not_finite(self: Any, xp: Any, ws: Any) -> None:
    xp.copyto(ws.dX, np.nan)


def after(cls: Any, broken: Broken) -> Broken:
    """A backward that is right, and then is not."""
    right = cls.backward

    def backward(self: Any, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        broken(self, xp, ws)

    return backward


@pytest.mark.parametrize(
    ("text", "cls", "broken", "expected"),
    [
        (CHAIN, Dense, transposed, ("layer", "dense", "y.dense_2", "dX")),
        (CHAIN, Dense, wrong_sign, ("layer", "dense", "y.dense_2", "db")),
        (CHAIN, Dense, sample_forgotten, ("layer", "dense", "y.dense_2", "dW")),
        (CHAIN, Mse, wrong_scale, ("loss", "mse", "mse", "dY")),
        (CHAIN, Tanh, not_finite, ("layer", "tanh", "y.tanh", "dX")),
        (IMAGES, BatchNorm, mean_term_missing, ("layer", "batch_norm", "y.batch_norm_2", "dX")),
        (IMAGES, Conv, one_place_wrong, ("layer", "conv", "y.conv_2", "dX")),
    ],
)
def test_a_broken_backward_is_found_and_named(
    text: str, cls: Any, broken: Broken, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(text).right
    monkeypatch.setattr(cls, "backward", after(cls, broken))
    report = checked(text)
    assert not report.right
    guilty = report.guilty
    assert guilty is not None
    assert (guilty.kind, guilty.op, guilty.name, guilty.what) == expected
    assert guilty.place == ("<text>:5" if guilty.kind == "loss" else "<text>:4")
    assert guilty.entry is not None
    assert guilty.entry.error > 1e-4


MANY = """network many
input x: float[2, 4, 4]
input z: float[3]
target t: float[3]
target k: class(3)
parameter M: float[3, 3]
h = x -> conv(2, kernel = 3) -> batch_norm -> relu -> max_pool(2) -> flatten -> dense(3)
i = x -> permute([1, 2, 0]) -> avg_pool(2) -> layer_norm -> global_avg_pool -> dense(3) -> rms_norm -> softplus
j = (M @ z) * h - z / (1.5 + i) -> dropout(0.2)
y = -(j -> reshape([1, 3]) -> gelu -> global_max_pool -> dense(3)) + abs(h) + (2 * i) ^ 3
loss mae(h * h, t)
loss nll(softmax(y), k)
loss cross_entropy(y -> log_softmax, k)
"""
OPS = sorted(
    {op for item in ("nodes", "losses") for op in (each.op for each in getattr(network_of(MANY).program, item))}
)


@pytest.mark.parametrize("op", OPS)
def test_whatever_is_slightly_wrong_is_named(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer, operator and loss in turn, in the midst of all the others."""

    def slightly(self: Any, xp: Any, ws: Any) -> None:
        for role in ("dX", "dX1", "dX2", "dY"):  # what flows on; a loss writes dY, a layer reads it
            gradient = getattr(ws, role, None) if op in registry["loss"] or role != "dY" else None
            if gradient is not None:
                xp.multiply(gradient, 1.001, out=gradient)

    cls = next(entries[op] for entries in registry.values() if op in entries and hasattr(entries[op], "backward"))
    monkeypatch.setattr(cls, "backward", after(cls, slightly))
    guilty = checked(MANY, entries=10).guilty
    assert guilty is not None
    assert guilty.op == op
    assert guilty.entry is not None
    assert 1e-5 < guilty.entry.error < 1.001e-3


def test_a_factor_of_one_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch_norm whose backward forgets the gain is right for gains of 1."""

    def gain_forgotten(self: Any, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.divide(matrix(ws.dX), ws.g[:, None], out=matrix(ws.dX))

    monkeypatch.setattr(BatchNorm, "backward", after(BatchNorm, gain_forgotten))
    network = network_of(IMAGES, moved=False)
    rows = drawn_rows(network, 4)
    assert gradcheck(network, rows).right
    off_constants(network)
    assert not gradcheck(network, rows).right


def test_constants_are_moved_and_nothing_else() -> None:
    plain, moved = network_of(IMAGES, moved=False), network_of(IMAGES)
    for name in plain.weights:
        shift = moved.weights[name] - plain.weights[name]
        if name.endswith((".gain", ".bias")):
            assert 0 < np.abs(shift).min() <= np.abs(shift).max() <= 0.5
        else:  # drawn at first, and the running statistics
            assert not shift.any()


# The plan's own mistakes

SHARED = """network shared
input x: float[3]
input z: float[3]
target t: float[2]
layer both = dense(2) -> tanh
y = (x -> both) * (z -> both)
loss mse(y, t)
"""
USED_TWICE = """network twice
input x: float[3]
target t: float[3]
h = x -> dense(3) -> tanh
y = h + (h -> dense(3))
loss mse(y, t)
"""


@pytest.mark.parametrize(
    ("text", "node", "summed"),
    [
        (SHARED, "y.both.dense", "both.dense.weight"),
        (USED_TWICE, "y.dense", "h.tanh"),
        (USED_TWICE.replace("h + (h -> dense(3))", "h * h"), "y.multiply", "h.tanh"),
    ],
)
def test_a_sum_that_the_plan_forgets_is_no_layers_fault(
    text: str, node: str, summed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(text).right

    monkeypatch.setattr(Shard, "_record_sums", lambda self, step: None)
    guilty = checked(text).guilty
    assert guilty is not None
    assert (guilty.kind, guilty.name, guilty.what) == ("sum", node, summed)


def test_memory_that_is_used_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    text = CHAIN.replace("tanh", "dense(5) -> dense(4)")  # whose inputs nobody else reads
    assert checked(text).right
    monkeypatch.setattr(Dense, "reads", frozenset())  # so that the plan does not keep its input
    guilty = checked(text).guilty
    assert guilty is not None
    assert (guilty.kind, guilty.op, guilty.what) == ("memory", "dense", "the gradient dW of")


# Kinks

TIES = """network ties
input x: float[1, 2, 2]
input z: float[3]
target t: float[3]
parameter W: float[3, 3]
parameter b: float[3] = zeros
y = relu(W @ z + b) + abs(z) -> dense(3)
m = x -> max_pool(2) -> flatten -> dense(3)
loss mse(y, t)
loss mse(m, t)
"""


def test_kinks_are_found_and_left_out() -> None:
    network = network_of(TIES)
    rows = drawn_rows(network, 3)
    network.weights["W"] = np.zeros((3, 3))
    network.weights["b"] = np.array([0.0, 1e-12, 1.0])  # at the kink of relu, at as good as it, and far from it
    rows["z"][0] = [0.0, 1e-13, 1.0]
    rows["x"][:2] = [[[[1.0, 1.0], [0.5, 0.2]]], [[[2.0, 1.0], [0.5, 0.2]]]]  # a tie of two, and none
    report = gradcheck(network, rows, entries=None)
    assert report.right
    kinks = {row.name: row.compared.kinks for row in report.rows if row.compared}
    assert kinks == {"W": 6, "b": 2, "y.dense.weight": 0, "y.dense.bias": 0, "m.dense.weight": 0, "m.dense.bias": 0} | {
        "x": 2,
        "z": 2,
    }
    entries = {row.name: row.compared.entries for row in report.rows if row.compared}
    assert entries["W"] == 3
    assert entries["b"] == 1


def test_a_wrong_gradient_among_kinks_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "backward", after(Dense, wrong_sign))
    network = network_of(TIES)
    network.weights["b"] = np.zeros(3)
    network.weights["W"] = np.zeros((3, 3))
    report = gradcheck(network, drawn_rows(network, 3))
    assert {row.name for row in report.rows if row.wrong} == {"y.dense.bias", "m.dense.bias"}


def test_kinks_all_around() -> None:
    network = network_of("network k\ninput x: float[3]\ntarget t: float[3]\nloss mse(abs(x), t)\n")
    with pytest.raises(NumericalFailure, match="no entry could be compared"):
        gradcheck(network, drawn_rows(network, 2) | {"x": np.zeros((2, 3))})


DROPOUT = """network d
input x: float[6]
target t: float[2]
y = x -> dense(8) -> dropout(0.5) -> tanh -> dropout(0.3) -> dense(2)
loss squared_error(y, t)
"""


def test_the_mask_of_dropout_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(DROPOUT)
    assert report.right
    assert sum(row.compared.kinks for row in report.rows if row.compared) == 0
    generator = np.random.default_rng(0)

    def anew(draw: Draw, *, out: np.ndarray) -> None:
        out[...] = generator.random(out.shape)

    monkeypatch.setattr(get_backend("numpy"), "uniform", anew)
    with pytest.raises(NumericalFailure):  # each quotient is another one, and none is trusted
        checked(DROPOUT)


# Networks of other forms

OPERATIONS = [
    "{a} -> relu",
    "{a} -> leaky_relu",
    "{a} -> abs",
    "{a} -> hard_sigmoid",
    "{a} -> dense(4)",
    "{a} -> dense(4) -> relu",
    "{a} -> shared",
    "{a} + {b}",
    "{a} * {b} -> tanh",
    "{a} * {a} -> tanh",
    "{a} - M @ {b}",
    "{a} -> batch_norm(epsilon = 0.5)",
    "{a} -> dropout(0.4)",
    "{a} -> reshape([1, 4]) -> max_pool(2) -> flatten -> dense(4)",
    "({a} -> reshape([4, 1]) -> global_max_pool) * {b}",
]


@st.composite
def kinky_networks(draw: st.DrawFn) -> str:
    """Kinks, tensors used several times, shared weights, two losses."""
    lines = ["network k", "input x: float[4]", "target t: float[4]", "parameter M: float[4, 4]"]
    lines += ["layer shared = dense(4) -> tanh", "n0 = x -> dense(4)"]
    count = draw(st.integers(1, 5))
    for number in range(1, count + 1):
        named = st.sampled_from([f"n{earlier}" for earlier in range(number)])
        operation = draw(st.sampled_from(OPERATIONS)).format(a=f"n{number - 1}", b=draw(named))
        lines.append(f"n{number} = {operation}")
    return "\n".join([*lines, f"loss mae(n{count}, t)", f"loss 0.5 * mse(n{count // 2}, t)"])


@given(kinky_networks())
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_random_networks_are_right(text: str) -> None:
    report = checked(text, m=3, entries=6)
    assert report.right, report
    assert report.worst is not None
    assert report.worst[1].error < 1e-5


def test_an_input_that_is_the_truth_too_is_not_compared() -> None:
    report = checked("network a\ninput x: float[5]\ninput z: float[5]\ny = x + z -> dense(5)\nloss mse(y, x -> tanh)\n")
    assert report.right
    assert [row.name for row in report.rows if row.compared is None] == ["x"]


def test_symbolic_sizes_tokens_flags_and_inputs_without_effect() -> None:
    report = checked(
        "network s\ninput x: float[3, T]\ninput k: token(7)[T]\ninput u: float[2]\ntarget t: class(3)[T]\n"
        "target f: flag[3, T]\nparameter g: float[3] = ones\ny = g * x -> dense(3)\n"
        "loss cross_entropy(y, t)\nloss binary_cross_entropy(y, f)\n"
    )
    assert report.right
    shapes = {row.name: row.shape for row in report.rows}
    assert shapes == {"g": (3,), "y.dense.weight": (3, 3), "y.dense.bias": (3,), "x": (4, 3, 4), "u": (4, 2)}
    (unused,) = (row.compared for row in report.rows if row.name == "u")
    assert unused is not None
    assert unused.worst is not None
    assert (unused.entries, unused.worst.error) == (8, 0.0)


def test_a_check_leaves_the_network_as_it_was() -> None:
    network = network_of(IMAGES)
    before = {name: network.weights[name].tobytes() for name in network.weights}
    rows = drawn_rows(network, 3)
    kept = {name: array.copy() for name, array in rows.items()}
    gradcheck(network, rows, entries=5)
    assert {name: network.weights[name].tobytes() for name in network.weights} == before
    for name, array in kept.items():
        np.testing.assert_array_equal(rows[name], array)


def test_progress_counts_every_entry() -> None:
    network = network_of(CHAIN)
    told: list[tuple[int, int]] = []
    gradcheck(network, drawn_rows(network, 2), entries=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 4 + 3 + 4 + 3 + 4) for done in range(1, 19)]


def test_the_default_number_of_entries_goes_by_the_work() -> None:
    counts = {}
    for units in (3, 3000, 60000):
        network = Network.from_text(CHAIN.replace("dense(3) ->", f"dense({units}) ->"), threads=1)
        counts[units] = default_entries(network, drawn_rows(network, 4000))
    assert counts[3] == MOST
    assert FEWEST < counts[3000] < MOST
    assert counts[60000] == FEWEST


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("input x: float[3]\noutput y = relu(x)", InputError, "`n` has no loss, so there is nothing to differentiate"),
        (
            "input x: float[3]\ntarget t: float[3]\nh = x -> log\nloss mse(h, t)",
            NumericalFailure,
            r"the result of `h.log` \(<text>:4\) is not finite, and there is nothing to take differences of",
        ),
    ],
)
def test_refusals(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked(f"network n\n{text}\n")

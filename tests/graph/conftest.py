"""Networks drawn at random, for what must hold for every graph, and a way to notice that threads hang."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

HEAD = """
network drawn
input x: float[3]
input z: float[2, 3]
target t: class(3)
target v: float[3]
target q: flag[3]
parameter g: float[3] = ones
parameter M: float[3, 3]
layer shared = dense(3) -> tanh
"""

# What makes a vector of a vector {a} (and perhaps another, {b}). All of it is smooth, for finite differences; the
# norms' ε keeps their curvature small, and what could grow is bounded.
VECTORS = [
    "{a} -> tanh",
    "{a} -> sigmoid",
    "{a} -> tanh -> exp",
    "{a} -> elu",
    "{a} -> silu",
    "{a} -> softmax",
    "0.5 * {a} - 1",
    "-{a}",
    "{a} -> dense(3)",
    "{a} -> dense(3, bias = false) -> tanh -> sigmoid -> dense(3)",
    "{a} -> shared",
    "{a} + ({a} -> dense(3) -> tanh)",
    "({a} -> sigmoid) * {a}",
    "{a} + {b}",
    "{a} - {b} -> tanh",
    "({a} -> tanh) * {b}",
    "{a} * {a} -> tanh",
    "{a} + {a}",
    "{b} / (({a} -> square) + 1.5)",
    "{a} * g",
    "g - {a}",
    "M @ {a}",
    "{a} -> rms_norm(epsilon = 0.5)",
    "{a} -> layer_norm(epsilon = 0.5)",
    "{a} -> batch_norm(epsilon = 0.5)",
    "{a} -> reshape([1, 3]) -> flatten",
    "({a} -> reshape([3, 1]) -> flatten) + {a}",
    "{a} -> reshape([1, 3]) -> tanh -> conv(2, kernel = [2]) -> flatten -> dense(3)",
    "{a} -> reshape([1, 3]) -> permute([1, 0]) -> avg_pool(1) -> flatten",
    "{a} -> reshape([3, 1]) -> dense(2) -> global_avg_pool -> dense(3)",
]
LOSSES = [
    "cross_entropy({a}, t)",
    "cross_entropy({a}, t, label_smoothing = 0.2, class_weights = [1, 2, 0.5])",
    "0.5 * nll(softmax({a}), t)",
    "mse({a}, v)",
    'mse({a}, v, reduction = "sum")',
    "0.3 * squared_error({a}, v)",
    "binary_cross_entropy({a}, q)",
]
METRICS = ["accuracy({a}, t)", "rmse({a}, v)", "mae({a}, v)"]
TRAIN = "train {{ optimizer = sgd(0.05, momentum = 0.9) }}"


@st.composite
def drawn_networks(draw: st.DrawFn, *, dropout: bool = False) -> str:
    """The text of a network: branches, shared layers and parameters, chains in place, several losses and metrics."""
    tensors = ["x", "i"]
    lines = [
        "i = z -> flatten -> dense(3)" if draw(st.booleans()) else "i = z -> tanh -> dense(2) -> flatten -> dense(3)"
    ]
    ways = [*VECTORS, "{a} -> dropout(0.3)"] if dropout else VECTORS
    named = st.deferred(lambda: st.sampled_from(tensors))
    for number in range(draw(st.integers(1, 7))):
        way = draw(st.sampled_from(ways))
        lines.append(f"n{number} = " + way.format(a=draw(st.one_of(st.just(tensors[-1]), named)), b=draw(named)))
        tensors.append(f"n{number}")
    last = [name for name in tensors if name != "x"]
    losses = draw(st.lists(st.sampled_from(LOSSES), min_size=1, max_size=3))
    lines += [f"loss e{k} = " + loss.format(a=draw(st.sampled_from(last[-2:]))) for k, loss in enumerate(losses)]
    metrics = draw(st.lists(st.sampled_from(METRICS), max_size=2, unique=True))
    lines += ["metric " + metric.format(a=draw(st.sampled_from(last))) for metric in metrics]
    lines.append(f"output y = {draw(st.sampled_from(last))}")
    return "\n".join([HEAD, *lines, TRAIN.format()])


def drawn_rows(m: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch for any drawn network."""
    generator = np.random.default_rng(seed)
    return {
        "x": generator.normal(size=(m, 3)),
        "z": generator.normal(size=(m, 2, 3)),
        "t": generator.integers(0, 3, m),
        "v": generator.normal(size=(m, 3)),
        "q": generator.integers(0, 2, (m, 3)).astype(float),
    }


@pytest.fixture(scope="session")
def networks() -> Callable[..., st.SearchStrategy[str]]:
    return drawn_networks


@pytest.fixture(scope="session")
def batch() -> Callable[..., dict[str, np.ndarray]]:
    return drawn_rows


@pytest.fixture(scope="session")
def finished() -> Callable[[Callable[[], Any]], Any]:
    """What a function returns or raises, computed in a thread that may take long but not for ever."""

    def finish(function: Callable[[], Any], *, seconds: float = 30) -> Any:
        outcome: dict[str, Any] = {}

        def work() -> None:
            try:
                outcome["value"] = function()
            except BaseException as error:
                outcome["error"] = error

        thread = Thread(target=work, daemon=True)
        thread.start()
        thread.join(seconds)
        assert not thread.is_alive(), f"it hangs: no end after {seconds} s"
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    return finish

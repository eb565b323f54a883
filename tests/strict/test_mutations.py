"""A step of training that is right on the double is wrong after one line less, one wait or one keyword more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend.cupy import CupyBackend
from tensorflow_lite_bp.errors import NumericalFailure
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.layers.softmax import Softmax
from tensorflow_lite_bp.network import get_backend

pytestmark = pytest.mark.double

TEXT = """
network small
input x: float[4]
target t: class(3)
h = x -> dense(8) -> tanh -> dropout(0.3) -> dense(3) -> softmax
loss nll(h, t)
output p = h
train { optimizer = adam(0.01) batch = 8 }
"""
WAITS = 2
"""How often `Trainer.step` waits for the device: it reads the loss, and the square of the gradient."""


def check_steps() -> None:
    """Two steps give NumPy's numbers and wait as often as is known."""
    from cupy import COUNTERS

    rng = np.random.default_rng(0)
    batches = [{"x": rng.normal(size=(8, 4)), "t": rng.integers(0, 3, 8)} for _ in range(2)]
    trained = {}
    for backend in ("numpy", "cupy"):
        network = _network(backend)
        trainer = network.trainer()
        trainer.step(batches[0])
        COUNTERS.reset()
        trainer.step(batches[1])
        waits = COUNTERS.synchronisations
        COUNTERS.reset()
        trainer.advance(batches[0])
        hidden = COUNTERS.synchronisations
        assert trainer.look() == 0
        trained[backend] = dict(network.weights)
    for name, weight in trained["numpy"].items():
        np.testing.assert_allclose(trained["cupy"][name], weight, rtol=1e-5, atol=1e-7, err_msg=name)
    assert hidden == 0, f"a step that waits for nothing waits {hidden} times"
    assert waits == WAITS, f"a step waits for the device {waits} times, and {WAITS} are known"


def _network(backend: str) -> Network:
    """A network on that backend, the option of the tests or not."""
    import tensorflow_lite_bp.backend as backends
    import tensorflow_lite_bp.network as module

    switched, module.get_backend = get_backend, backends.get_backend
    try:
        return Network.from_text(TEXT, seed=1, backend=backend)
    finally:
        module.get_backend = switched


def test_the_code_as_it_is() -> None:
    check_steps()


def without_transfer(self: CupyBackend, array: np.ndarray, *, out: Any) -> None:
    self.module.copyto(out, np.asarray(array, dtype=out.dtype))


def without_copy(self: CupyBackend, array: np.ndarray, *, out: Any) -> None:
    pass


def without_wait(self: CupyBackend, array: Any) -> np.ndarray:
    """Into pinned memory, and not waited for."""
    from cupyx import empty_pinned

    found: np.ndarray = self.module.asnumpy(array, out=empty_pinned(array.shape, array.dtype), blocking=False)
    return found


_run, _forward = Plan.run, Softmax.forward


def with_hidden_wait(self: Plan, *args: Any) -> None:
    if not self.weights.gradients.flat.all():
        _run(self, *args)


def with_bincount(self: Plan, *args: Any) -> None:
    _run(self, *args)
    self.backend.module.bincount(self.backend.zeros(3, dtype="int64"))


def with_keyword(self: Softmax, xp: Any, ws: Any) -> None:
    _forward(self, xp, ws)
    xp.max(ws.X, axis=0, keepdims=True, initial=-1.0, out=ws.row)


def with_min(self: Softmax, xp: Any, ws: Any) -> None:
    _forward(self, xp, ws)
    xp.clip(ws.X, min=0.0, max=1.0, out=ws.S)


class Mutation(NamedTuple):
    """A method, what stands in its place, and what then goes wrong."""

    cls: type
    name: str
    mutant: Callable[..., Any]
    said: str


MUTATIONS = {
    "a transfer removed": Mutation(CupyBackend, "copy_from_host", without_transfer, "Unsupported type"),
    "a batch never copied": Mutation(CupyBackend, "copy_from_host", without_copy, "Not equal to tolerance"),
    "a copy back not waited for": Mutation(CupyBackend, "to_host", without_wait, "is not finite"),
    "a condition on the device": Mutation(Plan, "run", with_hidden_wait, "waits 1 times"),
    "a function that waits": Mutation(Plan, "run", with_bincount, "waits 2 times"),
    "a keyword of NumPy's max": Mutation(Softmax, "forward", with_keyword, "unexpected keyword argument 'initial'"),
    "a keyword of NumPy's clip": Mutation(Softmax, "forward", with_min, "missing a required argument: 'a_min'"),
}


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_a_mutant_is_seen(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation.cls, mutation.name, mutation.mutant)
    with pytest.raises((AssertionError, TypeError, NumericalFailure), match=mutation.said):
        check_steps()

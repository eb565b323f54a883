"""Optimizers against float64 transcriptions of their textbook updates, one weight at a time."""

from __future__ import annotations

from importlib.util import find_spec
from math import sqrt

import numpy as np
import pytest

import tensorflow_lite_bp.optimizers  # noqa: F401  declares them all
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.optimizers.adagrad import Adagrad
from tensorflow_lite_bp.optimizers.adam import Adam
from tensorflow_lite_bp.optimizers.adamw import AdamW
from tensorflow_lite_bp.optimizers.rmsprop import RMSprop
from tensorflow_lite_bp.optimizers.sgd import SGD

STEPS, COUNT = 25, 37
RATES = [0.03 / (1 + step) for step in range(STEPS)]
rng = np.random.default_rng(1)
START = rng.normal(size=COUNT)
GRADIENTS = rng.normal(size=(STEPS, COUNT)) * 10.0 ** rng.integers(-4, 3, COUNT)
GRADIENTS[:, 5] = 0.0  # a weight that nothing reaches


def sgd(w, gradients, *, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = 0.0
    for g, rate in zip(gradients, RATES, strict=True):
        pulled = g + weight_decay * w
        v = momentum * v + pulled
        w -= rate * ((pulled + momentum * v) if nesterov else v)
    return w


def rmsprop(w, gradients, *, decay=0.9, epsilon=1e-8):
    s = 0.0
    for g, rate in zip(gradients, RATES, strict=True):
        s = decay * s + (1 - decay) * g**2
        w -= rate * g / (sqrt(s) + epsilon)
    return w


def adagrad(w, gradients, *, epsilon=1e-10):
    s = 0.0
    for g, rate in zip(gradients, RATES, strict=True):
        s += g**2
        w -= rate * g / (sqrt(s) + epsilon)
    return w


def adam(w, gradients, *, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0):
    m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, RATES, strict=True), start=1):
        w -= rate * weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w -= rate * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + epsilon)
    return w


CASES = [
    (SGD, sgd, {}),
    (SGD, sgd, {"weight_decay": 0.3}),
    (SGD, sgd, {"momentum": 0.9}),
    (SGD, sgd, {"momentum": 0.9, "weight_decay": 0.3}),
    (SGD, sgd, {"momentum": 0.8, "nesterov": True}),
    (SGD, sgd, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.3}),
    (RMSprop, rmsprop, {}),
    (RMSprop, rmsprop, {"decay": 0.5, "epsilon": 0.1}),
    (RMSprop, rmsprop, {"decay": 0.0}),
    (Adagrad, adagrad, {}),
    (Adagrad, adagrad, {"epsilon": 0.1}),
    (Adam, adam, {}),
    (Adam, adam, {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.1}),
    (Adam, adam, {"beta1": 0.0, "beta2": 0.0}),
    (AdamW, lambda w, g, **settings: adam(w, g, **{"weight_decay": 0.01, **settings}), {}),
    (AdamW, adam, {"weight_decay": 0.3, "beta1": 0.8}),
]
IDS = [f"{cls.name}-{'-'.join(settings) or 'default'}" for cls, _, settings in CASES]


class Run:
    """An optimizer on its flat arrays, as a trainer holds them."""

    def __init__(self, optimizer, dtype=np.float64):
        self.optimizer = optimizer
        self.W = START.astype(dtype)
        self.state = {name: np.zeros_like(self.W) for name in optimizer.used_slots()}
        self.scratch = [np.full_like(self.W, np.nan) for _ in range(optimizer.scratch)]

    def go(self, first=0, last=STEPS, blocks=(slice(None),)):
        for step in range(first, last):
            dW = GRADIENTS[step].astype(self.W.dtype)
            for block in blocks:
                self.optimizer.update(
                    np,
                    self.W[block],
                    dW[block],
                    {name: slot[block] for name, slot in self.state.items()},
                    [array[block] for array in self.scratch],
                    by=self.optimizer.factors(rate=RATES[step], step=step + 1),
                )
        return self.W


def test_every_optimizer_stands_in_this_file():
    assert {cls for cls, _, _ in CASES} == set(registry["optimizer"].values())


@pytest.mark.parametrize(("cls", "textbook", "settings"), CASES, ids=IDS)
class TestEach:
    def test_textbook(self, cls, textbook, settings):
        expected = [textbook(w, g, **settings) for w, g in zip(START, GRADIENTS.T, strict=True)]
        np.testing.assert_allclose(Run(cls(1.0, **settings)).go(), expected, rtol=1e-12, atol=1e-14)

    def test_float32_stays_float32_and_near(self, cls, textbook, settings):
        run = Run(cls(1.0, **settings), np.float32)
        expected = Run(cls(1.0, **settings)).go()
        found = run.go()
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())

    def test_the_update_is_in_place(self, cls, textbook, settings):
        run = Run(cls(1.0, **settings))
        arrays = {"W": run.W, **run.state}
        run.go()
        assert run.W is arrays["W"]
        assert all(run.state[name] is arrays[name] for name in run.state)

    def test_blocks_change_no_bit(self, cls, textbook, settings):
        whole = Run(cls(1.0, **settings), np.float32)
        cut = Run(cls(1.0, **settings), np.float32)
        np.testing.assert_array_equal(cut.go(blocks=(slice(0, 5), slice(5, 21), slice(21, None))), whole.go())

    def test_restored_state_goes_on_bit_for_bit(self, cls, textbook, settings):
        whole = Run(cls(1.0, **settings), np.float32)
        half, rest = Run(cls(1.0, **settings), np.float32), Run(cls(1.0, **settings), np.float32)
        half.go(last=11)
        rest.W[:] = half.W
        for name, slot in half.state.items():
            rest.state[name][:] = slot
        np.testing.assert_array_equal(rest.go(first=11), whole.go())

    def test_steady_state_allocates_nothing(self, cls, textbook, settings):
        optimizer = cls(1.0, **settings)
        seen = []

        class Watched:
            def __getattr__(self, name):
                def call(*args, **kwargs):
                    seen.append((name, "out" in kwargs))
                    return getattr(np, name)(*args, **kwargs)

                return call

        arrays = [np.ones(3) for _ in range(2 + len(optimizer.used_slots()) + optimizer.scratch)]
        W, dW, *others = arrays
        state = dict(zip(optimizer.used_slots(), others, strict=False))
        scratch = others[len(state) :]
        optimizer.update(Watched(), W, dW, state, scratch, by=optimizer.factors(rate=0.1, step=1))
        assert all(out for _, out in seen), seen


def test_passes():
    """What an update costs: it runs over all weights in each step, and memory is what it waits for."""
    counts = {}
    for cls, _, settings in CASES:
        optimizer, calls = cls(1.0, **settings), []

        class Counted:
            def __getattr__(self, name, calls=calls):
                return lambda *args, **kwargs: (calls.append(name), getattr(np, name)(*args, **kwargs))[1]

        state = {name: np.zeros(2) for name in optimizer.used_slots()}
        scratch = [np.zeros(2) for _ in range(optimizer.scratch)]
        optimizer.update(Counted(), np.ones(2), np.ones(2), state, scratch, by=optimizer.factors(rate=0.1, step=1))
        counts.setdefault(cls.name, len(calls))
    assert counts == {"sgd": 2, "rmsprop": 8, "adagrad": 7, "adam": 10, "adamw": 11}


def test_plain_sgd_needs_no_slot():
    assert SGD(0.1).used_slots() == ()
    assert SGD(0.1, momentum=0.9).used_slots() == ("momentum",)


def test_nesterov_without_momentum():
    with pytest.raises(InputError) as caught:
        SGD(0.1, nesterov=True)
    assert str(caught.value) == (
        "sgd: `nesterov = true` looks ahead along a momentum, and the momentum is 0: "
        "write `momentum = 0.9`, or leave `nesterov` out"
    )


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(
    ("optimizer", "name", "settings"),
    [
        (SGD(1.0, momentum=0.8, nesterov=True, weight_decay=0.3), "SGD", (0.8, True, 0.3)),
        (RMSprop(1.0, decay=0.7), "RMSprop", (0.7,)),
        (Adagrad(1.0), "Adagrad", ()),
        (Adam(1.0, beta1=0.8), "Adam", (0.8,)),
        (AdamW(1.0, weight_decay=0.3), "AdamW", (0.3,)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_pytorch_has_it(optimizer, name, settings):
    import torch

    keywords = {
        "SGD": lambda momentum, nesterov, decay: {
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": decay,
        },
        "RMSprop": lambda decay: {"alpha": decay},
        "Adagrad": dict,
        "Adam": lambda beta1: {"betas": (beta1, 0.999)},
        "AdamW": lambda decay: {"weight_decay": decay},
    }[name](*settings)
    W = torch.tensor(START, requires_grad=True)
    other = getattr(torch.optim, name)([W], lr=1.0, **keywords)
    for g, rate in zip(GRADIENTS, RATES, strict=True):
        other.param_groups[0]["lr"] = rate
        W.grad = torch.tensor(g)
        other.step()
    np.testing.assert_allclose(Run(optimizer).go(), W.detach().numpy(), rtol=1e-11, atol=1e-14)

"""Training curves, memory, launches and waits: what the acceptance says of backends that do and do not keep to them."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.acceptance import memory, steps, throughput, training
from tensorflow_lite_bp.acceptance.check import Check
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.backend.base import MemoryUse
from tensorflow_lite_bp.backend.numpy import NumpyBackend

GIVEN = {str(check): check for part in (training, memory, steps, throughput) for check in part.checks()}


def made(name: str, backend: Any) -> tuple[str, str]:
    outcome = GIVEN[name].outcome(backend)
    return outcome.state, outcome.found


# Training


class OtherOrder(NumpyBackend):
    """Adds up products from the other end, in one thread."""

    threaded = False

    def matmul(self, A: Any, B: Any, *, out: Any) -> Any:
        return np.matmul(A[..., ::-1], B[..., ::-1, :], out=out)


class OtherDropout(NumpyBackend):
    """Draws the numbers of the next step."""

    def uniform(self, draw: Draw, *, out: Any) -> None:
        next_one = Draw(draw.seed, draw.purpose, draw.index, draw.step + 1, draw.shard)
        super().uniform(next_one, out=out)


TRAININGS = [name for name in GIVEN if name.startswith("training")]


@pytest.mark.parametrize("name", TRAININGS)
def test_an_order_of_sums_is_far_from_the_tolerance(name: str) -> None:
    state, found = made(name, OtherOrder())
    assert state == "passed", found
    largest = float(found.rpartition(" ")[2])
    precision = name.rpartition(" ")[2]
    assert 0 < largest < training.TOLERANCES[precision] / (10 if precision.startswith("mixed") else 50)


def test_the_trainings_have_what_a_step_can_have() -> None:
    """Several losses, clipping, accumulation, batches that do not come out even, both kinds of split."""
    curve = training.curve("regression", "float64", get_backend("numpy"))
    assert len(curve) == 4
    assert set(curve[0]) == {f"{split} {name}" for split in ("train", "validation") for name in ("loss", "rmse", "r2")}


def test_another_curve_is_named_with_its_epoch() -> None:
    state, found = made("training: perceptron, float64", OtherDropout())
    assert state == "failed"
    assert found.startswith("epoch 1: the train loss is ")
    assert made("training: regression, float64", OtherDropout())[0] == "passed"  # no dropout


def test_a_training_that_learns_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    still = [{"train loss": 2.0}, {"train loss": 2.0}]
    monkeypatch.setattr(training, "curve", lambda name, precision, backend: still)
    assert made("training: perceptron, float32", NumpyBackend()) == (
        "failed",
        "nothing was learnt: the loss goes from 2 to 2",
    )


# Memory


class Counting(NumpyBackend):
    """Has its memory counted by Python itself, and with it the rows that are fed and Python's objects."""

    threaded = False
    staged = 2  # room for these

    def memory_use(self) -> MemoryUse:
        now, most = tracemalloc.get_traced_memory()
        return MemoryUse(now, most)

    def release_memory(self) -> None:
        tracemalloc.reset_peak()


class Wasteful(Counting):
    """Takes three times what is asked for."""

    def memory(self, size: int) -> Any:
        return super().memory(3 * size)[:size]


class Leaking(Counting):
    """Keeps a copy of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[np.ndarray] = []

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        self.kept.append(np.array(array))
        super().copy_from_host(array, out=out)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


BOUND, CONSTANT = (
    "memory: a training step stays within its plan",
    "memory: training does not take more from step to step",
)


def test_what_is_planned_is_what_is_taken(traced: None) -> None:
    state, found = made(BOUND, Counting())
    assert state == "passed", found
    assert found.startswith("arrays take ")


def test_more_than_is_planned_is_a_failure(traced: None) -> None:
    state, found = made(BOUND, Wasteful())
    assert state == "failed"
    assert " MiB, and plan, weights and optimizer need " in found


def test_memory_that_grows_is_a_failure(traced: None) -> None:
    assert made(CONSTANT, Leaking())[0] == "failed"
    assert made(CONSTANT, Leaking())[1].startswith("after 5 more steps arrays take ")


def test_where_nobody_counts_there_is_no_check() -> None:
    assert made(BOUND, NumpyBackend()) == ("skipped", "the backend numpy does not count its memory")


# Launches and waits


class Queued(NumpyBackend):
    queued = True
    waits = 0

    def synchronize(self) -> None:
        self.waits += 1


LAUNCHES, WAITS = "steps: launches are those that the plan counts", "steps: the host never waits"


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts what a step does, what its plan counts and what a profiler hears in the place of the real ones."""

    def put(*, does: Callable[[], object] = lambda: None, planned: int = 0, heard: steps.Heard | None = None) -> None:
        plan = SimpleNamespace(run=lambda: None, launches=planned)
        monkeypatch.setattr(steps, "_steps", lambda backend: (does, plan))
        monkeypatch.setattr(steps, "listened", lambda step: heard)

    return put


@pytest.mark.parametrize(
    ("planned", "kernels", "expected"),
    [
        (18, None, ("skipped", "the plan counts 18 launches; counting the real ones needs PyTorch with CUDA")),
        (18, 20 * 18, ("passed", "the plan runs 18 kernels, and it counts 18 launches; the whole step runs 18")),
        (18, 20 * 22, ("passed", "the plan runs 22 kernels, and it counts 18 launches; the whole step runs 22")),
        (18, 20 * 28, ("failed", "the plan runs 28 kernels, and it counts 18 launches")),
    ],
)
def test_launches(planned: int, kernels: int | None, expected: tuple[str, str], step) -> None:
    step(planned=planned, heard=steps.Heard(kernels, Counter()) if kernels is not None else None)
    assert made(LAUNCHES, Queued()) == expected


def test_a_step_that_waits_for_nothing(step) -> None:
    step()
    assert made(WAITS, Queued()) == ("passed", "0 waits in 20 steps, counted by the backend")
    step(heard=steps.Heard(0, Counter()))
    assert made(WAITS, Queued()) == ("passed", "0 waits in 20 steps, counted by the backend and by PyTorch's profiler")


def test_a_step_that_waits(step) -> None:
    backend = Queued()
    step(does=backend.synchronize)
    assert made(WAITS, backend) == ("failed", "in 20 steps the host waits 20 times by way of the backend")
    step(heard=steps.Heard(0, Counter(cudaStreamSynchronize=3)))
    assert made(WAITS, backend) == (
        "failed",
        "in 20 steps the host waits 0 times by way of the backend; cudaStreamSynchronize 3",
    )


def test_numpy_has_nothing_to_wait_for() -> None:
    assert made(WAITS, NumpyBackend())[0] == "skipped"


# Throughput


def test_figures_are_samples_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves by a second when it waits: ten steps of 4 samples a second."""
    clock = iter(range(1000))
    monkeypatch.setattr(throughput, "perf_counter", lambda: float(next(clock)))
    taken: list[int] = []
    assert throughput.rate(lambda: taken.append(1), lambda: None, 4) == 40.0
    assert len(taken) >= 20


def test_the_step_is_measured_here_and_on_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "SECONDS", 0.0)
    for name in ("throughput: mlp, batch 256", "throughput: mlp, batch 256, NumPy"):
        state, found = made(name, NumpyBackend())
        assert (state, found.endswith(" samples/s")) == ("passed", True)


def test_checks_have_names_of_their_own() -> None:
    assert all(isinstance(check, Check) for check in GIVEN.values())
    assert len(TRAININGS) == 12

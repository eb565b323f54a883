"""Every loss, from its examples: a new one is tested without being named here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorflow_lite_bp.losses  # noqa: F401  # declares them
from dsl.types import TensorType
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.declare import Declared, registry, settings_of
from tensorflow_lite_bp.graph import blocks
from tensorflow_lite_bp.graph.blocks import in_blocks
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.losses.base import Example, Loss
from tensorflow_lite_bp.losses.cross_entropy import CrossEntropy

XP = get_backend("numpy")
CLASSES: dict[str, Any] = registry["loss"]
CASES = [pytest.param(cls, ex, id=f"{name}-{k}") for name, cls in CLASSES.items() for k, ex in enumerate(cls.examples)]
each_case = pytest.mark.parametrize(("cls", "example"), CASES)
each_class = pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in CLASSES.items()])


def all_settings(cls: type[Declared], example: Example) -> dict[str, Any]:
    """The settings as the checker gives them: every one, defaults filled in."""
    return {item.name: item.default for item in settings_of(cls)} | dict(example.settings)


def spoil(array: np.ndarray) -> np.ndarray:
    """Fill with what no correct result can come from."""
    array.fill({"b": True, "i": -(1 << 40)}.get(array.dtype.kind, np.nan))
    return array


class Bench:
    """One loss on one example: its total and its buffers start as NaN."""

    def __init__(self, cls: Any, example: Example, *, dtype: str = "float64", m: int = 4, seed: int = 0) -> None:
        self.loss: Loss = cls.from_settings(all_settings(cls, example))
        self.example, self.dtype, self.m = example, dtype, m
        self.rng = np.random.default_rng(seed)
        self.Y = self.rng.uniform(example.low, example.high, (*example.prediction.shape, m)).astype(dtype)
        self.T = self._target(example.target)
        self.scale = 0.3 * self.loss.scale(example.prediction.shape, example.target.shape, m)
        self.new_workspace()

    def _target(self, type_: TensorType) -> np.ndarray:
        shape = (*type_.shape, self.m)
        if type_.count is not None:
            return self.rng.integers(0, type_.count, shape)
        if type_.kind == "flag":
            return self.rng.integers(0, 2, shape).astype(self.dtype)
        return self.rng.uniform(self.example.low, self.example.high, shape).astype(self.dtype)

    def new_workspace(self) -> None:
        self.buffers = self.loss.buffers(self.Y.shape, self.T.shape)
        dtypes = {"float": self.dtype, "bool": "bool", "int": "int64"}
        made = {role: spoil(np.empty(b.shape, dtypes[b.kind])) for role, b in self.buffers.items()}
        for role, buffer in self.buffers.items():
            if buffer.constant is not None:
                made[role][...] = buffer.constant()
        E, dY = spoil(np.empty((), self.dtype)), spoil(np.empty_like(self.Y))
        self.ws = Workspace(m=self.m, scale=self.scale, Y=self.Y, T=self.T, E=E, dY=dY, **made)

    def forward(self) -> float:
        with XP.computing():
            self.loss.forward(XP, self.ws)
        return float(self.ws.E)

    def backward(self) -> np.ndarray:
        with XP.computing():
            self.loss.backward(XP, self.ws)
        return np.array(self.ws.dY)

    def both(self) -> np.ndarray:
        self.forward()
        return self.backward()


def check_gradient(cls: Any, example: Example) -> None:
    """Backward against central differences, with everything gone that backward has not said it reads."""
    bench, h = Bench(cls, example), 1e-6
    bench.forward()
    for role in {"Y", "T"} - cls.reads:
        setattr(bench.ws, role, spoil(getattr(bench.ws, role).copy()))
    for role, buffer in bench.buffers.items():
        if not buffer.saved and buffer.constant is None:
            spoil(getattr(bench.ws, role))
    computed = bench.backward()
    bench.new_workspace()
    slope = np.empty_like(bench.Y)
    for place in np.ndindex(bench.Y.shape):
        kept = bench.Y[place]
        bench.Y[place] = kept + h
        above = bench.forward()
        bench.Y[place] = kept - h
        slope[place] = (above - bench.forward()) / (2 * h)
        bench.Y[place] = kept
    np.testing.assert_allclose(computed, slope, rtol=1e-6, atol=1e-8)


@each_case
def test_the_gradient_is_that_of_central_differences(cls: Any, example: Example) -> None:
    check_gradient(cls, example)


def test_a_broken_backward_line_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = CrossEntropy.backward

    def target_forgotten(self: CrossEntropy, xp: Any, ws: Any) -> None:
        ws.place[...] = 0
        right(self, xp, ws)

    monkeypatch.setattr(CrossEntropy, "backward", target_forgotten)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_gradient(CrossEntropy, CrossEntropy.examples[0])


@each_class
def test_reads_names_nothing_that_backward_could_do_without(cls: Any) -> None:
    """Spoiling what `reads` names must spoil the gradient in some example; so must spoiling a saved buffer."""
    needed: set[str] = set()
    saved: set[str] = set()
    for example in cls.examples:
        expected = Bench(cls, example).both()
        buffers = {role for role, buffer in Bench(cls, example).buffers.items() if buffer.saved}
        saved |= buffers
        for role in cls.reads | buffers:
            bench = Bench(cls, example)
            bench.forward()
            setattr(bench.ws, role, spoil(getattr(bench.ws, role).copy()))
            try:
                changed = not np.array_equal(bench.backward(), expected)
            except IndexError:  # a spoiled place lies outside
                changed = True
            if changed:
                needed.add(role)
    assert needed == cls.reads | saved


@each_case
def test_nothing_but_its_own_is_written(cls: Any, example: Example) -> None:
    bench = Bench(cls, example)
    before = bench.Y.tobytes(), bench.T.tobytes()
    E = bench.forward()
    bench.backward()
    assert (bench.Y.tobytes(), bench.T.tobytes()) == before
    assert float(bench.ws.E) == E
    for role, buffer in bench.buffers.items():
        if buffer.constant is not None:
            np.testing.assert_array_equal(getattr(bench.ws, role), buffer.constant())


@each_case
def test_a_recorded_run_replays_on_new_data(cls: Any, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, other = Bench(cls, example), Bench(cls, example, seed=1)
    recorder = Recorder(XP)
    bench.loss.forward(recorder, bench.ws)
    bench.loss.backward(recorder, bench.ws)
    assert np.isnan(bench.ws.E)  # recording computes nothing
    bench.Y[...], bench.T[...] = other.Y, other.T
    monkeypatch.setattr(blocks, "SMALL", 0)
    monkeypatch.setattr(XP, "cache", 1)  # every chain is cut into single rows
    with XP.computing():
        for call in XP.program(in_blocks(recorder.calls, XP)):
            call()
    assert float(bench.ws.E) == pytest.approx(other.forward(), rel=1e-13)  # sums are bound as products with ones
    np.testing.assert_allclose(bench.ws.dY, other.backward(), rtol=1e-13, atol=1e-15)


@each_case
def test_float32_stays_near_float64(cls: Any, example: Example) -> None:
    single, double = Bench(cls, example, dtype="float32"), Bench(cls, example)
    assert single.forward() == pytest.approx(double.forward(), rel=2e-6)
    found = single.both()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, double.backward(), rtol=2e-5, atol=1e-6)


@each_case
def test_shards_of_a_batch_add_up(cls: Any, example: Example) -> None:
    """Some columns by themselves, under the whole batch's scale, give their part of the total and of the gradient."""
    whole, parts = Bench(cls, example), []
    for columns in (slice(0, 1), slice(1, 4)):
        part = Bench(cls, example)
        part.Y = np.ascontiguousarray(whole.Y[..., columns])
        part.T = np.ascontiguousarray(whole.T[..., columns])
        part.new_workspace()
        parts.append(part)
    assert sum(part.forward() for part in parts) == pytest.approx(whole.forward(), rel=1e-12)
    dY = np.concatenate([part.backward() for part in parts], axis=-1)
    np.testing.assert_allclose(dY, whole.backward(), rtol=1e-12)


@each_class
def test_the_mean_is_the_sum_divided_by_samples_and_terms(cls: Any) -> None:
    for example in cls.examples:
        shapes = example.prediction.shape, example.target.shape
        settings = all_settings(cls, example)
        total = cls.from_settings({**settings, "reduction": "sum"})
        mean = cls.from_settings({**settings, "reduction": "mean"})
        assert total.scale(*shapes, 7) == 1.0
        assert mean.scale(*shapes, 7) == pytest.approx(1 / (7 * mean.terms(*shapes)))


@each_case
def test_the_signature_accepts_the_example(cls: Any, example: Example) -> None:
    signature = cls.signature()
    assert signature.rule is not None
    result = signature.rule(all_settings(cls, example), (example.prediction, example.target))
    assert (result.kind, result.shape) == ("float", ())
    assert example.prediction.kind in signature.ports[0].kinds
    assert example.target.kind in signature.ports[1].kinds


@each_class
def test_the_examples_reach_every_setting_and_kind_of_target(cls: Any) -> None:
    for item in settings_of(cls):
        used = [all_settings(cls, example)[item.name] for example in cls.examples]
        assert all(choice in used for choice in item.choices), item.name
        assert len({repr(value) for value in used}) > 1, f"{item.name} is always {used[0]}"
    assert {example.target.kind for example in cls.examples} == set(cls.kinds[1])


@each_class
def test_it_says_what_it_is(cls: Any) -> None:
    assert (cls.__doc__ or "").split("\n")[0].endswith(".")
    assert cls.formula.startswith("E = ")
    assert set(cls.gradients) == {"dY"}
    assert all(item.help for item in settings_of(cls))

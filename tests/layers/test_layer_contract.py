"""Every layer and operator, from its examples: a new one is tested without being named here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import onnxruntime
import pytest

import tensorflow_lite_bp.layers  # noqa: F401  # declares them
from dsl.types import TensorType
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.declare import Declared, registry, settings_of
from tensorflow_lite_bp.exchange.builder import Builder
from tensorflow_lite_bp.graph import blocks
from tensorflow_lite_bp.graph.blocks import in_blocks
from tensorflow_lite_bp.graph.layout import buffer_dtype
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Example, Layer
from tensorflow_lite_bp.layers.dense import Dense

XP = get_backend("numpy")
CLASSES: dict[str, Any] = {**registry["layer"], **registry["operator"]}
CASES = [pytest.param(cls, ex, id=f"{name}-{k}") for name, cls in CLASSES.items() for k, ex in enumerate(cls.examples)]
each_case = pytest.mark.parametrize(("cls", "example"), CASES)
each_class = pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in CLASSES.items()])


def all_settings(cls: type[Declared], example: Example) -> dict[str, Any]:
    """The settings as the checker gives them: every one, defaults filled in."""
    given = {item.name: item.default for item in settings_of(cls)} | dict(example.settings)
    assert given.keys() == {item.name for item in settings_of(cls)}
    return given


def types_of(cls: Any, example: Example) -> tuple[TensorType, ...]:
    ports = zip(cls.ports, example.shapes, strict=True)
    return tuple(TensorType("float", shape, per_sample=port not in example.parameters) for port, shape in ports)


class Bench:
    """One layer on one example. Outputs, gradients and buffers start as NaN, so whatever is read too early is seen."""

    def __init__(self, cls: Any, example: Example, *, dtype: str = "float64", m: int = 3, seed: int = 0) -> None:
        self.layer: Layer = cls.from_settings(all_settings(cls, example))
        self.example, self.dtype, self.m = example, dtype, m
        rng = np.random.default_rng(seed)
        self.inputs = {
            port: self._drawn(rng, shape if port in example.parameters else (*shape, m))
            for port, shape in zip(cls.ports, example.shapes, strict=True)
        }
        weights = self.layer.weights(*example.shapes)
        lows = {
            letter: -1.0 if weight.trainable else 0.5 for letter, weight in weights.items()
        }  # variances are positive
        self.weights = {
            letter: rng.uniform(low, 1, weights[letter].shape).astype(dtype) for letter, low in lows.items()
        }
        self.trainable = [letter for letter, weight in weights.items() if weight.trainable]
        self.shape = self.layer.result(*types_of(cls, example)).shape
        self.dY = rng.uniform(-1, 1, (*self.shape, m)).astype(dtype)
        self.draw = Draw(1, "test")
        self.new_workspace()

    def _drawn(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        X = rng.uniform(self.example.low, self.example.high, shape)
        for kink in self.example.kinks:
            X = np.where(np.abs(X - kink) < 0.01, kink + 0.02, X)
        return X.astype(self.dtype)

    def new_workspace(self) -> None:
        self.buffers = self.layer.buffers(*(X.shape for X in self.inputs.values()))
        name = np.dtype(self.dtype).name
        made = {role: np.empty(b.shape, buffer_dtype(b, name)) for role, b in self.buffers.items()}
        for role, buffer in self.buffers.items():
            if buffer.constant is not None:
                made[role][...] = buffer.constant()
            elif buffer.zeroed:
                made[role].fill(0)
            else:
                spoil(made[role])
        gradients = {f"d{role}": spoil(np.empty_like(a)) for role, a in {**self.inputs, **self.weights}.items()}
        Y = spoil(np.empty((*self.shape, self.m), self.dtype))
        arrays = {**self.inputs, **self.weights, **made, **gradients}
        self.ws = Workspace(m=self.m, draw=self.draw, Y=Y, dY=self.dY, **arrays)

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """What backward wrote, by the role it belongs to."""
        written = {role: getattr(self.ws, f"d{role}") for role in (*self.inputs, *self.trainable)}
        return {role: np.array(gradient) for role, gradient in written.items() if gradient is not None}

    def forward(self) -> np.ndarray:
        with XP.computing():
            self.layer.forward(XP, self.ws)
        return np.array(self.ws.Y)

    def infer(self) -> np.ndarray:
        with XP.computing():
            self.layer.infer(XP, self.ws)
        return np.array(self.ws.Y)

    def backward(self) -> dict[str, np.ndarray]:
        with XP.computing():
            self.layer.backward(XP, self.ws)
        return self.gradients

    def both(self) -> dict[str, np.ndarray]:
        self.forward()
        return self.backward()

    def differences(self) -> Iterator[tuple[str, np.ndarray]]:
        """For each input and trainable weight the derivative of Σ dY ⊙ Y, by central differences."""
        h = 1e-6

        def value() -> float:
            return float((self.forward() * self.dY).sum())

        for role, array in {**self.inputs, **{letter: self.weights[letter] for letter in self.trainable}}.items():
            slope = np.empty_like(array)
            for place in np.ndindex(array.shape):
                kept = array[place]
                array[place] = kept + h
                above = value()
                array[place] = kept - h
                slope[place] = (above - value()) / (2 * h)
                array[place] = kept
            yield role, slope


def spoil(array: np.ndarray) -> np.ndarray:
    """Fill with what no correct result can come from."""
    array.fill({"b": True, "i": -(1 << 40)}.get(array.dtype.kind, np.nan))
    return array


def check_gradients(cls: Any, example: Example) -> None:
    """Backward against central differences, with everything gone that backward has not said it reads."""
    bench = Bench(cls, example)
    bench.forward()
    for role in {"Y", *bench.inputs} - cls.reads:
        array = bench.ws.Y if role == "Y" else bench.inputs[role]
        setattr(bench.ws, role, spoil(array.copy()))
    for role, buffer in bench.buffers.items():
        if not (buffer.saved or buffer.zeroed) and buffer.constant is None:
            spoil(getattr(bench.ws, role))
    computed = bench.backward()
    bench.new_workspace()
    for role, slope in bench.differences():
        np.testing.assert_allclose(computed[role], slope, rtol=1e-6, atol=1e-8, err_msg=f"d{role}")


@each_case
def test_gradients_are_those_of_central_differences(cls: Any, example: Example) -> None:
    check_gradients(cls, example)


def test_a_broken_backward_line_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.backward

    def transpose_missing(self: Dense, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        xp.matmul(ws.W, ws.dY, out=ws.dX)

    def sign_wrong(self: Dense, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        xp.negative(ws.db, out=ws.db)

    def one_sample_forgotten(self: Dense, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        xp.matmul(ws.dY[:, 1:], ws.X[:, 1:].T, out=ws.dW)

    square = Example({"units": 3}, ((3,),))
    check_gradients(Dense, square)
    for broken, where in ((transpose_missing, "dX"), (sign_wrong, "db"), (one_sample_forgotten, "dW")):
        monkeypatch.setattr(Dense, "backward", broken)
        with pytest.raises(AssertionError, match=where):
            check_gradients(Dense, square)


@each_class
def test_reads_names_nothing_that_backward_could_do_without(cls: Any) -> None:
    """Spoiling what `reads` names must spoil a gradient in some example; so must spoiling a saved buffer."""
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
                found = bench.backward()
            except IndexError:  # a spoiled index
                needed.add(role)
            else:
                if any(not np.array_equal(gradient, expected[name]) for name, gradient in found.items()):
                    needed.add(role)
    assert needed == cls.reads | saved


@each_case
def test_nothing_but_its_own_is_written(cls: Any, example: Example) -> None:
    bench = Bench(cls, example)
    owned = {**bench.inputs, **bench.weights, "dY": bench.dY}
    before = {role: array.tobytes() for role, array in owned.items()}
    Y = bench.forward()
    bench.backward()
    assert {role: array.tobytes() for role, array in owned.items()} == before
    np.testing.assert_array_equal(bench.ws.Y, Y)
    bench.layer.advance(XP, bench.ws)
    changed = {role for role, array in owned.items() if array.tobytes() != before[role]}
    assert changed == bench.weights.keys() - set(bench.trainable)
    constants = {role: buffer.constant() for role, buffer in bench.buffers.items() if buffer.constant is not None}
    for role, values in constants.items():
        np.testing.assert_array_equal(getattr(bench.ws, role), values)


@each_case
def test_a_gradient_that_nobody_needs_is_left_out(cls: Any, example: Example) -> None:
    expected = Bench(cls, example).both()
    for port in cls.ports:
        bench = Bench(cls, example)
        setattr(bench.ws, f"d{port}", None)
        found = bench.both()
        assert port not in found
        for role, gradient in found.items():
            np.testing.assert_array_equal(gradient, expected[role], err_msg=role)


@each_case
def test_in_place_gives_the_same(cls: Any, example: Example) -> None:
    port = cls.ports[0]
    if not cls.in_place or port in example.parameters:
        return
    plain, bench = Bench(cls, example), Bench(cls, example)
    Y, expected = plain.forward(), plain.backward()
    if port not in cls.reads:
        bench.ws.Y = bench.inputs[port].reshape(bench.ws.Y.shape)
    np.testing.assert_array_equal(bench.forward(), Y)
    setattr(bench.ws, f"d{port}", bench.ws.dY.reshape(bench.inputs[port].shape))
    for role, gradient in bench.backward().items():
        np.testing.assert_array_equal(gradient, expected[role], err_msg=role)


@each_case
def test_a_recorded_run_replays_on_new_data(cls: Any, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, other = Bench(cls, example), Bench(cls, example, seed=1)
    recorder = Recorder(XP)
    bench.layer.forward(recorder, bench.ws)
    bench.layer.backward(recorder, bench.ws)
    bench.layer.advance(recorder, bench.ws)
    assert np.isnan(bench.ws.Y).all()  # recording computes nothing
    for old, new in ((bench.inputs, other.inputs), (bench.weights, other.weights), ({"": bench.dY}, {"": other.dY})):
        for role, array in old.items():
            array[...] = new[role]
    monkeypatch.setattr(blocks, "SMALL", 0)
    monkeypatch.setattr(XP, "cache", 1)  # every chain is cut into single rows
    with XP.computing():
        for call in XP.program(in_blocks(recorder.calls, XP)):
            call()
    near = {"rtol": 1e-13, "atol": 1e-15}  # sums are bound as products with ones, which add in another order
    np.testing.assert_allclose(bench.ws.Y, other.forward(), **near)
    for role, gradient in other.backward().items():
        np.testing.assert_allclose(bench.gradients[role], gradient, **near, err_msg=role)
    other.layer.advance(XP, other.ws)
    for letter, W in other.weights.items():
        np.testing.assert_allclose(bench.weights[letter], W, **near, err_msg=letter)


class Shard:
    """The backend as one thread of several sees it that compute one batch, each its own columns."""

    def __init__(self, barrier: Barrier, parts: list[np.ndarray]) -> None:
        self.barrier, self.parts = barrier, parts

    def __getattr__(self, name: str) -> Any:
        return getattr(XP, name)

    def sum_shards(self, part: np.ndarray, *, out: np.ndarray) -> None:
        self.parts.append(part)
        self.barrier.wait()
        whole = np.sum(self.parts, axis=0)
        self.barrier.wait()
        self.parts.clear()
        self.barrier.wait()
        out[...] = whole


@each_case
def test_two_shards_are_one_batch(cls: Any, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XP, "uniform", lambda draw, *, out: out.fill(0.4))  # each shard's own: tested with the plan
    whole = Bench(cls, example, m=5)
    Y, gradients = whole.forward(), whole.backward()
    shards = [Bench(cls, example, m=m) for m in (2, 3)]
    start = 0
    for shard in shards:
        for port, X in shard.inputs.items():
            X[...] = (
                whole.inputs[port] if port in example.parameters else whole.inputs[port][..., start:][..., : shard.m]
            )
        for letter, W in shard.weights.items():
            W[...] = whole.weights[letter]
        shard.dY[...] = whole.dY[..., start:][..., : shard.m]
        start += shard.m
        shard.ws.m = whole.m
    barrier, parts = Barrier(len(shards)), []

    def run(shard: Bench) -> None:
        xp = Shard(barrier, parts)
        with XP.computing():
            shard.layer.forward(xp, shard.ws)
            shard.layer.backward(xp, shard.ws)

    with ThreadPoolExecutor(len(shards)) as threads:
        list(threads.map(run, shards))
    np.testing.assert_allclose(np.concatenate([shard.ws.Y for shard in shards], axis=-1), Y, rtol=1e-12, atol=1e-14)
    for role, gradient in gradients.items():
        found = [shard.gradients[role] for shard in shards]
        per_sample = role in cls.ports and role not in example.parameters
        joined = np.concatenate(found, axis=-1) if per_sample else sum(found)
        np.testing.assert_allclose(joined, gradient, rtol=1e-10, atol=1e-12, err_msg=role)


@each_case
def test_float32_stays_near_float64(cls: Any, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    def uniform(draw: Draw, *, out: np.ndarray) -> None:
        out[...] = draw.generator().random(out.shape)  # the generator's float32 numbers are others

    monkeypatch.setattr(XP, "uniform", uniform)
    single, double = Bench(cls, example, dtype="float32"), Bench(cls, example)
    np.testing.assert_allclose(single.forward(), double.forward(), rtol=2e-5, atol=2e-6)
    expected = double.backward()
    for role, gradient in single.backward().items():
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, expected[role], rtol=5e-5, atol=5e-6, err_msg=role)


@each_case
def test_the_shape_rule_is_the_shape(cls: Any, example: Example) -> None:
    bench, signature = Bench(cls, example), cls.signature()
    settings, types = all_settings(cls, example), types_of(cls, example)
    assert signature.rule is not None
    assert signature.weights is not None
    rule = signature.rule(settings, types)
    assert (rule.kind, rule.shape, rule.per_sample) == ("float", bench.shape, True)
    wanted = {weight.name: weight.shape for weight in bench.layer.weights(*example.shapes).values()}
    assert dict(signature.weights(settings, types)) == wanted


def onnx_cases() -> Iterator[Any]:
    """Every example in the default opset, and in the oldest and the newest one example of each setting."""
    for name, cls in CLASSES.items():
        one_of_each = {repr(example.settings): k for k, example in enumerate(cls.examples)}.values()
        for k, example in enumerate(cls.examples):
            for opset in (13, 17, 21) if k in one_of_each else (17,):
                yield pytest.param(cls, example, opset, id=f"{name}-{k}-{opset}")


@pytest.mark.parametrize(("cls", "example", "opset"), list(onnx_cases()))
def test_onnxruntime_says_the_same(cls: Any, example: Example, opset: int) -> None:
    bench = Bench(cls, example, dtype="float32")
    single = Bench(cls, example, dtype="float32", m=1, seed=1)
    for role, array in {**bench.weights, **bench.inputs}.items():
        if role in bench.weights:
            single.weights[role][...] = array
        elif role in example.parameters:
            single.inputs[role][...] = array
    session = onnxruntime.InferenceSession(exported(bench, cls, example, opset), providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape == ["batch", *bench.shape]
    for one in (bench, single):  # the batch is not baked in
        rows = {p: np.moveaxis(X, -1, 0) for p, X in one.inputs.items() if p not in example.parameters}
        (Y,) = session.run(None, rows)
        np.testing.assert_allclose(Y, np.moveaxis(one.infer(), -1, 0), rtol=1e-5, atol=1e-6)


def exported(bench: Bench, cls: Any, example: Example, opset: int) -> bytes:
    g = Builder(opset=opset)
    names: dict[str, Any] = {}
    for port, shape in zip(cls.ports, example.shapes, strict=True):
        own = port in example.parameters
        names[port] = g.initializer(port, bench.inputs[port]) if own else g.input(port, "float32", shape)
    weights = {letter: g.initializer(letter, W) for letter, W in bench.weights.items()}
    shapes = {**dict(zip(cls.ports, example.shapes, strict=True)), "Y": bench.shape}
    at = Workspace(m=0, shapes=shapes, **names, **weights)
    with g.scope("layer"):
        g.output(bench.layer.onnx(g, at), "out", "float32", bench.shape)
    model: bytes = g.model().SerializeToString()
    return model


@each_class
def test_the_examples_reach_every_setting(cls: Any) -> None:
    for item in settings_of(cls):
        used = [all_settings(cls, example)[item.name] for example in cls.examples]
        wanted = item.choices or ((True, False) if item.kind == "bool" else ())
        assert all(choice in used for choice in wanted), item.name
        assert len({repr(value) for value in used}) > 1, f"{item.name} is always {used[0]}"


@each_class
def test_it_says_what_it_is(cls: Any) -> None:
    summary = (cls.__doc__ or "").split("\n")[0]
    assert summary.endswith((".", ":")) or len(summary) > 100
    assert "Y" in cls.formula
    bench = Bench(cls, cls.examples[0])
    helpers = {letter for letter in cls.gradients if not letter.startswith("d")}
    assert set(cls.gradients) - helpers == {f"d{role}" for role in (*bench.inputs, *bench.trainable)}
    assert all(item.help for item in settings_of(cls))

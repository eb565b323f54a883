"""Every layer, loss, metric and optimizer on the double, from its examples: what NumPy computes, without a wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorflow_lite_bp.layers
import tensorflow_lite_bp.losses
import tensorflow_lite_bp.metrics
import tensorflow_lite_bp.optimizers  # noqa: F401  # they declare them all
from dsl.types import TensorType, floats
from tensorflow_lite_bp.backend import Backend, Draw, get_backend
from tensorflow_lite_bp.declare import registry, settings_of
from tensorflow_lite_bp.graph.blocks import in_blocks
from tensorflow_lite_bp.graph.layout import buffer_dtype
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.workspace import Workspace

pytestmark = pytest.mark.double

M = 5  # samples
TOLERANCES = {
    "float16": {"rtol": 2e-3, "atol": 2e-3},
    "bfloat16": {"rtol": 1e-2, "atol": 1e-2},
    "float32": {"rtol": 5e-6, "atol": 2e-6},
    "float64": {"rtol": 1e-12, "atol": 1e-14},
}
HALVES = ("float16", "bfloat16")
LAYERS: dict[str, Any] = {**registry["layer"], **registry["operator"]}
Arrays = dict[str, np.ndarray]


def cases(classes: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(cls, ex, id=f"{name}-{k}") for name, cls in classes.items() for k, ex in enumerate(cls.examples)
    ]


def made(cls: Any, example: Any) -> Any:
    return cls.from_settings({item.name: item.default for item in settings_of(cls)} | dict(example.settings))


class Arena:
    """The arrays of one derivation on a backend; what is not an input starts as what no correct result comes from."""

    def __init__(self, xp: Backend, dtype: str, buffers: Any) -> None:
        self.xp, self.dtype, self.arrays = xp, dtype, {}
        for role, buffer in buffers.items():
            kind = buffer_dtype(buffer, dtype)
            if buffer.constant is not None:
                self.put(role, np.asarray(buffer.constant(), kind).reshape(buffer.shape))
            elif buffer.zeroed:
                self.arrays[role] = xp.zeros(buffer.shape, dtype=kind)
            else:
                self.spoiled(role, buffer.shape, kind)

    def put(self, role: str, values: np.ndarray) -> None:
        self.arrays[role] = self.xp.from_host(values)

    def spoiled(self, role: str, shape: tuple[int, ...], dtype: str | None = None) -> None:
        made = np.zeros(shape, dtype if dtype is not None else self.dtype)
        made.fill({"b": True, "i": -(1 << 40)}.get(made.dtype.kind, np.nan))
        self.put(role, made)

    def workspace(self, **more: Any) -> Workspace:
        return Workspace(m=M, draw=Draw(1, "test"), **self.arrays, **more)

    def found(self, *roles: str) -> Arrays:
        return {role: self.xp.to_host(self.arrays[role]) for role in roles}


def of_layer(xp: Backend, cls: Any, example: Any, dtype: str, way: str) -> Arrays:
    """What a layer computes: ``train`` forward and back as its code says it, ``recorded`` by way of a plan's recorder,
    ``needless`` without the gradients of its inputs, ``infer``."""
    layer, rng = made(cls, example), np.random.default_rng(0)
    ports = dict(zip(cls.ports, example.shapes, strict=True))
    shapes = {port: shape if port in example.parameters else (*shape, M) for port, shape in ports.items()}
    types = [TensorType("float", ports[port], per_sample=port not in example.parameters) for port in ports]
    result = (*layer.result(*types).shape, M)
    arena = Arena(xp, dtype, layer.buffers(*shapes.values()))
    weights = layer.weights(*example.shapes)
    for port, shape in shapes.items():
        X = rng.uniform(example.low, example.high, shape)
        for kink in example.kinks:  # beside it, one rounding would decide
            X = np.where(np.abs(X - kink) < 0.01, kink + 0.02, X)
        arena.put(port, X.astype(dtype))
    for letter, weight in weights.items():
        arena.put(letter, rng.uniform(0.5, 1.5, weight.shape).astype(dtype))
    arena.put("dY", rng.uniform(-1, 1, result).astype(dtype))
    arena.spoiled("Y", result)
    gradients = {f"d{role}": shape for role, shape in shapes.items() if way != "needless"}
    gradients |= {f"d{letter}": weight.shape for letter, weight in weights.items() if weight.trainable}
    for role, shape in gradients.items():
        arena.spoiled(role, shape)
    ws = arena.workspace(**{f"d{port}": None for port in shapes if way == "needless"})
    if way == "infer":
        compute(xp, lambda to: layer.infer(to, ws), recorded=True)
        return arena.found("Y")
    compute(xp, lambda to: (layer.forward(to, ws), layer.backward(to, ws)), recorded=way == "recorded")
    compute(xp, lambda to: layer.advance(to, ws), recorded=way == "recorded")
    return arena.found("Y", *gradients, *weights)


def compute(xp: Backend, code: Any, *, recorded: bool) -> None:
    """Run layer code, or record it and replay it as a plan does; it never waits for the device."""
    before = waits()
    with xp.computing():
        if not recorded:
            code(xp)
        else:
            recorder = Recorder(xp)
            code(recorder)
            for call in xp.program(in_blocks(recorder.calls, xp)):
                call()
    assert waits() == before, "layer code waited for the device"


def waits() -> int:
    from cupy import COUNTERS

    return COUNTERS.synchronisations


def assert_both_alike(compute_on: Any, dtype: str) -> None:
    expected, found = compute_on(get_backend("numpy")), compute_on(get_backend("cupy"))
    assert found.keys() == expected.keys()
    for role, values in expected.items():
        assert found[role].dtype == values.dtype
        np.testing.assert_allclose(found[role], values, **TOLERANCES[dtype], err_msg=role)


@pytest.mark.parametrize("way", ["train", "recorded", "needless", "infer"])
@pytest.mark.parametrize(("cls", "example"), cases(LAYERS))
def test_a_layer_computes_what_it_does_with_numpy(cls: Any, example: Any, way: str) -> None:
    in_16_bits = way == "recorded" and cls.mixed != "single"
    for dtype in ("float32", "float64", *(HALVES if in_16_bits else ())):
        assert_both_alike(lambda xp, dtype=dtype: of_layer(xp, cls, example, dtype, way), dtype)


def of_loss(xp: Backend, cls: Any, example: Any, dtype: str, recorded: bool) -> Arrays:
    loss, rng = made(cls, example), np.random.default_rng(0)
    Y, T = (*example.prediction.shape, M), (*example.target.shape, M)
    arena = Arena(xp, dtype, loss.buffers(Y, T))
    arena.put("Y", rng.uniform(example.low, example.high, Y).astype(dtype))
    count = example.target.count or (2 if example.target.kind == "flag" else None)
    target = rng.integers(0, count, T) if count is not None else rng.uniform(example.low, example.high, T)
    arena.put("T", target if example.target.count else target.astype(dtype))
    arena.spoiled("dY", Y)
    arena.spoiled("E", ())
    ws = arena.workspace(scale=0.3)
    compute(xp, lambda to: (loss.forward(to, ws), loss.backward(to, ws)), recorded=recorded)
    return arena.found("E", "dY")


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize(("cls", "example"), cases(registry["loss"]))
def test_a_loss_computes_what_it_does_with_numpy(cls: Any, example: Any, recorded: bool) -> None:
    for dtype in ("float32", "float64"):
        assert_both_alike(lambda xp, dtype=dtype: of_loss(xp, cls, example, dtype, recorded), dtype)


METRICS = [
    pytest.param(name, settings, kind, id=f"{name}-{kind}-{''.join(map(str, settings.values()))}")
    for name, cls in registry["metric"].items()
    for kind in cls.kinds[1]
    for settings in ([{"k": 2}] if name == "top_k" else [{}])
]


@pytest.mark.parametrize(("name", "settings", "kind"), METRICS)
def test_a_metric_measures_what_it_does_with_numpy(name: str, settings: dict[str, Any], kind: str) -> None:
    cls, rng = registry["metric"][name], np.random.default_rng(0)
    metric = cls.from_settings({item.name: item.default for item in settings_of(cls)} | settings)
    Y = rng.normal(size=(4, 3, M))
    T = rng.integers(0, 4, (3, M)) if kind in ("class", "token") else rng.integers(0, 2, (4, 3, M)).astype(float)
    metric.agree(floats((4, 3)), TensorType(kind, T.shape[:-1], 4 if T.ndim == 2 else None))

    def measured(xp: Backend) -> Arrays:
        arrays = [xp.from_host(array) for array in (Y, T)]
        before = waits()
        sums = metric.measure(xp, *arrays)
        assert waits() == before, f"{name} waits for the device"
        return {"sums": xp.to_host(sums)}

    assert_both_alike(measured, "float64")


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"weight_decay": 0.1}], ids=str)
@pytest.mark.parametrize("name", registry["optimizer"])
def test_an_optimizer_updates_as_it_does_with_numpy(name: str, settings: dict[str, Any]) -> None:
    cls = registry["optimizer"][name]
    names = {item.name: item.default for item in settings_of(cls)}
    if not settings.keys() <= names.keys():
        pytest.skip("has no such setting")
    optimizer = cls.from_settings({**names, "rate": 0.1, **settings})
    values = np.random.default_rng(0).normal(size=(2, 37))

    def updated(xp: Backend) -> Arrays:
        from tensorflow_lite_bp.graph.update import Update

        W, dW = (xp.from_host(row) for row in values)
        slots = {slot: xp.zeros_like(W) for slot in optimizer.used_slots()}
        update = Update(xp, optimizer, W, dW, slots, threads=1)
        for step in (1, 2):
            xp.copyto(dW, xp.from_host(values[1]))
            update.apply(rate=0.1, step=step)
        return {"W": xp.to_host(W)} | {slot: xp.to_host(array) for slot, array in slots.items()}

    assert_both_alike(updated, "float64")

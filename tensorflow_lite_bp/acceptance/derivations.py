"""Every layer, operator, loss, metric and optimizer against NumPy; layers and losses on their examples, and back.

The calls are recorded and replayed as in a plan, so that what the backend makes of them is what is checked. Whatever is
read too early is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

import tensorflow_lite_bp.layers
import tensorflow_lite_bp.losses
import tensorflow_lite_bp.metrics
import tensorflow_lite_bp.optimizers  # noqa: F401  # declares them
from dsl.signature import REQUIRED
from dsl.types import Shape, TensorType
from tensorflow_lite_bp.acceptance.check import TOLERANCES, Check, close
from tensorflow_lite_bp.backend import Backend, Draw, get_backend
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.declare import registry, settings_of
from tensorflow_lite_bp.graph.blocks import in_blocks
from tensorflow_lite_bp.graph.layout import buffer_dtype
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.graph.update import Update
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Buffer, Layer
from tensorflow_lite_bp.losses.base import Loss
from tensorflow_lite_bp.metrics.base import Metric
from tensorflow_lite_bp.optimizers.base import Optimizer

SAMPLES = 67
"""Columns: no multiple of what a GPU computes at once."""
UPDATES = 5
WEIGHTS = 1003
Arrays = dict[str, np.ndarray]
Work = Callable[[str, Backend], Arrays]
"""What is computed, in a dtype and on a backend."""


def checks() -> Iterator[Check]:
    """One for each example of a layer or loss, each kind of target of a metric, each optimizer; in each precision, and
    in 16 bits those layers that are computed so in a mixed step."""
    for group, name, work, halves in _works():
        for dtype in TOLERANCES if halves else ("float32", "float64"):
            yield Check(group, f"{name}, {dtype}", partial(_against_numpy, work, dtype))


def _works() -> Iterator[tuple[str, str, Work, bool]]:
    """Group, name, what is computed, and whether in 16 bits too."""
    for group, category in (("layers", "layer"), ("operators", "operator")):
        for name, cls, example, number in _examples(category):
            layer = cls.from_settings(_settings(cls, example.settings))
            yield group, f"{name}, example {number}", partial(layer_results, layer, example), layer.mixed != "single"
    for name, cls, example, number in _examples("loss"):
        loss = cls.from_settings(_settings(cls, example.settings))
        yield "losses", f"{name}, example {number}", partial(loss_results, loss, example), False
    for name, metric in registry["metric"].items():
        made = metric.from_settings(
            {name: 2 if value is REQUIRED else value for name, value in _settings(metric).items()}
        )
        for kind in ("class", "flag", "float"):
            if kind in made.kinds[1]:
                yield "metrics", f"{name} of a {kind}", partial(metric_results, made, kind), False
    for name, optimizer in registry["optimizer"].items():
        for words, settings in _variants(optimizer).items():
            work = partial(optimizer_results, optimizer.from_settings(settings))
            yield "optimizers", f"{name}, {words}", work, False


def _examples(category: str) -> Iterator[tuple[str, Any, Any, int]]:
    classes: dict[str, Any] = dict(registry[category])
    for name, cls in classes.items():
        for number, example in enumerate(cls.examples, start=1):
            yield name, cls, example, number


def _against_numpy(work: Work, dtype: str, backend: Backend) -> str:
    return close(work(dtype, backend), work(dtype, get_backend("numpy")), dtype)


def _settings(cls: Any, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Every setting, as the checker gives them."""
    return {item.name: item.default for item in settings_of(cls)} | dict(given)


def _variants(cls: Any) -> dict[str, dict[str, Any]]:
    """An optimizer as it is by default, and with everything on that is off by default."""
    default = {"rate": 0.05, **{item.name: item.default for item in settings_of(cls) if item.name != "rate"}}
    off = {name: value for name, value in default.items() if value in (0.0, False)}
    on = {name: True if value is False else 0.1 for name, value in off.items()}
    return {"defaults": default, **({" and ".join(on): default | on} if on else {})}


# What a backend computes, as host arrays


def layer_results(layer: Layer, example: Any, dtype: str, xp: Backend) -> Arrays:
    """Result, gradients, the result in inference, and the layer's own state after a step."""
    ws = _workspace(layer, example, dtype, xp)
    weights = layer.weights(*example.shapes)
    _replay(xp, layer.forward, layer.backward, ws=ws)
    written = [*layer.ports, *(letter for letter, weight in weights.items() if weight.trainable)]
    found = {role: _host(xp, getattr(ws, role)) for role in ("Y", *(f"d{letter}" for letter in written))}
    _replay(xp, layer.advance, ws=ws)
    found |= {letter: _host(xp, getattr(ws, letter)) for letter, weight in weights.items() if not weight.trainable}
    _replay(xp, layer.infer, ws=ws)
    return found | {"Y in inference": _host(xp, ws.Y)}


def _workspace(layer: Layer, example: Any, dtype: str, xp: Backend) -> Any:
    """The layer's arrays on a backend: inputs, weights and dY drawn, everything that it is to write NaN."""
    rng = np.random.default_rng(0)
    ports = list(zip(layer.ports, example.shapes, strict=True))
    drawn = {port: _drawn(rng, example, _columns(port, shape, example)) for port, shape in ports}
    buffers = _buffers(xp, layer.buffers(*(X.shape for X in drawn.values())), dtype)
    for letter, weight in layer.weights(*example.shapes).items():
        low = -1.0 if weight.trainable else 0.5  # variances are positive
        drawn[letter] = rng.uniform(low, 1, _concrete(weight.shape))
    types = (TensorType("float", shape, per_sample=port not in example.parameters) for port, shape in ports)
    shape = (*_concrete(layer.result(*types).shape), SAMPLES)
    gradients = {f"d{role}": np.full(array.shape, np.nan) for role, array in drawn.items()}
    host = {**drawn, **gradients, "Y": np.full(shape, np.nan), "dY": rng.uniform(-1, 1, shape)}
    arrays = {role: xp.from_host(array.astype(real(dtype))) for role, array in host.items()}
    return Workspace(m=SAMPLES, draw=Draw(1, "accept"), **arrays, **buffers)


def _columns(port: str, shape: tuple[int, ...], example: Any) -> tuple[int, ...]:
    return shape if port in example.parameters else (*shape, SAMPLES)


def _concrete(shape: Shape) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)


def loss_results(loss: Loss, example: Any, dtype: str, xp: Backend) -> Arrays:
    """The loss and its gradient."""
    rng = np.random.default_rng(0)
    Y = xp.from_host(rng.uniform(example.low, example.high, (*example.prediction.shape, SAMPLES)).astype(dtype))
    T = xp.from_host(_target(rng, example, dtype))
    E, dY = xp.from_host(np.full((), np.nan, dtype)), xp.from_host(np.full(Y.shape, np.nan, dtype))
    scale = 0.3 * loss.scale(example.prediction.shape, example.target.shape, SAMPLES)
    ws = Workspace(m=SAMPLES, scale=scale, Y=Y, T=T, E=E, dY=dY, **_buffers(xp, loss.buffers(Y.shape, T.shape), dtype))
    _replay(xp, loss.forward, loss.backward, ws=ws)
    return {"E": _host(xp, E), "dY": _host(xp, dY)}


def metric_results(metric: Metric, kind: str, dtype: str, xp: Backend) -> Arrays:
    """The sums of a metric for scores of five classes, or for three numbers or flags."""
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(5 if kind == "class" else 3, SAMPLES)).astype(dtype)
    T = {"class": rng.integers(5, size=SAMPLES), "flag": rng.integers(2, size=Y.shape).astype(dtype), "float": Y + 0.1}
    with xp.computing():
        sums = metric.measure(xp, xp.from_host(Y), xp.from_host(T[kind]))
    return {"the sums": _host(xp, sums)}


def optimizer_results(optimizer: Optimizer, dtype: str, xp: Backend) -> Arrays:
    """Weights and slots after some updates by gradients of very different sizes."""
    rng = np.random.default_rng(0)
    W = xp.from_host(rng.normal(size=WEIGHTS).astype(dtype))
    dW = xp.from_host(np.zeros(WEIGHTS, dtype))
    slots = {name: xp.from_host(np.zeros(WEIGHTS, dtype)) for name in optimizer.used_slots()}
    update = Update(xp, optimizer, W, dW, slots, threads=1)
    for step in range(1, UPDATES + 1):
        gradient = rng.normal(size=WEIGHTS) * 10.0 ** rng.integers(-3, 2, WEIGHTS)
        xp.copy_from_host(gradient.astype(dtype), out=dW)
        with xp.computing():
            update.apply(rate=optimizer.rate / step, step=step)
    return {"W": _host(xp, W), **{name: _host(xp, slot) for name, slot in slots.items()}}


def _replay(xp: Backend, *directions: Any, ws: Any) -> None:
    """Record, then compute."""
    recorder = Recorder(xp)
    for direction in directions:
        direction(recorder, ws)
    calls = in_blocks(recorder.calls, xp)
    program = xp.program(calls)
    with xp.computing():
        for call in program:
            call()


def _buffers(xp: Backend, wanted: Mapping[str, Buffer], dtype: str) -> dict[str, Any]:
    return {role: xp.from_host(_start(buffer, dtype)) for role, buffer in wanted.items()}


def _start(buffer: Buffer, dtype: str) -> np.ndarray:
    kind = real(buffer_dtype(buffer, dtype))
    if buffer.constant is not None:
        return np.asarray(buffer.constant(), dtype=kind).reshape(buffer.shape)
    nothing = 0 if buffer.zeroed else {"float": np.nan, "bool": True, "int": 0}[buffer.kind]
    return np.full(buffer.shape, nothing, kind)


def _drawn(rng: np.random.Generator, example: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Inputs that keep away from kinks, where a rounding decides."""
    X = rng.uniform(example.low, example.high, shape)
    for kink in example.kinks:
        X = np.where(np.abs(X - kink) < 0.01, kink + 0.02, X)
    return X


def _target(rng: np.random.Generator, example: Any, dtype: str) -> np.ndarray:
    type_ = example.target
    shape = (*type_.shape, SAMPLES)
    if type_.count is not None:
        return rng.integers(0, type_.count, shape)
    if type_.kind == "flag":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.uniform(example.low, example.high, shape).astype(dtype)


def _host(xp: Backend, array: Any) -> np.ndarray:
    return np.array(xp.to_host(array))

"""The calls of every layer, loss and optimizer on its examples, recorded: a new one is among them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

import tensorflow_lite_bp.optimizers  # noqa: F401  # declares them
from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.backend.fusion.functions import FUNCTIONS, REDUCTIONS
from tensorflow_lite_bp.backend.fusion.program import Step, program
from tensorflow_lite_bp.backend.fusion.work import Number
from tensorflow_lite_bp.backend.planned import PlannedBackend
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.declare import registry, settings_of
from tensorflow_lite_bp.graph.recorder import Recorder
from tensorflow_lite_bp.layers.unrolled import whole
from tests.layers import test_layer_contract as layers
from tests.losses import test_loss_contract as losses

XP = PlannedBackend()
HALVES = ("float16", "bfloat16")
SAMPLES = 7
"""Columns: more than a thread goes through for a row, so that there are reductions by blocks."""

_OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in registry["optimizer"]),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
]


@dataclass(frozen=True)
class Recording:
    """Recorded calls, and all arrays that these read and write, by name."""

    name: str
    calls: list[Call]
    arrays: dict[str, np.ndarray]

    @property
    def steps(self) -> list[Step]:
        constants = [array for array in self.arrays.values() if array.dtype == np.int64]
        return program(self.calls, XP, constants=constants)

    def values(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self.arrays.items()}

    def restore(self, values: dict[str, np.ndarray]) -> None:
        for name, array in self.arrays.items():
            array[...] = values[name]

    def replay(self) -> None:
        """The recorded calls, one after the other, by NumPy; those of 16 bits in float32, each rounded once."""
        with np.errstate(all="ignore"):
            for call in self.calls:
                args = [np.asarray(arg.value) if isinstance(arg, Number) else arg for arg in call.args]
                out = call.kwargs.get("out")
                if out is None or call.function == XP.uniform:  # nothing is computed
                    call.function(*args, **call.kwargs)
                else:
                    wide = _wide(out)
                    call.function(*map(_wide, args), **{**call.kwargs, "out": wide})
                    if wide is not out:
                        out[...] = wide


def _wide(value: Any) -> Any:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.itemsize == 2 else value


def recordings(dtype: str) -> Iterator[Recording]:
    """All of them; for 16 bits also calls in which these meet with float32."""
    real(dtype)  # from here on NumPy knows it by its name
    yield from (*_functions(dtype), *_layers(dtype), *_losses(dtype), *_updates(dtype))
    if dtype in HALVES:
        yield from _mixed(dtype)


def _functions(dtype: str) -> Iterator[Recording]:
    """Each function of the table by itself, with all that is special among its operands, and each reduction."""
    special = np.array([-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, np.nan, np.inf, -np.inf], dtype)
    x, y = (np.array(side, dtype) for side in np.meshgrid(special, special))
    for name in FUNCTIONS:
        function, out = getattr(XP, name), np.empty_like(x)
        counts = {"clip": (x, -1.0, 1.0), "copyto": (out, x)}
        operands = counts.get(name, (x, y)[: getattr(function, "nin", 1)])
        call = Call(function, operands, {} if name == "copyto" else {"out": out})
        yield Recording(f"the function {name}", [call], {"x": x, "y": y, "out": out})
    for name in REDUCTIONS:
        for axis, length in ((0, 10), (1, 10), (1, 100)):
            rows = np.tile(x, (1, length // 10))
            out = np.empty(rows.shape[1 - axis], dtype)
            call = Call(getattr(XP, name), (rows,), {"axis": axis, "out": out})
            yield Recording(f"{name} of {length} on axis {axis}", [call], {"rows": rows, "out": out})
    long = np.random.default_rng(0).uniform(-1, 1, 3 << 15).astype(dtype)
    total = np.empty((), dtype)
    yield Recording("a long sum", [Call(XP.sum, (long,), {"axis": None, "out": total})], {"long": long, "total": total})
    square = Call(XP.dot, (long, long), {"out": total})
    yield Recording("a long square", [square], {"long": long, "total": total})


def _layers(dtype: str) -> Iterator[Recording]:
    for cls in layers.CLASSES.values():
        for number, example in enumerate(cls.examples):
            with ExitStack() as stack:
                stack.enter_context(whole(True))
                bench = layers.Bench(cls, example, dtype=dtype, m=SAMPLES)
                recorder = Recorder(XP)
                bench.layer.forward(recorder, bench.ws)
                bench.layer.backward(recorder, bench.ws)
                yield Recording(f"{cls.name} {number}", recorder.calls, _arrays(bench.ws))
                recorder = Recorder(XP)
                bench.layer.infer(recorder, bench.ws)
                bench.layer.advance(recorder, bench.ws)
                yield Recording(f"{cls.name} {number}, predicting", recorder.calls, _arrays(bench.ws))


def _losses(dtype: str) -> Iterator[Recording]:
    for cls in losses.CLASSES.values():
        for number, example in enumerate(cls.examples):
            bench = losses.Bench(cls, example, dtype=dtype, m=SAMPLES)
            recorder = Recorder(XP)
            bench.loss.forward(recorder, bench.ws)
            bench.loss.backward(recorder, bench.ws)
            yield Recording(f"{cls.name} {number}", recorder.calls, _arrays(bench.ws))


def _updates(dtype: str) -> Iterator[Recording]:
    """The updates of 50 weights, the numbers of the step as a kernel gets them; one of them only if a flag is set."""
    rng = np.random.default_rng(0)
    for name, given in _OPTIMIZERS:
        cls = registry["optimizer"][name]
        defaults = {item.name: item.default for item in settings_of(cls)}
        optimizer = cls.from_settings({**defaults, "rate": 0.1, **given})
        wanted = ["W", "dW", *optimizer.used_slots(), *(f"scratch{n}" for n in range(optimizer.scratch))]
        arrays = {role: rng.uniform(0.1, 1, 50).astype(dtype) for role in wanted}
        by = {factor: Number(dtype) for factor in optimizer.factors(rate=0.1, step=3)}
        for factor, value in optimizer.factors(rate=0.1, step=3).items():
            by[factor].fill(value)
        recorder = Recorder(XP)
        scratch = [array for role, array in arrays.items() if role.startswith("scratch")]
        optimizer.update(recorder, arrays["W"], arrays["dW"], arrays, scratch, by=by)
        yield Recording(f"{name} {given}", recorder.calls, arrays)
        for flag in (True, False):
            sound = {"sound": np.array(flag)}
            guarded = [Call(c.function, c.args, {**c.kwargs, "where": sound["sound"]}) for c in recorder.calls]
            yield Recording(f"{name} {given}, if {flag}", guarded, {**arrays, **sound})


def _mixed(dtype: str) -> Iterator[Recording]:
    """Single calls on matrices of 16 and of 32 bits, as training in mixed precision makes them."""
    rng = np.random.default_rng(0)
    half, other = (rng.normal(size=(6, 90)).astype(dtype) for _ in range(2))
    single = rng.normal(size=half.shape).astype(np.float32)
    number, scale = Number("float32"), np.array(1 / 3, np.float32)
    number.fill(1 / 3)
    row, places, flat = half[0].copy(), np.arange(0, 90, 7), half.reshape(-1)
    calls: dict[str, tuple[Any, tuple[Any, ...], np.ndarray | None]] = {
        "rounded to 16 bits": (XP.copyto, (half, single), None),
        "made float32": (XP.copyto, (single, half), None),
        "16 bits by a number of the step": (XP.multiply, (half, number), single),
        "16 bits by an array without axes": (XP.multiply, (half, scale), single),
        "float32 by a number of the step": (XP.multiply, (single, number), single),
        "a sum of both": (XP.add, (half, single), single),
        "a sum of both, rounded": (XP.add, (half, single), half),
        "a comparison of both": (XP.greater, (half, single), half > 0),
        "a mask": (XP.multiply, (half > 0, half), other),
        "a number": (XP.multiply, (half, 1 / 3), other),
        "a number on the left": (XP.subtract, (1.0, half), half),
        "a whole number": (XP.maximum, (half, 0), half),
        "places of the largest": (XP.argmax, (half,), np.empty(90, np.int64)),
        "what stands at places": (XP.take, (flat, places), row[: len(places)].copy()),
        "put at places": (XP.put, (flat, places, row[: len(places)]), None),
        "a product": (XP.matmul, (half, other.T), np.empty((6, 6), dtype)),
        "products": (XP.matmul, (half.reshape(3, 2, 90), other.reshape(3, 90, 2)), np.empty((3, 2, 2), dtype)),
        "dots": (XP.matmul, (half.reshape(6, 1, 90), other.reshape(6, 90, 1)), np.empty((6, 1, 1), dtype)),
    }
    for name, (function, args, out) in calls.items():
        more = {} if out is None else {"out": out, **({"axis": 0} if function is XP.argmax else {})}
        arrays = {str(place): arg for place, arg in enumerate((*args, out)) if isinstance(arg, np.ndarray)}
        yield Recording(name, [Call(function, args, more)], arrays)


def _arrays(space: Any) -> dict[str, np.ndarray]:
    return {role: array for role, array in vars(space).items() if isinstance(array, np.ndarray)}

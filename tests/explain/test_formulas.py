"""The formulas that every layer and loss states, against what it computes: a new one is tested without being named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import tensorflow_lite_bp.layers
import tensorflow_lite_bp.losses  # noqa: F401  # declares them
from dsl.types import TensorType
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.declare import registry, settings_of
from tensorflow_lite_bp.explain.expression import expression, parsed, symbols
from tensorflow_lite_bp.explain.formula import formulas
from tensorflow_lite_bp.graph.workspace import Workspace
from tests.explain.evaluate import Evaluator

XP = get_backend("numpy")
LAYERS = {**registry["layer"], **registry["operator"]}
LAYER_CASES = [
    pytest.param(cls, ex, id=f"{name}-{k}") for name, cls in LAYERS.items() for k, ex in enumerate(cls.examples)
]
LOSS_CASES = [
    pytest.param(cls, ex, id=f"{name}-{k}")
    for name, cls in registry["loss"].items()
    for k, ex in enumerate(cls.examples)
]
M = 3


def _made(cls: Any, example: Any) -> Any:
    return cls.from_settings({item.name: item.default for item in settings_of(cls)} | dict(example.settings))


def _matrix(array: Any) -> Any:
    """As the formulas see it: rows × columns."""
    return array.reshape(array.shape[0] if array.ndim > 1 else 1, -1)


def _column(array: Any) -> Any:
    """A weight or a parameter: a vector is a column, a number a number."""
    return array.reshape(array.shape[0], -1) if array.ndim else array


def _space(layer: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    dtypes = {"float": "float64", "bool": "bool", "int": "int64"}
    made = {}
    for role, buffer in layer.buffers(*(X.shape for X in inputs.values())).items():
        made[role] = np.zeros(buffer.shape, dtypes[buffer.kind])
        if buffer.constant is not None:
            made[role][...] = buffer.constant()
    return made


class Run:
    """A layer on an example, forward and back."""

    def __init__(self, cls: Any, example: Any) -> None:
        self.layer = _made(cls, example)
        rng = np.random.default_rng(0)
        ports = list(zip(cls.ports, example.shapes, strict=True))
        self.inputs = {
            port: rng.uniform(example.low, example.high, shape if port in example.parameters else (*shape, M))
            for port, shape in ports
        }
        self.types = [TensorType("float", shape, per_sample=port not in example.parameters) for port, shape in ports]
        self.weights = {
            letter: rng.uniform(0.5, 1.0, weight.shape)
            for letter, weight in self.layer.weights(*example.shapes).items()
        }
        shape = self.layer.result(*self.types).shape
        self.Y, self.dY = np.zeros((*shape, M)), rng.uniform(-1, 1, (*shape, M))
        grads = {f"d{role}": np.zeros_like(array) for role, array in (self.inputs | self.weights).items()}
        self.draw = Draw(1, "test")
        self.ws = Workspace(
            m=M,
            draw=self.draw,
            Y=self.Y,
            dY=self.dY,
            **self.inputs,
            **self.weights,
            **_space(self.layer, self.inputs),
            **grads,
        )
        with XP.computing():
            self.layer.forward(XP, self.ws)
            self.layer.backward(XP, self.ws)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions that move values, each for one layer, written plainly."""
        shape, result = next(iter(self.inputs.values())).shape, self.Y.shape

        def forward(X: Any, primes: int = 0) -> Any:
            return _matrix(_moved(self.layer, X.reshape(shape)).reshape(result))

        def back(dY: Any, primes: int = 0) -> Any:
            """The transpose of a linear map, entry by entry; of a maximum the map that it is here."""
            return _matrix(_transposed(self.layer, self.inputs["X"], dY.reshape(result)))

        return {
            **dict.fromkeys(("vec", "reshape", "permute", "avgpool", "maxpool"), forward),
            **dict.fromkeys(("unvec", "unreshape", "unpermute", "unavgpool", "unmaxpool"), back),
            "spread": lambda P, primes=0: np.repeat(P[..., None], M, axis=-1).reshape(P.shape[0], -1),
            "gather": lambda A, primes=0: A.reshape(A.shape[0], -1, M).sum(axis=-1),
            "unroll": lambda X, primes=0: _unrolled(self.layer, X.reshape(shape)),
            "fold": lambda A, primes=0: _folded(self.layer, A, shape),
        }

    def symbols(self) -> dict[str, Any]:
        letters: dict[str, Any] = {"pi": np.pi}
        for role, array in self.inputs.items():
            type_ = self.types[list(self.inputs).index(role)]
            letters[role] = _matrix(array) if type_.per_sample else _column(array)
        letters |= {letter: _column(array) for letter, array in self.weights.items()}
        letters |= {"Y": _matrix(self.Y), "dY": _matrix(self.dY)}
        if "U" not in letters:
            uniform = np.zeros_like(self.Y)
            XP.uniform(self.draw, out=uniform)
            letters["U"] = _matrix(uniform)
        return letters


def _moved(layer: Any, X: Any) -> Any:
    """What flatten, reshape, permute and the pools do, in loops."""
    m = X.shape[-1]
    name = layer.name
    if name in ("flatten", "reshape"):
        return X.reshape(-1, m)
    if name == "permute":
        return np.transpose(X, (*layer.order, X.ndim - 1))
    reduce = np.max if "max" in name else np.mean
    if name.startswith("global"):
        return reduce(X.reshape(X.shape[0], -1, m), axis=1)
    windows = _windows(layer, X.shape[1:-1])
    padding = -np.inf if "max" in name else 0.0
    columns = [reduce(np.stack([_at(X, place, padding) for place in window], axis=0), axis=0) for window in windows]
    return np.stack(columns, axis=1)


def _at(X: Any, place: tuple[int, ...], outside: float) -> Any:
    inside = all(0 <= p < size for p, size in zip(place, X.shape[1:-1], strict=True))
    return X[(slice(None), *place)] if inside else np.full((X.shape[0], X.shape[-1]), outside)


def _windows(layer: Any, sizes: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """The places that each window sees, windows in row-major order."""
    axes = layer.geometry.axes((1, *sizes))
    starts = product(*(range(axis.windows) for axis in axes))
    return [
        [
            tuple(t * a.stride - a.before + tap * a.dilation for t, a, tap in zip(start, axes, taps, strict=True))
            for taps in product(*(range(axis.kernel) for axis in axes))
        ]
        for start in starts
    ]


def _transposed(layer: Any, X: Any, dY: Any) -> Any:
    """Each entry of the gradient: the slope of ``Σ dY ⊙ f(X)``, by differences, exact where f is piecewise linear."""
    found = np.zeros_like(X)
    h = 1e-5
    for place in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[place] += h
        down[place] -= h
        found[place] = ((_moved(layer, up) - _moved(layer, down)).reshape(dY.shape) * dY).sum() / (2 * h)
    return found


def _unrolled(layer: Any, X: Any) -> Any:
    windows = _windows(layer, X.shape[1:-1])
    columns = [np.stack([_at(X, place, 0.0) for place in window], axis=1) for window in windows]
    return np.stack(columns, axis=2).reshape(-1, len(windows) * X.shape[-1])


def _folded(layer: Any, A: Any, shape: tuple[int, ...]) -> Any:
    """Unrolling is linear: its transpose, from its action on every unit."""
    found = np.zeros(shape)
    for place in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[place] = 1.0
        found[place] = (_unrolled(layer, unit) * A).sum()
    return found.reshape(shape[0], -1)


def _letters(evaluate: Evaluator, layer: Any, text: str) -> None:
    """Settings that a formula names."""
    for symbol in symbols(expression(text)):
        value = getattr(layer, layer.letters.get(symbol.key, symbol.key), None) if isinstance(symbol.key, str) else None
        if symbol.key not in evaluate.symbols and value is not None:
            evaluate.symbols[symbol.key] = np.array(value).reshape(-1, 1) if isinstance(value, tuple) else value  # type: ignore[index]


def _check(evaluate: Evaluator, layer: Any, equations: list[tuple[str, str]], wanted: dict[str, Any]) -> set[str]:
    seen = set()
    for letter, text in equations:
        _letters(evaluate, layer, text)
        value = evaluate(expression(text))
        if letter in wanted:
            seen.add(letter)
            np.testing.assert_allclose(
                np.broadcast_to(value, wanted[letter].shape), wanted[letter], rtol=1e-7, atol=1e-9, err_msg=letter
            )
        else:
            evaluate.symbols[letter] = value  # type: ignore[index]
    return seen


def _lines(formula: str) -> list[tuple[str, str]]:
    return [tuple(line.strip().split(" = ", 1)) for line in formula.strip().splitlines()]  # type: ignore[misc]


@pytest.mark.parametrize(("cls", "example"), LAYER_CASES)
def test_what_a_layer_states_is_what_it_computes(cls: Any, example: Any) -> None:
    run = Run(cls, example)
    if getattr(run.layer, "groups", 1) > 1:
        pytest.skip("the matrix of a grouped convolution is one for each group: the formula holds in each")
    formula, gradients = run.layer.equations(*run.types)
    evaluate = Evaluator(run.symbols(), run.functions())
    wanted = {"Y": _matrix(run.Y)}
    for port, type_ in zip(cls.ports, run.types, strict=True):
        array = getattr(run.ws, f"d{port}")
        wanted[f"d{port}"] = _matrix(array) if type_.per_sample else _column(array)
    trainable = {letter for letter, w in run.layer.weights(*example.shapes).items() if w.trainable}
    wanted |= {f"d{letter}": _column(getattr(run.ws, f"d{letter}")) for letter in trainable}
    seen = _check(evaluate, run.layer, [*_lines(formula), *gradients.items()], wanted)
    assert seen == wanted.keys()


@pytest.mark.parametrize(("cls", "example"), LOSS_CASES)
def test_what_a_loss_states_is_what_it_computes(cls: Any, example: Any) -> None:
    loss = _made(cls, example)
    rng = np.random.default_rng(0)
    Y = rng.uniform(example.low, example.high, (*example.prediction.shape, M))
    target = example.target
    if target.kind in ("class", "token"):
        T = rng.integers(target.count, size=(*target.shape, M))
        shown = (np.arange(target.count).reshape(-1, *([1] * T.ndim)) == T).astype(float)
    else:
        T = (
            rng.integers(2, size=(*target.shape, M)).astype(float)
            if target.kind == "flag"
            else rng.normal(size=Y.shape)
        )
        shown = T
    space = _space(loss, {"Y": Y, "T": T})
    ws = Workspace(m=M, scale=0.7, Y=Y, T=T, E=np.zeros(()), dY=np.zeros_like(Y), **space)
    loss.forward(XP, ws)
    loss.backward(XP, ws)
    formula, gradients = loss.equations(example.prediction, target)
    evaluate = Evaluator({"Y": _matrix(Y), "T": _matrix(shown), "s": 0.7})
    wanted = {"E": np.array(ws.E), "dY": _matrix(ws.dY)}
    assert _check(evaluate, loss, [*_lines(formula), *gradients.items()], wanted) == wanted.keys()


def test_a_loss_through_softmax_is_both_together() -> None:
    """`Loss.through` against the two gradients one after the other."""
    found = 0
    for cls in registry["loss"].values():
        for example in cls.examples:
            loss = _made(cls, example)
            text = loss.through("softmax")
            if text is None:
                continue
            found += 1
            rng = np.random.default_rng(found)
            c = example.target.count
            X, T = rng.normal(size=(c, M)), np.eye(c)[rng.integers(c, size=M)].T
            Y = np.exp(X) / np.exp(X).sum(axis=0)
            _, gradients = loss.equations(example.prediction, example.target)
            first = Evaluator({"Y": Y, "T": T, "s": 0.7})
            _letters(first, loss, gradients["dY"])
            dY = first(expression(gradients["dY"]))
            expected = Y * (dY - (Y * dY).sum(axis=0))
            _letters(first, loss, text)
            np.testing.assert_allclose(first(expression(text)), expected, atol=1e-12)
    assert found == 3


def test_every_formula_has_a_latex_form() -> None:
    classes = [cls for category in ("layer", "operator", "loss", "optimizer") for cls in registry[category].values()]
    assert all(formulas(cls) and all(formulas(cls)) for cls in classes)
    dense = registry["layer"]["dense"]
    assert formulas(dense) == [
        "Y = W X + b",
        "dX = {W}^{T} dY",
        "dW = dY {X}^{T}",
        r"db = \operatorname{sum}\left( dY,\ \operatorname{axis=1} \right)",
    ]
    assert parsed(dense.formula)

"""Every notation, layout, reduction and carried derivative says the same gradients: compared with the running plan.

For a random network each printed equation is evaluated with the plan's numbers, turned as the notation says, and must
give the plan's number for its left side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import special

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.derivation import Derivation, Quantity
from tensorflow_lite_bp.explain.expression import Expression, Scalar, Symbol, symbols
from tensorflow_lite_bp.explain.notation import notations
from tensorflow_lite_bp.explain.numbers import Numbers
from tensorflow_lite_bp.explain.reading import View
from tensorflow_lite_bp.explain.translate import Line, Translation
from tensorflow_lite_bp.network import Network
from tests.explain.evaluate import Evaluator

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "silu": lambda x: x * special.expit(x),
    "exp": np.exp,
    "square": np.square,
    "softmax": lambda x: x,
}
SMOOTH = [name for name in FUNCTIONS if name != "softmax"]


@st.composite
def networks(draw: st.DrawFn, *, single: bool = False) -> str:
    """A random network in the language: products, functions, sums, shared layers and parameters, norms, losses."""
    n = draw(st.integers(2, 4))
    lines = [f"input x: float[{n}]", "layer shared = dense(3) -> tanh"]
    sizes = {"x": n}
    norms = ["layer_norm", "rms_norm"] + ([] if single else ["batch_norm"])
    for k in range(draw(st.integers(1, 5))):
        name, source = f"h{k}", draw(st.sampled_from(sorted(sizes)))
        size = sizes[source]
        same = sorted(other for other in sizes if sizes[other] == size)
        kind = draw(st.sampled_from(["dense", "statement", "function", "sum", "norm", "numbers", "shared", "softmax"]))
        if kind == "dense":
            sizes[name] = draw(st.integers(2, 4))
            bias = draw(st.sampled_from(["", ", bias = false"]))
            lines.append(f"{name} = {source} -> dense({sizes[name]}{bias}) -> {draw(st.sampled_from(SMOOTH))}")
            continue
        if kind == "shared" and size != n:
            kind = "numbers"
        if kind == "statement":
            sizes[name] = draw(st.integers(2, 4))
            lines += [
                f"parameter W{k}: float[{sizes[name]}, {size}]",
                f"parameter b{k}: float[{sizes[name]}] = normal(0.5)",
            ]
            lines.append(f"{name} = W{k} @ {source} + b{k}")
            continue
        sizes[name] = 3 if kind == "shared" else size
        other = draw(st.sampled_from(same))
        lines.append(
            {
                "function": f"{name} = {draw(st.sampled_from(SMOOTH))}({source})",
                "sum": f"{name} = {source} {draw(st.sampled_from(['+', '-', '*']))} {other}",
                "norm": f"{name} = {source} -> {draw(st.sampled_from(norms))}",
                "numbers": f"{name} = 1 - 2 * {source}",
                "shared": f"{name} = {source} -> shared",
                "softmax": f"{name} = softmax({source})",
            }[kind]
        )
    reduction = draw(st.sampled_from(["mean", "sum"]))
    last = draw(st.sampled_from(sorted(sizes)))
    lines.append(f"z = {last} -> shared" if sizes[last] == n and draw(st.booleans()) else f"z = {last} -> dense(3)")
    return "\n".join([*lines, *draw(st.sampled_from(_losses(reduction)))])


def _losses(reduction: str) -> list[list[str]]:
    values = "target t: float[3]"
    return [
        [values, f'loss mse(z, t, reduction = "{reduction}")'],
        [values, f'loss E = squared_error(sigmoid(z), t, reduction = "{reduction}")'],
        ["target c: class(3)", f'loss cross_entropy(z, c, reduction = "{reduction}", label_smoothing = 0.1)'],
        ["target c: class(3)", f'p = softmax(z)\nloss nll(p, c, reduction = "{reduction}")'],
        [
            values,
            f'loss mse(z, t, reduction = "{reduction}")',
            f'loss 0.5 * squared_error(z, t, reduction = "{reduction}")',
        ],
        ["target f: flag[3]", f'loss binary_cross_entropy(z, f, reduction = "{reduction}")'],
    ]


def rows_for(network: Network, m: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows: dict[str, Any] = {}
    for variable in (*network.program.inputs, *network.program.targets):
        shape, type_ = (m, *variable.type.shape), variable.type
        rows[variable.name] = {
            "float": lambda shape=shape: rng.uniform(-1, 1, shape),
            "flag": lambda shape=shape: rng.integers(2, size=shape).astype(float),
            "class": lambda shape=shape, type_=type_: rng.integers(type_.count, size=shape),
        }[type_.kind]()
    return rows


class Page:
    """A translation with the plan's numbers."""

    def __init__(self, network: Network, rows: dict[str, Any], view: View) -> None:
        self.translation = Translation(Derivation(network.graph), view)
        self.numbers = Numbers(network, rows)
        functions = {
            sign: self._function(step.op)
            for step, sign in ((self.translation.derivation.step_of(name), sign) for name, sign in self._letters())
            if step is not None
        }
        plain = {key for key in self.translation.shapes if key.letter not in ("alias", "augmented")}
        quantities = plain | self.numbers.values.keys()
        known = {quantity: self.numbers.shown(self.translation, quantity) for quantity in quantities}
        symbols = {key: value for key, value in known.items() if value is not None}
        self.evaluate = Evaluator({**symbols, **self._scalars()}, functions)
        _other_names(self)

    def _letters(self) -> Iterator[tuple[str, Any]]:
        yield from self.translation.function_letters.items()

    def _function(self, op: str) -> Callable[..., Any]:
        if op in ("softmax", "log_softmax"):
            return lambda x, primes=0: None

        def f(x: Any, primes: int = 0) -> Any:
            """The function, or its slope by differences."""
            h = 1e-6
            return FUNCTIONS[op](x) if primes == 0 else (FUNCTIONS[op](x + h) - FUNCTIONS[op](x - h)) / (2 * h)

        return f

    def _scalars(self) -> dict[Scalar, float]:
        found = {Scalar("m"): float(self.numbers.m), Scalar("pi"): np.pi}
        for section in self.translation.sections:
            found |= {Scalar(name): value for name, value in section.constants.items()}
        return found

    def check(self) -> int:
        """Each gradient's equation; returns how many."""
        checked = 0
        for section in self.translation.sections:
            for line in section.forward:
                self._value(line)
        for section in reversed(self.translation.sections):
            for line in section.backward:
                checked += self._equation(line)
        return checked + sum(self._equation(line) for line in self.translation.inputs)

    def _value(self, line: Line) -> None:
        """A value; a helper's, such as a mean, becomes known by it. Letters of functions that are no entry by entry
        function (softmax) are checked by the line that says what they mean."""
        left = line.equation.left
        value = self.evaluate(line.equation.right)
        if value is None:
            return
        known = self.evaluate.symbols.get(left.key) if isinstance(left, Symbol) else self.evaluate(left)
        if known is None and isinstance(left, Symbol):
            self.evaluate.symbols[left.key] = value  # type: ignore[index]
        elif known is not None:
            np.testing.assert_allclose(np.broadcast_to(value, np.shape(known)), known, rtol=1e-6, atol=1e-8)

    def _equation(self, line: Line) -> int:
        left = line.equation.left
        assert isinstance(left, Symbol)
        value = self.evaluate(line.equation.right)
        if left.key not in self.evaluate.symbols:
            assert line.kind == "definition"
            self.evaluate.symbols[left.key] = value  # type: ignore[index]
            return 0
        expected = self.evaluate.symbols[left.key]
        assert self.translation.shape_of_symbol(left.key) is not None
        np.testing.assert_allclose(
            np.broadcast_to(value, expected.shape), expected, rtol=2e-6, atol=1e-8, err_msg=str(left.key)
        )
        return 1


def views(name: str, network: Network) -> Iterator[View]:
    notation = notations()[name]
    reductions = ["loss", "gradient"] if all(loss.reduction == "mean" for _, loss in network.graph.losses) else ["loss"]
    for layout, reduction, through in product(["denominator", "numerator"], reductions, ["both", "pre", "post"]):
        yield View(notation, layout=layout, reduction=reduction, through=through)


quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", ["columns", "rows"])
@quick
@given(data=st.data())
def test_matrices_of_samples(name: str, data: st.DataObject) -> None:
    network = Network.from_text(data.draw(networks()), seed=1, precision="float64")
    network.use_threads(1)
    rows = rows_for(network, 3, seed=2)
    for view in views(name, network):
        fresh = Network.from_text(network.program.source.text, seed=1, precision="float64")
        fresh.use_threads(1)
        assert Page(fresh, rows, view).check() >= 1


@pytest.mark.parametrize("name", ["layers", "signals", "neurons"])
@quick
@given(data=st.data())
def test_one_sample(name: str, data: st.DataObject) -> None:
    text = data.draw(networks(single=True))
    network = Network.from_text(text, seed=1, precision="float64")
    rows = rows_for(network, 1, seed=2)
    for view in views(name, network):
        fresh = Network.from_text(text, seed=1, precision="float64")
        fresh.use_threads(1)
        assert Page(fresh, rows, view).check() >= 1


@quick
@given(data=st.data())
def test_biases_inside_of_their_matrices(data: st.DataObject) -> None:
    text = data.draw(networks())
    for name in ("columns", "rows"):
        for layout in ("denominator", "numerator"):
            network = Network.from_text(text, seed=1, precision="float64")
            network.use_threads(1)
            view = View(notations()[name], layout=layout, augmented=True)
            try:
                page = Page(network, rows_for(network, 3, seed=2), view)
            except InputError:
                continue
            assert page.check() >= 1


def _other_names(page: Page) -> None:
    """The numbers of letters with a tilde and of other names, which exist once they are asked for."""
    translation = page.translation
    for section in translation.sections:
        for line in (*section.forward, *section.backward):
            for symbol in (*symbols(line.equation.left), *symbols(line.equation.right)):
                if isinstance(symbol.key, Quantity) and symbol.key.letter in ("augmented", "alias"):
                    page.evaluate.symbols[symbol.key] = page.numbers.shown(translation, symbol.key)  # type: ignore[index]


def test_a_wrong_translation_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "input x: float[2]\ntarget t: float[3]\nh = x -> dense(4) -> tanh\nz = h -> dense(3)\nloss mse(z, t)"
    network = Network.from_text(text, seed=1, precision="float64")
    network.use_threads(1)
    rows = rows_for(network, 3, seed=2)
    right = Translation.oriented
    assert Page(network, rows, View(notations()["rows"])).check() > 0

    def not_turned(self: Translation, of: Expression, left: Any) -> Expression:
        return right(self, of, Scalar("m"))

    def sign_lost(self: Translation, of: Expression, left: Any) -> Expression:
        return of

    def mean_lost(self: Translation, of: Quantity) -> Expression:
        return self.put_in(self.rights[of])

    for name, broken, notation in (
        ("oriented", not_turned, "rows"),
        ("signed", sign_lost, "rows"),
        ("right", mean_lost, "columns"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(Translation, name, broken)
            page = Page(network, rows, View(notations()[notation]))
            with pytest.raises((AssertionError, ValueError)):
                page.check()

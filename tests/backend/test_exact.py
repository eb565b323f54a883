"""The exact backend: it computes what NumPy computes, knows what floats mean, and decides by its samples."""

from __future__ import annotations

import re
import sys
from math import inf, log, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import tensorflow_lite_bp
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.backend.exact import DECISIONS, Exact, NoBranch, exactly, is_simple, meaning, symbol, value_of
from tensorflow_lite_bp.errors import EnvironmentFailure

XP: Any = get_backend("exact")
NP: Any = get_backend("numpy")


def symbols(letter: str, values: np.ndarray) -> Any:
    made: Any = np.empty(values.shape, dtype=object)
    for number, place in enumerate(np.ndindex(values.shape)):
        made[place] = symbol(f"{letter}{number}", float(values[place]))
    return made


def samples(array: Any) -> np.ndarray:
    return np.array([float(exactly(item).value) for item in array.flat]).reshape(array.shape)


def expressions(array: Any) -> np.ndarray:
    """What the expressions themselves are at the sample point, whatever the samples say."""
    values = {sympy.Symbol(f"{letter}{n}"): v for letter, known in KNOWN.items() for n, v in enumerate(known.flat)}
    return np.array([float(value_of(exactly(item).expression, values)) for item in array.flat]).reshape(array.shape)


A = np.random.default_rng(0).uniform(0.2, 2.0, (3, 4))
B = np.random.default_rng(1).uniform(0.2, 2.0, (3, 4))
KNOWN = {"a": A, "b": B}
UNARY = ["negative", "exp", "log", "log1p", "sqrt", "tanh", "erf", "square", "reciprocal", "abs", "sign", "logical_not"]
BINARY = [
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "logaddexp", "logical_or", "logical_and",
    "greater", "greater_equal", "less", "less_equal",
]  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("sign", [1, -1])
def test_functions_of_one_array(name: str, sign: int) -> None:
    if sign < 0 and name in ("log", "log1p", "sqrt"):
        return
    out, expected = XP.zeros(A.shape), np.empty_like(A)
    XP.multiply(symbols("a", A), sign, out=out)
    getattr(XP, name)(out, out=out)
    getattr(NP, name)(sign * A, out=expected)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)
    np.testing.assert_allclose(expressions(out), expected, rtol=1e-14)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays(name: str) -> None:
    out, expected = XP.zeros(A.shape), np.empty_like(A)
    getattr(XP, name)(symbols("a", A), symbols("b", B), out=out)
    getattr(NP, name)(A, B, out=expected)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)
    np.testing.assert_allclose(expressions(out), expected, rtol=1e-14)
    getattr(XP, name)(symbols("a", A), 0.5, out=out)  # numbers broadcast, rows too
    getattr(NP, name)(A, 0.5, out=expected)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)
    getattr(XP, name)(symbols("a", A), symbols("b", B)[:1], out=out)
    getattr(NP, name)(A, B[:1], out=expected)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "argmax"])
@pytest.mark.parametrize(("axis", "keepdims"), [(0, False), (1, False), (0, True), (None, False)])
def test_reductions(name: str, axis: int | None, keepdims: bool) -> None:
    expected = getattr(np, name)(A, axis=axis, keepdims=keepdims)
    out = XP.zeros(expected.shape)
    getattr(XP, name)(symbols("a", A), axis=axis, keepdims=keepdims, out=out)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)


@pytest.mark.parametrize(("first", "second"), [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (1, 5, 4, 2))])
def test_products_of_matrices(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    left, right = rng.uniform(size=first), rng.uniform(size=second)
    expected = left @ right
    out = XP.zeros(expected.shape)
    XP.matmul(symbols("a", left), symbols("b", right), out=out)
    np.testing.assert_allclose(samples(out), expected, rtol=1e-14)


def test_clip_take_put_and_windows() -> None:
    a, out = symbols("a", A), XP.zeros(A.shape)
    XP.clip(a, 0.5, 1.5, out=out)
    np.testing.assert_allclose(samples(out), A.clip(0.5, 1.5))
    places = XP.from_host(np.array([7, 0]))
    taken = XP.zeros(2)
    XP.take(a.reshape(-1), places, out=taken)
    assert [str(item) for item in taken] == ["a7", "a0"]
    XP.put(out.reshape(-1), places, taken)
    assert str(out[1, 3]) == "a7"
    windows = XP.lib.stride_tricks.as_strided(a, (3, 3, 2), (a.strides[0], a.strides[1], a.strides[1]))
    assert [str(item) for item in windows[1, 2]] == ["a6", "a7"]


def test_random_numbers_are_those_of_the_other_backends() -> None:
    DECISIONS.clear()
    out, expected = XP.zeros((3, 2)), np.empty((3, 2))
    XP.uniform(Draw(3, "layer"), out=out)
    NP.uniform(Draw(3, "layer"), out=expected)
    np.testing.assert_array_equal(samples(out), expected)
    assert all(item.constant for item in out.flat)
    assert DECISIONS.drawn == 6


def test_memory_is_cut_like_bytes() -> None:
    memory = XP.memory(192)
    left, right = memory[0:64].view("object"), memory[64:128].view("float64").reshape(2, 4)
    left[0] = 5
    right[...] = 7
    assert list(memory[0:192].view("object")[:16]) == [5, *left[1:], *[7] * 8]
    assert XP.address(right) - XP.address(left) == 64
    assert str(left[1]) == "unwritten"


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (1 / 6, sympy.Rational(1, 6)),
        (1 - 0.9, sympy.Rational(1, 10)),
        (1e-5, sympy.Rational(1, 10**5)),
        (0.044715, sympy.Rational(44715, 10**6)),
        (-2.5, sympy.Rational(-5, 2)),
        (0.0, sympy.Integer(0)),
        (1.1754944e-38, sympy.Rational(11754944, 10**45)),
        (sqrt(0.5), sympy.sqrt(2) / 2),
        (2 * sqrt(2 / pi), 2 * sympy.sqrt(2 / sympy.pi)),
        (-0.5 * log(2 * pi), -sympy.log(2 * sympy.pi) / 2),
    ],
)
def test_floats_are_read_as_what_they_mean(number: float, exact: Any) -> None:
    assert sympy.simplify(meaning(number) - exact) == 0
    assert is_simple(number)


@pytest.mark.parametrize("number", [1.0507009873554805, 0.1234567890123, pi, 1 / 1234567 + 1])
def test_a_float_that_is_nothing_simple_is_its_bits(number: float) -> None:
    assert not is_simple(number)
    assert float(meaning(number)) == number
    assert meaning(number).q & (meaning(number).q - 1) == 0


def test_comparisons_are_counted_and_ties_refused() -> None:
    DECISIONS.clear()
    x, y = symbol("x", 1), symbol("y", 1)
    out = XP.zeros(())
    XP.maximum(symbol("z", 2), x, out=out)
    XP.maximum(exactly(2), 1.0, out=out)  # of numbers: nothing to decide
    assert DECISIONS.comparisons == 1
    with pytest.raises(NoBranch, match="equal at the sample point"):
        XP.maximum(x, y, out=out)
    XP.maximum(-inf, x, out=out)
    assert str(out[()]) == "x"


@pytest.mark.parametrize("name", ["log", "sqrt"])
def test_outside_of_its_domain_a_function_has_no_branch(name: str) -> None:
    with pytest.raises(NoBranch, match="not defined"):
        getattr(XP, name)(symbol("x", -1), out=XP.zeros(()))


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="the exact backend computes with numbers"):
        exactly("1")  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="used as an index"):
        int(symbol("x", 1))
    assert int(Exact(sympy.Integer(3), 3)) == 3


def test_sympy_is_imported_by_the_backend_and_by_proofs_alone() -> None:
    package = Path(tensorflow_lite_bp.__file__).parent
    importing = re.compile(r"^\s*(?:import|from) (?:sympy|mpmath)", flags=re.M)
    users = {path.relative_to(package) for path in package.rglob("*.py") if importing.search(path.read_text("utf-8"))}
    assert {str(path) for path in users if path.parts[0] != "proof"} == {"backend/exact.py"}


def test_without_sympy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sympy", None)
    monkeypatch.delitem(sys.modules, "tensorflow_lite_bp.backend.exact")
    with pytest.raises(EnvironmentFailure) as error:
        get_backend.__wrapped__("exact")
    assert str(error.value) == ("a proof needs SymPy, which is not installed: pip install 'tensorflow_lite_bp[proof]'")
    assert error.value.exit_code == 3

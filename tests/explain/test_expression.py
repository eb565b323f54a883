"""The algebra of expressions: reading, transposing, signs, and what is a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.explain.expression import (
    Add,
    Divide,
    Expression,
    Function,
    Negative,
    Number,
    Product,
    Scalar,
    Symbol,
    Times,
    add,
    expression,
    is_scalar,
    negative,
    parsed,
    times,
    transpose,
)
from tests.explain.evaluate import Evaluator

A, B = Symbol("A"), Symbol("B")
NUMBERS = {"A": np.array([[1.0, 2.0], [3.0, -4.0]]), "B": np.array([[0.5, -1.0], [2.0, 0.25]])}


def squares(depth: int) -> st.SearchStrategy[str]:
    """Formulas of two square matrices."""
    if depth == 0:
        return st.sampled_from(["A", "B", "A.T", "2.0", "B.T"])
    inner = squares(depth - 1)
    return st.one_of(
        inner,
        st.tuples(inner, st.sampled_from([" + ", " - ", " * "]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        st.tuples(st.sampled_from(["A", "B.T"]), st.sampled_from(["A", "B"])).map(lambda t: f"({t[0]} @ {t[1]})"),
        inner.map(lambda text: f"(-{text})"),
        inner.map(lambda text: f"tanh({text})"),
        st.sampled_from(["sum(A, axis=1)", "mean(B, axis=0)", "softmax(A, axis=0)", "[A > B]", "(A / 4.0)"]),
    )


@settings(max_examples=200, deadline=None)
@given(squares(3))
def test_the_transpose_and_the_sign_are_those_of_matrices(text: str) -> None:
    of, evaluate = expression(text), Evaluator(NUMBERS)
    plain = np.asarray(evaluate(of))
    np.testing.assert_allclose(evaluate(transpose(of)), plain.T, atol=1e-12)
    np.testing.assert_allclose(evaluate(negative(of)), -plain, atol=1e-12)
    np.testing.assert_allclose(evaluate(transpose(transpose(of))), plain, atol=1e-12)


def test_the_transpose_of_a_product_turns_it_round() -> None:
    assert transpose(expression("W.T @ dY")) == Product((transpose(Symbol("dY")), Symbol("W")))


def test_axes_change_places() -> None:
    assert transpose(expression("sum(A, axis=1)")) == Function("sum", (transpose(A),), 0)


def test_numbers_are_gathered_in_front() -> None:
    m = Symbol(Scalar("m"))
    mean = Divide(Number(1), times(Number(2), m))
    assert times(Number(2), mean, A) == Times((Divide(Number(1), m), A))
    assert times(A, Number(3), Number(0.5)) == Times((Divide(Number(3), Number(2)), A))
    assert times(Number(-1), A) == Negative(A)
    assert times(Number(1), A) == A


def test_signs_come_out_and_cancel() -> None:
    assert times(Negative(A), Negative(B)) == Times((A, B))
    assert negative(expression("A - B")) == expression("B - A")
    assert negative(negative(A)) == A
    assert expression("A - (B - A)") == Add((A, Add((A, Negative(B))))) or expression("A - (B - A)") == add(
        A, A, Negative(B)
    )


def test_what_is_a_number() -> None:
    assert is_scalar(times(Number(2), Symbol(Scalar("m"))))
    assert is_scalar(expression("sum(A)"))
    assert not is_scalar(A)
    assert not is_scalar(expression("2 * A"))


def test_several_equations_are_several_lines() -> None:
    found = parsed(
        """
        N = X / R
        Y = g * N
        """
    )
    assert [equation.left for equation in found] == [Symbol("N"), Symbol("Y")]


@pytest.mark.parametrize("text", ["X[0]", "lambda: 0", "f(x)(y)", "X if Y else Z"])
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match="no formula"):
        expression(text)


def test_an_expression_is_hashable() -> None:
    of: Expression = expression("dY * (1 - Y ** 2)")
    assert hash(of) == hash(expression("dY * (1 - Y ** 2)"))

"""Formulas evaluated with NumPy, by themselves: what `explain` prints, held against what the layers compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from tensorflow_lite_bp.explain.expression import (
    Add,
    Divide,
    Expression,
    Function,
    Holds,
    Negative,
    Number,
    Power,
    Product,
    Symbol,
    Times,
    Transpose,
)

Array = np.ndarray

ENTRYWISE: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "abs": np.abs,
    "sign": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "sigmoid": special.expit,
    "Phi": special.ndtr,
    "phi": lambda x: np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
}

COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    ">": np.greater,
    "<": np.less,
    "≥": np.greater_equal,
    "≤": np.less_equal,
}


class Evaluator:
    """Numbers for expressions.

    Args:
        symbols: what each key stands for, matrices ``(rows, columns)`` or numbers.
        functions: further functions by their name or letter; each gets its arrays and the number of primes.
    """

    def __init__(self, symbols: Mapping[Any, Any], functions: Mapping[Any, Callable[..., Any]] | None = None) -> None:
        self.symbols, self.functions = symbols, functions or {}

    def __call__(self, of: Expression) -> Any:
        match of:
            case Symbol(key=key):
                return self.symbols[key]
            case Number(value=value):
                return float(value)
            case Add(terms=terms):
                return sum(self(term) for term in terms)
            case Product(factors=factors):
                return np.linalg.multi_dot([self(f) for f in factors]) if len(factors) > 1 else self(factors[0])
            case Times(factors=factors):
                made = self(factors[0])
                for factor in factors[1:]:
                    made = made * self(factor)
                return made
            case Divide(over=over, under=under):
                return self(over) / self(under)
            case Power(base=base, exponent=exponent):
                return self(base) ** self(exponent)
            case Negative(of=inner):
                return -self(inner)
            case Transpose(of=inner):
                return self(inner).T
            case Holds(sign=sign, left=left, right=right):
                return COMPARISONS[sign](self(left), self(right)).astype(float)
            case Function():
                return self._function(of, [self(argument) for argument in of.arguments])
        raise AssertionError(f"nothing known of {of}")

    def _function(self, of: Function, arguments: list[Any]) -> Any:
        if of.name in self.functions:
            return self.functions[of.name](*arguments, primes=of.primes)
        if of.name == "norm":
            return np.sqrt((arguments[0] ** 2).sum())
        if of.name == "diag":
            return np.diagflat(arguments[0])
        if of.name == "rows":
            row, count = arguments[0].reshape(1, -1), int(arguments[1])
            return np.repeat(row, count, axis=0)
        if of.name == "softmax":
            return special.softmax(arguments[0], axis=of.axis)
        if of.name in ("sum", "mean", "max") and len(arguments) == 1:
            reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[str(of.name)]
            return reduce(arguments[0], axis=of.axis, keepdims=of.axis is not None)
        return ENTRYWISE[str(of.name)](*arguments)

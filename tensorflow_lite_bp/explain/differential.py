"""Differentials, article 002's way: ``dZ = dX W + X dW``, and dE as a sum of Frobenius products ``A : dX``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorflow_lite_bp.explain.boxes import Box, Row, Text, Typesetter
from tensorflow_lite_bp.explain.derivation import M, Quantity
from tensorflow_lite_bp.explain.expression import (
    LINEAR,
    Add,
    Divide,
    Equation,
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
    add,
    is_scalar,
    negative,
    product,
    times,
)
from tensorflow_lite_bp.explain.names import Sign
from tensorflow_lite_bp.explain.reading import TOTAL

if TYPE_CHECKING:
    from tensorflow_lite_bp.explain.translate import Line, Translation


class NoDifferential(Exception):
    """An expression whose differential has no rule here."""


def differential(translation: Translation, line: Line) -> Equation:
    """``dY = …`` of a value's equation; of an activation its slope times the differential of its input.

    Raises:
        NoDifferential: where it has none.
    """
    left = line.equation.left
    step = translation.derivation.step_of(line.of.name) if isinstance(line.of, Quantity) else None
    slope = translation.slope(step, by_letter=True) if step is not None and step.result == line.of else None
    if slope is not None:
        x, factor = slope
        return Equation(_d(left), times(translation.oriented(factor, x), _d(Symbol(x))))
    made = _differential(translation, line.equation.right)
    if made is None:
        raise NoDifferential
    return Equation(_d(left), made)


def frobenius(translation: Translation, typesetter: Typesetter, line: Line) -> Box:
    """``dE = ⋯ + A : dX``: what the differential of one quantity adds to that of the loss."""
    assert isinstance(line.of, Quantity)
    of = Quantity(line.of.of, line.of.name, line.of.letter)
    sign, by_m = translation.multiple(line.of)
    left = line.equation.left if line.of.of == "tensor" else line.equation.right
    minus = sign < 0 or isinstance(left, Negative)
    if isinstance(left, Negative):
        left = left.of
    if by_m:
        left = Divide(left, Symbol(M))
    total = Row((Text("d", "number"), typesetter.box(Symbol(TOTAL))))
    names = Row((typesetter.box(left, 6), Text(":", "operator"), typesetter.box(_d(Symbol(of)))))
    return Row((total, Text("=", "operator"), Text("⋯", "word"), Text("−" if minus else "+", "operator"), names))


def _d(of: Expression) -> Expression:
    return Function("d", (of,))


def _differential(translation: Translation, of: Expression) -> Expression | None:
    """The differential; None for what is constant."""

    def d(part: Expression) -> Expression | None:
        return _differential(translation, part)

    match of:
        case Number() | Holds():
            return None
        case Symbol(key=key):
            return None if is_scalar(of) or translation.constant(key) else _d(of)
        case Add(terms=terms):
            found = [made for made in map(d, terms) if made is not None]
            return add(*found) if found else None
        case Negative(of=inner):
            made = d(inner)
            return negative(made) if made is not None else None
        case Transpose(of=inner):
            made = d(inner)
            return Transpose(made) if made is not None else None
        case Product(factors=factors) | Times(factors=factors):
            join = product if isinstance(of, Product) else times
            changed = [(place, d(factor)) for place, factor in enumerate(factors)]
            summands = [
                join(*factors[:place], made, *factors[place + 1 :]) for place, made in changed if made is not None
            ]
            return add(*summands) if summands else None
        case Divide(over=over, under=under):
            return _quotient(over, under, d(over), d(under))
        case Power(base=base, exponent=Number(value=n)):
            made = d(base)
            lower = base if n == 2 else Power(base, Number(n - 1))
            return None if made is None else times(Number(n), lower, made)
        case Function():
            return _function(of, d(of.arguments[0]))
    raise NoDifferential


def _quotient(
    over: Expression, under: Expression, d_over: Expression | None, d_under: Expression | None
) -> Expression | None:
    first = None if d_over is None else Divide(d_over, under)
    second = None if d_under is None else negative(times(Divide(over, Power(under, Number(2))), d_under))
    found = [part for part in (first, second) if part is not None]
    return add(*found) if found else None


def _function(of: Function, inner: Expression | None) -> Expression | None:
    if inner is None:
        return None
    x = of.arguments[0]
    if isinstance(of.name, Sign):
        return times(Function(of.name, (x,), primes=of.primes + 1), inner)
    if of.name in LINEAR:
        return Function(of.name, (inner,), of.axis)
    slopes: dict[str, Expression] = {
        "exp": of,
        "log": Divide(Number(1), x),
        "sqrt": Divide(Number(1), times(Number(2), of)),
        "tanh": add(Number(1), negative(Power(of, Number(2)))),
        "sigmoid": times(of, add(Number(1), negative(of))),
        "abs": Function("sign", (x,)),
    }
    if of.name not in slopes:
        raise NoDifferential
    return times(slopes[str(of.name)], inner)

"""Matrix expressions: what the layers' formulas mean, and the algebra by which one notation becomes another.

A formula is written as the code is, ``Y = W @ X + b`` or ``dW = dY @ X.T``, and read with Python's own parser into a
small tree. Arrays are the articles' matrices, a column for each sample (pixel, step): ``@`` is the matrix product,
``*`` Hadamard's, ``.T`` the transpose, ``[A > B]`` is 1 where it holds, and ``sum(A, axis=1)`` adds up columns.
Functions work on each entry, or along an axis, so all of them commute with the transpose: the axis changes, nothing
else does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

Key = Hashable
"""What a symbol stands for: a letter of a layer's formula, or a quantity of a network."""


class Expression:
    """Base of all nodes of the tree."""


@dataclass(frozen=True)
class Symbol(Expression):
    key: Key


@dataclass(frozen=True)
class Number(Expression):
    value: float


@dataclass(frozen=True)
class Add(Expression):
    """A sum; a difference is a sum with a `Negative` term."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product(Expression):
    """The matrix product."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Times(Expression):
    """Hadamard's product, or a number times an array."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Divide(Expression):
    """Entry by entry, or by a number."""

    over: Expression
    under: Expression


@dataclass(frozen=True)
class Power(Expression):
    base: Expression
    exponent: Expression


@dataclass(frozen=True)
class Negative(Expression):
    of: Expression


@dataclass(frozen=True)
class Transpose(Expression):
    of: Expression


@dataclass(frozen=True)
class Function(Expression):
    """A function of each entry, or along an axis. ``name`` is a word of formulas, or a symbol (an activation's letter);
    ``primes`` counts derivatives."""

    name: Key
    arguments: tuple[Expression, ...]
    axis: int | None = None
    primes: int = 0


@dataclass(frozen=True)
class Holds(Expression):
    """Iverson's bracket: 1 where the comparison holds, else 0."""

    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Entry(Expression):
    """One entry of an array: the indices that it has, of its row and its column, as letters or numbers."""

    of: Expression
    row: str = ""
    column: str = ""


@dataclass(frozen=True)
class SumOver(Expression):
    """The sum over an index from 1 to a size: factors, numbers or names."""

    index: str
    size: tuple[Any, ...]
    of: Expression


@dataclass(frozen=True)
class Dots(Expression):
    """What is left out of a long sum."""


@dataclass(frozen=True)
class Equation:
    """``left = right``."""

    left: Expression
    right: Expression


# Reading


@cache
def parsed(text: str) -> tuple[Equation, ...]:
    """The equations of a formula, one a line.

    >>> parsed("Y = W @ X")
    (Equation(left=Symbol(key='Y'), right=Product(factors=(Symbol(key='W'), Symbol(key='X')))),)
    """
    lines = filter(None, (line.strip() for line in text.splitlines()))
    sides = [line.split(" = ", 1) for line in lines]
    return tuple(Equation(expression(left), expression(right)) for left, right in sides)


@cache
def expression(text: str) -> Expression:
    """The tree of a formula's right side."""
    return _read(ast.parse(text, mode="eval").body)


_SIGNS: dict[type[ast.cmpop], str] = {ast.Gt: ">", ast.Lt: "<", ast.GtE: "≥", ast.LtE: "≤", ast.Eq: "="}


def _read(node: ast.expr) -> Expression:
    match node:
        case ast.Name(id=name):
            return Symbol(name)
        case ast.Constant(value=int() | float() as value):
            return Number(value)
        case ast.Attribute(value=of, attr="T"):
            return Transpose(_read(of))
        case ast.UnaryOp(op=ast.USub(), operand=of):
            return negative(_read(of))
        case ast.BinOp(left=left, op=sign, right=right):
            return _binary(sign, _read(left), _read(right))
        case ast.List(elts=[ast.Compare(left=left, ops=[sign], comparators=[right])]):
            return Holds(_SIGNS[type(sign)], _read(left), _read(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            axes = [word.value.value for word in keywords if isinstance(word.value, ast.Constant)]
            return Function(name, tuple(map(_read, arguments)), *(axis for axis in axes if isinstance(axis, int)))
    raise AssertionError(f"no formula: {ast.unparse(node)}")


def _binary(sign: ast.operator, left: Expression, right: Expression) -> Expression:
    match sign:
        case ast.Add():
            return add(left, right)
        case ast.Sub():
            return add(left, negative(right))
        case ast.MatMult():
            return product(left, right)
        case ast.Mult():
            return times(left, right)
        case ast.Div():
            return Divide(left, right)
        case ast.Pow():
            return left if right == Number(1) else Power(left, right)
    raise AssertionError(f"no sign of formulas: {sign}")


STRUCTURAL = frozenset(
    {
        "unroll", "fold", "vec", "unvec", "reshape", "unreshape", "permute", "unpermute", "maxpool", "unmaxpool",
        "avgpool", "unavgpool", "spread", "gather",
    }
)  # fmt: skip
"""Functions that move entries, so that an entry of the result is not the function of an entry."""

LINEAR = (STRUCTURAL - {"maxpool"}) | {"sum", "mean"}
"""Functions f with ``f(-A) = -f(A)``; the way back through the largest entries is linear, the way there is not."""

# Building: associative nodes are flat, and what cancels is cancelled


def add(*terms: Expression) -> Expression:
    flat = [inner for term in terms for inner in (term.terms if isinstance(term, Add) else (term,))]
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def product(*factors: Expression) -> Expression:
    """A minus sign comes out."""
    minus, plain = _signs(factors)
    flat = [inner for factor in plain for inner in (factor.factors if isinstance(factor, Product) else (factor,))]
    made = flat[0] if len(flat) == 1 else Product(tuple(flat))
    return negative(made) if minus else made


def divide(over: Expression, under: Expression) -> Expression:
    """A minus sign comes out."""
    minus, (plain,) = _signs((over,))
    return negative(Divide(plain, under)) if minus else Divide(over, under)


def applied(function: Function) -> Expression:
    """A function; of a linear one a minus sign comes out."""
    if function.name not in LINEAR:
        return function
    minus, arguments = _signs(function.arguments)
    return negative(replace(function, arguments=tuple(arguments))) if minus else function


def _signs(factors: Sequence[Expression]) -> tuple[int, list[Expression]]:
    """Whether a minus sign comes out of factors, and these without: of a sum that begins with one it does."""
    found = [isinstance(f, Negative) or (isinstance(f, Add) and isinstance(f.terms[0], Negative)) for f in factors]
    plain = [negative(factor) if minus else factor for factor, minus in zip(factors, found, strict=True)]
    return sum(found) % 2, plain


def times(*factors: Expression) -> Expression:
    """Numbers come first, as one; a minus sign comes out."""
    flat = [inner for factor in factors for inner in (factor.factors if isinstance(factor, Times) else (factor,))]
    minus, flat = _signs(flat)
    first, others = _coefficient(flat)
    if isinstance(first, Number) and first.value < 0 and others:
        first, minus = Number(-first.value), 1 - minus
    if first != Number(1) or not others:
        others.insert(0, first)
    made = others[0] if len(others) == 1 else Times(tuple(others))
    return negative(made) if minus else made


def _coefficient(factors: Sequence[Expression]) -> tuple[Expression, list[Expression]]:
    """The numbers among factors, ``p / (q m)`` at most, and the other factors."""
    over, under = Fraction(1), Fraction(1)
    names: list[Expression] = []
    others: list[Expression] = []
    for factor in factors:
        match factor:
            case Number(value=value):
                over *= Fraction(value)
            case Divide(over=Number(value=value), under=below) if is_scalar(below):
                over *= Fraction(value)
                for part in below.factors if isinstance(below, Times) else (below,):
                    if isinstance(part, Number):
                        under *= Fraction(part.value)
                    else:
                        names.append(part)
            case _:
                others.append(factor)
    return _quotient(over / under, names), others


def _quotient(value: Fraction, names: list[Expression]) -> Expression:
    """``p / (q m)`` where p and q are small whole numbers, else a decimal number over m."""
    small = value.limit_denominator(10_000)
    if float(small) != float(value):
        small = Fraction(1)
        over: Expression = Number(float(value))
    else:
        over = Number(small.numerator)
    below = [Number(small.denominator)] if small.denominator != 1 else []
    if not below and not names:
        return over
    return Divide(over, times(*below, *names))


def negative(of: Expression) -> Expression:
    """``-(-A)`` is A, and ``-(A - B)`` is ``B - A``."""
    match of:
        case Add(terms=(Negative(), *_) as terms):
            return add(*map(negative, terms))
        case Negative(of=inner):
            return inner
        case Number(value=value):
            return Number(-value)
        case Add(terms=(first, Negative(of=second))):
            return Add((second, negative(first)))
        case Times(factors=(*scalars, Add(terms=(_, Negative())) as last)) if all(map(is_scalar, scalars)):
            return Times((*scalars, negative(last)))
    return Negative(of)


def transpose(of: Expression) -> Expression:
    """The transpose, brought down to the symbols: ``(A B)ᵀ = Bᵀ Aᵀ``, and entry by entry it changes nothing else."""
    match of:
        case Transpose(of=inner):
            return inner
        case Product(factors=factors):
            return Product(tuple(transpose(factor) for factor in reversed(factors)))
        case Symbol():
            return of if is_scalar(of) else Transpose(of)
        case Function(axis=axis):
            made = rebuilt(of, transpose)
            return replace(made, axis=1 - axis) if axis is not None and isinstance(made, Function) else made
    return rebuilt(of, transpose)


# Walking


def parts(of: Expression) -> tuple[Expression, ...]:
    """What a node is made of."""
    match of:
        case Add(terms=inner) | Product(factors=inner) | Times(factors=inner) | Function(arguments=inner):
            return inner
        case Divide(over=left, under=right) | Power(base=left, exponent=right) | Holds(left=left, right=right):
            return (left, right)
        case Negative(of=one) | Transpose(of=one) | SumOver(of=one):
            return (one,)
    return ()


def rebuilt(of: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The same node, made of changed parts."""
    changed = tuple(map(change, parts(of)))
    match of:
        case Add():
            return add(*changed)
        case Product():
            return product(*changed)
        case Times():
            return times(*changed)
        case Negative():
            return negative(*changed)
        case Transpose():
            return transpose(*changed)
        case Function():
            return applied(replace(of, arguments=changed))
        case Divide():
            return divide(*changed)
        case Power():
            return Power(*changed)
        case Holds():
            return Holds(of.sign, *changed)
        case SumOver():
            return replace(of, of=changed[0])
    return of


def substituted(of: Expression, change: Callable[[Key], Expression | None]) -> Expression:
    """With other expressions in the place of symbols; None leaves one as it is."""
    if isinstance(of, Symbol):
        found = change(of.key)
        return of if found is None else found
    return rebuilt(of, lambda part: substituted(part, change))


def walk(of: Expression) -> Iterator[Expression]:
    """The expression and all that it is made of."""
    yield of
    for part in parts(of):
        yield from walk(part)


def symbols(of: Expression) -> Iterator[Symbol]:
    """Every symbol as often as it stands there, from left to right."""
    if isinstance(of, Symbol):
        yield of
    for part in parts(of):
        yield from symbols(part)


def is_scalar(of: Expression) -> bool:
    """Whether an expression is a number for sure: numbers, scalar symbols (`Scalar`), and what is made of them."""
    match of:
        case Symbol(key=key):
            return isinstance(key, Scalar)
        case Entry() | SumOver() | Dots():
            return True
        case Function(name="sum" | "mean" | "max", axis=None, arguments=(_,)):
            return True
    return all(map(is_scalar, parts(of)))


@dataclass(frozen=True)
class Scalar:
    """The key of a number: a setting's letter (α, ε, η), the number of samples m."""

    name: str

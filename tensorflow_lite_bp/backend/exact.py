"""Exact symbols: the layers' own code on arrays of SymPy expressions, so that its result can be compared with algebra.

An array holds `Exact` scalars (dtype ``object``): an expression, and the value that it has at a sample point. The value
decides what layer code compares (the rectifier, the largest of a window), so a result holds on the branch of its
sample: where the same comparisons come out the same way. Importing this file imports SymPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import isfinite, prod
from typing import Any

import mpmath
import numpy as np
import sympy

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.errors import NumericalFailure

DIGITS = 50
"""Of sample values."""
_CELL = 8  # bytes of an array that one scalar stands for
_MP = mpmath.MPContext()
_MP.dps = DIGITS
_TIE = _MP.mpf(10) ** (10 - DIGITS)


class NoBranch(NumericalFailure):
    """The sample point is no place to differentiate: a kink, or outside of a function's domain."""


class Exact:
    """A number known by its expression; ``value`` is what it is at the sample point, to `DIGITS` digits."""

    __slots__ = ("expression", "value")

    def __init__(self, expression: Any, value: Any) -> None:
        self.expression = expression
        self.value = value

    @property
    def constant(self) -> bool:
        return bool(self.expression.is_number)

    def __add__(self, other: Any) -> Exact:
        other = exactly(other)
        return Exact(self.expression + other.expression, self.value + other.value)

    def __sub__(self, other: Any) -> Exact:
        other = exactly(other)
        return Exact(self.expression - other.expression, self.value - other.value)

    def __mul__(self, other: Any) -> Exact:
        other = exactly(other)
        return Exact(self.expression * other.expression, self.value * other.value)

    def __truediv__(self, other: Any) -> Exact:
        other = exactly(other)
        if other.value == 0:
            raise NoBranch(f"a division by {other}, which is 0 at the sample point")
        return Exact(self.expression / other.expression, self.value / other.value)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Exact:
        return exactly(other) - self

    def __rtruediv__(self, other: Any) -> Exact:
        return exactly(other) / self

    def __neg__(self) -> Exact:
        return Exact(-self.expression, -self.value)

    def __bool__(self) -> bool:
        return bool(self.value != 0)

    def __int__(self) -> int:
        assert self.expression.is_Integer, f"{self} is used as an index"
        return int(self.expression)

    __index__ = __int__

    def __repr__(self) -> str:
        return str(self.expression)


def symbol(name: str, value: Any) -> Exact:
    """A free symbol with its sample value: a rational number, or one of the exact backend's reals."""
    return Exact(sympy.Symbol(name), _real(value))


def exactly(number: Any) -> Exact:
    """A number of layer code as the exact number that it stands for; what is exact stays as it is."""
    if isinstance(number, Exact):
        return number
    if isinstance(number, bool | int | np.bool_ | np.integer):
        return _whole(int(number))
    if isinstance(number, float | np.floating):
        return _of_float(float(number))
    raise TypeError(f"the exact backend computes with numbers, and this is {type(number).__name__}")


@cache
def _whole(number: int) -> Exact:
    return Exact(sympy.Integer(number), _MP.mpf(number))


@cache
def _of_float(number: float) -> Exact:
    if not isfinite(number):
        return Exact(sympy.sympify(number), _MP.mpf(number))
    expression = meaning(number)
    return Exact(expression, _real(expression))


def _real(value: Any) -> Any:
    """A rational number, or a constant of SymPy, to `DIGITS` digits."""
    if isinstance(value, Fraction):
        return _MP.mpf(value.numerator) / value.denominator
    if isinstance(value, sympy.Rational):
        return _MP.mpf(value.p) / value.q
    return _MP.mpf(sympy.N(value, DIGITS + 5)._mpf_) if isinstance(value, sympy.Expr) else _MP.mpf(value)


def value_of(expression: Any, values: Mapping[Any, Any]) -> Any:
    """What an expression is where its symbols have these values, to `DIGITS` digits."""
    found: dict[Any, Any] = {}
    for part in sympy.postorder_traversal(expression):
        if part in found:
            continue
        arguments = [found[argument] for argument in part.args]
        if part.is_Symbol:
            found[part] = values[part]
        elif part.is_Add:
            found[part] = sum(arguments, _MP.mpf(0))
        elif part.is_Mul:
            found[part] = prod(arguments, start=_MP.mpf(1))
        elif part.is_Pow:
            found[part] = arguments[0] ** (int(part.exp) if part.exp.is_Integer else arguments[1])
        elif part.is_number:
            found[part] = _real(part)
        else:
            found[part] = getattr(_MP, part.func.__name__)(*arguments)
    return found[expression]


# What a float means

_ROUNDINGS = 8 * 2.0**-53  # what a few operations on floats, each to the nearest, may be off by
_ROOTS = (1, sympy.sqrt(2), sympy.sqrt(sympy.pi), sympy.sqrt(2 / sympy.pi), sympy.log(2 * sympy.pi))


@cache
def meaning(number: float) -> Any:
    """The simple number of which a float is the rounding: a rational one, or one times a root or logarithm of the
    normal distribution. A float that is near none of these is taken as the binary fraction that it is.

    >>> meaning(1.0 / 6.0), meaning(1 - 0.9), meaning(1e-05), meaning(-(0.5**0.5)), is_simple(1.0507009873554805)
    (1/6, 1/10, 1/100000, -sqrt(2)/2, False)
    """
    found = _simple(number)
    if found is not None:
        return found
    exact = Fraction(number)
    return sympy.Rational(exact.numerator, exact.denominator)


def is_simple(number: float) -> bool:
    """Whether `meaning` knows more of a float than its bits."""
    return not isfinite(number) or _simple(number) is not None


@cache
def _simple(number: float) -> Any:
    for root in _ROOTS:
        quotient = number / float(root)
        for near in (Fraction(quotient).limit_denominator(1000), Fraction(f"{quotient:.9g}")):
            if abs(float(near) - quotient) <= _ROUNDINGS * abs(quotient):
                return sympy.Rational(near.numerator, near.denominator) * root
    return None


# Functions of one scalar, of two, of three


@dataclass
class Decisions:
    """What a result depends on besides its symbols: comparisons that sample values decided, random numbers that were
    drawn (both counted), and how constants of layer code were read."""

    comparisons: int = 0
    drawn: int = 0
    rough: set[float] = field(default_factory=set)
    """Floats without a simple meaning."""
    read: dict[float, Any] = field(default_factory=dict)
    """Floats that are the rounding of a number that is not rational -> that number."""

    def clear(self) -> None:
        self.comparisons = self.drawn = 0
        self.rough.clear()
        self.read.clear()


def _less(a: Exact, b: Exact) -> bool:
    """Whether a < b at the sample point. Two that differ and are equal there have no branch to be on."""
    if a.constant and b.constant:
        return bool(a.value < b.value)
    if not (_is_real(a.value) and _is_real(b.value)):
        raise NoBranch("a comparison of numbers that are not real at the sample point")
    if a.expression != b.expression and abs(a.value - b.value) < _TIE:
        raise NoBranch("a comparison of two numbers that are equal at the sample point")
    DECISIONS.comparisons += 1
    return bool(a.value < b.value)


DECISIONS = Decisions()


def _is_real(value: Any) -> bool:
    return isinstance(value, _MP.mpf)


def _applied(name: str) -> Callable[[Exact], Exact]:
    """A function that SymPy and mpmath know under the same name."""
    of_expression, of_value = getattr(sympy, name), getattr(_MP, name)

    def apply(x: Exact) -> Exact:
        value = of_value(x.value) if x.value != 0 or name != "log" else None
        if value is None or (_is_real(x.value) and not _is_real(value)):
            raise NoBranch(f"{name} is not defined at the sample point")
        return Exact(of_expression(x.expression), value)

    return apply


_exp, _log, _sqrt, _tanh, _erf = map(_applied, ("exp", "log", "sqrt", "tanh", "erf"))


def _power(x: Exact, exponent: Exact) -> Exact:
    value = x.value**exponent.value if x.value != 0 or exponent.value >= 0 else None
    if value is None or (_is_real(x.value) and not _is_real(value)):
        raise NoBranch("a power is not defined at the sample point")
    return Exact(x.expression**exponent.expression, value)


def _maximum(a: Exact, b: Exact) -> Exact:
    return b if _less(a, b) else a


def _minimum(a: Exact, b: Exact) -> Exact:
    return a if _less(a, b) else b


def _sign(x: Exact) -> Exact:
    zero = _whole(0)
    return x if x.expression.is_zero else _whole(1 if _less(zero, x) else -1)


_UNARY: dict[str, Callable[[Exact], Any]] = {
    "negative": lambda x: -x,
    "exp": _exp,
    "log": _log,
    "log1p": lambda x: _log(x + 1),
    "sqrt": _sqrt,
    "tanh": _tanh,
    "erf": _erf,
    "square": lambda x: x * x,
    "reciprocal": lambda x: _whole(1) / x,
    "abs": lambda x: x if _less(_whole(0), x) else -x,
    "sign": _sign,
    "logical_not": lambda x: _whole(not x),
}
_BINARY: dict[str, Callable[[Exact, Exact], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": _power,
    "maximum": _maximum,
    "minimum": _minimum,
    "greater": lambda a, b: _whole(_less(b, a)),
    "greater_equal": lambda a, b: _whole(not _less(a, b)),
    "less": lambda a, b: _whole(_less(a, b)),
    "less_equal": lambda a, b: _whole(not _less(b, a)),
    "logical_or": lambda a, b: _whole(bool(a) or bool(b)),
    "logical_and": lambda a, b: _whole(bool(a) and bool(b)),
    "logaddexp": lambda a, b: _log(_exp(a) + _exp(b)),
}
_VIEWS = ("broadcast_to", "expand_dims", "moveaxis", "reshape", "squeeze", "swapaxes", "transpose")


def _noted(number: Any) -> Exact:
    """An operand of layer code; how a constant was read is kept in mind."""
    exact = exactly(number)
    if isinstance(number, float) and not is_simple(number):
        DECISIONS.rough.add(number)
    elif isinstance(number, float) and not exact.expression.is_rational and isfinite(number):
        DECISIONS.read[number] = exact.expression
    return exact


def _elementwise(function: Callable[..., Any], operands: int) -> Any:
    """The function on arrays, with broadcasting and ``out=``."""
    return np.frompyfunc(lambda *args: function(*map(_noted, args)), operands, 1)


def _total(scalars: Sequence[Any]) -> Exact:
    """A sum as one flat expression."""
    numbers = [exactly(scalar) for scalar in scalars]
    return Exact(sympy.Add(*(number.expression for number in numbers)), sum((n.value for n in numbers), _MP.mpf(0)))


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Exact:
    return _total([exactly(x) * exactly(y) for x, y in zip(a, b, strict=True)])


def _reduced(function: Callable[[Sequence[Any]], Any]) -> Callable[..., Any]:
    """A function of many scalars as a reduction over one axis or all."""

    def reduce(array: Any, *, axis: int | None = None, keepdims: bool = False, out: Any) -> Any:
        rows = array.reshape(1, -1) if axis is None else np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])
        flat = np.empty(len(rows), dtype=object)
        for number, row in enumerate(rows):
            flat[number] = function(row)
        out[...] = flat.reshape(out.shape)
        return out

    return reduce


def _largest(scalars: Sequence[Any]) -> int:
    """The place of the first largest."""
    numbers = [exactly(scalar) for scalar in scalars]
    best = 0
    for place in range(1, len(numbers)):
        if _less(numbers[best], numbers[place]):
            best = place
    return best


class Cells:
    """Memory as a plan cuts it up: bytes by their places, of which every eight hold one scalar of whatever kind."""

    def __init__(self, cells: np.ndarray) -> None:
        self._cells = cells

    def __getitem__(self, octets: slice) -> Cells:
        assert octets.start % _CELL == octets.stop % _CELL == 0
        return Cells(self._cells[octets.start // _CELL : octets.stop // _CELL])

    def view(self, dtype: Any) -> np.ndarray:
        """The scalars: of any dtype these are objects."""
        return self._cells


class ExactBackend(Backend):
    """Arrays of `Exact` scalars. Layer code that needs a function which is missing here is told its name."""

    name = "exact"
    module = None

    def __init__(self) -> None:
        for names, operands in ((_UNARY, 1), (_BINARY, 2)):
            for name, function in names.items():
                setattr(self, name, _elementwise(function, operands))
        for name in _VIEWS:
            setattr(self, name, getattr(np, name))
        self.lib = np.lib
        self.clip = _elementwise(lambda x, low, high: _minimum(_maximum(x, low), high), 3)
        self.sum = _reduced(_total)
        self.mean = _reduced(lambda row: _total(row) / len(row))
        self.max = _reduced(lambda row: exactly(row[_largest(row)]))
        self.argmax = _reduced(lambda row: _whole(_largest(row)))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the exact backend has no `xp.{name}`: add it to backend/exact.py")

    def matmul(self, A: Any, B: Any, *, out: Any) -> Any:
        if A.shape[-1] != B.shape[-2]:
            raise ValueError(f"matrices of the shapes {A.shape} and {B.shape} have no product")
        batch = out.shape[:-2]
        A, B = np.broadcast_to(A, (*batch, *A.shape[-2:])), np.broadcast_to(B, (*batch, *B.shape[-2:]))
        products = np.empty(out.shape, dtype=object)
        for *place, row, column in np.ndindex(out.shape):
            products[(*place, row, column)] = _dot(A[(*place, row)], B[(*place, slice(None), column)])
        out[...] = products
        return out

    def copyto(self, target: Any, source: Any) -> None:
        target[...] = np.frompyfunc(_noted, 1, 1)(source)

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        out[...] = array[indices.astype(np.intp)]
        return out

    def put(self, array: Any, indices: Any, values: Any) -> None:
        array[indices.astype(np.intp)] = values

    def uniform(self, draw: Draw, *, out: Any) -> None:
        DECISIONS.drawn += out.size
        out[...] = np.frompyfunc(exactly, 1, 1)(draw.generator().random(out.shape))

    def zeros(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.full(shape, _whole(0), dtype=object)

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(array)

    def from_host(self, array: np.ndarray) -> np.ndarray:
        made = self.zeros(array.shape)
        self.copyto(made, array.astype(object))
        return made

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        self.copyto(out, np.asarray(array, dtype=object))

    def address(self, array: Any) -> int:
        address: int = array.__array_interface__["data"][0]
        return address

    def memory(self, size: int) -> Cells:
        """Cells that say, until they are written, that nobody has: what is read too early is seen in the result."""
        return Cells(np.full(-(-size // _CELL), symbol("unwritten", Fraction(1, 3)), dtype=object))

    def synchronize(self) -> None:
        pass

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        return nullcontext()

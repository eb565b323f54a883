"""Whether two expressions are equal: a normal form in a tower of generators.

Every expression of layer code is a polynomial in *generators*: symbols, and one for each function value that occurs.
What is known of a generator is a relation with older ones:

    R = 1 / d                R·d = 1
    S = the q-th root of a   S^q = a
    e^t for a product t      e^(a t + b u) = (e^t)^a (e^u)^b; of e^(t/2) a root
    log, tanh, erf, π, …     none

To decide whether a polynomial is zero, the relations are used from the newest generator to the oldest: multiplied by
dⁿ no R is left, and no root keeps a power of q or more. If nothing remains, the expressions are equal wherever they are
defined, since only true relations were used and nothing but a denominator was multiplied by. What remains may still be
zero by a relation that is not in the list: that is no refutation, which numbers must give.

A polynomial maps monomials to coefficients. A monomial is one integer, `_BITS` bits for the exponent of each
generator, so that a product of monomials is a sum of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from time import monotonic
from typing import Any

import sympy

Polynomial = dict[int, Any]
"""Monomial -> coefficient, an int or a Fraction that is not 0."""

_BITS = 16
_MASK = (1 << _BITS) - 1
_LARGEST_EXPONENT = 1 << (_BITS - 4)  # products of a few of these still fit their bits
_MOST_TERMS = 400_000


class TooLarge(Exception):
    """The polynomials outgrew their bounds, of terms or of time."""


@dataclass(frozen=True)
class _Generator:
    """``relation`` is ``1/d`` (a reciprocal), ``root`` (of that ``order``) or none; ``of`` is d or what is under it."""

    shift: int
    relation: str = ""
    of: Any = None
    order: int = 0


class Tower:
    """Generators as they are met.

    Args:
        deadline: the time (`time.monotonic`) after which `TooLarge` is raised.
    """

    def __init__(self, deadline: float = float("inf")) -> None:
        self.deadline = deadline
        self._generators: list[_Generator] = []
        self._known: dict[Any, int] = {}  # what a generator stands for -> its monomial
        self._converted: dict[Any, Polynomial] = {}
        self._first_exponents: dict[Any, Any] = {}  # t -> the a of the generator e^(a t)

    def difference(self, first: Any, second: Any) -> Polynomial:
        """The normal form of a numerator of ``first - second``: empty when they are equal."""
        return self.reduced(self._plus(self.convert(first), _times(-1, self.convert(second))))

    def pair(self, first: Any, second: Any) -> tuple[Polynomial, Polynomial]:
        """The normal forms of two numerators over one denominator."""
        left, right = (self._generator(sympy.Dummy()) for _ in range(2))
        marked = self._plus(
            self._product({left: 1}, self.convert(first)), self._product({right: 1}, self.convert(second))
        )
        whole = self.reduced(marked)
        return tuple({m - mark: c for m, c in whole.items() if m & (_MASK * mark)} for mark in (left, right))  # type: ignore[return-value]  # two

    def convert(self, expression: Any) -> Polynomial:
        """An expression as a polynomial in generators."""
        found = self._converted.get(expression)
        if found is None:
            found = self._converted[expression] = self._convert(expression)
        return found

    def reduced(self, polynomial: Polynomial) -> Polynomial:
        """Cleared of denominators and of high powers of roots. Relations lead to older generators only."""
        for generator in reversed(self._generators):
            if generator.relation == "1/d":
                polynomial = self._cleared(polynomial, generator)
            elif generator.relation == "root":
                polynomial = self._rooted(polynomial, generator)
        return polynomial

    # From expressions

    def _convert(self, expression: Any) -> Polynomial:
        if expression.is_Rational:
            return {0: _number(expression.p, expression.q)} if expression.p else {}
        if expression.is_Add:
            return self._sum([self.convert(term) for term in expression.args])
        if expression.is_Mul:
            return reduce(self._product, (self.convert(factor) for factor in expression.args))
        if isinstance(expression, sympy.exp):
            return self._exponential(expression.args[0])
        if expression.is_Pow and expression.exp.is_Rational:
            return self._raised(self.convert(expression.base), expression.exp)
        return {self._generator(self._opaque(expression)): 1}

    def _opaque(self, expression: Any) -> Any:
        """What a generator without relations stands for: a name, a number like π, a function of normal forms."""
        if expression.is_Function:
            return expression.func, tuple(frozenset(self.convert(part).items()) for part in expression.args)
        if expression.is_Symbol or expression.is_NumberSymbol:
            return expression
        raise TooLarge(f"no generator stands for {expression}")

    def _raised(self, base: Polynomial, exponent: Any) -> Polynomial:
        if exponent.q > 1:
            base = {self._generator(("root", frozenset(base.items()), exponent.q), "root", base, exponent.q): 1}
        if exponent.p < 0:
            base = self._reciprocal(base)
        return self._power(base, abs(int(exponent.p)))

    def _reciprocal(self, of: Polynomial) -> Polynomial:
        """1 / of; a common factor of numbers and generators is taken out first."""
        if len(of) == 1:
            ((monomial, coefficient),) = of.items()
            if monomial == 0:
                return {0: _number(1, coefficient)}
        coefficient = of[min(of)]
        monic = _times(_number(1, coefficient), of)
        made = self._generator(("1/d", frozenset(monic.items())), "1/d", monic)
        return {made: _number(1, coefficient)}

    def _exponential(self, exponent: Any) -> Polynomial:
        product: Polynomial = {0: 1}
        for term in sympy.Add.make_args(sympy.expand(exponent)):
            number, rest = term.as_coeff_Mul()
            if isinstance(rest, sympy.log) and number.is_Rational:
                factor = self._raised(self.convert(rest.args[0]), number)
            else:
                factor = self._exponential_of_term(
                    *((number, rest) if number.is_Rational else (sympy.Integer(1), term))
                )
            product = self._product(product, factor)
        return product

    def _exponential_of_term(self, number: Any, rest: Any) -> Polynomial:
        """e^(number · rest) as a power of the first e^(… · rest) that was met."""
        key = frozenset(self.convert(rest).items())
        first = self._first_exponents.setdefault(key, number)
        return self._raised({self._generator(("exp", key)): 1}, number / first)

    def _generator(self, key: Any, relation: str = "", of: Any = None, order: int = 0) -> int:
        """The monomial of a generator."""
        if key not in self._known:
            shift = _BITS * len(self._generators)
            self._generators.append(_Generator(shift, relation, of, order))
            self._known[key] = 1 << shift
        return self._known[key]

    # With relations

    def _cleared(self, polynomial: Polynomial, generator: _Generator) -> Polynomial:
        """Times dⁿ, where n is the highest power of R = 1 / d."""
        by_power = _by_power(polynomial, generator.shift)
        highest = max(by_power, default=0)
        if highest == 0:
            return polynomial
        powers = [self._power(generator.of, highest - power) for power in by_power]
        return self._sum([self._product(part, d) for part, d in zip(by_power.values(), powers, strict=True)])

    def _rooted(self, polynomial: Polynomial, generator: _Generator) -> Polynomial:
        """With S^q put for what is under the root."""
        by_power = _by_power(polynomial, generator.shift)
        if max(by_power, default=0) < generator.order:
            return polynomial
        parts = []
        for power, part in by_power.items():
            whole, rest = divmod(power, generator.order)
            kept = {monomial + (rest << generator.shift): c for monomial, c in part.items()}
            parts.append(self._product(kept, self._power(generator.of, whole)))
        return self._sum(parts)

    # Polynomials

    def _plus(self, a: Polynomial, b: Polynomial) -> Polynomial:
        return self._sum([a, b])

    def _sum(self, polynomials: list[Polynomial]) -> Polynomial:
        total: Polynomial = {}
        for polynomial in polynomials:
            for monomial, coefficient in polynomial.items():
                total[monomial] = total.get(monomial, 0) + coefficient
        self._check(len(total))
        return {monomial: coefficient for monomial, coefficient in total.items() if coefficient}

    def _product(self, a: Polynomial, b: Polynomial) -> Polynomial:
        if len(a) > len(b):
            a, b = b, a
        if len(a) == 1:
            ((shift, factor),) = a.items()
            return {monomial + shift: coefficient * factor for monomial, coefficient in b.items()}
        total: Polynomial = {}
        for first, factor in a.items():
            self._check(len(total))
            for second, coefficient in b.items():
                monomial = first + second
                total[monomial] = total.get(monomial, 0) + factor * coefficient
        return {monomial: coefficient for monomial, coefficient in total.items() if coefficient}

    def _power(self, base: Polynomial, exponent: int) -> Polynomial:
        if exponent > _LARGEST_EXPONENT:
            raise TooLarge(f"a power of {exponent}")
        power: Polynomial = {0: 1}
        for _ in range(exponent):
            power = self._product(power, base)
        return power

    def _check(self, terms: int) -> None:
        if terms > _MOST_TERMS or monotonic() > self.deadline:
            raise TooLarge(f"{terms} terms")


def _by_power(polynomial: Polynomial, shift: int) -> dict[int, Polynomial]:
    """The coefficients of each power of one generator."""
    parts: dict[int, Polynomial] = {}
    for monomial, coefficient in polynomial.items():
        power = (monomial >> shift) & _MASK
        parts.setdefault(power, {})[monomial - (power << shift)] = coefficient
    return parts


def _times(number: Any, polynomial: Polynomial) -> Polynomial:
    return {monomial: number * coefficient for monomial, coefficient in polynomial.items()}


def _number(p: Any, q: Any) -> Any:
    """A fraction, or the whole number that it is."""
    fraction = Fraction(p) / Fraction(q)
    return fraction.numerator if fraction.denominator == 1 else fraction

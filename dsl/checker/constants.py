"""Exact arithmetic on constants, bounded in time and memory."""

from __future__ import annotations

from fractions import Fraction

from dsl.checker.rules.constants import (
    constant_too_large,
    division_by_zero,
    inexact_power,
    not_constant,
    wrong_operand,
)
from dsl.checker.session import Frame
from dsl.checker.values import Known, Tensor, Unknown, described, is_number, what, written
from dsl.signature import Constant
from dsl.source import Span
from dsl.tree import Binary, Expression

_BITS = 1100
"""Of a numerator or denominator: a little more than the largest and smallest floating-point numbers have."""
_LARGEST_ROOT = 64


class TooLarge(Exception):
    """A number has more bits than constants may have."""


class Inexact(Exception):
    """A power is no rational number."""


def constant(expression: Expression, frame: Frame) -> Known | Unknown:
    """The constant that an expression stands for."""
    value = frame.evaluate(expression)
    if isinstance(value, Tensor):
        frame.say(not_constant(value.span, what(value.type)))
        return Unknown(value.span)
    return value


def literal(value: int | Fraction, span: Span, frame: Frame) -> Known | Unknown:
    """A number as it stands in the file."""
    try:
        return Known(bounded(value), span)
    except TooLarge:
        frame.say(constant_too_large(span))
        return Unknown(span)


def negated(operand: Known, span: Span, frame: Frame) -> Known | Unknown:
    if not is_number(operand.value):
        frame.say(wrong_operand("-", operand.span, described(operand.value)))
        return Unknown(span)
    return Known(-_number(operand.value), span)


def combined(expression: Binary, left: Known, right: Known, frame: Frame) -> Known | Unknown:
    """The constant that an operator makes of two."""
    for operand in (left, right):
        if not is_number(operand.value):
            frame.say(wrong_operand(expression.operator, operand.span, described(operand.value)))
            return Unknown(expression.span)
    a, b = _number(left.value), _number(right.value)
    try:
        return Known(bounded(calculate(expression.operator, a, b)), expression.span)
    except ZeroDivisionError:
        frame.say(division_by_zero(expression.span))
    except TooLarge:
        frame.say(constant_too_large(expression.span))
    except Inexact:
        frame.say(inexact_power(expression.span, written(left.value), written(right.value)))
    return Unknown(expression.span)


def calculate(operator: str, a: int | Fraction, b: int | Fraction) -> int | Fraction:
    """``a operator b``, exact.

    Raises:
        ZeroDivisionError, TooLarge, Inexact: when there is no such number, or none that may be computed.

    >>> calculate("/", 1, 3), calculate("//", 7, 2), calculate("^", Fraction(4, 9), Fraction(1, 2))
    (Fraction(1, 3), 3, Fraction(2, 3))
    """
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if operator == "/":
        return Fraction(a) / b
    if operator == "//":
        return a // b
    assert operator == "^", operator
    return power(Fraction(a), Fraction(b))


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """The power of a number, where it is a rational one.

    >>> power(Fraction(2), Fraction(-3)), power(Fraction(-8), Fraction(1, 3)), power(Fraction(9), Fraction(3, 2))
    (Fraction(1, 8), Fraction(-2, 1), Fraction(27, 1))
    """
    if base in (0, 1, -1) and exponent.denominator == 1:  # whatever the size of the exponent
        if base == 0 and exponent < 0:
            raise ZeroDivisionError
        return base ** (exponent.numerator % 2) if base == -1 else base if exponent else Fraction(1)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if bits * abs(exponent) > 2 * _BITS or exponent.denominator > _LARGEST_ROOT:
        raise TooLarge if exponent.denominator == 1 else Inexact
    root = Fraction(_root(base.numerator, exponent.denominator), _root(base.denominator, exponent.denominator))
    return root**exponent.numerator


def _root(number: int, degree: int) -> int:
    """The whole number whose power of this degree is the number."""
    if degree == 1:
        return number
    if number < 0:
        if degree % 2 == 0:
            raise Inexact
        return -_root(-number, degree)
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**degree < number:
            low = middle + 1
        else:
            high = middle
    if low**degree != number:
        raise Inexact
    return low


def bounded(value: int | Fraction) -> int | Fraction:
    """The number in its simplest form.

    Raises:
        TooLarge: when it has more bits than constants may have.
    """
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _BITS:
        raise TooLarge
    return value.numerator if value.denominator == 1 else value


def _number(value: Constant) -> int | Fraction:
    assert isinstance(value, int | Fraction)
    return value

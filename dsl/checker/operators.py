"""Operator signs: between constants they compute, with tensors they make nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from dsl import tree
from dsl.checker import layers
from dsl.checker.constants import combined, negated
from dsl.checker.rules.calls import not_a_matrix, not_for_tensors
from dsl.checker.rules.constants import constant_too_large, division_by_zero, wrong_operand
from dsl.checker.session import Frame
from dsl.checker.values import Known, Tensor, Unknown, Value, described, is_number

NAMES = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "@": "matmul", "^": "power"}

_AFFINE: Mapping[tuple[str, bool], Callable[[Fraction], tuple[Fraction | int, Fraction | int]]] = {
    ("+", False): lambda c: (1, c),
    ("+", True): lambda c: (1, c),
    ("-", False): lambda c: (1, -c),
    ("-", True): lambda c: (-1, c),
    ("*", False): lambda c: (c, 0),
    ("*", True): lambda c: (c, 0),
    ("/", False): lambda c: (1 / c, 0),
}
"""Scale and shift of a tensor by a constant, which stands after it (False) or before it (True)."""

_NO_TENSORS = {
    "//": "use `/`: whole numbers are for constants",
    "^": "the exponent is a constant; `2 ^ x` is `exp(c * x)`, where c is the logarithm of 2",
}

Sign = tree.Unary | tree.Binary


def unary(expression: tree.Unary, operand: Value, frame: Frame) -> Value:
    """``-x``."""
    if isinstance(operand, Unknown):
        return Unknown(expression.span)
    if isinstance(operand, Known):
        return negated(operand, expression.span, frame)
    return _scaled("affine", {"scale": -1, "shift": 0}, operand, expression, frame)


def binary(expression: tree.Binary, left: Value, right: Value, frame: Frame) -> Value:
    """``left sign right``."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return Unknown(expression.span)
    if expression.operator == "@":
        return _product(expression, left, right, frame)
    if isinstance(left, Known):
        if isinstance(right, Known):
            return combined(expression, left, right, frame)
        return _with_constant(expression, right, left, frame, first=True)
    if isinstance(right, Known):
        return _with_constant(expression, left, right, frame, first=False)
    return _with_tensor(expression, left, right, frame)


def _with_tensor(expression: tree.Binary, left: Tensor, right: Tensor, frame: Frame) -> Value:
    """``x + y``, ``x * y``, ..."""
    sign, span = expression.operator, expression.span
    if sign in _NO_TENSORS:
        frame.say(not_for_tensors(span, sign, _NO_TENSORS[sign]))
        return Unknown(span)
    return _node(NAMES[sign], {}, (left, right), expression, frame)


def _product(expression: tree.Binary, left: Known | Tensor, right: Known | Tensor, frame: Frame) -> Value:
    """``W @ x``: a parameter times a tensor."""
    if isinstance(left, Known) or left.type.per_sample:
        frame.say(not_a_matrix(expression.span, left.span))
    elif isinstance(right, Known):
        frame.say(wrong_operand("@", right.span, described(right.value), needed="a parameter and a tensor"))
    else:
        return _node("matmul", {}, (left, right), expression, frame)
    return Unknown(expression.span)


def _with_constant(expression: tree.Binary, tensor: Tensor, constant: Known, frame: Frame, *, first: bool) -> Value:
    """``x + c``, ``c - x``, ``x / c``, ``c / x``, ``x ^ c``, ...: the constant stands ``first`` or second."""
    sign, span = expression.operator, expression.span
    if not is_number(constant.value):
        frame.say(wrong_operand(sign, constant.span, described(constant.value)))
        return Unknown(span)
    assert isinstance(constant.value, int | Fraction)
    c = Fraction(constant.value)
    if (sign, first) == ("/", False) and c == 0:
        frame.say(division_by_zero(span))
    elif (sign, first) in _AFFINE:
        scale, shift = _AFFINE[sign, first](c)
        return _scaled("affine", {"scale": scale, "shift": shift}, tensor, expression, frame)
    elif (sign, first) == ("^", False):
        return _scaled("power", {"exponent": c}, tensor, expression, frame)
    elif sign == "/":
        inverse = _scaled("power", {"exponent": -1}, tensor, expression, frame)
        one = c == 1 or isinstance(inverse, Unknown)
        return inverse if one else _scaled("affine", {"scale": c, "shift": 0}, inverse, expression, frame)
    else:
        frame.say(not_for_tensors(span, sign, _NO_TENSORS[sign]))
    return Unknown(span)


def _scaled(
    name: str, numbers: Mapping[str, int | Fraction], tensor: Value, expression: Sign, frame: Frame
) -> Tensor | Unknown:
    """An operator of one tensor, whose constants are its settings."""
    assert isinstance(tensor, Tensor)
    try:
        settings = {key: float(number) for key, number in numbers.items()}
    except OverflowError:
        frame.say(constant_too_large(expression.span))
        return Unknown(expression.span)
    return _node(name, settings, (tensor,), expression, frame)


def _node(
    name: str, settings: Mapping[str, Any], inputs: tuple[Tensor, ...], expression: Sign, frame: Frame
) -> Tensor | Unknown:
    signature = frame.session.table.find("operator", name)
    assert signature is not None, f"the table has no operator {name}"
    if not layers.kinds_fit(signature, inputs, expression.operator, frame):
        return Unknown(expression.span)
    return layers.node(signature, inputs, settings, expression.span, frame)

"""Expressions of the data section: how an input or a target is made of columns."""

from __future__ import annotations

from fractions import Fraction

from dsl import tree
from dsl.checker.constants import combined, literal, negated
from dsl.checker.operators import NAMES
from dsl.checker.rules.calls import missing_tensor, not_for_tensors
from dsl.checker.rules.constants import constant_too_large, division_by_zero, misplaced_range, wrong_operand
from dsl.checker.rules.sections import not_data
from dsl.checker.session import Frame
from dsl.checker.settings import Owner, fill, unknown_entry
from dsl.checker.stages import Stage, arguments_of, name_of
from dsl.checker.values import Known, Tensor, Unknown, described, is_number, shortened
from dsl.program import Call
from dsl.source import Span

CATEGORY = "transform"
_SIGNS = ("+", "-", "*", "/", "^")
Column = Call | Known | Unknown


def columns(expression: tree.Expression, frame: Frame) -> Call | None:
    """What an input or target is made of; None when it holds a mistake."""
    found = column(expression, frame)
    if isinstance(found, Known):
        frame.say(not_data(found.span, described(found.value)))
    return found if isinstance(found, Call) else None


def column(expression: tree.Expression, frame: Frame) -> Column:
    """An expression over columns: a call of a transform, or a constant."""
    span, inner = expression.span, frame.deeper()
    value: Column = Unknown(span)
    if frame.too_deep(span):
        return value
    match expression:
        case tree.Number():
            value = literal(expression.value, span, frame)
        case tree.Call():
            value = _transform(expression, None, inner)
        case tree.Pipe():
            value = column(expression.head, inner)
            for stage in expression.stages:
                value = _transform(stage, value, inner)
        case tree.Binary():
            value = _binary(expression, inner)
        case tree.Unary():
            value = _negative(expression, column(expression.operand, inner), frame)
        case tree.List():
            value = _concatenated(expression, inner)
        case tree.Range():
            frame.say(misplaced_range(span))
        case tree.Name() | tree.String() | tree.Boolean():
            value = _constant(expression, frame)
    return value


def _constant(expression: tree.Name | tree.String | tree.Boolean, frame: Frame) -> Column:
    if isinstance(expression, tree.Name):
        definition = frame.scope.find(expression.text)
        if definition is None and frame.session.table.find(CATEGORY, expression.text) is not None:
            return _transform(expression, None, frame)
        if definition is not None and definition.kind != "constant":
            frame.say(not_data(expression.span, f"the {definition.kind} `{shortened(expression.text)}`"))
            return Unknown(expression.span)
    value = frame.evaluate(expression)
    assert not isinstance(value, Tensor), "only names of tensors stand for tensors"
    return value


def _transform(stage: Stage, piped: Column | None, frame: Frame) -> Call | Unknown:
    """A call of a transform: what it works on first, then its settings."""
    name, span = name_of(stage), stage.span
    signature = frame.session.table.find(CATEGORY, name.text)
    if signature is None:
        unknown_entry([CATEGORY], name, frame)
        return Unknown(span)
    ports = len(signature.ports) - (piped is not None)
    if ports < 0:
        frame.say(not_data(name.span, f"`{name.text}`, which stands at the beginning"))
        return Unknown(span)
    arguments = arguments_of(stage)
    first = [argument for argument in arguments if argument.name is None][:ports]
    inputs = [piped] if piped is not None else []
    inputs += [column(argument.value, frame) for argument in first]
    rest = [argument for argument in arguments if not any(argument is taken for taken in first)]
    constants = [value for value in inputs if isinstance(value, Known)]
    if len(first) < ports or constants:
        found = f"this is {described(constants[0].value)}" if constants else "none are given"
        at = constants[0].span if constants else name.span
        frame.say(missing_tensor(at, name.text, found, "columns", f'column("…") -> {name.text}'))
        return Unknown(span)
    settings = fill(Owner.of(signature, name.span), rest, frame)
    calls = tuple(value for value in inputs if isinstance(value, Call))
    if settings is None or len(calls) < len(inputs):
        return Unknown(span)
    return Call(CATEGORY, name.text, settings, calls, span)


def _binary(expression: tree.Binary, frame: Frame) -> Column:
    """Arithmetic; long sums lean to the left and are walked."""
    spine = [expression]
    while isinstance(spine[-1].left, tree.Binary):
        spine.append(spine[-1].left)
    value = column(spine[-1].left, frame)
    for binary in reversed(spine):
        value = _operate(binary, value, column(binary.right, frame), frame)
    return value


def _operate(expression: tree.Binary, left: Column, right: Column, frame: Frame) -> Column:
    span, sign = expression.span, expression.operator
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return Unknown(span)
    if isinstance(left, Known) and isinstance(right, Known):
        return combined(expression, left, right, frame)
    if sign == "/" and isinstance(right, Known) and right.value == 0:
        frame.say(division_by_zero(span))
        return Unknown(span)
    if sign not in _SIGNS or (sign == "^" and not isinstance(right, Known)):
        frame.say(not_for_tensors(span, sign, "there are `+ - * /`, and `^` with a constant", on="columns"))
        return Unknown(span)
    inputs = (_operand(left, sign, frame), _operand(right, sign, frame))
    return _call(NAMES[sign], inputs, span)


def _operand(value: Call | Known, sign: str, frame: Frame) -> Call | float | None:
    """A number as Python has it; None when it is none."""
    if isinstance(value, Call):
        return value
    if not is_number(value.value):
        frame.say(wrong_operand(sign, value.span, described(value.value)))
        return None
    assert isinstance(value.value, int | Fraction)
    try:
        return float(value.value)
    except OverflowError:
        frame.say(constant_too_large(value.span))
        return None


def _call(name: str, inputs: tuple[Call | float | None, ...], span: Span) -> Call | Unknown:
    fine = tuple(value for value in inputs if value is not None)
    return Call(CATEGORY, name, {}, fine, span) if len(fine) == len(inputs) else Unknown(span)


def _negative(expression: tree.Unary, value: Column, frame: Frame) -> Column:
    if isinstance(value, Known):
        return negated(value, expression.span, frame)
    return _call("multiply", (value, -1.0), expression.span) if isinstance(value, Call) else Unknown(expression.span)


def _concatenated(expression: tree.List, frame: Frame) -> Column:
    """``[a, b]``: one after the other."""
    values = [column(item, frame) for item in expression.items]
    for value in values:
        if isinstance(value, Known):
            frame.say(not_data(value.span, described(value.value)))
    calls = tuple(value for value in values if isinstance(value, Call))
    fine = len(calls) == len(values) and calls
    if not values:
        frame.say(not_data(expression.span, "an empty list"))
    return Call(CATEGORY, "concatenate", {}, calls, expression.span) if fine else Unknown(expression.span)

"""The value of an expression of the network: a constant, a tensor (with the nodes that it takes), or unknown."""

from __future__ import annotations

from dsl import tree
from dsl.checker import operators, stages
from dsl.checker.constants import constant, literal
from dsl.checker.rules.constants import misplaced_range, nested_list
from dsl.checker.rules.names import not_a_value, target_in_network
from dsl.checker.rules.types import symbolic_arithmetic
from dsl.checker.session import REPEAT, Frame
from dsl.checker.values import Known, Unknown, Value, moved


def evaluate(expression: tree.Expression, frame: Frame) -> Value:
    """The value of an expression. Called through `Session.evaluate`, which bounds depth and work."""
    value: Value = Unknown(expression.span)
    match expression:
        case tree.Number():
            value = literal(expression.value, expression.span, frame)
        case tree.String() | tree.Boolean():
            value = Known(expression.value, expression.span)
        case tree.Name():
            value = _name(expression, frame)
        case tree.Call():
            value = stages.apply(expression, None, frame)
        case tree.Pipe():
            value = stages.chain(expression.stages, frame.evaluate(expression.head), frame)
        case tree.Binary():
            value = _binary(expression, frame)
        case tree.Unary():
            value = operators.unary(expression, frame.evaluate(expression.operand), frame)
        case tree.List():
            value = _list(expression, frame)
        case tree.Range():
            frame.say(misplaced_range(expression.span))
    return value if value.span is expression.span else moved(value, expression.span)


def _name(name: tree.Name, frame: Frame) -> Value:
    definition = frame.scope.find(name.text)
    if definition is None:
        is_layer = frame.session.table.find("layer", name.text) is not None or name.text == REPEAT
        if not is_layer or frame.session.is_lost(name.text):
            return frame.unknown(name, stage=False)
        frame.say(not_a_value(name.span, name.text, "layer", f"apply it: `x -> {name.text}`"))
        return Unknown(name.span)
    definition.used = True
    if definition.kind == "size":
        frame.say(symbolic_arithmetic(name.span, name.text))
    elif definition.kind == "target":
        frame.say(target_in_network(name.span, name.text))
    elif definition.value is None:
        use = (
            f"apply it: `x -> {name.text}`"
            if definition.kind in ("block", "layer")
            else "give the tensor a name of its own"
        )
        frame.say(not_a_value(name.span, name.text, definition.kind, use))
    else:
        return moved(definition.value, name.span)
    return Unknown(name.span)


def _binary(expression: tree.Binary, frame: Frame) -> Value:
    """Long sums lean to the left, as deep as they are long: walked, not recursed into."""
    spine = [expression]
    while isinstance(spine[-1].left, tree.Binary):
        spine.append(spine[-1].left)
    value = frame.evaluate(spine[-1].left)
    for binary in reversed(spine):
        value = operators.binary(binary, value, frame.evaluate(binary.right), frame)
    return value


def _list(expression: tree.List, frame: Frame) -> Value:
    items = [constant(item, frame) for item in expression.items]
    for item in items:
        if isinstance(item, Known) and isinstance(item.value, tuple):
            frame.say(nested_list(item.span))
            return Unknown(expression.span)
    known = tuple(item.value for item in items if isinstance(item, Known))
    return Known(known, expression.span) if len(known) == len(items) else Unknown(expression.span)

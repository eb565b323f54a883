"""Declared things: constants, inputs, targets, parameters, blocks and shared layers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from dsl import tree
from dsl.checker import layers, stages
from dsl.checker.constants import constant
from dsl.checker.rules.calls import wrong_kind
from dsl.checker.rules.limits import too_large
from dsl.checker.rules.names import duplicate_name, unused
from dsl.checker.rules.types import (
    bad_size,
    missing_count,
    parameter_kind,
    perhaps_a_constant,
    symbolic_parameter,
    unwanted_count,
)
from dsl.checker.scope import Definition, Macro, Scope, SharedLayer, closest
from dsl.checker.session import Session
from dsl.checker.settings import WRONG, entry
from dsl.checker.values import Known, Tensor, Unknown, Value, described, shortened
from dsl.program import Call
from dsl.types import Size, TensorType

_COUNTED = ("class", "token")
_MOST_AXES = 16


def define(session: Session, scope: Scope, name: tree.Name, kind: str, value: Value | None = None) -> Definition:
    """Give a name its meaning; a name of the language, or one that has a meaning already, is reported and keeps it."""
    definition = Definition(name.text, kind, name.span, value)
    if session.refuse_reserved(name):
        scope.later.pop(name.text, None)
        return definition
    first = scope.find(name.text)
    if first is not None:
        session.report.add(duplicate_name(name.span, shortened(name.text), first.span))
        return definition
    scope.define(definition)
    return definition


def let(session: Session, item: tree.Let, scope: Scope) -> None:
    value = constant(item.value, session.frame(scope, item.name.text))
    define(session, scope, item.name, "constant", value)


# Types


def declared_type(
    session: Session, declared: tree.TypeTree, scope: Scope, sizes: list[str], *, parameter: bool
) -> TensorType | None:
    """The type that a declaration gives; None when it holds a mistake. New symbolic sizes are added to ``sizes``."""
    kind = declared.kind.text
    if parameter and kind != "float":
        session.report.add(parameter_kind(declared.kind.span, kind))
        return None
    count = _count(session, declared, scope)
    found = [_size(session, size, scope, sizes, parameter=parameter) for size in declared.sizes or ()]
    if count is WRONG or any(size is None for size in found):
        return None
    shape = tuple(size for size in found if size is not None)
    type_ = TensorType(kind, shape, count, per_sample=not parameter)
    if len(shape) > _MOST_AXES:
        session.report.add(too_large(declared.span, "this", f"{len(shape)} axes", f"{_MOST_AXES} axes"))
        return None
    if session.nodes.too_large(type_):
        layers.refuse_large("this", shape, declared.span, session.frame(scope))
        return None
    return type_


def _count(session: Session, declared: tree.TypeTree, scope: Scope) -> int | None:
    """The number of classes or words, None for kinds that have none; or `WRONG`."""
    kind = declared.kind.text
    wrong: int | None = WRONG
    if kind not in _COUNTED:
        if declared.count is None:
            return None
        session.report.add(unwanted_count(declared.count.span, kind))
        return wrong
    if declared.count is None:
        session.report.add(missing_count(declared.kind.span, kind))
        return wrong
    least = 2 if kind == "class" else 1
    found = _whole(session, declared.count, scope, f"the count of `{kind}`", least)
    return found if found is not None else wrong


def _size(
    session: Session, expression: tree.Expression, scope: Scope, sizes: list[str], *, parameter: bool
) -> Size | None:
    """A size: a whole number, or the name of a size that the data decides. None when it is wrong."""
    if not isinstance(expression, tree.Name):
        return _whole(session, expression, scope, "a size", 1)
    name = expression.text
    definition = scope.find(name)
    if definition is not None and definition.kind != "size":
        return _whole(session, expression, scope, "a size", 1)
    if definition is not None:
        definition.used = True
    elif scope.find_later(name) is not None:
        session.frame(scope).unknown(expression, stage=False)
        return None
    elif not parameter:
        if session.refuse_reserved(expression):
            return None
        _warn_of_misspelling(session, expression, scope)
        scope.define(Definition(name, "size", expression.span, used=True))
        sizes.append(name)
    if parameter:
        session.report.add(symbolic_parameter(expression.span, name))
        return None
    return name


def _warn_of_misspelling(session: Session, name: tree.Name, scope: Scope) -> None:
    constants = (definition.name for definition in scope.visible() if definition.kind == "constant")
    close = closest(name.text, constants) if len(name.text) > 1 else None
    if close is not None:
        session.report.add(perhaps_a_constant(name.span, name.text, close))


def _whole(session: Session, expression: tree.Expression, scope: Scope, what: str, least: int) -> int | None:
    value = constant(expression, session.frame(scope))
    if isinstance(value, Unknown):
        return None
    number = value.value
    if isinstance(number, int) and not isinstance(number, bool) and least <= number <= session.limits.size:
        return number
    session.report.add(bad_size(value.span, what, described(number), least, session.limits.size))
    return None


def variable(session: Session, item: tree.Input | tree.Target, scope: Scope, sizes: list[str]) -> TensorType | None:
    """An `input` or `target`; its type, when that is right."""
    type_ = declared_type(session, item.type, scope, sizes, parameter=False)
    kind = "input" if isinstance(item, tree.Input) else "target"
    return _define_tensor(session, item.name, kind, type_, scope)


def _define_tensor(
    session: Session, name: tree.Name, kind: str, type_: TensorType | None, scope: Scope
) -> TensorType | None:
    value = Tensor(name.text, type_, name.span) if type_ is not None else Unknown(name.span)
    definition = define(session, scope, name, kind, value)
    if scope.find(name.text) is not definition or type_ is None:
        return None
    session.nodes.types[name.text] = type_
    session.nodes.bindings[name.text] = (name.text, name.span)
    return type_


def parameter(session: Session, item: tree.Parameter, scope: Scope) -> tuple[TensorType, Call | None] | None:
    """A `parameter`: its type and initialiser; None when it holds a mistake."""
    type_ = declared_type(session, item.type, scope, [], parameter=True)
    initializer = _initializer(session, item, scope)
    type_ = _define_tensor(session, item.name, "parameter", type_, scope)
    if type_ is None or initializer is WRONG:
        return None
    if session.nodes.too_many_weights([type_.shape]):
        most = f"{session.limits.parameters:,}"
        session.report.add(too_large(item.span, "the network", f"{session.nodes.weights:,} weights", most))
        return None
    return type_, initializer


def _initializer(session: Session, item: tree.Parameter, scope: Scope) -> Call | None:
    wrong: Call | None = WRONG
    if item.initializer is None:
        return None
    frame = session.frame(scope, item.name.text)
    if isinstance(item.initializer, tree.Name | tree.Call):
        call: Call | None = entry(["initializer"], item.initializer, frame)
        return call
    value = frame.evaluate(item.initializer)
    if isinstance(value, Known):
        found = described(value.value)
        help = f"write `constant({value.span.text})`" if isinstance(value.value, int | Fraction) else None
        subject = f"what `{item.name.text}` starts as"
        session.report.add(wrong_kind(value.span, subject, "an initializer", found, help))
    return wrong


# Blocks and shared layers


def block(session: Session, item: tree.Block, scope: Scope) -> None:
    """A `block`: looked through once with unknown arguments, so that mistakes are found before it is used."""
    definition = define(session, scope, item.name, "block under definition")
    before = session.report.errors
    _distinct_names(session, item, scope)
    macro = Macro(item, scope)
    values: dict[str, Value] = {parameter.name.text: Unknown(parameter.name.span) for parameter in item.parameters}
    frame = replace(session.frame(scope, item.name.text), dry=True)
    for parameter in item.parameters:
        if parameter.default is not None:
            constant(parameter.default, frame)
    _, inner = stages.body(macro, values, frame)
    definition.kind, definition.block = "block", macro
    definition.broken = session.report.errors > before
    if not definition.broken:
        for name in inner.names.values():
            if not name.used:
                session.unused.append(unused(name.span, shortened(name.name), name.kind))


def _distinct_names(session: Session, item: tree.Block, scope: Scope) -> None:
    """Report names of a block that are taken, in the file or in the block."""
    seen = Scope(scope)
    for parameter in item.parameters:
        define(session, seen, parameter.name, "block parameter")
    for binding in item.bindings:
        define(session, seen, binding.name, "tensor")


def layer(session: Session, item: tree.Layer, scope: Scope) -> None:
    """A `layer`: looked through once with an unknown input."""
    before = session.report.errors
    shared = SharedLayer(item, scope)
    frame = replace(session.frame(scope, item.name.text), dry=True)
    stages.shared(shared, Unknown(item.span), frame)
    broken = session.report.errors > before
    definition = define(session, scope, item.name, "layer")
    definition.layer, definition.broken = shared, broken

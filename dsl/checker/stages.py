"""Stages, the things that stand behind an arrow: layers, blocks that are written out, shared layers, repetition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl import tree
from dsl.checker import layers
from dsl.checker.constants import constant
from dsl.checker.nodes import Path
from dsl.checker.rules.blocks import (
    missing_argument,
    not_stages,
    recursive_block,
    repeat_arguments,
    unknown_parameter,
)
from dsl.checker.rules.calls import (
    missing_tensor,
    out_of_range,
    repeated_setting,
    too_many_arguments,
    wrong_kind,
)
from dsl.checker.rules.names import not_a_stage
from dsl.checker.scope import Definition, Macro, Scope, SharedLayer, closest
from dsl.checker.session import REPEAT, Frame
from dsl.checker.values import Known, Tensor, Unknown, Value, described, listed, moved, shortened, what
from dsl.source import Span

Stage = tree.Name | tree.Call


def name_of(stage: Stage) -> tree.Name:
    return stage if isinstance(stage, tree.Name) else stage.function


def arguments_of(stage: Stage) -> tuple[tree.Argument, ...]:
    return () if isinstance(stage, tree.Name) else stage.arguments


def apply(stage: Stage, piped: Value | None, frame: Frame) -> Value:
    """``piped -> stage``, or a call that brings its own tensors when nothing is piped."""
    name = name_of(stage)
    if frame.too_deep(stage.span) or frame.exhausted(stage.span):
        return Unknown(stage.span)
    definition = frame.scope.find(name.text)
    signature = frame.session.table.find("layer", name.text)
    if definition is not None:
        return _own(stage, definition, piped, frame)
    if name.text == REPEAT:
        return _repeat(stage, piped, frame)
    if signature is None:
        return frame.unknown(name, stage=True)
    given = layers.given(signature, stage, piped, frame)
    if given is None:
        return Unknown(stage.span)
    tensors, settings = given
    return layers.node(signature, tensors, settings, stage.span, frame, at=name.span)


def _own(stage: Stage, definition: Definition, piped: Value | None, frame: Frame) -> Value:
    """A name of the file as a stage."""
    definition.used = True
    if definition.block is not None:
        return _block(stage, definition.block, piped, frame, broken=definition.broken)
    if definition.layer is not None:
        return _layer(stage, definition.layer, piped, frame, broken=definition.broken)
    return _no_stage(name_of(stage), definition, frame)


def chain(stages: Sequence[Stage], value: Value, frame: Frame) -> Value:
    """The stages one after the other."""
    for stage in stages:
        value = apply(stage, value, frame)
    return value


def stages_of(expression: tree.Expression, frame: Frame) -> Sequence[Stage] | None:
    """The stages of ``dense(8) -> relu``; None, and a mistake, when it is something else."""
    if isinstance(expression, tree.Name | tree.Call):
        return [expression]
    if isinstance(expression, tree.Pipe) and isinstance(expression.head, tree.Name | tree.Call):
        return [expression.head, *expression.stages]
    found = "a number" if isinstance(expression, tree.Number) else f"`{shortened(expression.span.text)}`"
    frame.say(not_stages(expression.span, found))
    return None


def _no_stage(name: tree.Name, definition: Definition, frame: Frame) -> Unknown:
    if not isinstance(definition.value, Unknown):
        found = what(definition.value.type) if isinstance(definition.value, Tensor) else f"a {definition.kind}"
        if definition.kind == "block under definition":
            frame.say(recursive_block(name.span, name.text))
        else:
            frame.say(not_a_stage(name.span, name.text, found))
    return Unknown(name.span)


# Blocks


def _block(stage: Stage, macro: Macro, piped: Value | None, frame: Frame, *, broken: bool) -> Value:
    """A block written out where it is used."""
    values = _block_arguments(stage, macro, piped, frame)
    if values is None or broken or frame.dry or any(isinstance(value, Unknown) for value in values.values()):
        return Unknown(stage.span)
    path = frame.path.below(frame.path.claim(name_of(stage).text))
    value, _ = body(macro, values, frame.inside(macro.scope, path, stage.span))
    return moved(value, stage.span)


def body(macro: Macro, values: dict[str, Value], frame: Frame) -> tuple[Value, Scope]:
    """The result of a block for these arguments, and its names; ``frame`` has those of the file that it stands in."""
    scope = Scope(macro.scope)
    for parameter in macro.tree.parameters:
        name = parameter.name.text
        scope.define(Definition(name, "block parameter", parameter.name.span, values[name]))
    frame.path.reserve(binding.name.text for binding in macro.tree.bindings)
    inner = frame.within(scope)
    for binding in macro.tree.bindings:
        name = binding.name.text
        value = inner.deeper(frame.path.below(name)).evaluate(binding.value)
        scope.define(Definition(name, "tensor", binding.name.span, value))
    return inner.evaluate(macro.tree.result), scope


def _block_arguments(stage: Stage, macro: Macro, piped: Value | None, frame: Frame) -> dict[str, Value] | None:
    """A value for each parameter of a block, defaults filled in; None when one is missing or wrong."""
    block, name = macro.tree, name_of(stage)
    values: dict[str, Value] = {}
    places: dict[str, Span] = {}
    fine = True
    names = [parameter.name.text for parameter in block.parameters]
    if piped is not None:
        values[names[0]], places[names[0]] = piped, piped.span
    position = len(values)
    for argument in arguments_of(stage):
        value = frame.evaluate(argument.value)
        if argument.name is None and position >= len(names):
            takes = f"{len(names)} argument{'s' if len(names) > 1 else ''} ({_ticked(names)})"
            frame.say(too_many_arguments(argument.value.span, name.text, takes))
            return None
        parameter = names[position] if argument.name is None else argument.name.text
        position += argument.name is None
        at = argument.value.span if argument.name is None else argument.name.span
        if parameter not in names:
            close = closest(parameter, names)
            frame.say(unknown_parameter(at, name.text, shortened(parameter), close, _ticked(names)))
            fine = False
        elif parameter in places:
            frame.say(repeated_setting(at, name.text, parameter, places[parameter]))
            fine = False
        else:
            values[parameter], places[parameter] = value, at
    return values if _defaults(name, macro, values, frame, report=fine) and fine else None


def _defaults(name: tree.Name, macro: Macro, values: dict[str, Value], frame: Frame, *, report: bool) -> bool:
    """Fill in the defaults of a block's parameters; False when one has none and is not given."""
    fine = True
    for parameter in macro.tree.parameters:
        if parameter.name.text in values:
            continue
        if parameter.default is not None:
            values[parameter.name.text] = constant(parameter.default, frame.within(macro.scope))
            continue
        if report:
            frame.say(missing_argument(name.span, name.text, parameter.name.text, parameter.name.span))
        fine = False
    return fine


def _ticked(names: Sequence[str]) -> str:
    return listed([f"`{shortened(name)}`" for name in names])


# Shared layers and repetition


def _layer(stage: Stage, layer: SharedLayer, piped: Value | None, frame: Frame, *, broken: bool) -> Value:
    """A use of a `layer`: its nodes are named by this place, its weights by the layer."""
    name = name_of(stage)
    arguments = list(arguments_of(stage))
    if piped is None:
        if not arguments:
            frame.say(missing_tensor(name.span, name.text, "none is given", "a tensor", f"x -> {name.text}"))
            return Unknown(stage.span)
        piped = frame.evaluate(arguments.pop(0).value)
    if arguments:
        frame.say(too_many_arguments(arguments[0].span, name.text, "a tensor and no settings"))
        return Unknown(stage.span)
    if not _is_tensor(piped, name.text, frame) or broken or frame.dry:
        return Unknown(stage.span)
    place = f"{frame.path.name}.{frame.path.claim(name.text)}"
    inner = frame.inside(layer.scope, Path(place, name.text), stage.span)
    return moved(shared(layer, piped, inner), stage.span)


def shared(layer: SharedLayer, value: Value, frame: Frame) -> Value:
    """The stages of a `layer` applied to a value."""
    stages = stages_of(layer.tree.value, frame)
    return chain(stages, value, frame) if stages is not None else Unknown(layer.tree.value.span)


def _is_tensor(value: Value, name: str, frame: Frame) -> bool:
    if isinstance(value, Known):
        frame.say(missing_tensor(value.span, name, f"this is {described(value.value)}", "a tensor", f"x -> {name}"))
    return isinstance(value, Tensor)


def _repeat(stage: Stage, piped: Value | None, frame: Frame) -> Value:
    """``x -> repeat(n, stage)``: the stage n times, each time with new weights."""
    arguments = list(arguments_of(stage))
    if any(argument.name is not None for argument in arguments) or len(arguments) != (2 if piped is not None else 3):
        frame.say(repeat_arguments(stage.span))
        return Unknown(stage.span)
    value = piped if piped is not None else frame.evaluate(arguments.pop(0).value)
    times = _times(arguments[0].value, frame)
    stages = stages_of(arguments[1].value, frame)
    if stages is None or not _is_tensor(value, REPEAT, frame) or times is None:
        if stages is not None:  # look for mistakes in them once
            chain(stages, Unknown(stage.span), replace(frame.deeper(), dry=True))
        return Unknown(stage.span)
    path = frame.path.below(frame.path.claim(REPEAT))
    for number in range(1, times + 1):
        value = chain(stages, value, frame.deeper(path.below(str(number))))
        if isinstance(value, Unknown):
            break
    return moved(value, stage.span)


def _times(expression: tree.Expression, frame: Frame) -> int | None:
    value = constant(expression, frame)
    if isinstance(value, Unknown):
        return None
    subject = f"the first argument of `{REPEAT}`"
    number = value.value
    if not isinstance(number, int) or isinstance(number, bool):
        frame.say(wrong_kind(value.span, subject, "a whole number", described(number), None))
        return None
    if not 0 <= number <= frame.session.limits.nodes:
        bounds = f"at least 0 and at most {frame.session.limits.nodes}"
        frame.say(out_of_range(value.span, subject, bounds, str(number)))
        return None
    return number

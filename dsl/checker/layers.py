"""Applying an entry of the table to tensors: a layer, an operator, a loss or a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dsl import tree
from dsl.checker import provenance
from dsl.checker.rules.calls import missing_tensor, wrong_tensor
from dsl.checker.rules.limits import too_large
from dsl.checker.rules.shapes import shape_mismatch, shared_shapes, symbolic_weight
from dsl.checker.session import Frame
from dsl.checker.settings import Owner, fill
from dsl.checker.values import Known, Tensor, Unknown, Value, described, listed, shortened
from dsl.diagnostics import Label
from dsl.signature import ShapeMismatch, Signature
from dsl.source import Span
from dsl.types import Shape, TensorType, known, show

_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

Evaluate = Callable[[Frame, tree.Expression], Value]


def given(
    signature: Signature,
    call: tree.Name | tree.Call,
    piped: Value | None,
    frame: Frame,
    *,
    evaluate: Evaluate = Frame.evaluate,
) -> tuple[tuple[Tensor, ...], Mapping[str, Any]] | None:
    """The tensors and settings of a call; None when one of them is wrong, or hangs on a mistake elsewhere.

    ``evaluate`` gives the value of an argument that stands for a tensor.
    """
    name = call if isinstance(call, tree.Name) else call.function
    arguments = call.arguments if isinstance(call, tree.Call) else ()
    ports = len(signature.ports) - (piped is not None)
    first = [argument for argument in arguments if argument.name is None][:ports]
    values: list[Value] = [piped] if piped is not None else []
    values += [evaluate(frame, argument.value) for argument in first]
    rest = [argument for argument in arguments if not any(argument is taken for taken in first)]
    settings = None
    if len(first) == ports and not any(isinstance(value, Known) for value in values):
        settings = fill(Owner.of(signature, name.span), rest, frame)
    tensors = _tensors(signature, call, values, frame)
    return (tensors, settings) if tensors is not None and settings is not None else None


def _tensors(
    signature: Signature, call: tree.Name | tree.Call, values: Sequence[Value], frame: Frame
) -> tuple[Tensor, ...] | None:
    """The values as tensors of the right kinds, or None."""
    if any(isinstance(value, Unknown) for value in values):
        return None
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) < len(signature.ports):
        _refuse_few(signature, call, values, frame)
        return None
    return tuple(tensors) if kinds_fit(signature, tensors, signature.name, frame) else None


def kinds_fit(signature: Signature, tensors: Sequence[Tensor], owner: str, frame: Frame) -> bool:
    """Whether the tensors are of the kinds that the ports take; those that are not are reported."""
    fine = True
    for place, port, tensor in zip(_PLACES, signature.ports, tensors, strict=False):
        if tensor.type.kind not in port.kinds:
            which = f" as its {place} tensor" if len(tensors) > 1 else ""
            kinds = listed([f"`{kind}`" for kind in port.kinds], "or")
            frame.say(wrong_tensor(tensor.span, owner, which, kinds, str(tensor.type)))
            fine = False
    return fine


def _refuse_few(signature: Signature, call: tree.Name | tree.Call, values: Sequence[Value], frame: Frame) -> None:
    """Report a call with a constant in the place of a tensor, or with too few tensors."""
    ports = len(signature.ports)
    takes = "a tensor" if ports == 1 else f"{ports} tensors"
    text = shortened(" ".join(call.span.text.split()), 40)
    usage = f"x -> {text}" if ports == 1 else f"{signature.name}(x, y)"
    at, found = call.span, f"{len(values)} {'is' if len(values) == 1 else 'are'} given" if values else "none is given"
    for value in values:
        if isinstance(value, Known):
            at, found = value.span, f"this is {described(value.value)}"
            break
    frame.say(missing_tensor(at, signature.name, found, takes, usage))


def result(
    signature: Signature,
    inputs: tuple[Tensor, ...],
    settings: Mapping[str, Any],
    span: Span,
    frame: Frame,
    *,
    at: Span | None = None,
) -> TensorType | None:
    """The type of the result, or None when the shapes do not fit (which is reported ``at`` the name of the layer, or
    at the tensors)."""
    assert signature.rule is not None, f"{signature.name} takes tensors and has no rule"
    try:
        return signature.rule(settings, tuple(tensor.type for tensor in inputs))
    except ShapeMismatch as mismatch:
        blamed = inputs if mismatch.input is None else (inputs[mismatch.input],)
        labels = [Label(tensor.span, show(tensor.type.shape)) for tensor in blamed]
        if at is not None:
            labels.insert(0, Label(at))
        help = mismatch.help
        if help is None:
            help = provenance.mend(frame.session.nodes, signature, settings, inputs, span)
        notes = provenance.notes(frame.session.nodes, blamed)
        frame.say(shape_mismatch(mismatch.message, tuple(labels), notes, help))
        return None


def node(
    signature: Signature,
    inputs: tuple[Tensor, ...],
    settings: Mapping[str, Any],
    span: Span,
    frame: Frame,
    *,
    at: Span | None = None,
) -> Tensor | Unknown:
    """A layer or operator applied to tensors: a new node of the network."""
    type_ = result(signature, inputs, settings, span, frame, at=at)
    if type_ is None or frame.dry:
        return Unknown(span)
    if frame.session.nodes.full:
        return frame.halt(span)
    if frame.session.nodes.too_large(type_):
        refuse_large(f"the result of `{signature.name}`", type_.shape, at if at is not None else span, frame)
        return Unknown(span)
    tensor = frame.session.nodes.add(signature, inputs, settings, type_, path=frame.path, span=span)
    fine = signature.weights is None or _weights(signature, tensor, frame, at if at is not None else span)
    return tensor if fine else Unknown(span)


def refuse_large(subject: str, shape: Shape, at: Span, frame: Frame) -> None:
    """Report a tensor beyond the bounds."""
    limits = frame.session.limits
    frame.say(too_large(at, subject, f"the shape {show(shape)}", f"{limits.values:,} values"))


def _weights(signature: Signature, tensor: Tensor, frame: Frame, at: Span) -> bool:
    """Check the weights of a new node: fixed sizes, the same for all uses of a shared layer, not too many."""
    made = frame.session.nodes.made[tensor.name]
    assert signature.weights is not None
    shapes = signature.weights(made.node.settings, tuple(value.type for value in made.inputs))
    place = made.node.weights
    for name, shape in shapes.items():
        if known(shape) is None:
            frame.say(symbolic_weight(at, f"{place}.{name}", show(shape)))
            return False
    if place in frame.session.nodes.shared:
        return _same_shapes(place, shapes, frame, at)
    frame.session.nodes.shared[place] = (shapes, frame.uses[0] if frame.uses else at)
    if frame.session.nodes.too_many_weights(shapes.values()):
        most = f"{frame.session.limits.parameters:,}"
        frame.say(too_large(at, "the network", f"{frame.session.nodes.weights:,} weights", most))
        return False
    return True


def _same_shapes(place: str, shapes: Mapping[str, Shape], frame: Frame, at: Span) -> bool:
    """Whether a shared layer needs the weights that its first use made."""
    expected, first = frame.session.nodes.shared[place]
    for name, shape in shapes.items():
        if expected.get(name) != shape:
            use = frame.uses[0] if frame.uses else at
            found = show(shape)
            frame.session.report.add(shared_shapes(use, f"{place}.{name}", found, first, show(expected.get(name, ()))))
            return False
    return True

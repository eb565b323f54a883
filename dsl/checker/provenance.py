"""Where a shape comes from, and which setting would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dsl.checker.nodes import Made, Nodes
from dsl.checker.values import Tensor, shortened, written
from dsl.signature import REQUIRED, Settings, ShapeMismatch, Signature
from dsl.source import Span
from dsl.types import Shape, TensorType, known, show

_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@"}
_LINKS_SHOWN = 6
_LINKS_TRIED = 12


def notes(nodes: Nodes, tensors: tuple[Tensor, ...]) -> tuple[str, ...]:
    """One line for each tensor: what it is, the chain of nodes from the last name on, and the line of the file."""
    lines = [_note(nodes, tensor) for tensor in tensors]
    width = max((len(text) for text, _ in lines), default=0)
    return tuple(dict.fromkeys(f"{text:<{width}}     ({place})" for text, place in lines))


def _note(nodes: Nodes, tensor: Tensor) -> tuple[str, str]:
    bound = nodes.bindings.get(tensor.name)
    subject, span = bound if bound is not None else (None, tensor.span)
    made = nodes.made.get(tensor.name)
    if subject is None:
        text = " ".join(tensor.span.text.split())
        subject = text if len(text) <= 30 else "this"
        span = made.node.span if made is not None else span
    place = f"line {span.line}" if span.source is tensor.span.source else str(span)
    if made is None:
        return f"{subject} is {_shown(tensor.type)}: as declared", place
    return f"{subject} is {show(tensor.type.shape)}: {_chain(nodes, made)}", place


def _chain(nodes: Nodes, made: Made) -> str:
    """``stem [16, 8, 8] -> conv(16) [16, 6, 6]``: a shape wherever it changes."""
    links, head = _links(nodes, made)
    shape: Shape | None = head[-1].type.shape if len(head) == 1 else None
    sign = _SIGNS.get(links[0].signature.name, ",") if len(head) > 1 else ""
    texts = [f" {sign} ".join(f"{_name(nodes, tensor)} {show(tensor.type.shape)}" for tensor in head)]
    if len(head) > 1:
        shape = links[0].node.type.shape
        texts = [texts[0] if sign != "," else f"{links[0].signature.name}({texts[0].replace(' , ', ', ')})"]
        links = links[1:]
    for link in links:
        changed = link.node.type.shape != shape
        shape = link.node.type.shape
        texts.append(f"{_call(link)} {show(shape)}" if changed else _call(link))
    if len(texts) > _LINKS_SHOWN:
        texts = [*texts[:2], "…", *texts[-3:]]
    return " -> ".join(texts)


def _links(nodes: Nodes, made: Made) -> tuple[list[Made], tuple[Tensor, ...]]:
    """The nodes from the last name, or the last joining of tensors, up to this one; and what goes into the first."""
    links = [made]
    while len(links[-1].inputs) == 1:
        name = links[-1].inputs[0].name
        if name not in nodes.made or name in nodes.bindings:
            break
        links.append(nodes.made[name])
    visible = [link for link in reversed(links) if len(link.inputs) > 1 or link.signature.category != "operator"]
    return visible, links[-1].inputs


def _name(nodes: Nodes, tensor: Tensor) -> str:
    bound = nodes.bindings.get(tensor.name)
    return bound[0] if bound is not None else "…"


def _shown(type_: TensorType) -> str:
    return show(type_.shape) if type_.kind == "float" else str(type_)


def _call(made: Made) -> str:
    """A layer with the settings that have no default: ``conv(16)``."""
    values = [
        shortened(written(made.node.settings[setting.name]), 20)
        for setting in made.signature.settings
        if setting.default is REQUIRED
    ]
    return f"{made.signature.name}({', '.join(values)})" if values else made.signature.name


# Mending


@dataclass(frozen=True)
class _Change:
    """Another value for one setting of a node."""

    signature: Signature
    settings: Settings
    inputs: tuple[TensorType, ...]
    name: str
    value: Any
    span: Span

    def result(self) -> TensorType | None:
        return _type(self.signature, {**self.settings, self.name: self.value}, self.inputs)

    def advice(self, result: TensorType | None) -> str:
        """``add `padding = "same"` to the conv on line 17 to keep 8×8``."""
        setting = self.signature.setting(self.name)
        assert setting is not None
        kept, before = (known(result.shape) if result is not None else None), known(self.inputs[0].shape)
        purpose = ""
        if kept is not None and before is not None and len(kept) > 1 and kept[1:] == before[1:]:
            purpose = f" to keep {'×'.join(map(str, kept[1:]))}"
        elif result is not None:
            purpose = f" to get {show(result.shape)}"
        where = f"the {self.signature.name} on line {self.span.line}"
        new = f"{self.name} = {written(self.value)}"
        if setting.default is not REQUIRED and self.name not in self.span.text:
            return f"add `{new}` to {where}{purpose}"
        return f"write `{new}` in {where}{purpose}"


def mend(nodes: Nodes, signature: Signature, settings: Settings, inputs: tuple[Tensor, ...], span: Span) -> str | None:
    """A change of one setting, here or in the nodes that led here, with which the shapes fit: tried, not guessed."""
    types = tuple(tensor.type for tensor in inputs)
    wanted = [size for type_ in types for size in (*type_.shape, type_.count) if isinstance(size, int)]
    for change in _changes(signature, settings, types, span, wanted):
        result = change.result()
        if result is not None:
            return change.advice(result if signature.category in ("layer", "operator") else None)
    for port in reversed(range(len(inputs))):
        for change, result in _changes_of_chain(nodes, inputs[port], wanted):
            if _type(signature, settings, (*types[:port], result, *types[port + 1 :])) is not None:
                return change.advice(result)
    return None


def _changes(
    signature: Signature, settings: Settings, inputs: tuple[TensorType, ...], span: Span, wanted: list[int]
) -> Iterator[_Change]:
    """Other choices of a setting, its opposite, or another number that stands in a shape nearby."""
    for setting in signature.settings:
        value = settings[setting.name]
        others: tuple[Any, ...] = ()
        if setting.choices:
            others = setting.choices
        elif setting.kind == "bool":
            others = (not value,)
        elif setting.kind == "int" and setting.default is REQUIRED:
            others = tuple(dict.fromkeys(wanted))
        for other in others:
            if other != value:
                yield _Change(signature, settings, inputs, setting.name, other, span)


def _changes_of_chain(nodes: Nodes, tensor: Tensor, wanted: list[int]) -> Iterator[tuple[_Change, TensorType]]:
    """Changes in the nodes that lead to a tensor, the nearest first, with the type that the tensor then has."""
    behind: list[Made] = []
    made = nodes.made.get(tensor.name)
    while made is not None and len(behind) < _LINKS_TRIED:
        node = made.node
        types = tuple(nodes.types[name] for name in node.inputs)
        for change in _changes(made.signature, node.settings, types, node.span, wanted):
            result = _replayed(behind, change.result())
            if result is not None:
                yield change, result
        behind.append(made)
        made = nodes.made.get(node.inputs[0]) if len(node.inputs) == 1 else None


def _replayed(behind: list[Made], type_: TensorType | None) -> TensorType | None:
    """The type at the end of a chain (given from its end) that starts with this one."""
    for made in reversed(behind):
        type_ = _type(made.signature, made.node.settings, (type_,)) if type_ is not None else None
    return type_


def _type(signature: Signature, settings: Mapping[str, Any], types: tuple[TensorType, ...]) -> TensorType | None:
    assert signature.rule is not None
    try:
        return signature.rule(settings, types)
    except ShapeMismatch:
        return None

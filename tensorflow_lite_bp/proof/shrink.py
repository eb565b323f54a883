"""The same network at small sizes: every layer and every setting, with fewer features, channels and places.

Equal sizes stay equal. What follows from other sizes (places behind a convolution, the length of a flattened image) is
computed by the layers' own shape rules. Where these refuse, what a size became elsewhere is learned (784 is 9, where it
is the length of a flattened image), or the next larger sizes are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from dsl.program import Node, Program
from dsl.signature import ShapeMismatch
from dsl.types import Shape, TensorType
from tensorflow_lite_bp.declare import registry, settings_of
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.threads import multiplications
from tensorflow_lite_bp.layers.base import Layer

LARGE = 1000
"""Multiplications for one sample, forward, from which a network is shrunk."""
_FEATURES = ((2, 3), (4,), (6,), (8,))  # what large numbers of features become, in turn
_SMALL = 3  # what stays as it is
_PLACES = 3  # along an axis behind the channels, to begin with


@dataclass(frozen=True)
class _Sizes:
    """Declared size -> small size: of features (channels, classes, units), and of places behind them."""

    features: Mapping[int, int]
    places: Mapping[int, int]

    def shape(self, shape: Shape) -> Shape:
        """The small shape of an input or a target: features first, then places."""
        return tuple(
            size if isinstance(size, str) else (self.places if axis else self.features).get(size, size)
            for axis, size in enumerate(shape)
        )

    def parameter(self, shape: Shape) -> Shape:
        return tuple(size if isinstance(size, str) else self.features.get(size, size) for size in shape)

    def type(self, type_: TensorType) -> TensorType:
        count = None if type_.count is None else self.features.get(type_.count, type_.count)
        if type_.count is not None:  # an index for each place
            shape = tuple(s if isinstance(s, str) else self.places.get(s, s) for s in type_.shape)
        else:
            shape = self.shape(type_.shape) if type_.per_sample else self.parameter(type_.shape)
        return replace(type_, shape=shape, count=count)


def small(program: Program) -> Program:
    """A program of the same nodes that is small enough to be proved; the program itself where it is small already, or
    where no smaller one fits together."""
    if _work(program) <= LARGE:
        return program
    for sizes in _candidates(program):
        made = _fitted(program, sizes)
        if made is not None:
            return made if _work(made) < _work(program) else program
    return program


def _fitted(program: Program, sizes: _Sizes) -> Program | None:
    """The program with these sizes, or with what is learned while they do not fit; None where nothing is learned."""
    learned: dict[int, int] = {}
    while True:
        known = len(learned)
        try:
            return _resized(program, _Sizes({**sizes.features, **learned}, sizes.places), learned)
        except ShapeMismatch:
            if len(learned) == known:
                return None


def _work(program: Program) -> int:
    return multiplications(Graph(program), dict.fromkeys(program.sizes, _PLACES))


def _candidates(program: Program) -> Iterator[_Sizes]:
    variables = [variable.type for variable in (*program.inputs, *program.targets)]
    behind = sorted({size for t in variables for size in t.shape[0 if t.count else 1 :] if isinstance(size, int)})
    features = sorted(set(_feature_sizes(program)))
    counts = {t.count for t in variables if t.count is not None}
    for targets in _FEATURES:
        for kept in (set(), counts):
            small = {
                size: targets[place % len(targets)]
                for place, size in enumerate(size for size in features if size > _SMALL and size not in kept)
            }
            for first in range(min(_PLACES, max(behind, default=0)), max(behind, default=0) + 1):
                places = {size: min(size, first + place) for place, size in enumerate(behind)}
                yield _Sizes({size: min(size, made) for size, made in small.items()}, places)


def _feature_sizes(program: Program) -> Iterator[int]:
    """Every number that counts features: first sizes, classes, sizes of parameters, whole numbers among settings."""
    for variable in (*program.inputs, *program.targets):
        sizes = variable.type.shape[:1] if variable.type.count is None else (variable.type.count,)
        yield from (size for size in sizes if isinstance(size, int))
    for parameter in program.parameters:
        yield from (size for size in parameter.type.shape if isinstance(size, int))
    for node in program.nodes:
        yield from (value for name, value in node.settings.items() if _counts_features(node.op, name))
        if _layer_class(node.op).view:
            yield from (size for value in node.settings.values() if isinstance(value, tuple) for size in value)


def _layer_class(op: str) -> Any:
    return {**registry["layer"], **registry["operator"]}[op]


def _counts_features(op: str, setting: str) -> bool:
    return any(item.name == setting and item.kind == "int" for item in settings_of(_layer_class(op)))


def _resized(program: Program, sizes: _Sizes, learned: dict[int, int]) -> Program:
    """The program with these sizes, all other shapes by the rules.

    Args:
        learned: gets what a size has become that was expected to become another.

    Raises:
        ShapeMismatch: when these sizes do not fit together.
    """
    inputs = tuple(replace(item, type=sizes.type(item.type)) for item in program.inputs)
    targets = tuple(replace(item, type=sizes.type(item.type)) for item in program.targets)
    parameters = tuple(replace(item, type=sizes.type(item.type)) for item in program.parameters)
    variables = (*inputs, *targets)
    types = {item.name: item.type for item in variables} | {item.name: item.type for item in parameters}
    nodes = []
    for node in program.nodes:
        settings = {name: _setting(node.op, name, value, sizes) for name, value in node.settings.items()}
        layer: Layer = _layer_class(node.op).from_settings(settings)
        if layer.view:
            _learn_length(program, node, settings, types, learned)
        types[node.name] = layer.result(*(types[name] for name in node.inputs))
        for old, new in zip(node.type.shape, types[node.name].shape, strict=False):
            if isinstance(old, int) and isinstance(new, int) and sizes.features.get(old, new) != new:
                learned.setdefault(old, new)
        nodes.append(replace(node, settings=settings, type=types[node.name]))
    for loss in program.losses:
        registry["loss"][loss.op].from_settings(loss.settings).agree(*(types[name] for name in loss.inputs))
    return replace(
        program, inputs=inputs, targets=targets, parameters=parameters, nodes=tuple(nodes), types=types, metrics=()
    )


def _learn_length(
    program: Program,
    node: Node,
    settings: Mapping[str, Any],
    types: Mapping[str, TensorType],
    learned: dict[int, int],
) -> None:
    """A vector that is put into a declared shape is as long as that shape needs."""
    (before,) = program.types[node.inputs[0]].shape if len(program.types[node.inputs[0]].shape) == 1 else (None,)
    shapes = [value for value in settings.values() if isinstance(value, tuple) and value and -1 not in value]
    if isinstance(before, int) and shapes and types[node.inputs[0]].shape != (prod(shapes[0]),):
        learned.setdefault(before, prod(shapes[0]))


def _setting(op: str, name: str, value: Any, sizes: _Sizes) -> Any:
    if _counts_features(op, name):
        return sizes.features.get(value, value)
    if isinstance(value, tuple) and _layer_class(op).view:  # a shape
        return tuple(sizes.places.get(size, sizes.features.get(size, size)) for size in value)
    return value

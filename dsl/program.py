"""A checked network: names resolved, blocks expanded, shapes known, settings complete. No arrays, no syntax.

Nodes stand in the order in which they are computed, which is the order of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dsl.source import Source, Span
from dsl.types import TensorType


@dataclass(frozen=True)
class ColumnRange:
    """``"p0".."p63"``: the columns of the file from one to the other, both included."""

    first: str
    last: str


@dataclass(frozen=True)
class Call:
    """A checked call of an entry of the table that is no layer: an initialiser, an optimizer, a schedule, a source, a
    split, a transform of the data section. ``settings`` holds every setting, defaults filled in.

    For transforms ``inputs`` are the expressions it works on: `Call`, or a number. Arithmetic in the data section is
    a call of the transforms ``add subtract multiply divide power``, a list ``[a, b]`` one of ``concatenate``.
    """

    category: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Call | float, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Variable:
    """An ``input`` or a ``target``."""

    name: str
    type: TensorType
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Parameter:
    """A bare trainable array. Its type's ``per_sample`` is False."""

    name: str
    type: TensorType
    initializer: Call | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Node:
    """One layer or operator applied once.

    ``name`` is the path a reader sees, without spaces, unique in the program (``logits.dense``,
    ``stem.conv_unit.conv``, ``body.repeat.2.conv_unit.relu``, ``merged.add``; a second one of the same path in the same
    place is ``h.dense_2``).
    ``weights`` is the path that its weights' names start with: the same as ``name``, but for uses of a ``layer``,
    whose weights are shared and named by the layer (``encoder.dense``). ``binding`` is the name that the file gives
    to this node's result, if it does.
    """

    name: str
    op: str
    inputs: tuple[str, ...]  # names of inputs, parameters or nodes
    settings: Mapping[str, Any]
    type: TensorType
    weights: str
    binding: str | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Loss:
    """``loss 0.3 * mse(a, t)``: a factor times a loss of the table."""

    name: str
    op: str
    inputs: tuple[str, ...]  # a tensor and a target (or two tensors)
    settings: Mapping[str, Any]
    factor: float
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Metric:
    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Output:
    name: str
    tensor: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class DataSection:
    """Where the data is. ``columns`` has one expression for each input and target that the section gives."""

    settings: Mapping[str, Any]  # source, split, ... as the table's section signature "data" names them
    columns: Mapping[str, Call]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Program:
    """A whole network, checked."""

    name: str
    source: Source = field(repr=False, compare=False)
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    parameters: tuple[Parameter, ...]
    nodes: tuple[Node, ...]
    losses: tuple[Loss, ...]
    metrics: tuple[Metric, ...]
    outputs: tuple[Output, ...]
    data: DataSection | None
    train: Mapping[str, Any]  # every setting of the table's section "train", defaults filled in
    export: Mapping[str, Any]
    sizes: tuple[str, ...]  # symbolic sizes, in order of appearance
    names: Mapping[str, str]  # the name of a binding or of an output's expression -> the tensor it stands for
    imports: tuple[Source, ...] = field(default=(), repr=False, compare=False)  # each behind those it imports itself
    overrides: tuple[str, ...] = field(default=(), repr=False, compare=False)  # in the place of the file's settings
    types: Mapping[str, TensorType] = field(default_factory=dict, repr=False, compare=False)  # of every tensor

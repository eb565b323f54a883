"""The syntax tree: what stands in a `.net` file, with its place, before anything is known about its meaning.

Two trees are equal when their meaning is: spans do not take part in comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from dsl.source import Source, Span


@dataclass(frozen=True)
class Tree:
    """Anything that stands somewhere in a file."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Name(Tree):
    text: str


# Expressions


@dataclass(frozen=True)
class Number(Tree):
    value: int | Fraction
    literal: str = field(compare=False)  # as written: "1e-3", kept by the formatter


@dataclass(frozen=True)
class String(Tree):
    value: str


@dataclass(frozen=True)
class Boolean(Tree):
    value: bool


@dataclass(frozen=True)
class List(Tree):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Argument(Tree):
    name: Name | None
    value: Expression


@dataclass(frozen=True)
class Call(Tree):
    """``f(a, b, k = v)``. A stage without parentheses (``x -> relu``) is a `Name`."""

    function: Name
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Unary(Tree):
    operator: str  # "-"
    operand: Expression


@dataclass(frozen=True)
class Binary(Tree):
    operator: str  # + - * / // @ ^
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Range(Tree):
    first: Expression
    last: Expression


@dataclass(frozen=True)
class Pipe(Tree):
    """``x -> f(args) -> g``: the stages are applied from left to right."""

    head: Expression
    stages: tuple[Name | Call, ...]


Expression = Number | String | Boolean | Name | List | Call | Unary | Binary | Range | Pipe

# Items of a file


@dataclass(frozen=True)
class TypeTree(Tree):
    """``class(10)[28, 28]``: a kind, perhaps a count, perhaps sizes (None when no bracket stands there)."""

    kind: Name
    count: Expression | None
    sizes: tuple[Expression, ...] | None


@dataclass(frozen=True)
class Network(Tree):
    name: Name


@dataclass(frozen=True)
class Import(Tree):
    path: String


@dataclass(frozen=True)
class Let(Tree):
    name: Name
    value: Expression


@dataclass(frozen=True)
class Input(Tree):
    name: Name
    type: TypeTree


@dataclass(frozen=True)
class Target(Tree):
    name: Name
    type: TypeTree


@dataclass(frozen=True)
class Parameter(Tree):
    name: Name
    type: TypeTree
    initializer: Expression | None


@dataclass(frozen=True)
class Binding(Tree):
    name: Name
    value: Expression


@dataclass(frozen=True)
class BlockParameter(Tree):
    name: Name
    default: Expression | None


@dataclass(frozen=True)
class Block(Tree):
    name: Name
    parameters: tuple[BlockParameter, ...]
    bindings: tuple[Binding, ...]
    result: Expression


@dataclass(frozen=True)
class Layer(Tree):
    name: Name
    value: Expression  # a stage, or stages joined by -> (a Pipe whose head is the first stage)


@dataclass(frozen=True)
class Loss(Tree):
    name: Name | None
    value: Expression


@dataclass(frozen=True)
class Metric(Tree):
    name: Name | None
    value: Expression


@dataclass(frozen=True)
class Output(Tree):
    name: Name
    value: Expression | None


@dataclass(frozen=True)
class Section(Tree):
    kind: Name  # data, train or export
    bindings: tuple[Binding, ...]


Item = (
    Network | Import | Let | Input | Target | Parameter | Block | Layer | Binding
    | Loss | Metric | Output | Section
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """A whole file. Comments are no part of the meaning; the formatter finds them again in the source."""

    source: Source = field(compare=False, repr=False)
    items: tuple[Item, ...]

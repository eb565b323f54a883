"""The syntax tree: what stands in a `.net` file, with its place, before anything is known about its meaning.

Two trees are equal when their meaning is: spans do not take part in comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from dsl.source import Source, Span


@dataclass(slots=True, eq=False, repr=False)
class Tree:
    """Anything that stands somewhere in a file. A tree is not changed: `dataclasses.replace` makes another one.

    Equality, hash and text are written once. Generated for each of these classes, and with ``frozen=True``, they would
    take longer at every start than the check of a file.
    """

    span: Span

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        for name in self.__match_args__:
            if name not in _NO_MEANING and getattr(self, name) != getattr(other, name):
                return False
        return True

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__match_args__ if name not in _NO_MEANING)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__ if name != "span")
        return f"{type(self).__name__}({shown})"


_NO_MEANING = ("span", "literal")


@dataclass(slots=True, eq=False, repr=False)
class Name(Tree):
    text: str


# Expressions


@dataclass(slots=True, eq=False, repr=False)
class Number(Tree):
    value: int | Fraction
    literal: str  # as written: "1e-3", kept by the formatter


@dataclass(slots=True, eq=False, repr=False)
class String(Tree):
    value: str


@dataclass(slots=True, eq=False, repr=False)
class Boolean(Tree):
    value: bool


@dataclass(slots=True, eq=False, repr=False)
class List(Tree):
    items: tuple[Expression, ...]


@dataclass(slots=True, eq=False, repr=False)
class Argument(Tree):
    name: Name | None
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Call(Tree):
    """``f(a, b, k = v)``. A stage without parentheses (``x -> relu``) is a `Name`."""

    function: Name
    arguments: tuple[Argument, ...]


@dataclass(slots=True, eq=False, repr=False)
class Unary(Tree):
    operator: str  # "-"
    operand: Expression


@dataclass(slots=True, eq=False, repr=False)
class Binary(Tree):
    operator: str  # + - * / // @ ^
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False, repr=False)
class Range(Tree):
    first: Expression
    last: Expression


@dataclass(slots=True, eq=False, repr=False)
class Pipe(Tree):
    """``x -> f(args) -> g``: the stages are applied from left to right."""

    head: Expression
    stages: tuple[Name | Call, ...]


Expression = Number | String | Boolean | Name | List | Call | Unary | Binary | Range | Pipe

# Items of a file


@dataclass(slots=True, eq=False, repr=False)
class TypeTree(Tree):
    """``class(10)[28, 28]``: a kind, perhaps a count, perhaps sizes (None when no bracket stands there)."""

    kind: Name
    count: Expression | None
    sizes: tuple[Expression, ...] | None


@dataclass(slots=True, eq=False, repr=False)
class Network(Tree):
    name: Name


@dataclass(slots=True, eq=False, repr=False)
class Import(Tree):
    path: String


@dataclass(slots=True, eq=False, repr=False)
class Let(Tree):
    name: Name
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Input(Tree):
    name: Name
    type: TypeTree


@dataclass(slots=True, eq=False, repr=False)
class Target(Tree):
    name: Name
    type: TypeTree


@dataclass(slots=True, eq=False, repr=False)
class Parameter(Tree):
    name: Name
    type: TypeTree
    initializer: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Binding(Tree):
    name: Name
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class BlockParameter(Tree):
    name: Name
    default: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Block(Tree):
    name: Name
    parameters: tuple[BlockParameter, ...]
    bindings: tuple[Binding, ...]
    result: Expression


@dataclass(slots=True, eq=False, repr=False)
class Layer(Tree):
    name: Name
    value: Expression  # a stage, or stages joined by -> (a Pipe whose head is the first stage)


@dataclass(slots=True, eq=False, repr=False)
class Loss(Tree):
    name: Name | None
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Metric(Tree):
    name: Name | None
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Output(Tree):
    name: Name
    value: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Section(Tree):
    kind: Name  # data, train or export
    bindings: tuple[Binding, ...]


@dataclass(slots=True, eq=False, repr=False)
class Broken(Tree):
    """An item that could not be read: its mistake is reported by the parser, and nothing is known of it.

    ``kind`` is the word that it starts with (``loss``, ``data``), or empty; ``names`` are those that it probably
    defines, so that their uses need not be reported too.
    """

    kind: str
    names: tuple[str, ...]


Item = (
    Network | Import | Let | Input | Target | Parameter | Block | Layer | Binding
    | Loss | Metric | Output | Section | Broken
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """A whole file. Comments are no part of the meaning; the formatter finds them again in the source."""

    source: Source = field(compare=False, repr=False)
    items: tuple[Item, ...]

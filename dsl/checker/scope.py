"""Names: what each stands for, whether it was used, and which names only come later in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from dsl import tree
from dsl.checker.values import Value
from dsl.source import Span

_DEFINING = (tree.Let, tree.Input, tree.Target, tree.Parameter, tree.Block, tree.Layer, tree.Binding, tree.Output)
_MOST_LOOKED_AT = 2000
_MOST_COMPARED = 100
_LONGEST_COMPARED = 50


@dataclass
class Definition:
    """A name of a file.

    Attributes:
        kind: what a reader calls it: constant, input, target, parameter, tensor, output, block, layer, size, ...
        value: what the name stands for in an expression; None for a name that stands for no value.
        broken: a block or layer with a mistake, whose uses stay silent.
    """

    name: str
    kind: str
    span: Span
    value: Value | None = None
    block: Macro | None = None
    layer: SharedLayer | None = None
    used: bool = False
    broken: bool = False


@dataclass(frozen=True)
class Macro:
    """A block with the names of the file that it stands in."""

    tree: tree.Block
    scope: Scope


@dataclass(frozen=True)
class SharedLayer:
    """A `layer` with the names of the file that it stands in."""

    tree: tree.Layer
    scope: Scope


@dataclass
class Scope:
    """The names of a file, or of one use of a block inside of it.

    Attributes:
        later: names that the file defines, with their places: where one is not found, it comes further down.
    """

    outer: Scope | None = None
    names: dict[str, Definition] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)

    def find(self, name: str) -> Definition | None:
        found = self.names.get(name)
        return found if found is not None or self.outer is None else self.outer.find(name)

    def find_later(self, name: str) -> Span | None:
        found = self.later.get(name)
        return found if found is not None or self.outer is None else self.outer.find_later(name)

    def define(self, definition: Definition) -> None:
        self.names[definition.name] = definition

    def visible(self) -> Iterator[Definition]:
        """All definitions that can be used here, the nearest first."""
        yield from reversed(self.names.values())
        if self.outer is not None:
            yield from self.outer.visible()


def later_names(items: Iterable[tree.Item]) -> dict[str, Span]:
    """The names that a file defines, with the places where it does so first."""
    names: dict[str, Span] = {}
    for item in items:
        if isinstance(item, tree.Output) and item.value is None:
            continue
        if isinstance(item, _DEFINING):
            names.setdefault(item.name.text, item.name.span)
    return names


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The name that was probably meant, if one is near enough.

    >>> closest("bathc", ["epochs", "batch"]), closest("Width", ["width"]), closest("q", ["width"])
    ('batch', 'width', None)
    """
    from difflib import get_close_matches

    if len(name) > _LONGEST_COMPARED:
        return None
    letters = set(name.lower())
    alike = [
        other
        for other in islice(candidates, _MOST_LOOKED_AT)
        if abs(len(other) - len(name)) < 4 and len(letters.symmetric_difference(other.lower())) < 6 and other != name
    ]
    same = [other for other in alike if other.lower() == name.lower()]
    return next(iter(same or get_close_matches(name, alike[:_MOST_COMPARED], n=1)), None)

"""The nodes of the network as they are made: their names, their types, and the bounds on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.checker.values import Tensor
from dsl.program import Node
from dsl.signature import Limits, Signature
from dsl.source import Span
from dsl.types import Shape, TensorType


class Path:
    """A place in the tree of names: what a binding, a block or a repetition makes is named below it.

    ``weights`` is the place that weights are named by: the same, but inside a use of a `layer`, which shares them.
    """

    def __init__(self, name: str, weights: str | None = None) -> None:
        self.name = name
        self.weights = weights if weights is not None else name
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def reserve(self, names: Iterable[str]) -> None:
        """Keep these names for the bindings of a block, so that no layer takes them."""
        self._taken.update(names)

    def claim(self, name: str) -> str:
        """A name that is free here: ``dense``, then ``dense_2``, ``dense_3``, ..."""
        number = self._counts.get(name, 0) + 1
        free = name if number == 1 else f"{name}_{number}"
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._counts[name] = number
        self._taken.add(free)
        return free

    def below(self, name: str) -> Path:
        """The place of this name, which is free or reserved."""
        return Path(f"{self.name}.{name}", f"{self.weights}.{name}")


@dataclass(frozen=True)
class Made:
    """A node with what is needed to explain it."""

    node: Node
    signature: Signature
    inputs: tuple[Tensor, ...]


class Nodes:
    """All nodes, in the order in which they were made; and the types of all tensors."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.made: dict[str, Made] = {}
        self.types: dict[str, TensorType] = {}
        self.bindings: dict[str, tuple[str, Span]] = {}  # tensor -> the first name bound to it
        self.shared: dict[str, tuple[Mapping[str, Shape], Span]] = {}  # place of weights -> their shapes, first use
        self.weights = 0

    @property
    def full(self) -> bool:
        return len(self.made) >= self.limits.nodes

    def add(
        self,
        signature: Signature,
        inputs: tuple[Tensor, ...],
        settings: Mapping[str, Any],
        type_: TensorType,
        *,
        path: Path,
        span: Span,
    ) -> Tensor:
        """Make a node whose type and weights are checked."""
        name = path.claim(signature.name)
        place = path.below(name)
        names = tuple(tensor.name for tensor in inputs)
        node = Node(place.name, signature.name, names, settings, type_, place.weights, None, span)
        self.made[node.name] = Made(node, signature, inputs)
        self.types[node.name] = type_
        return Tensor(node.name, type_, span)

    def too_many_weights(self, shapes: Iterable[Shape]) -> bool:
        """Count weights; True when there are more than the bound."""
        self.weights += sum(prod(size for size in shape if isinstance(size, int)) for shape in shapes)
        return self.weights > self.limits.parameters

    def too_large(self, type_: TensorType) -> bool:
        """Whether a tensor of this type has an axis or a number of values beyond the bounds."""
        sizes = [size for size in type_.shape if isinstance(size, int)]
        return any(size > self.limits.size for size in sizes) or prod(sizes) > self.limits.values

"""An expression of the data section as a tree that is bound to columns, fitted, evaluated, and written as ONNX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.program import Call
from dsl.source import Span
from tensorflow_lite_bp.data.base import BadValue, State, Transform
from tensorflow_lite_bp.data.tables import Rows, Table
from tensorflow_lite_bp.data.transforms.columns import Array, Leaf
from tensorflow_lite_bp.declare import build
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block

_DEEPEST = 200
_MOST_ROWS = 8192  # of a block, and the most values:
_VALUES = 1 << 20

Reader = Callable[["Expression"], np.ndarray]
"""Gives the values of a leaf."""


@dataclass
class Expression:
    """A transform and the expressions it works on.

    Attributes:
        inputs: expressions, or constants.
        wanted: what its values are wanted as, ``numbers`` or ``categories``.
        span: where it stands in the `.net` file.
        state: what it was fitted to; empty before.
    """

    transform: Transform
    inputs: tuple[Expression | float, ...]
    wanted: str
    span: Span | None
    state: State = field(default_factory=dict)

    @classmethod
    def of(cls, call: Call, *, wanted: str, depth: int = 0) -> Expression:
        """The tree of a checked call.

        Raises:
            InputError: for a transform of constants alone, and for a tree that is too deep.
        """
        transform: Transform = build(call)
        made = cls(transform, (), wanted, call.span)
        if depth > _DEEPEST:
            raise InputError(f"{made.at}an expression of the data section is more than {_DEEPEST} operations deep")
        if transform.ports and not any(isinstance(each, Call) for each in call.inputs):
            raise InputError(f"{made.at}`{transform.name}` works on columns or arrays, and is given a constant")
        takes = wanted if transform.takes == "same" else transform.takes
        made.inputs = tuple(
            cls.of(each, wanted=takes, depth=depth + 1) if isinstance(each, Call) else float(each)
            for each in call.inputs
        )
        return made

    # The tree

    def nodes(self) -> Iterator[Expression]:
        """All nodes, inputs before what works on them."""
        for each in self.inputs:
            if isinstance(each, Expression):
                yield from each.nodes()
        yield self

    def leaves(self) -> list[Expression]:
        """The nodes that read the table, from left to right."""
        return [node for node in self.nodes() if isinstance(node.transform, Leaf)]

    def labels(self) -> Sequence[str]:
        """What each value of a row comes from, for messages."""
        named = (each.labels() if isinstance(each, Expression) else each for each in self.inputs)
        return self.transform.labels(self.state, *named)

    def width(self) -> int:
        """How many values all leaves read for one row."""
        return sum(prod(leaf.shape()) for leaf in self.leaves())

    # A leaf

    @property
    def leaf(self) -> Leaf:
        """What reads the table."""
        assert isinstance(self.transform, Leaf)
        return self.transform

    def shape(self) -> tuple[int, ...]:
        """The shape of one row's values of a leaf."""
        return self.leaf.shape(self.state)

    def values(self, table: Table, rows: Rows) -> Block:
        """The values of a leaf as they stand in the table, where its columns are known and nothing else."""
        return self.leaf.values(table, self.state["columns"], rows, wanted=self.wanted)

    def read(self, table: Table, rows: Rows) -> Block:
        """The values of a leaf, once it is fitted. Raises BadValue for a text among numbers."""
        return self.leaf.read(self.state, table, rows, wanted=self.wanted)

    def reads_as(self, other: Expression) -> bool:
        """Whether two leaves read the same values in the same way."""
        alike = type(self.transform) is type(other.transform) and self.wanted == other.wanted
        return alike and self.state == other.state

    # Fitting

    def bind(self, table: Table) -> None:
        """Find the columns of every leaf in the table.

        Raises:
            InputError: for one that it does not have.
        """
        for leaf in self.leaves():
            try:
                leaf.state = {"columns": leaf.leaf.found(table)}
            except InputError as error:
                raise InputError(f"{leaf.at}{error}") from error

    def fit(self, table: Table, rows: np.ndarray) -> None:
        """Fit every transform to these rows of a table that is loaded.

        Raises:
            InputError: when they cannot tell what a transform wants to know, with the reason.
        """
        for leaf in self.leaves():
            leaf.state = leaf.seen(table, rows)
        for node in self.nodes():
            if not isinstance(node.transform, Leaf) and node.transform.fitted:
                (source,) = node.inputs
                assert isinstance(source, Expression)
                blocks = (source.block(table, piece) for piece in row_blocks(rows, self.width()))
                try:
                    with np.errstate(all="ignore"):
                        node.state = node.transform.fit(blocks, missing=table.missing)
                except BadValue as bad:
                    raise InputError(f"{node.at}{table.name}: {_described(bad, source.labels())}") from bad

    def seen(self, table: Table, rows: np.ndarray) -> State:
        """The state of a leaf, once the rows can be read."""
        columns = self.state["columns"]
        state: dict[str, Any] = {"columns": columns, "text": False}
        if isinstance(self.transform, Array):
            state["shape"] = list(table.array(columns[0]).shape[1:])
        if self.wanted == "categories":
            state["text"] = self.leaf.has_text(table, columns, row_blocks(rows, prod(self.leaf.shape(state))))
        return state

    @property
    def at(self) -> str:
        """Its place, to stand before a message."""
        return f"{self.span}: " if self.span is not None else ""

    # Values

    def block(self, table: Table, rows: Rows) -> Block:
        """The values of some rows.

        Raises:
            InputError: for a value that a transform cannot take, with the row and the column.
        """
        try:
            with np.errstate(all="ignore"):
                return self.evaluate(lambda leaf: leaf.read(table, rows))
        except BadValue as bad:
            if bad.row is None:
                raise InputError(f"{self.at}{table.name}: {bad.message}") from bad
            row = rows.start + bad.row if isinstance(rows, slice) else int(rows[bad.row])
            raise InputError(f"{table.place(row)}, {bad.message}") from bad

    def evaluate(self, read: Reader) -> Block:
        """The values that follow from those of the leaves. Raises BadValue with the column's name in its message."""
        inputs = [each.evaluate(read) if isinstance(each, Expression) else each for each in self.inputs]
        try:
            return self.transform.apply(self.state, *inputs) if inputs else read(self)
        except BadValue as bad:
            source = next((each for each in self.inputs if isinstance(each, Expression)), self)
            raise BadValue(_described(bad, source.labels()), row=bad.row) from bad

    def onnx(self, g: Any, raws: Callable[[Expression], str]) -> str:
        """Add the nodes that compute the same from the raw inputs; returns the name of the result."""
        if isinstance(self.transform, Leaf):
            return raws(self)
        names = [each.onnx(g, raws) if isinstance(each, Expression) else g.constant(each) for each in self.inputs]
        return self.transform.onnx(g, self.state, *names)


def row_blocks(rows: int | np.ndarray, width: int) -> Iterator[Rows]:
    """Rows cut into blocks that fit a processor's cache: their numbers, or slices where all are meant."""
    size = max(1, min(_MOST_ROWS, _VALUES // max(width, 1)))
    if isinstance(rows, int):
        yield from (slice(start, min(start + size, rows)) for start in range(0, rows, size))
    else:
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _described(bad: BadValue, labels: Sequence[str]) -> str:
    return f"{labels[bad.column]}: {bad.message}" if bad.column is not None else bad.message

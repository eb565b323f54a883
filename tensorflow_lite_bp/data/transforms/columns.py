"""Where an expression starts: a column, several columns, or an array of the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from dsl.program import ColumnRange
from tensorflow_lite_bp.data.base import BadValue, State, Transform
from tensorflow_lite_bp.data.words import number, quoted
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from tensorflow_lite_bp.data.base import Block
    from tensorflow_lite_bp.data.tables import Rows, Table


class Leaf(Transform):
    """Base of the transforms that read a table instead of working on values.

    They are fitted to what the names stand for in the training table, and, where categories are wanted, to whether
    these are text: they are when a training row holds something else than a number.
    """

    ports: ClassVar[tuple[str, ...]] = ()
    fitted: ClassVar[Mapping[str, str]] = {"columns": "names", "text": "flag"}

    def found(self, table: Table) -> list[str]:
        """The columns or the array that this stands for, in order.

        Raises:
            InputError: when the table has no such thing.
        """
        raise NotImplementedError

    def require(self, table: Table, columns: Sequence[str]) -> None:
        """Raise InputError unless another table has them too."""
        for name in columns:
            table.require(name)

    def values(self, table: Table, columns: Sequence[str], rows: Rows, *, wanted: str) -> Block:
        """The values of some rows, as ``numbers`` or as ``categories``, which may be text that writes numbers."""
        return table.numbers(columns, rows) if wanted == "numbers" else table.categories(columns, rows)

    def read(self, state: State, table: Table, rows: Rows, *, wanted: str) -> Block:
        """The values of some rows, where categories are numbers unless they were fitted to be text.

        Raises:
            BadValue: for a text among numbers.
        """
        values = self.values(table, state["columns"], rows, wanted=wanted)
        return values if state["text"] else _numbers_in(values)

    def has_text(self, table: Table, columns: Sequence[str], blocks: Iterator[Rows]) -> bool:
        """Whether some of the rows hold a text that is no number."""
        return any(_is_text(self.values(table, columns, rows, wanted="categories")) for rows in blocks)

    def shape(self, state: State) -> tuple[int, ...]:
        """The shape of one row's values."""
        return (len(state["columns"]),)

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        return [f"column {quoted(name)}" for name in state["columns"]]


@dataclass(frozen=True)
class Column(Leaf, name="column"):
    """One column of the source, by its name."""

    column: str = setting(help="its name in the file")

    def found(self, table: Table) -> list[str]:
        table.require(self.column)
        return [self.column]


@dataclass(frozen=True)
class Columns(Leaf, name="columns"):
    """Several columns of the source: names, ranges such as `"p0".."p63"`, or all but some.

    They fill the declared shape row by row, the last axis fastest.
    """

    names: tuple[str | ColumnRange, ...] = setting((), kind="columns", variadic=True, help="names and ranges of names")
    all_except: tuple[str | ColumnRange, ...] | None = setting(
        None, kind="columns", help="all columns of the file but these"
    )

    def found(self, table: Table) -> list[str]:
        if (self.all_except is None) == (not self.names):
            raise InputError('columns(...) takes either names, or `all_except = ["label"]` alone')
        if self.all_except is None:
            names = _expanded(self.names, table)
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise InputError(f"columns(...) names {quoted(twice)} twice")
            return names
        left_out = set(_expanded(self.all_except, table))
        names = [name for name in table.names if name not in left_out]
        if not names:
            raise InputError(f"columns(all_except = ...) leaves no column of {table.name}")
        return names


@dataclass(frozen=True)
class Array(Leaf, name="array"):
    """One array of the source, of any shape per row."""

    fitted: ClassVar[Mapping[str, str]] = {"columns": "names", "text": "flag", "shape": "sizes"}

    array: str = setting(help="its name in the file")

    def found(self, table: Table) -> list[str]:
        table.array(self.array)
        return [self.array]

    def require(self, table: Table, columns: Sequence[str]) -> None:
        self.found(table)

    def values(self, table: Table, columns: Sequence[str], rows: Rows, *, wanted: str) -> Block:
        import numpy as np

        block: Block = table.array(self.array)[rows]
        if block.dtype.kind == "U":
            if wanted == "numbers":
                raise BadValue(f"{quoted(self.array)} holds text; expected numbers")
            return block.astype(object)
        return block.astype(np.float32, copy=False) if wanted == "numbers" else block

    def shape(self, state: State) -> tuple[int, ...]:
        return tuple(state["shape"])

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        return [f"array {quoted(self.array)}"] * prod(state["shape"])


def _expanded(names: Sequence[str | ColumnRange], table: Table) -> list[str]:
    """The names with each range replaced by the columns it spans in the table."""
    found = []
    for name in names:
        if isinstance(name, str):
            table.require(name)
            found.append(name)
            continue
        table.require(name.first)
        table.require(name.last)
        first, last = table.names.index(name.first), table.names.index(name.last)
        if first > last:
            raise InputError(
                f"{quoted(name.first)}..{quoted(name.last)} runs backwards: in {table.name}, {quoted(name.first)} "
                f"stands behind {quoted(name.last)}"
            )
        found.extend(table.names[first : last + 1])
    return found


def _is_text(block: Block) -> bool:
    """Whether a block of categories holds a text that is no number."""
    if block.dtype != object:
        return False
    try:
        for value in set(block.ravel().tolist()):
            if value is not None:
                number(value)
    except ValueError:
        return True
    return False


def _numbers_in(block: Block) -> np.ndarray:
    """Categories that are numbers, as float64 (as they are where they are no text); missing ones are NaN."""
    import numpy as np

    if block.dtype != object:
        return block
    values = np.empty(block.size)
    for index, value in enumerate(block.ravel()):
        try:
            values[index] = np.nan if value is None else number(value)
        except ValueError as error:
            width = block.size // len(block)
            message = f"{quoted(value)} is no number, and the training rows hold numbers only"
            raise BadValue(message, row=index // width, column=index % width) from error
    return values.reshape(block.shape)

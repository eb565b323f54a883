"""A made-up table for a preprocessing whose data is not at hand: values like those that it was fitted to.

A written model is always compared with its network, and a checkpoint that was sent without its data has no rows to
compare on. But what was fitted tells what the columns hold: a mean and a deviation, the words of a vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from dsl.program import Variable

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Preprocessing, Table
    from tensorflow_lite_bp.data.expression import Expression

_GAPS = 0.1  # of the values that the preprocessing would fill


@dataclass
class _Value:
    """What is known of one value of a row: a column's, or one entry of an array's."""

    column: str
    text: bool
    choices: Sequence[str] | Sequence[float] | None = None
    offset: float = 0.0
    divisor: float = 1.0
    gaps: bool = False

    def draw(self, m: int, generator: np.random.Generator) -> np.ndarray:
        if self.choices is not None or self.text:
            return generator.choice(np.array(self.choices if self.choices is not None else ["0", "1"]), m)
        drawn = self.offset + self.divisor * generator.normal(size=m)
        return np.where(generator.random(m) < _GAPS, np.nan, drawn) if self.gaps else drawn


def invented_table(
    preprocessing: Preprocessing, variables: Iterable[Variable], *, m: int, generator: np.random.Generator
) -> Table:
    """A table of ``m`` rows with every column that these variables are made of."""
    from tensorflow_lite_bp.data.tables import ArrayTable
    from tensorflow_lite_bp.data.transforms.columns import Array

    arrays: dict[str, np.ndarray] = {}
    for variable in variables:
        root = preprocessing.expression(variable.name)
        values = _described(root)
        if not any(value.text or value.choices for value in values):
            _choose_by_kind(variable, values)
        for leaf in root.leaves():
            own, values = values[: prod(leaf.shape())], values[prod(leaf.shape()) :]
            drawn = [value.draw(m, generator) for value in own]
            if isinstance(leaf.transform, Array):
                arrays.setdefault(own[0].column, np.stack(drawn, axis=1).reshape(m, *leaf.shape()))
            else:
                arrays |= {value.column: array for value, array in zip(own, drawn, strict=True)}
    return ArrayTable("the made-up rows", arrays)


def _described(node: Expression) -> list[_Value]:
    """The values of a row that a node is computed from, in order, and what its states tell about each."""
    if not node.inputs:
        columns = node.state["columns"]
        names = columns if len(columns) == prod(node.shape()) else columns * prod(node.shape())
        return [_Value(name, node.state["text"]) for name in names]
    values = [value for each in node.inputs if not isinstance(each, float) for value in _described(each)]
    for known in (node.state.get("known"), node.state.get("values")):
        vocabularies = known if known and isinstance(known[0], list) else [known] * len(values)
        for value, vocabulary in zip(values, vocabularies, strict=False):
            value.choices = vocabulary if vocabulary else value.choices
    for name in ("offset", "divisor"):
        for value, number in zip(values, np.ravel(node.state.get(name, [])).tolist(), strict=False):
            setattr(value, name, number)
    for value in values:
        value.gaps = value.gaps or "fill" in node.state
    return values


def _choose_by_kind(variable: Variable, values: Iterable[_Value]) -> None:
    """Numbers that are classes, tokens or flags as they stand."""
    type_ = variable.type
    if type_.kind != "float":
        for value in values:
            value.choices = range(type_.count if type_.count is not None else 2)

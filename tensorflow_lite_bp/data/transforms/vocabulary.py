"""Distinct values of categories: collected, looked up, and looked up in ONNX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from dsl.types import show
from tensorflow_lite_bp.data.base import BadValue
from tensorflow_lite_bp.data.words import instead, quoted

if TYPE_CHECKING:
    import numpy as np

    from tensorflow_lite_bp.data.base import Block

UNSEEN = "was not seen in the training rows"
GAP = "the value is missing: fill gaps with impute(...), or remove the row"

Values = Sequence[str] | Sequence[float]
"""A vocabulary: texts, or numbers as float."""


def as_columns(block: Block, name: str) -> Block:
    """The block as ``(b, k)``; a single value for each row is one column."""
    if block.ndim > 2:
        raise BadValue(f"`{name}` works on columns, and these are arrays of {show(block.shape[1:])}")
    return block if block.ndim == 2 else block[:, None]


def distinct_columns(blocks: Iterator[Block]) -> list[Values]:
    """The sorted values of each column of ``(b, k)`` blocks, without missing ones."""
    found: list[set[Any]] = []
    for block in blocks:
        found = found or [set() for _ in range(block.shape[1])]
        for values, column in zip(found, block.T, strict=True):
            values.update(distinct(column))
    return [sorted(values) for values in found]


def distinct(block: Block) -> set[Any]:
    """The values of a block, without missing ones."""
    import numpy as np

    if block.dtype == object:
        return set(block.ravel().tolist()) - {None}
    return {float(value) for value in np.unique(block) if np.isfinite(value)}


def gaps_in(block: Block) -> np.ndarray:
    """Where text is missing: bool, of the block's shape."""
    import numpy as np

    gaps = np.fromiter((value is None for value in block.ravel()), dtype=bool, count=block.size)
    return gaps.reshape(block.shape)


def is_gap(value: Any) -> bool:
    """Whether a value is a missing one."""
    return value is None or (isinstance(value, float) and isnan(value))


def look_up(block: Block, values: Values, *, unknown: int | None = None, lacking: str = UNSEEN) -> np.ndarray:
    """The position of every value in its vocabulary, int64, of the block's shape.

    Args:
        unknown: what stands for a value that is not there; None to refuse it.
        lacking: what a message says of a refused value.

    Raises:
        BadValue: for a missing value, and for an unknown one that is refused.
    """
    import numpy as np

    where: Mapping[Any, int] = {value: position for position, value in enumerate(values)}
    found = np.empty(block.size, dtype=np.int64)
    for index, value in enumerate(block.ravel().tolist()):
        position = where.get(value, unknown)
        if position is None or is_gap(value):
            row, column = divmod(index, block.size // len(block))
            known = instead(value, values, they="expected")
            raise BadValue(GAP if is_gap(value) else f"{quoted(value)} {lacking}; {known}", row=row, column=column)
        found[index] = position
    return found.reshape(block.shape)


def look_up_onnx(g: Any, name: str, values: Values) -> str:
    """ONNX: the same positions as real numbers; a value that is not there gets -1."""
    import numpy as np

    codes = np.arange(len(values), dtype=np.float32).tolist()
    if values and isinstance(values[0], str):
        keys = {"keys_strings": list(values)}
    else:
        name, keys = g.Cast(name, to="float32"), {"keys_floats": list(values)}
    found = g.LabelEncoder(name, domain="ai.onnx.ml", **keys, values_floats=codes, default_float=-1.0)
    result: str = g.Cast(found, to=g.float_dtype)
    return result


def each_column(g: Any, name: str, count: int) -> list[str]:
    """ONNX: the columns of ``(batch, count)``, each ``(batch, 1)``."""
    if count == 1:
        return [name]
    return [g.Gather(name, g.constant([column]), axis=1) for column in range(count)]

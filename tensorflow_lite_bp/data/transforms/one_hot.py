"""A 1 in the place of the category, 0 elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.types import show
from tensorflow_lite_bp.data.base import BadValue, State, Transform, only
from tensorflow_lite_bp.data.transforms.vocabulary import (
    as_columns,
    distinct_columns,
    each_column,
    look_up,
    look_up_onnx,
)
from tensorflow_lite_bp.declare import setting

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block


@dataclass(frozen=True)
class OneHot(Transform, name="one_hot"):
    """For each column, as many values as it has distinct ones: a 1 in the place of the one that stands there.

    The distinct values are those of the training rows, sorted. Another one is an error, or with `unknown = "zeros"`
    gets no 1 at all; in the exported graph, which cannot refuse a row, it always does.
    """

    takes: ClassVar[str] = "categories"
    fitted: ClassVar[Mapping[str, str]] = {"values": "vocabularies", "shape": "sizes"}

    unknown: str = setting("error", choices=("error", "zeros"), help="what becomes of a value unseen in training")

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        first = next(blocks)
        values = distinct_columns(as_columns(block, self.name) for block in chain([first], blocks))
        return {"values": values, "shape": list(first.shape[1:])}

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        block = only(inputs)
        if list(block.shape[1:]) != state["shape"]:
            fitted, found = show(tuple(state["shape"])), show(block.shape[1:])
            raise BadValue(f"`one_hot` was fitted to rows of {fitted}, and these are {found}")
        parts = []
        for number, (column, values) in enumerate(zip(as_columns(block, self.name).T, state["values"], strict=True)):
            try:
                codes = look_up(column, values, unknown=-1 if self.unknown == "zeros" else None)
            except BadValue as error:
                raise BadValue(error.message, row=error.row, column=number) from error
            parts.append((codes[:, None] == np.arange(len(values))).astype(np.float32))
        return np.concatenate(parts, axis=1)

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        import numpy as np

        name = inputs[0] if state["shape"] else g.Unsqueeze(inputs[0], g.constant([1]))
        parts = []
        for column, values in zip(each_column(g, name, len(state["values"])), state["values"], strict=True):
            codes = look_up_onnx(g, column, values)
            there = g.Equal(codes, g.constant(np.arange(len(values), dtype=np.float64)))
            parts.append(g.Cast(there, to=g.float_dtype))
        result: str = parts[0] if len(parts) == 1 else g.Concat(*parts, axis=1)
        return result

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        (names,) = inputs
        assert not isinstance(names, float)
        return [name for name, values in zip(names, state["values"], strict=True) for _ in values]

"""A list of expressions in the data section: their values one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from tensorflow_lite_bp.data.base import BadValue, State, Transform

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block


class Concatenate(Transform, name="concatenate"):
    """The values of several expressions one after the other: `[standardize(column("age")), one_hot(column("job"))]`."""

    takes: ClassVar[str] = "same"

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        rows = [block for block in inputs if not isinstance(block, float)]
        blocks = [block.reshape(len(block), prod(block.shape[1:])) for block in rows]
        if len({block.dtype == object for block in blocks}) > 1:
            raise BadValue("a list holds text and numbers; encode them apart: [one_hot(...), one_hot(...)]")
        return np.concatenate(blocks, axis=1)

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        rows = [g.Reshape(name, g.constant([0, -1])) for name in inputs]
        result: str = g.Concat(*rows, axis=1)
        return result

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        return [label for labels in inputs if not isinstance(labels, float) for label in labels]

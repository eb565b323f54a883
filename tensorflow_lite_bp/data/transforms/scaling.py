"""Values brought to a common scale: ``(x - offset) / divisor``, both fitted for each value of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.types import show
from tensorflow_lite_bp.data.base import BadValue, State, Transform, only
from tensorflow_lite_bp.data.transforms.statistics import moments

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block


class Scaling(Transform):
    """Base: a subclass fits ``offset`` and ``divisor``, of the shape of a row."""

    fitted: ClassVar[Mapping[str, str]] = {"offset": "numbers", "divisor": "numbers"}

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        block = only(inputs)
        offset, divisor = (np.asarray(state[name], dtype=block.dtype) for name in ("offset", "divisor"))
        if block.shape[1:] != offset.shape:
            fitted, found = show(offset.shape), show(block.shape[1:])
            raise BadValue(f"`{self.name}` was fitted to rows of {fitted}, and these are {found}")
        result: Block = (block - offset) / divisor
        return result

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        import numpy as np

        offset, divisor = (g.constant(np.asarray(state[name], dtype=np.float64)) for name in ("offset", "divisor"))
        result: str = g.Div(g.Sub(inputs[0], offset), divisor)
        return result


class Standardize(Scaling, name="standardize"):
    """Each value less its mean over the training rows, divided by its standard deviation there.

    The deviation is that of the population (the sum of squares is divided by the number of rows). Missing values do not
    count. A value that never changes is divided by 1.
    """

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        import numpy as np

        found = moments(blocks)
        deviation = np.where(found.low == found.high, 1.0, np.sqrt(found.variance))
        return {"offset": found.mean.tolist(), "divisor": deviation.tolist()}


class Minmax(Scaling, name="minmax"):
    """Each value moved and scaled so that the training rows span 0 to 1.

    Rows outside that span go beyond. Missing values do not count. A value that never changes becomes 0.
    """

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        import numpy as np

        found = moments(blocks)
        span = np.where(found.low == found.high, 1.0, found.high - found.low)
        return {"offset": found.low.tolist(), "divisor": span.tolist()}

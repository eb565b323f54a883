"""Categories numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tensorflow_lite_bp.data.base import BadValue, State, Transform, only
from tensorflow_lite_bp.data.transforms.vocabulary import UNSEEN, Values, distinct, look_up, look_up_onnx
from tensorflow_lite_bp.data.words import number, quoted
from tensorflow_lite_bp.declare import setting

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block


@dataclass(frozen=True)
class Classes(Transform, name="classes"):
    """The number of each category, from 0: in the order of the names given, or of the sorted values in training.

    A class target over text needs no `classes`. It is for numbers that are names (the years of three vintages), for
    an order of one's own, and for names that the training rows may lack.
    """

    takes: ClassVar[str] = "categories"
    fitted: ClassVar[Mapping[str, str]] = {"values": "vocabulary"}

    names: tuple[str, ...] | None = setting(None, help="the categories in the order of their numbers")

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        seen: set[Any] = set()
        text = False
        for block in blocks:
            text = block.dtype == object
            if self.names is not None:
                break
            seen |= distinct(block)
        return {"values": sorted(seen) if self.names is None else self._given(self.names, text=text)}

    def _given(self, names: Sequence[str], *, text: bool) -> Values:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadValue(f"`names` has {quoted(twice)} twice")
        if text:
            return list(names)
        found = []
        for name in names:
            try:
                found.append(number(name))
            except ValueError as error:
                raise BadValue(f"the column holds numbers, and `names` has {quoted(name)}") from error
        return found

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        block = only(inputs)
        lacking = UNSEEN if self.names is None else "is none of the `names`"
        return look_up(block, state["values"], lacking=lacking).astype(np.float32)

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        return look_up_onnx(g, inputs[0], state["values"])

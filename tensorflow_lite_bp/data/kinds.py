"""The last step of every variable: what its expression gives becomes what its type says, float, class, token or flag.

Written as transforms, because they are fitted, applied and exported like one, but no name of the language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tensorflow_lite_bp.data.base import BadValue, State, Transform, only
from tensorflow_lite_bp.data.transforms.classes import Classes
from tensorflow_lite_bp.data.transforms.vocabulary import GAP, is_gap
from tensorflow_lite_bp.data.words import quoted

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block

_WORDS = {"true": 1.0, "yes": 1.0, "1": 1.0, "false": 0.0, "no": 0.0, "0": 0.0}
_FLAGS = {form: value for word, value in _WORDS.items() for form in (word, word.upper(), word.title())}


class Kind(Transform):
    """Base: ``dtype`` is that of the rows the network is fed."""

    dtype: ClassVar[str] = "float32"


class Floats(Kind):
    """Real values, all of them finite."""

    def apply(self, state: State, *inputs: Block | float) -> Block:
        block = only(inputs)
        bad = np.flatnonzero(~np.isfinite(block))
        if len(bad):
            value = float(block.ravel()[bad[0]])
            row, column = divmod(int(bad[0]), block.size // len(block))
            raise BadValue(GAP if np.isnan(value) else f"the value is not finite ({value})", row=row, column=column)
        return block.astype(np.float32, copy=False)

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        return inputs[0]


@dataclass(frozen=True)
class Indices(Kind):
    """Classes or tokens: whole numbers below ``count``, or texts, which are numbered as `Classes` does."""

    takes: ClassVar[str] = "categories"
    fitted: ClassVar[Mapping[str, str]] = {"values": "vocabulary"}
    dtype: ClassVar[str] = "int64"

    kind: str
    count: int

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        first = next(blocks)
        if first.dtype != object:
            return {"values": []}
        return Classes().fit(chain([first], blocks), missing=missing)

    def apply(self, state: State, *inputs: Block | float) -> Block:
        block = only(inputs)
        if block.dtype == object:
            block = Classes().apply(state, block)
        with np.errstate(invalid="ignore"):
            whole = block.astype(np.int64)
        bad = np.flatnonzero((whole != block) | (whole < 0) | (whole >= self.count))
        if len(bad):
            row, column = divmod(int(bad[0]), block.size // len(block))
            raise BadValue(self._refused(block.ravel()[bad[0]].item()), row=row, column=column)
        return whole

    def _refused(self, value: float) -> str:
        if is_gap(value):
            return GAP
        takes = f"{self.kind}({self.count}) takes the whole numbers 0 to {self.count - 1}"
        if value == self.count:
            return f"{takes}, found {quoted(value)}; if yours count from 1, write `- 1` behind the expression"
        return f"{takes}, found {quoted(value)}; classes(...) numbers whatever values there are from 0"

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        name = Classes().onnx(g, state, *inputs) if state["values"] else inputs[0]
        result: str = g.Cast(name, to="int64")
        return result


class Flags(Kind):
    """Yes or no as 1 or 0: numbers 0 and 1, or the words true, false, yes and no."""

    takes: ClassVar[str] = "categories"
    fitted: ClassVar[Mapping[str, str]] = {"text": "flag"}

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        return {"text": next(blocks).dtype == object}

    def apply(self, state: State, *inputs: Block | float) -> Block:
        block = only(inputs)
        if block.dtype == object:
            flags = np.array([_FLAGS.get(value, np.nan) for value in block.ravel().tolist()], dtype=np.float32)
            flags = flags.reshape(block.shape)
        else:
            flags = np.where((block == 0) | (block == 1), block, np.nan).astype(np.float32)
        bad = np.flatnonzero(np.isnan(flags))
        if len(bad):
            value = block.ravel()[bad[0] : bad[0] + 1].tolist()[0]
            row, column = divmod(int(bad[0]), block.size // len(block))
            found = "a missing value" if is_gap(value) else quoted(value)
            raise BadValue(f"a flag is 0 or 1, true or false, yes or no; found {found}", row=row, column=column)
        return flags

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        if not state["text"]:
            return inputs[0]
        found = g.LabelEncoder(
            inputs[0],
            domain="ai.onnx.ml",
            keys_strings=list(_FLAGS),
            values_floats=list(_FLAGS.values()),
            default_float=float("nan"),
        )
        result: str = g.Cast(found, to=g.float_dtype)
        return result


def kind_of(kind: str, count: int | None) -> Kind:
    """The last step of a variable of this type."""
    if kind in ("class", "token"):
        assert count is not None
        return Indices(kind, count)
    return Flags() if kind == "flag" else Floats()

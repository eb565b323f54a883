"""Gaps filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from tensorflow_lite_bp.data.base import BadValue, State, Transform, only
from tensorflow_lite_bp.data.transforms.statistics import moments
from tensorflow_lite_bp.data.transforms.vocabulary import as_columns, distinct_columns, each_column, gaps_in
from tensorflow_lite_bp.data.words import quoted
from tensorflow_lite_bp.declare import setting

if TYPE_CHECKING:
    import numpy as np

    from tensorflow_lite_bp.data.base import Block

_STATISTICS = ("mean", "median", "most_frequent")


@dataclass(frozen=True)
class Impute(Transform, name="impute"):
    """A value in the place of each missing one: what the training rows of that column have, or a constant.

    Numbers take the mean, the median, the most frequent value (the least of several) or a number. Text takes the most
    frequent value or, under any other word, that word.
    """

    takes: ClassVar[str] = "same"
    fitted: ClassVar[Mapping[str, str]] = {"fill": "values", "known": "vocabularies", "missing": "names"}

    with_: float | str = setting(
        "mean", kind="float|string", help='`"mean"`, `"median"`, `"most_frequent"` or the value itself'
    )

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        first = next(blocks)
        blocks = chain([first], blocks)
        if first.dtype == object:
            return self._fit_text(list(blocks), missing)
        fill = self._fill_of(blocks, first.shape[1:])
        return {"fill": fill.tolist(), "known": [], "missing": []}

    def _fill_of(self, blocks: Iterator[Block], shape: tuple[int, ...]) -> np.ndarray:
        import numpy as np

        if isinstance(self.with_, int | float):
            return np.full(shape, float(self.with_))
        if self.with_ not in _STATISTICS:
            raise BadValue(
                f'`impute` is told {quoted(self.with_)}; expected "mean", "median", "most_frequent" or a number'
            )
        if self.with_ == "mean":
            found = moments(blocks)
            self._refuse_empty(found.count.ravel().tolist())
            return found.mean
        every = np.concatenate(list(blocks))
        statistic = _median if self.with_ == "median" else _most_frequent
        fill = []
        for values in every.reshape(len(every), -1).T:
            there = values[np.isfinite(values)]
            fill.append(statistic(there) if len(there) else None)
        self._refuse_empty([value is not None for value in fill])
        return np.array(fill).reshape(shape)

    def _refuse_empty(self, counts: Sequence[int]) -> None:
        """Raise BadValue for the first column that has no value at all."""
        empty = next((column for column, count in enumerate(counts) if not count), None)
        if empty is not None:
            words = str(self.with_).replace("_", " ")
            raise BadValue(f"no training row has a value to take the {words} of", column=empty)

    def _fit_text(self, blocks: list[Block], missing: Sequence[str]) -> State:
        if self.with_ in ("mean", "median") or not isinstance(self.with_, str):
            raise BadValue(f'text has no {quoted(self.with_)}: write `with = "most_frequent"`, or a word')
        absent = list(dict.fromkeys(missing))
        columns = [as_columns(block, self.name) for block in blocks]
        known = distinct_columns(iter(columns))
        if self.with_ != "most_frequent":
            return {"fill": [self.with_] * len(known), "known": known, "missing": absent}
        counts: list[Counter[str]] = [Counter() for _ in known]
        for block in columns:
            for counter, values in zip(counts, block.T, strict=True):
                counter.update(value for value in values.tolist() if value is not None)
        self._refuse_empty([len(counter) for counter in counts])
        fill = [min(counter, key=lambda value: (-counter[value], value)) for counter in counts]
        return {"fill": fill, "known": known, "missing": absent}

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        block = only(inputs)
        if block.dtype == object:
            return np.where(gaps_in(block), np.array(state["fill"], dtype=object), block)
        if block.dtype.kind != "f":
            return block
        return np.where(np.isnan(block), np.asarray(state["fill"], dtype=block.dtype), block)

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        import numpy as np

        if not state["known"]:
            fill = g.constant(np.asarray(state["fill"], dtype=np.float64))
            result: str = g.Where(g.IsNaN(inputs[0]), fill, inputs[0])
            return result
        parts = []
        columns = each_column(g, inputs[0], len(state["fill"]))
        for column, fill, known in zip(columns, state["fill"], state["known"], strict=True):
            keys = [*known, *state["missing"]]
            values = [*known, *([fill] * len(state["missing"]))]
            parts.append(
                g.LabelEncoder(
                    column, domain="ai.onnx.ml", keys_strings=keys, values_strings=values, default_string=_other(values)
                )
            )
        result = parts[0] if len(parts) == 1 else g.Concat(*parts, axis=1)
        return result


def _median(values: np.ndarray) -> float:
    import numpy as np

    return float(np.median(values.astype(np.float64)))


def _most_frequent(values: np.ndarray) -> float:
    import numpy as np

    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _other(values: Sequence[str]) -> str:
    """A text that is none of these."""
    other = "unknown"
    while other in values:
        other += "_"
    return other

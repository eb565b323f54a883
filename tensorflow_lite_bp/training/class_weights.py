"""The setting `class_weights` of the train section: what each class of a target counts in the losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsl import Program
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Data


def class_weights(program: Program, data: Data) -> dict[str, tuple[float, ...]]:
    """The weights by class target, for `Network.use_class_weights`; empty without the setting.

    ``"balanced"`` weighs class i by ``values / (classes · values of class i)`` over the training split, so that every
    class counts the same in all and the average weight is 1 (after G. King and L. Zeng, Logistic regression in rare
    events data, 2001). A class that never occurs there gets 1.

    Raises:
        InputError: for another word, or a list whose length is not the number of classes.
    """
    setting = program.train["class_weights"]
    if setting is None:
        return {}
    counts = {v.name: v.type.count for v in program.targets if v.type.kind == "class" and v.type.count is not None}
    if not counts:
        raise InputError(f"`class_weights` in the train section: `{program.name}` has no target that is a class")
    if setting == "balanced":
        return {name: _balanced(data.rows[name][data.splits["train"]], count) for name, count in counts.items()}
    if isinstance(setting, str):
        raise InputError(f'`class_weights = "{setting}"` is unknown: expected "balanced" or a list of numbers')
    for name, count in counts.items():
        if len(setting) != count:
            raise InputError(f"`class_weights` has {len(setting)} numbers, and `{name}` has {count} classes")
    return dict.fromkeys(counts, setting)


def _balanced(values: np.ndarray, count: int) -> tuple[float, ...]:
    found = np.bincount(values.reshape(-1), minlength=count)
    return tuple(float(values.size / (count * times)) if times else 1.0 for times in found)

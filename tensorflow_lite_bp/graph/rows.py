"""Rows as people give them, checked before anything is computed: names, shapes, numbers, indices within their range.

Where nobody gives any, `drawn` makes some up.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from dsl.program import Program, Variable
from dsl.types import bind, show
from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.errors import InputError


class RowCheck:
    """What a program's rows must be. A step begins with it, so it costs a few microseconds."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._inputs = {variable.name: variable for variable in program.inputs}
        self._all = {**self._inputs, **{variable.name: variable for variable in program.targets}}

    def accepted(self, rows: Mapping[str, Any], *, targets: bool = True) -> dict[str, np.ndarray]:
        """The rows as arrays ``(m, *shape)``: every declared name, and one number of samples.

        Raises:
            InputError: for a missing or unknown name, another shape, values that are no numbers, indices out of range.
        """
        variables = self._all if targets else self._inputs
        if not rows.keys() <= self._all.keys():
            unknown = next(name for name in rows if name not in self._all)
            raise InputError(f"`{unknown}` is no input of `{self._program.name}`: it takes {', '.join(variables)}")
        if not rows.keys() >= variables.keys():
            missing = next(name for name in variables if name not in rows)
            raise InputError(f"`{missing}` is missing: `{self._program.name}` takes {', '.join(variables)}")
        arrays = {name: _array(variable, rows[name]) for name, variable in variables.items()}
        if len({len(array) for array in arrays.values()}) > 1:
            counts = {name: len(array) for name, array in arrays.items()}
            raise InputError(f"the arrays have different numbers of rows: {counts}")
        return arrays

    def sizes(self, rows: Mapping[str, Any]) -> dict[str, int]:
        """The symbolic sizes that accepted rows bind.

        Raises:
            InputError: when a size is not the same everywhere.
        """
        sizes: dict[str, int] = {}
        for name, array in rows.items() if self._program.sizes else ():
            for declared, found in zip(self._all[name].type.shape, array.shape[1:], strict=True):
                if isinstance(declared, str) and sizes.setdefault(declared, found) != found:
                    raise InputError(f"`{name}`: the size {declared} is {found} here and {sizes[declared]} elsewhere")
        return sizes


def drawn(variable: Variable, m: int, sizes: Mapping[str, int], draw: Draw, *, as_pixels: bool = False) -> np.ndarray:
    """Random rows ``(m, *shape)`` for an input or target: normal numbers, indices in their range, flags 0 and 1.

    Args:
        sizes: the symbolic sizes.
        as_pixels: draw numbers from 0 to 1 in float32 instead, as much data is.

    Raises:
        MemoryError: for rows that no machine holds.
    """
    shape = (m, *bind(variable.type.shape, dict(sizes)))
    if 8 * prod(shape) > sys.maxsize:
        raise MemoryError(f"`{variable.name}` would have the shape {show(shape)}")
    generator, type_ = draw.generator(), variable.type
    if type_.kind == "float":
        return generator.random(shape, dtype=np.float32) if as_pixels else generator.normal(size=shape)
    indices = generator.integers(type_.count if type_.count is not None else 2, size=shape)
    return indices.astype(np.float32) if type_.kind == "flag" else indices


def _array(variable: Variable, value: Any) -> np.ndarray:
    """One variable's rows as an array of its shape."""
    array = np.asarray(value)
    declared = variable.type.shape
    if array.shape[1:] != declared and not _fits(array.shape, declared):
        expected = f"(m, {', '.join(map(str, declared))})" if declared else "(m,)"
        raise InputError(f"`{variable.name}` has the shape {show(array.shape)}, expected rows {expected}")
    if array.dtype.kind not in "fiub":
        raise InputError(f"`{variable.name}` holds {array.dtype}, expected numbers")
    return _indices(variable, array) if variable.type.kind in ("class", "token") else array


def _fits(shape: tuple[int, ...], declared: tuple[int | str, ...]) -> bool:
    return len(shape) == len(declared) + 1 and all(
        isinstance(size, str) or size == found for size, found in zip(declared, shape[1:], strict=True)
    )


def _indices(variable: Variable, array: np.ndarray) -> np.ndarray:
    count = variable.type.count
    whole = array.astype(np.int64) if array.dtype.kind == "f" else array
    if whole is not array and not np.array_equal(whole, array):
        raise InputError(f"`{variable.name}` holds indices, and some values are not whole numbers")
    if count is not None and not _below(whole, count):
        row = int(np.argwhere((whole < 0) | (whole >= count))[0][0])
        raise InputError(
            f"`{variable.name}`: row {row} holds {whole[row] if whole.ndim == 1 else 'an index'} out of range: "
            f"expected 0 to {count - 1}"
        )
    return whole


def _below(array: np.ndarray, count: int) -> bool:
    """Whether all are from 0 to count - 1; of int64 the negative ones, read without a sign, are the largest."""
    if array.size == 0:
        return True
    if array.dtype == np.int64:
        return bool(np.maximum.reduce(array.view(np.uint64), axis=None) < count)
    return bool(array.min() >= 0 and array.max() < count)

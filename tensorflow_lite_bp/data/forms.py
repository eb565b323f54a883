"""The forms that a fitted value may have, as plain JSON: what is checked when it comes back from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _are_numbers(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, list) and all(map(_are_numbers, value)))


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _is_vocabulary(value: Any) -> bool:
    return _are_names(value) or (isinstance(value, list) and all(map(_is_number, value)))


FORMS: Mapping[str, Callable[[Any], bool]] = {
    "flag": lambda value: isinstance(value, bool),
    "names": _are_names,  # texts
    "numbers": _are_numbers,  # of the shape of a row
    "sizes": _are_sizes,
    "values": lambda value: _are_numbers(value) or _are_names(value),  # numbers of the shape of a row, or texts
    "vocabularies": lambda value: isinstance(value, list) and all(map(_is_vocabulary, value)),  # one for each column
    "vocabulary": _is_vocabulary,  # distinct texts or distinct numbers
}
"""For each form, whether a JSON value has it."""

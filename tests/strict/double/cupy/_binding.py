"""Calls held against the signatures of the real CuPy, and operands against what it takes."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("signatures.json").read_text("utf-8"))
_SEQUENCES = frozenset({"shape", "axis", "axes", "strides", "newshape", "reps", "repeats", "shift", "source"})
_SEQUENCES |= {"destination", "pad_width", "window_shape", "slices", "key"}
"""Parameters that take lists or tuples of numbers."""


@cache
def signature(group: str, name: str, module: str = "cupy") -> inspect.Signature:
    """Of a ``function``, ``ufunc``, ``ufunc method`` or array ``method``."""
    if group == "ufunc":
        inputs, outputs = TABLE["ufuncs"][module][name]
        kind = inspect.Parameter.POSITIONAL_ONLY
        operands = [inspect.Parameter(f"x{number}", kind) for number in range(inputs)]
        operands += [inspect.Parameter(f"out{number}", kind, default=None) for number in range(outputs)]
        kind = inspect.Parameter.KEYWORD_ONLY
        keywords = [inspect.Parameter(keyword, kind, default=None) for keyword in ("out", "dtype", "casting")]
        return inspect.Signature([*operands, *keywords])
    if group == "function":
        return parsed(TABLE["functions"][module][name])
    return parsed(TABLE[f"{group}s"][name])


def parsed(text: str) -> inspect.Signature:
    """The signature that the table's notation stands for, see tests/strict/signatures.py."""
    kinds = inspect.Parameter
    found, kind = [], kinds.POSITIONAL_OR_KEYWORD
    for word in text.split():
        if word == "*":
            kind = kinds.KEYWORD_ONLY
        elif word.startswith("**"):
            found.append(kinds(word[2:], kinds.VAR_KEYWORD))
        elif word.startswith("*"):
            found.append(kinds(word[1:], kinds.VAR_POSITIONAL))
            kind = kinds.KEYWORD_ONLY
        else:
            found.append(kinds(word.rstrip("="), kind, default=None if word.endswith("=") else kinds.empty))
    return inspect.Signature(found)


def bind(group: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], module: str = "cupy") -> dict[str, Any]:
    """The arguments by the names of CuPy's parameters; those that were not given are missing.

    Raises:
        TypeError: where CuPy's signature does not take them.
    """
    try:
        bound = signature(group, name, module).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{module}.{name} (CuPy {TABLE['version']}): {error}") from None
    return dict(bound.arguments)


def refuse_host(name: str, arguments: dict[str, Any]) -> None:
    """Refuse what CuPy refuses as an operand, or would copy to the device behind the caller's back.

    Raises:
        TypeError: for host arrays, and for lists where arrays are meant.
    """
    for parameter, value in arguments.items():
        if isinstance(value, np.ndarray):
            raise TypeError(f"{name}: Unsupported type {type(value)} for `{parameter}`: it lies on the host")
        if isinstance(value, (list, tuple)):
            if any(isinstance(item, np.ndarray) for item in value):
                raise TypeError(f"{name}: Unsupported type {type(value[0])} in `{parameter}`: it lies on the host")
            numbers = value and all(isinstance(item, (int, float, list, np.generic)) for item in value)
            if numbers and parameter not in _SEQUENCES:
                raise TypeError(f"{name}: Unsupported type {type(value)} for `{parameter}`: make an array of it")

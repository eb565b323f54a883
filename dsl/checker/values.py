"""What an expression stands for: a constant, a tensor, or something that an earlier mistake hides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

from dsl.signature import Constant
from dsl.source import Span
from dsl.types import TensorType, show


@dataclass(frozen=True, slots=True)
class Known:
    """A constant. ``span`` is the expression that stands for it."""

    value: Constant
    span: Span


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input, a target, a parameter or a node's result, by its name in the program."""

    name: str
    type: TensorType
    span: Span


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be known because of a mistake that is reported elsewhere; whatever is made of it stays silent."""

    span: Span


Value = Known | Tensor | Unknown


def moved(value: Value, span: Span) -> Value:
    """The same value, given by another expression."""
    if isinstance(value, Known):
        return Known(value.value, span)
    if isinstance(value, Tensor):
        return Tensor(value.name, value.type, span)
    return Unknown(span)


def is_number(value: Constant) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def written(value: object) -> str:
    """A constant as a file writes it.

    >>> written(Fraction(1, 8)), written(Fraction(1, 3)), written(1e-4), written(True), written(("a", 2))
    ('0.125', '1/3', '0.0001', 'true', '["a", 2]')
    """
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = f'"{shortened(value)}"'
    elif isinstance(value, tuple):
        text = f"[{', '.join(map(written, value[:8]))}{', …' if len(value) > 8 else ''}]"
    elif isinstance(value, Fraction):
        text = _written_fraction(value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = shortened(str(value))
    return text


def _written_fraction(value: Fraction) -> str:
    """As a decimal where a short one is exact."""
    decimal = f"{float(value):.6g}" if abs(value) < 1 << 64 else ""
    return decimal if decimal and Fraction(decimal) == value else shortened(str(value))


def described(value: Constant) -> str:
    """A constant in a sentence: ``the string "ten"``, ``3``."""
    if isinstance(value, bool):
        return written(value)
    if isinstance(value, str):
        return f"the string {written(value)}"
    if isinstance(value, tuple):
        return f"the list {written(value)}"
    return written(value)


def what(type_: TensorType) -> str:
    """A tensor in words: ``a tensor [3]``, ``a parameter [5, 3]``, ``class(10)``.

    >>> what(TensorType("float", (3,))), what(TensorType("class", (), 10)), what(TensorType("float", (2,), None, False))
    ('a tensor [3]', 'class(10)', 'a parameter [2]')
    """
    if not type_.per_sample:
        return f"a parameter {show(type_.shape)}"
    return f"a tensor {show(type_.shape)}" if type_.kind == "float" else str(type_)


def shortened(text: str, length: int = 60) -> str:
    """A text that fits into a sentence.

    >>> shortened("a" * 100, 10)
    'aaaaaa…aaa'
    """
    return text if len(text) <= length else f"{text[: length * 2 // 3]}…{text[len(text) - length // 3 :]}"


def numbered(name: str) -> Iterator[str]:
    """``mse``, ``mse_2``, ``mse_3``, ...: the names to try until one is free."""
    yield name
    for number in count(2):
        yield f"{name}_{number}"


def listed(words: list[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a"], "or")
    ('a, b and c', 'a')
    """
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""

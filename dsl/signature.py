"""What the checker must know about layers, losses, optimizers, data functions and sections: a table it is given.

The language knows no layer by name. Whoever calls the checker hands in a `Table`; `tensorflow_lite_bp.table`
derives its own from the classes of layers, losses and the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dsl.types import Shape, TensorType


class ShapeMismatch(Exception):
    """Raised by a shape rule: what does not fit, what would, and which input (counted from 0) is at fault."""

    def __init__(self, message: str, *, help: str | None = None, input: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.input = input


REQUIRED: Any = object()
"""The default of a setting that must be given."""


@dataclass(frozen=True)
class Setting:
    """One setting of a signature.

    ``kind`` is one of

    - ``int``, ``float``, ``bool``, ``string``: a constant, given to Python as int, float, bool, str;
    - ``sizes``: an int or a list of them, given as a tuple of int (one int gives a tuple of one; -1 is allowed only
      when ``minimum`` is -1);
    - ``strings``: a string or a list of strings, as a tuple;
    - ``floats``: a list of numbers, as a tuple of float;
    - ``columns``: names of columns: strings, ranges of strings, as a tuple of `dsl.program.ColumnRange` and str;
    - the name of a category of the table (``initializer``, ``optimizer``, ...): a call, given as `dsl.program.Call`;
    - several of these joined by ``|``, tried from left to right (``float|initializer``).

    A setting that may be left out and then means "nothing" has the default None.
    """

    name: str
    kind: str
    default: Any = REQUIRED
    minimum: int | float | None = None
    maximum: int | float | None = None
    above: int | float | None = None  # exclusive bounds
    below: int | float | None = None
    choices: tuple[Any, ...] = ()
    help: str = ""
    variadic: bool = False  # takes all the remaining positional arguments (columns("a", "b"))


@dataclass(frozen=True)
class Port:
    """A tensor input: its letter in the mathematics and the kinds of tensor that it takes."""

    name: str
    kinds: tuple[str, ...] = ("float",)


Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Signature:
    """One entry of the table.

    ``rule(settings, types)`` gives the type of the result, or raises `ShapeMismatch`; ``types`` has one `TensorType`
    for each port. ``weights(settings, types)`` gives the shape of each trainable array, so that their number is bounded
    before anything is allocated. Entries without tensors (optimizers, initialisers, ...) have neither ports nor rule.
    """

    category: str  # layer, operator, loss, metric, initializer, optimizer, schedule, source, transform, split, section
    name: str
    settings: tuple[Setting, ...] = ()
    ports: tuple[Port, ...] = ()
    rule: Callable[[Settings, tuple[TensorType, ...]], TensorType] | None = None
    weights: Callable[[Settings, tuple[TensorType, ...]], Mapping[str, Shape]] | None = None
    summary: str = ""  # the first line of its documentation

    def setting(self, name: str) -> Setting | None:
        return next((setting for setting in self.settings if setting.name == name), None)


@dataclass(frozen=True)
class Limits:
    """Bounds that are checked before anything is allocated."""

    characters: int = 4_000_000
    nesting: int = 100
    nodes: int = 20_000
    parameters: int = 4_000_000_000
    size: int = 1 << 31  # of one axis
    values: int = 1 << 36  # of one sample of one tensor


@dataclass(frozen=True)
class Table:
    """All signatures, by category and name; and the bounds that keep a hostile file cheap."""

    signatures: Mapping[str, Mapping[str, Signature]]
    limits: Limits = field(default_factory=Limits)

    def find(self, category: str, name: str) -> Signature | None:
        return self.signatures.get(category, {}).get(name)

    def names(self, category: str) -> list[str]:
        return sorted(self.signatures.get(category, {}))


Constant = bool | int | Fraction | str | tuple["Constant", ...]

"""The contracts of the data section: a source opens tables, a transform makes values of values, a split deals out rows.

Values come in blocks of rows, an array ``(b, *shape)`` of one of these kinds:

- numbers, float32: what arithmetic, scaling and the network's float inputs take;
- categories, whose values are compared and never computed with: float64 (or integers) where every value is a number,
  otherwise text, an object array of str in which None is a missing value.

Numbers are float32 from the file on, because that is what the exported graph is given: both then compute the same.
Files that are known to the language import nothing that needs NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.signature import Port, Signature
from tensorflow_lite_bp.declare import Declared, settings_of, summary

if TYPE_CHECKING:
    import numpy as np

    from tensorflow_lite_bp.data.files import DataFile
    from tensorflow_lite_bp.data.tables import Table

    Block = np.ndarray

State = Mapping[str, Any]
"""What a transform was fitted to, as plain JSON values: it travels with the weights."""


def only(inputs: Sequence[Block | float]) -> Block:
    """The block of a transform that has one input."""
    (block,) = inputs
    assert not isinstance(block, float)
    return block


class BadValue(Exception):
    """A value that a transform cannot take: what is wrong, and where in the block (row, and value of the row)."""

    def __init__(self, message: str, *, row: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.row = row
        self.column = column


class Source(Declared, category="source"):
    """Base of all sources."""

    def files(self) -> Mapping[str, tuple[str, ...]]:
        """The paths that the `.net` file names, for ``train`` and, where named, ``validation`` and ``test``."""
        raise NotImplementedError

    def open(self, files: Sequence[DataFile]) -> Table:
        """The table of one split's files. Columns are read when they are asked for (`Table.load`).

        Raises:
            InputError: when the files are not what the source reads.
        """
        raise NotImplementedError


class Transform(Declared, category="transform"):
    """Base of all transforms: what it is fitted to, what it computes, and the same as ONNX nodes."""

    ports: ClassVar[tuple[str, ...]] = ("X",)
    takes: ClassVar[str] = "numbers"
    """``numbers``, ``categories``, or ``same``: what its own result is wanted as."""
    fitted: ClassVar[Mapping[str, str]] = {}
    """What `fit` finds, by name, and its form: see `tensorflow_lite_bp.data.forms.FORMS`."""

    def fit(self, blocks: Iterator[Block], *, missing: Sequence[str]) -> State:
        """What the training rows tell.

        Args:
            blocks: the input's values for all training rows.
            missing: the texts that stand for a missing value.

        Raises:
            BadValue: when the rows cannot tell it.
        """
        return {}

    def apply(self, state: State, *inputs: Block | float) -> Block:
        """The result for a block of rows; an input is a block or a constant.

        Raises:
            BadValue: for a value it cannot take.
        """
        raise NotImplementedError

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        """Add the nodes that compute the same; returns the name of the result. See `Layer.onnx`."""
        raise NotImplementedError

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        """What each value of a row comes from (``column "a"``), for messages, given the same of the inputs."""
        return next(labels for labels in inputs if not isinstance(labels, float))

    @classmethod
    def signature(cls) -> Signature:
        ports = tuple(Port(port) for port in cls.ports)
        return Signature(cls.category, cls.name, settings_of(cls), ports, summary=summary(cls))


class Split(Declared, category="split"):
    """Base of all splits."""

    def target(self) -> str | None:
        """The target whose classes the split wants to know: a name, ``""`` for the only one, None for no target."""
        return None

    def deal(self, rows: int, *, seed: int, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """Sorted row numbers for ``train`` and, where asked for, ``validation`` and ``test``; no row is in two.

        Args:
            rows: how many there are.
            seed: of the run, used where the file gives none.
            classes: for each row the number of its class, where `target` asks for it.

        Raises:
            InputError: when a split would have no row.
        """
        raise NotImplementedError

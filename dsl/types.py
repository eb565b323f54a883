"""Types of the language: what a tensor holds and its shape for one sample."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Size = int | str  # a count, or the name of a symbolic size that the data will bind
Shape = tuple[Size, ...]


@dataclass(frozen=True)
class TensorType:
    """What one sample of a tensor is.

    ``kind`` is ``float``, ``class``, ``token`` or ``flag``; ``count`` the number of classes or the vocabulary's size.
    A bare ``parameter`` has no sample axis: ``per_sample`` is False.
    """

    kind: str
    shape: Shape
    count: int | None = None
    per_sample: bool = True

    def __str__(self) -> str:
        count = f"({self.count})" if self.count is not None else ""
        return f"{self.kind}{count}{show(self.shape) if self.shape or self.kind == 'float' else ''}"


def show(shape: Shape) -> str:
    """A shape as people read it: ``[16, 8, 8]``."""
    return f"[{', '.join(map(str, shape))}]"


def known(shape: Shape) -> tuple[int, ...] | None:
    """The shape as plain integers, or None while a size is symbolic."""
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None


def bind(shape: Shape, sizes: dict[str, int]) -> tuple[int, ...]:
    """The shape with its symbolic sizes replaced by what the data has."""
    return tuple(size if isinstance(size, int) else sizes[size] for size in shape)


def count(shape: tuple[int, ...]) -> int:
    return prod(shape)


def floats(shape: Shape) -> TensorType:
    return TensorType("float", shape)

"""How the values of a row fill the declared shape, and what they say about its symbolic sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

from dsl.types import Shape, known


def filled_shape(found: tuple[int, ...], declared: Shape) -> tuple[int, ...] | None:
    """The declared shape in numbers, for rows whose values have the shape found; None when they do not fill it.

    They do when the shapes agree, or agree but for axes of size 1 (an image without a channel), or when one of the two
    is a plain list: then the values fill the shape in row-major order, the last axis fastest.

    >>> filled_shape((28, 28), (1, 28, 28)), filled_shape((784,), (1, 28, 28)), filled_shape((28, 40), (28, "T"))
    ((1, 28, 28), (1, 28, 28), (28, 40))
    >>> filled_shape((32, 32, 3), (3, 32, 32)) is None
    True
    """
    sizes = _bound(found, declared)
    if sizes is None and len(found) > 1 and len(declared) > 1:
        sizes = _bound(_without_ones(found), _without_ones(declared))
    elif sizes is None:
        sizes = _counted(prod(found), declared)
    return tuple(size if isinstance(size, int) else sizes[size] for size in declared) if sizes is not None else None


def _bound(found: Shape, declared: Shape) -> dict[str, int] | None:
    """The symbolic sizes, axis by axis."""
    sizes: dict[str, int] = {}
    if len(found) != len(declared):
        return None
    for size, wanted in zip(found, declared, strict=True):
        assert isinstance(size, int)
        if (sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted) != size:
            return None
    return sizes


def _counted(count: int, declared: Shape) -> dict[str, int] | None:
    """The one symbolic size that makes the declared shape hold so many values."""
    fixed = prod(size for size in declared if isinstance(size, int))
    names = Counter(size for size in declared if isinstance(size, str))
    if not names:
        return {} if fixed == count else None
    if len(names) > 1 or max(names.values()) > 1 or fixed == 0 or count % fixed:
        return None
    return {next(iter(names)): count // fixed}


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def declared_count(shape: Shape) -> str:
    """How many values a shape holds, for messages: ``64``, or ``28 × T``."""
    sizes = known(shape)
    return str(prod(sizes)) if sizes is not None else " × ".join(map(str, _without_ones(shape)))


def sizes_in(shapes: Mapping[str, tuple[Shape, tuple[int, ...]]]) -> dict[str, tuple[int, str]]:
    """What the declared and the real shape of each variable say about the symbolic sizes: value, and who says so first.

    Raises:
        ValueError: when two variables disagree; its arguments are the size's name, and both variables and values.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for variable, (declared, real) in shapes.items():
        for name, size in zip(declared, real, strict=True):
            if not isinstance(name, str):
                continue
            before, by = sizes.setdefault(name, (size, variable))
            if before != size:
                raise ValueError(name, by, before, variable, size)
    return sizes

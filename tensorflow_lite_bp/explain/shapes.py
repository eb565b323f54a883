"""Shapes of expressions: rows and columns, each a product of sizes that may be names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow_lite_bp.explain.expression import Expression, Function, Key, Product, Scalar, Symbol, Transpose, parts

Shape = tuple[tuple[Any, ...], tuple[Any, ...]]
"""Factors of the number of rows, and of the number of columns; no factor is 1."""

NUMBER: Shape = ((), ())


def shape_of(of: Expression, shapes: Mapping[Any, Shape]) -> Shape:
    """The shape of an expression whose symbols' shapes are known; what is not known counts as a number."""
    match of:
        case Symbol(key=key):
            return _of_symbol(key, shapes)
        case Transpose(of=inner):
            rows, columns = shape_of(inner, shapes)
            return columns, rows
        case Product(factors=factors):
            return shape_of(factors[0], shapes)[0], shape_of(factors[-1], shapes)[1]
        case Function(name="sum" | "mean" | "max" | "min" | "norm", axis=axis, arguments=(one,)):
            rows, columns = shape_of(one, shapes)
            return {0: ((), columns), 1: (rows, ()), None: NUMBER}[axis]
    found = [shape_of(part, shapes) for part in parts(of)]
    rows = max((rows for rows, _ in found), key=len, default=())
    columns = max((columns for _, columns in found), key=len, default=())
    return rows, columns


def _of_symbol(key: Key, shapes: Mapping[Any, Shape]) -> Shape:
    return NUMBER if isinstance(key, Scalar) else shapes.get(key, NUMBER)


def show(shape: Shape) -> str:
    """A shape as text: ``5×m``, ``16×28·28·m``.

    >>> show(((5,), (Scalar('m'),))), show(((), ()))
    ('5×m', '')
    """
    if shape == ((), ()):
        return ""
    return "×".join(
        "·".join(str(size.name if isinstance(size, Scalar) else size) for size in side) or "1" for side in shape
    )

"""Equations as lines of Unicode text, the shape of each factor below it."""

from __future__ import annotations

from tensorflow_lite_bp.explain.boxes import (
    Box,
    Derivative,
    Exponential,
    Fenced,
    Letter,
    Lowered,
    Over,
    Raised,
    Root,
    Row,
    Sum,
    Text,
)
from tensorflow_lite_bp.explain.names import Sign

_ABOVE = dict(zip("0123456789+-=()inTjkxm−⁻", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿᵀʲᵏˣᵐ⁻⁻", strict=True)) | {"′": "′", "⊺": "ᵀ"}
_BELOW = dict(zip("0123456789+-=()aehijklmnoprstuvx−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₋", strict=True))

Piece = tuple[str, str]
"""A stretch of the line, and the shape that belongs below it."""


def raised(text: str) -> str:
    """As superscript where Unicode has the signs, else behind ``^``.

    >>> raised("2"), raised("[1]")
    ('²', '^[1]')
    """
    return "".join(_ABOVE[sign] for sign in text) if all(sign in _ABOVE for sign in text) else f"^{text}"


def lowered(text: str) -> str:
    """As subscript where Unicode has the signs, else behind ``_``.

    >>> lowered("12"), lowered("in")
    ('₁₂', '_in')
    """
    digits = all(sign in "0123456789+-−ijk" for sign in text)
    return "".join(_BELOW[sign] for sign in text) if digits else f"_{text}"


def written(sign: Sign) -> str:
    base = sign.base + "\N{COMBINING TILDE}" if sign.tilde else sign.base
    return base + (lowered(sign.below) if sign.below else "") + (raised(sign.above) if sign.above else "")


def pieces(box: Box) -> list[Piece]:
    """The line in pieces, each with its shape."""
    match box:
        case Letter(sign=sign, shape=shape):
            return [(written(sign), shape)]
        case Text(text=text, kind=kind):
            return [({"operator": f" {text} ", "comma": f"{text} "}.get(kind, text), "")]
        case Row(boxes=boxes):
            return [piece for inner in boxes for piece in pieces(inner)]
        case Derivative(nabla=True, by=by, shape=shape):
            return [(f"∇{written(by.sign)}", shape)]
        case Derivative(loss=loss, by=by, shape=shape):
            return [(f"∂{written(loss.sign)}/∂{written(by.sign)}", shape)]
        case Over(over=over, under=under):
            return [*_bracketed(over), (" / " if _long(over) or _long(under) else "/", ""), *_bracketed(under)]
        case Raised(base=base, above=above, shape=shape):
            if shape:
                return [(plain(base) + raised(above), shape)]
            return [*pieces(base), (raised(above), "")]
        case Lowered(base=base, below=below):
            return [*pieces(base), (lowered(below), "")]
        case Fenced(left=left, inner=inner, right=right):
            return [(left, ""), *pieces(inner), (right, "")]
        case Root(inner=inner):
            return [("√", ""), *_bracketed(inner)]
        case Exponential(power=power):
            bare = "^" not in plain(power) and not _long(power)
            return [("e^", ""), *pieces(power)] if bare else [("e^(", ""), *pieces(power), (")", "")]
        case Sum(index=index, inner=inner):
            return [(f"Σ{lowered(index)} ", ""), *pieces(inner)]
    raise AssertionError(f"no text for {box}")


def plain(box: Box) -> str:
    """The line alone."""
    return "".join(text for text, _ in pieces(box))


def lines(box: Box, *, indent: str = "", width: int = 80) -> list[str]:
    """The equation with the shapes below, broken before operators where it is too long."""
    found: list[str] = []
    row: list[Piece] = []
    for stretch in _stretches(_with_room(pieces(box))):
        if row and len(indent) + _length(row) + _length(stretch) > width:
            found += _two_lines(row, indent)
            row = [("   ", "")]
        row += stretch
    return found + _two_lines(row, indent)


def _stretches(row: list[Piece]) -> list[list[Piece]]:
    """The line in stretches that begin with an operator."""
    found: list[list[Piece]] = [[]]
    for piece in row:
        if piece[0].startswith(" ") and piece[0].strip():
            found.append([])
        found[-1].append(piece)
    return found


def _length(row: list[Piece]) -> int:
    return sum(_width(text) for text, _ in row)


def _two_lines(row: list[Piece], indent: str) -> list[str]:
    above = indent + "".join(text for text, _ in row)
    below = indent + "".join(shape.center(_width(text)) if shape else " " * _width(text) for text, shape in row)
    return [above.rstrip(), below.rstrip()] if below.strip() else [above.rstrip()]


def _with_room(row: list[Piece]) -> list[Piece]:
    """Letters as wide as their shapes."""
    return [(text + " " * max(0, len(shape) - _width(text)), shape) for text, shape in row]


def _width(text: str) -> int:
    return len(text.replace("\N{COMBINING TILDE}", ""))


def _bracketed(box: Box) -> list[Piece]:
    return [("(", ""), *pieces(box), (")", "")] if _long(box) else pieces(box)


def _long(box: Box) -> bool:
    match box:
        case Row(boxes=boxes):
            return len(boxes) > 1 and not (len(boxes) == 2 and isinstance(boxes[1], Fenced))
        case Over():
            return True
    return False

"""Equations as MathML (Core), which browsers and screen readers know; the shape of a letter stands below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

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
from tensorflow_lite_bp.explain.page.markup import Element, element, html
from tensorflow_lite_bp.explain.text import pieces

_TAGS = {"number": "mn", "word": "mi"}
_LONG = 44
"""The width in letters from which an equation is cut into pieces."""


def mathml(box: Box, *, display: bool = True) -> str:
    """A whole ``math`` element, as text."""
    return html(math(box, display=display))


def math(box: Box, *, display: bool = True) -> Element:
    """A whole ``math`` element."""
    return element("math", tree(box), display="block" if display else None)


def lines(box: Box) -> list[Element]:
    """The equation in ``math`` elements, between which a line may be broken: before operators, where it is long.

    MathML Core breaks no lines itself.
    """
    width = sum(max(len(text), 0.7 * len(shape)) for text, shape in pieces(box))
    parts = _parts(box) if width > _LONG else [(box,)]
    return [element("math", *map(_leading, part[:1]), *map(tree, part[1:]), displaystyle="true") for part in parts]


def _parts(box: Box) -> list[tuple[Box, ...]]:
    """The boxes of a row and of rows in it, cut before each operator."""
    found: list[tuple[Box, ...]] = [()]
    for inner in _flat(box):
        breaks = isinstance(inner, Text) and inner.kind == "operator" and inner.text not in "·*○⊙☉"
        found = [*found, (inner,)] if breaks and found[-1] else [*found[:-1], (*found[-1], inner)]
    return found


def _flat(box: Box) -> Iterator[Box]:
    if isinstance(box, Row):
        for inner in box.boxes:
            yield from _flat(inner)
    else:
        yield box


def _leading(box: Box) -> Element:
    """An operator at the start of a line has the room of one between two terms."""
    is_operator = isinstance(box, Text) and box.kind == "operator"
    return element("mo", box.text, form="infix") if is_operator else tree(box)  # type: ignore[attr-defined]  # a Text


def tree(box: Box) -> Element:
    """The element of a box."""
    match box:
        case Letter(sign=sign, shape=shape, bold=bold):
            return _below(_sign(sign, bold), shape)
        case Text(text=text, kind=kind):
            return _space() if kind == "space" else element(_TAGS.get(kind, "mo"), text)
        case Row(boxes=boxes):
            return element("mrow", *map(tree, boxes))
        case Derivative(nabla=True, by=by, shape=shape):
            return _below(element("mrow", _operator("∇"), _sign(by.sign, by.bold)), shape)
        case Derivative(loss=loss, by=by, shape=shape):
            over, under = (element("mrow", _operator("∂"), _sign(of.sign, of.bold)) for of in (loss, by))
            return _below(element("mfrac", over, under), shape)
        case Over(over=over, under=under):
            return element("mfrac", tree(over), tree(under))
        case Raised(base=base, above=above, shape=shape):
            inner = tree(_without_shape(base)) if shape else tree(base)
            return _below(_raised(inner, above), shape)
        case Lowered(base=base, below=below):
            return element("msub", tree(base), _index(below))
        case Fenced(left=left, inner=inner, right=right):
            stretchy = None if _tall(inner) else "false"
            return element("mrow", _fence(left, stretchy), tree(inner), _fence(right, stretchy))
        case Root(inner=inner):
            return element("msqrt", tree(inner))
        case Exponential(power=power):
            return element("msup", _identifier("e"), tree(_without_shape(power)))
        case Sum(index=index, inner=inner):
            return element("mrow", element("munder", _operator("∑"), _identifier(index)), tree(inner))
    raise AssertionError(f"no MathML for {box}")


def _raised(inner: Element, above: str) -> Element:
    """A prime is raised by its own form: as a superscript it would stand too high."""
    if above.strip("′"):
        return element("msup", inner, _operator(above))
    return element("mrow", inner, element("mo", above, lspace="0", rspace="0"))


@cache
def _number(text: str) -> Element:
    return element("mn", text)


@cache
def _identifier(text: str) -> Element:
    return element("mi", text)


@cache
def _operator(text: str) -> Element:
    return element("mo", text)


def _space() -> Element:
    return element("mspace", width="0.17em")


@cache
def _fence(text: str, stretchy: str | None) -> Element:
    return element("mo", text, stretchy=stretchy)


@cache
def _sign(sign: Sign, bold: bool = False) -> Element:
    base = _identifier(_bold(sign.base) if bold else sign.base)
    if sign.tilde:
        base = element("mover", base, _operator("~"))
    below, above = _index(sign.below), _index(sign.above)
    if sign.below and sign.above:
        return element("msubsup", base, below, above)
    if sign.below:
        return element("msub", base, below)
    return element("msup", base, above) if sign.above else base


def _index(text: str) -> Element:
    """A number, two letters ``ij`` (MathML takes several in one element for a word), or a word."""
    if len(text) > 1 and not text.strip("ijkl"):
        return element("mrow", *map(_identifier, text))
    return _number(text) if text.isdecimal() else _identifier(text)


def _bold(base: str) -> str:
    """Latin letters in Unicode's bold, which is how MathML Core has them; other signs as they are.

    >>> _bold("w"), _bold("A")
    ('𝐰', '𝐀')
    """
    if not (len(base) == 1 and base.isascii() and base.isalpha()):
        return base
    return chr(ord(base) + (0x1D41A - ord("a") if base.islower() else 0x1D400 - ord("A")))


def _below(inner: Element, shape: str) -> Element:
    return element("munder", inner, element("mtext", shape, class_="shape")) if shape else inner


def _tall(box: Box) -> bool:
    """Whether brackets around it have to grow: shapes below letters are no reason to."""
    match box:
        case Over() | Derivative(nabla=False) | Sum():
            return True
        case Row(boxes=boxes):
            return any(map(_tall, boxes))
        case Raised(base=inner) | Lowered(base=inner) | Fenced(inner=inner) | Root(inner=inner):
            return _tall(inner)
    return False


def _without_shape(box: Box) -> Box:
    """The box without shapes: of a letter whose shape stands outside, of an exponent."""
    match box:
        case Row(boxes=boxes):
            return Row(tuple(map(_without_shape, boxes)))
        case Over(over=over, under=under):
            return Over(_without_shape(over), _without_shape(under))
        case Letter() | Derivative():
            return replace(box, shape="")
        case Fenced(inner=inner):
            return replace(box, inner=_without_shape(inner))
    return box

"""Markup as a tree: written as HTML, or packed into a table in which all that is alike stands once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """An element of HTML, MathML or SVG; texts are children that are strings, not yet escaped."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Element | str, ...]


_VOID = {"br", "hr", "input", "link", "meta"}


def element(tag: str, *children: Element | str, **attributes: str | float | bool | None) -> Element:
    """An element. In names of attributes ``_`` stands for ``-``, and a last one is dropped; None and False leave out.

    >>> html(element("p", "1 < 2", class_="note", aria_hidden="true", hidden=True))
    '<p class="note" aria-hidden="true" hidden="">1 &lt; 2</p>'
    """
    if not attributes:
        return Element(tag, (), children)
    given = ((name, value) for name, value in attributes.items() if value is not None and value is not False)
    named = ((name.rstrip("_").replace("_", "-"), "" if value is True else str(value)) for name, value in given)
    return Element(tag, tuple(named), children)


def html(markup: Element | str) -> str:
    """The text of a tree, escaped."""
    return "".join(_pieces(markup))


def _pieces(markup: Element | str) -> Iterator[str]:
    if isinstance(markup, str):
        yield escape(markup, quote=False)
        return
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in markup.attributes)
    yield f"<{markup.tag}{attributes}>"
    for child in markup.children:
        yield from _pieces(child)
    if markup.tag not in _VOID:
        yield f"</{markup.tag}>"


def joined(parts: Iterable[Element | str], between: Element | str) -> list[Element | str]:
    """The parts with something between each two.

    >>> joined(["a", "b"], ", ")
    ['a', ', ', 'b']
    """
    return [piece for part in parts for piece in (between, part)][1:]


class Pool:
    """A table of texts and elements. An entry is a text, or the list of a tag, its attributes and the children; the
    attributes are a list of names and values. Each is given by its place in the table, which is before the entry's.

    >>> pool = Pool()
    >>> pool.add(element("p", element("b", "x"), "x")), pool.json()
    (5, '["p",[],"b","x",[2,1,3],[0,1,4,3]]')
    """

    def __init__(self) -> None:
        self._places: dict[str | tuple[int, ...], int] = {}
        self._known: dict[int, tuple[Element, int]] = {}  # by identity; the element is held, so that it stays its own

    def add(self, markup: Element | str) -> int:
        """The place of a tree in the table."""
        if isinstance(markup, str):
            return self._place(markup)
        known = self._known.get(id(markup))
        if known is not None:
            return known[1]
        attributes = tuple([self._place(text) for pair in markup.attributes for text in pair])
        place = self._place((self._place(markup.tag), self._place(attributes), *map(self.add, markup.children)))
        self._known[id(markup)] = markup, place
        return place

    def _place(self, entry: str | tuple[int, ...]) -> int:
        return self._places.setdefault(entry, len(self._places))

    def json(self) -> str:
        return json.dumps(list(self._places), ensure_ascii=False, separators=(",", ":"))

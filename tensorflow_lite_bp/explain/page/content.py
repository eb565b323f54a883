"""The derivation as the markup of a page: forward in the order of the graph, backward in the other, then the update."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tensorflow_lite_bp.explain import numbers
from tensorflow_lite_bp.explain.boxes import Letter, Row, Text, number
from tensorflow_lite_bp.explain.derivation import Quantity
from tensorflow_lite_bp.explain.document import about
from tensorflow_lite_bp.explain.explanation import Explanation, Passage, Shown
from tensorflow_lite_bp.explain.expression import parsed, symbols
from tensorflow_lite_bp.explain.names import letter
from tensorflow_lite_bp.explain.numbers import Numbers
from tensorflow_lite_bp.explain.page import mathml
from tensorflow_lite_bp.explain.page.drawing import Vertex
from tensorflow_lite_bp.explain.page.markup import Element, element, joined
from tensorflow_lite_bp.explain.rules import RULES
from tensorflow_lite_bp.explain.words import WORDS, sentence

Part = Element | str
Facts = dict[tuple[int, str, str], Element]
"""What is said of vertices, by place, shape and language."""


class Content:
    """The markup of an explanation; equations are made once for all languages.

    Args:
        vertices: of the drawing; an article belongs to each.
        facts: what has been said of vertices by other contents of the network, to be used again.
        worked: the numbers to show; left out where the notation writes one sample and they are of several.

    Attributes:
        users: of each vertex, those that take its result.
        uses: of each weight, the vertices that use it.
        passages, spans: by the name of the vertex.
    """

    def __init__(
        self, explanation: Explanation, vertices: Sequence[Vertex], worked: Numbers | None, facts: Facts
    ) -> None:
        self.explanation, self.vertices, self.facts = explanation, vertices, facts
        self.translation = explanation.translation
        one = self.translation.notation.samples == "one"
        self.worked = worked if worked is not None and (worked.m == 1 or not one) else None
        self.users: list[list[int]] = [[] for _ in vertices]
        self.uses: dict[str, list[int]] = {}
        for at, vertex in enumerate(vertices):
            for source in vertex.sources:
                self.users[source].append(at)
            for weight in vertex.weights:
                self.uses.setdefault(weight, []).append(at)
        self.passages = {passage.name: passage for passage in explanation.passages}
        program = self.translation.derivation.graph.program
        items = (program.inputs, program.targets, program.nodes, program.losses)
        self.spans = {item.name: item.span for kind in items for item in kind}
        self._formulas: dict[int, list[Element]] = {}

    def shapes(self) -> list[str]:
        """Of each vertex's result, as text."""
        return [self.shape(vertex) for vertex in self.vertices]

    def shape(self, vertex: Vertex) -> str:
        passage = self.passages.get(vertex.name)
        return passage.shape if passage else self.translation.shape_text(Quantity("tensor", vertex.name))

    def markup(self, lang: str) -> Element:
        """The whole derivation in a language."""
        return _Writer(self, lang).whole()

    def formula(self, shown: Shown) -> list[Element]:
        if id(shown) not in self._formulas:
            lines = [joined(mathml.lines(box), " ") for box in shown.boxes]
            self._formulas[id(shown)] = [element("div", *line, class_="formula") for line in lines]
        return self._formulas[id(shown)]


class _Writer:
    def __init__(self, content: Content, lang: str) -> None:
        self.content, self.lang = content, lang
        self.explanation, self.translation = content.explanation, content.translation

    def whole(self) -> Element:
        chosen = element("p", about(self.translation, self.lang), class_="choices")
        parts = [self._forward(), self._backward(), self._update()]
        return element("div", chosen, *(part for part in parts if part.children[1:]), id="derivation")

    def _word(self, key: str) -> str:
        return word(key, self.lang)

    def _section(self, name: str, *parts: Part) -> Element:
        return element("section", element("h2", self._word(name), id=name), *parts, class_=name, aria_labelledby=name)

    # Sections

    def _forward(self) -> Element:
        articles = []
        for at, vertex in enumerate(self.content.vertices):
            passage = self._passage(vertex)
            shown = passage.forward if passage else [s for s in self.explanation.beginning if _name(s) == vertex.name]
            parts = [self._facts(at, vertex), *self._equations(shown), *(self._notes(passage) if passage else ())]
            articles.append(self._article("forward", at, vertex, parts))
        return self._section("forward", *articles)

    def _backward(self) -> Element:
        articles = []
        for at, vertex in reversed([*enumerate(self.content.vertices)]):
            passage = self._passage(vertex)
            shown = passage.backward if passage else [s for s in self.explanation.inputs if _name(s) == vertex.name]
            if shown:
                articles.append(self._article("backward", at, vertex, self._equations(shown)))
        return self._section("backward", *articles)

    def _update(self) -> Element:
        optimizer = self.translation.derivation.optimizer
        letters = dict.fromkeys(str(s.key) for e in parsed(optimizer.equations()) for s in symbols(e.right))
        given = {key: getattr(optimizer, optimizer.letters.get(key, key), None) for key in letters}
        where = self._where({key: value for key, value in given.items() if isinstance(value, int | float)})
        shown = self._equations(self.explanation.update)
        named = element("p", optimizer.name, class_="note")
        return self._section("update", *((named, *where, *shown, *self._updated()) if shown else ()))

    def _updated(self) -> list[Element]:
        """Every weight after the update, where there are numbers."""
        worked = self.content.worked
        if worked is None:
            return []
        found = [element("p", sentence("updated", self.lang), class_="note")]
        for name in self.translation.derivation.graph.trainable:
            weight = Quantity("weight", name)
            array = worked.after(self.translation, weight)
            if array is not None:
                sign = mathml.math(Letter(self.translation.sign(weight)), display=False)
                found.append(element("div", sign, _matrix(array), class_="equation"))
        return found

    def _passage(self, vertex: Vertex) -> Passage | None:
        return self.content.passages.get(vertex.name) if vertex.kind in ("step", "loss") else None

    def _article(self, way: str, at: int, vertex: Vertex, parts: Sequence[Part]) -> Element:
        head = element("h3", vertex.name, id=f"{way}-{at}-name")
        said = element("p", self._word(way), class_="pass", aria_hidden="true")
        first, *others = parts if way == "forward" else ["", *parts]
        body = [head, first, said, *others] if others else [head, first]
        return element(
            "article",
            *(part for part in body if part),
            id=f"{way}-{at}",
            data_of=at,
            aria_labelledby=f"{way}-{at}-name",
        )

    # What is said of a vertex

    def _facts(self, at: int, vertex: Vertex) -> Element:
        """Its layer, shape, neighbours and weights, and the line of the file; the same in all forms."""
        shape = self.content.shape(vertex)
        known, key = self.content.facts, (at, shape, self.lang)
        if key not in known:
            known[key] = self._said(at, vertex, shape)
        return known[key]

    def _said(self, at: int, vertex: Vertex, shape: str) -> Element:
        content, span = self.content, self.content.spans[vertex.name]
        facts: list[tuple[str, Sequence[Part]]] = [
            (vertex.kind, [vertex.op]),
            ("shape", [shape] if shape else []),
            ("from", self._links(vertex.sources)),
            ("to", self._links(content.users[at])),
            ("weights", joined([*self._weights(at, vertex)], ", ")),
            ("line", [element("code", str(span)), " ", element("code", span.source.line(span.line).strip())]),
        ]
        rows = [
            element("div", element("dt", self._word(key)), element("dd", *given), class_=key)
            for key, given in facts
            if given
        ]
        return element("dl", *rows, class_="facts")

    def _links(self, places: Iterable[int]) -> list[Part]:
        names = self.content.vertices
        return joined([element("a", names[at].name, href=f"#forward-{at}", data_vertex=at) for at in places], ", ")

    def _weights(self, at: int, vertex: Vertex) -> Iterable[Element]:
        """Each weight, and the other vertices that use it."""
        for weight in vertex.weights:
            others = self._links(to for to in self.content.uses[weight] if to != at)
            shared = [f" ({self._word('shared')} ", *others, ")"] if others else []
            yield element("span", element("code", weight), *shared)

    def _notes(self, passage: Passage) -> list[Element]:
        notes = self._where(passage.constants)
        for name, meaning in passage.words.items():
            known: Mapping[str, str] = WORDS.get(name, {})
            sign = element("b", known.get("sign", name))
            notes.append(element("p", sign, ": ", known.get(self.lang, meaning), class_="note"))
        return notes

    def _where(self, constants: Mapping[str, float]) -> list[Element]:
        """``where ε = 1e−05``."""
        given: list[Part] = [
            mathml.math(Row((Letter(letter(key)), Text("=", "operator"), Text(number(value)))), display=False)
            for key, value in constants.items()
        ]
        return [element("p", self._word("where"), " ", *joined(given, ", "), class_="note")] if given else []

    # Equations

    def _equations(self, shown: Sequence[Shown]) -> list[Element]:
        return [self._equation(one) for one in shown]

    def _equation(self, shown: Shown) -> Element:
        why = [RULES[rule][self.lang] for rule in shown.rules]
        code = [
            element("p", element("code", line.text), " ", element("span", line.place), class_="code")
            for line in dict.fromkeys(shown.code)
        ]
        reason = [element("p", _sentence("; ".join(why), self.lang), class_="why")] if why else []
        return element(
            "div", *self.content.formula(shown), *self._numbers(shown), *reason, *code, class_=f"equation {shown.kind}"
        )

    def _numbers(self, shown: Shown) -> list[Element]:
        worked = self.content.worked
        array = worked.beside(self.translation, shown.kind, shown.of) if worked is not None else None
        return [] if array is None else [_matrix(array)]


def _matrix(array: Any) -> Element:
    return element("pre", "\n".join(numbers.written(array)), class_="numbers")


def _name(shown: Shown) -> str:
    return shown.of.name if isinstance(shown.of, Quantity) else ""


def _sentence(text: str, lang: str) -> str:
    """With a capital letter and a full stop.

    >>> _sentence("the sum", "en")
    'The sum.'
    """
    return text[:1].upper() + text[1:] + ("。" if lang == "zh" else ".")


def part(name: str) -> str:
    """A file of this folder."""
    return (Path(__file__).with_name(name)).read_text("utf-8")


@cache
def words() -> dict[str, dict[str, str]]:
    """The words of the page, by key and language."""
    return json.loads(part("words.json"))  # type: ignore[no-any-return]  # the file has that form


def word(key: str, lang: str) -> str:
    return words()[key][lang]

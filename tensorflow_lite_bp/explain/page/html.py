"""The page of a network: its graph, and the derivation beside it, in one file that needs nothing else.

Python makes all of the markup, in every notation, form and language that can be shown. One of these views stands in the
page; all are packed into a table in which equal parts stand once, and `page.js` puts another in its place.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from string import Template

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.explanation import Explanation, explain
from tensorflow_lite_bp.explain.forms import FORMS
from tensorflow_lite_bp.explain.notation import notations
from tensorflow_lite_bp.explain.numbers import Numbers
from tensorflow_lite_bp.explain.page.content import Content, Facts, part, word, words
from tensorflow_lite_bp.explain.page.drawing import drawing, vertices
from tensorflow_lite_bp.explain.page.markup import Element, Pool, element, html
from tensorflow_lite_bp.explain.reading import View
from tensorflow_lite_bp.explain.words import LANGUAGES

_LARGE = 40
"""From this number of vertices on a page draws only what is in sight, and prints no graph."""
_HUGE = 300  # vertices from which on a page holds one notation and form: it would take minutes and megabytes
_ANOTHER_PAGE = "the network is large, so this page holds one view: `--notation {notation} --form {form}` makes another"


def page(
    derivation: Derivation,
    view: View,
    *,
    form: str,
    lang: str,
    numbers: Numbers | None = None,
    node: str = "",
) -> str:
    """The whole page, as the text of an HTML file.

    Args:
        view: the notation and the choices to begin with; the choices hold for the other notations too.
        form, lang: what to begin with.
        numbers: of one training step, to be shown with the equations.
        node: the name of an input, a target, a passage or a loss to begin with; "" for the whole derivation.

    Raises:
        InputError: where the view or the form cannot be written, with the reason. Others that cannot are offered on the
            page as such, with theirs.
    """
    start = {"node": node, "notation": view.notation.name, "form": form, "lang": lang}
    with _no_collection():
        return _Page(derivation, view, start, numbers).text()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Trees of markup have no cycles: to look for some again and again would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Page:
    """Makes the page.

    Attributes:
        places: in the table, of the views by notation, form and language.
        refused: reasons, by notation and form.
        shapes: of the vertices, by notation. These three come with the views.
    """

    def __init__(self, derivation: Derivation, view: View, start: Mapping[str, str], numbers: Numbers | None) -> None:
        self.derivation, self.view, self.start, self.numbers = derivation, view, start, numbers
        self.form, self.lang = start["form"], start["lang"]
        self.vertices = vertices(derivation)
        self.program = derivation.graph.program
        self.facts: Facts = {}
        self.places: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.shapes: dict[str, list[str]] = {}

    def text(self) -> str:
        views = self._views()
        style, script = part("page.css"), part("page.js")
        return Template(part("page.html")).substitute(
            lang=self.lang,
            size=' class="large"' if len(self.vertices) > _LARGE else "",
            title=html(f"{self.program.name}: {self._word('title')}"),
            skip=self._word("skip"),
            whole=self._word("whole"),
            nav=html(self._nav()),
            header=html(self._header()),
            derivation=html(self._content(self._first).markup(self.lang)),
            data=self._data(),
            views=views,
            style=style,
            style_hash=_hash(style),
            script=script,
            script_hash=_hash(script),
        )

    @cached_property
    def _first(self) -> Explanation:
        return explain(self.derivation, self.view, self.form)

    def _explanations(self) -> Iterator[tuple[str, str, Explanation]]:
        """The notations and forms in which the network can be written; the reasons of others are noted."""
        huge = len(self.vertices) > _HUGE
        for notation in notations().values():
            for form in FORMS:
                if (notation.name, form) == (self.view.notation.name, self.form):
                    yield notation.name, form, self._first
                    continue
                if huge:
                    self.refused[f"{notation.name} {form}"] = _ANOTHER_PAGE.format(notation=notation.name, form=form)
                    continue
                try:
                    yield notation.name, form, explain(self.derivation, replace(self.view, notation=notation), form)
                except InputError as error:
                    self.refused[f"{notation.name} {form}"] = str(error)

    def _content(self, explanation: Explanation) -> Content:
        return Content(explanation, self.vertices, self.numbers, self.facts)

    def _views(self) -> str:
        """The table of all views and their places in it, as JSON, packed: it is most of the file, and seldom needed."""
        pool, places = Pool(), {}
        for notation, form, explanation in self._explanations():
            content = self._content(explanation)
            self.shapes[notation] = content.shapes()
            for lang in LANGUAGES:
                places[f"{notation} {form} {lang}"] = pool.add(content.markup(lang))
        self.places = places
        return base64.b64encode(zlib.compress(pool.json().encode(), 9)).decode()

    def _data(self) -> str:
        """What the script reads at once, as JSON that cannot end its element."""
        data = {
            "places": self.places,
            "refused": self.refused,
            "words": {lang: {key: word(key, lang) for key in words()} for lang in LANGUAGES},
            "names": [vertex.name for vertex in self.vertices],
            "spoken": [vertex.spoken for vertex in self.vertices],
            "shapes": self.shapes,
            "start": self.start,
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")

    def _nav(self) -> Element:
        shapes = self._content(self._first).shapes()
        drawn = drawing(self.vertices, shapes)
        return element("nav", drawn, id="graph", aria_label=self._word("graph"), data_label="graph")

    def _header(self) -> Element:
        choices = {
            "notation": {notation.name: notation.name for notation in notations().values()},
            "form": {form: form for form in FORMS},
            "lang": {"en": "English", "zh": "中文"},
        }
        return element(
            "header",
            element("h1", self.program.name),
            element("p", self._spoken("title"), ", ", element("code", self.program.source.name)),
            element("form", *(self._choice(name, values) for name, values in choices.items())),
            element("ul", id="refused"),
        )

    def _choice(self, name: str, values: Mapping[str, str]) -> Element:
        """Radio buttons that look like one bar. Forms and notations go by words where there are some."""
        labels = [
            element(
                "label",
                element("input", type="radio", name=name, value=value, checked=value == self.start[name]),
                self._label(name, value, text),
            )
            for value, text in values.items()
        ]
        return element("fieldset", self._spoken(name, "legend"), *labels)

    def _spoken(self, key: str, tag: str = "span") -> Element:
        """A word that the script puts into another language."""
        return element(tag, self._word(key), data_word=key)

    def _label(self, name: str, value: str, text: str) -> Element:
        key = f"{name}_{value}"
        if key in words():
            return self._spoken(key)
        return element("span", text, lang=value if name == "lang" else None)

    def _word(self, key: str) -> str:
        return word(key, self.lang)


def _hash(text: str) -> str:
    """A script or a style as the content security policy names it: no other is run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

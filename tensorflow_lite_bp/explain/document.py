"""An explanation as a document: plain text, Markdown or LaTeX, by one walk through its passages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import wrap

from tensorflow_lite_bp.explain import latex, text
from tensorflow_lite_bp.explain.boxes import Box, number
from tensorflow_lite_bp.explain.derivation import Quantity
from tensorflow_lite_bp.explain.explanation import Explanation, Passage, Shown
from tensorflow_lite_bp.explain.expression import parsed, symbols
from tensorflow_lite_bp.explain.names import letter
from tensorflow_lite_bp.explain.numbers import Numbers, written
from tensorflow_lite_bp.explain.rules import NAMES, RULES
from tensorflow_lite_bp.explain.translate import Translation
from tensorflow_lite_bp.explain.words import WORDS, sentence

_WIDTH = 80


class Writer(ABC):
    """What a format makes of the parts of a document; each returns lines."""

    @abstractmethod
    def title(self, words: str) -> list[str]: ...

    @abstractmethod
    def heading(self, words: str) -> list[str]: ...

    @abstractmethod
    def passage(self, name: str, about: str) -> list[str]: ...

    @abstractmethod
    def paragraph(self, words: str) -> list[str]: ...

    @abstractmethod
    def equation(self, boxes: Sequence[Box]) -> list[str]: ...

    @abstractmethod
    def remark(self, words: str, code: str = "") -> list[str]: ...

    @abstractmethod
    def matrix(self, lines: Sequence[str]) -> list[str]: ...

    def whole(self, lines: Iterable[str]) -> str:
        return "\n".join(lines)


class PlainText(Writer):
    """Unicode, at most 80 columns where an equation can be broken."""

    def title(self, words: str) -> list[str]:
        return [words, "=" * len(words)]

    def heading(self, words: str) -> list[str]:
        return ["", "", words, "-" * len(words)]

    def passage(self, name: str, about: str) -> list[str]:
        line = f"{name}   {about}"
        return ["", *([line] if len(line) <= _WIDTH else [name, f"    {about}"])]

    def paragraph(self, words: str) -> list[str]:
        return wrap(words, _WIDTH)

    def equation(self, boxes: Sequence[Box]) -> list[str]:
        return [line for box in boxes for line in text.lines(box, indent="    ", width=_WIDTH)]

    def remark(self, words: str, code: str = "") -> list[str]:
        lines = wrap(words, _WIDTH - 8)
        if code:
            one = f"{lines[-1]}   {code}" if lines else code
            lines = [*lines[:-1], one] if len(one) <= _WIDTH - 8 else [*lines, code]
        return [f"        {line}" for line in lines]

    def matrix(self, lines: Sequence[str]) -> list[str]:
        return [f"      {'=' if place == 0 else ' '} {line}" for place, line in enumerate(lines)]


class Markdown(Writer):
    """Markdown with LaTeX between ``$$``."""

    def title(self, words: str) -> list[str]:
        return [f"# {words}", ""]

    def heading(self, words: str) -> list[str]:
        return [f"## {words}", ""]

    def passage(self, name: str, about: str) -> list[str]:
        return [f"### `{name}`", "", about, ""]

    def paragraph(self, words: str) -> list[str]:
        return [words, ""]

    def equation(self, boxes: Sequence[Box]) -> list[str]:
        return [line for box in boxes for line in (f"$$ {latex.latex(box, shape_indices=True)} $$", "")]

    def remark(self, words: str, code: str = "") -> list[str]:
        parts = [words] if words else []
        return [": ".join([*parts, f"`{code}`"] if code else parts), ""]

    def matrix(self, lines: Sequence[str]) -> list[str]:
        return ["```text", *lines, "```", ""]


class Latex(Writer):
    """A document for XeLaTeX or LuaLaTeX; Chinese needs the package ctex."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def title(self, words: str) -> list[str]:
        return [rf"\section*{{{latex.escaped(words)}}}"]

    def heading(self, words: str) -> list[str]:
        return [rf"\subsection*{{{latex.escaped(words)}}}"]

    def passage(self, name: str, about: str) -> list[str]:
        return [rf"\paragraph{{\texttt{{{latex.escaped(name)}}}}} {latex.escaped(about)}"]

    def paragraph(self, words: str) -> list[str]:
        return [latex.escaped(words), ""]

    def equation(self, boxes: Sequence[Box]) -> list[str]:
        return [rf"\[ {latex.latex(box, shape_indices=True)} \]" for box in boxes]

    def remark(self, words: str, code: str = "") -> list[str]:
        parts = [latex.escaped(words)] if words else []
        if code:
            parts.append(rf"\texttt{{{latex.escaped(code)}}}")
        return [rf"{{\small {' '.join(parts)}\par}}"]

    def matrix(self, lines: Sequence[str]) -> list[str]:
        return [r"\begin{verbatim}", *(line.translate(_PLAIN_FENCES) for line in lines), r"\end{verbatim}"]

    def whole(self, lines: Iterable[str]) -> str:
        fonts = [r"\usepackage{ctex}"] if self.lang == "zh" else [r"\usepackage{fontspec}"]
        head = [r"\documentclass{article}", r"\usepackage{amsmath,amssymb}", *fonts, r"\allowdisplaybreaks"]
        return "\n".join([*head, r"\begin{document}", *lines, r"\end{document}"])


_PLAIN_FENCES = str.maketrans("⎡⎢⎣⎤⎥⎦×", "[[[]]]x")

WRITERS: Mapping[str, Callable[[str], Writer]] = {
    "text": lambda lang: PlainText(),
    "markdown": lambda lang: Markdown(),
    "latex": Latex,
}


def document(
    explanation: Explanation,
    *,
    format: str,
    lang: str = "en",
    numbers: Numbers | None = None,
    repeats: Mapping[str, list[str]] | None = None,
) -> str:
    """The whole explanation in a format: ``text``, ``markdown`` or ``latex``."""
    return _Document(explanation, WRITERS[format](lang), lang, numbers, repeats or {}).whole()


class _Document:
    def __init__(
        self,
        explanation: Explanation,
        writer: Writer,
        lang: str,
        numbers: Numbers | None,
        repeats: Mapping[str, list[str]],
    ) -> None:
        self.explanation, self.writer, self.lang, self.numbers = explanation, writer, lang, numbers
        self.translation = explanation.translation
        self.repeats = repeats
        self._hidden = {name for others in repeats.values() for name in others}
        self._rules: dict[str, None] = {}

    def whole(self) -> str:
        parts = [self._beginning(), self._forward(), self._backward(), self._update(), self._reasons()]
        return self.writer.whole([line for part in parts for line in part])

    def _words(self, key: str, **values: object) -> str:
        return sentence(key, self.lang, **values)

    def _beginning(self) -> list[str]:
        translation, notation = self.translation, self.translation.notation
        program = translation.derivation.graph.program
        title = self._words("title", network=program.name, notation=notation.name, article=notation.article)
        return [*self.writer.title(title), *self.writer.paragraph(about(translation, self.lang))]

    def _forward(self) -> list[str]:
        lines = self.writer.heading(self._words("forward"))
        for shown in self.explanation.beginning:
            lines += self._shown(shown)
        for passage in self.explanation.passages:
            if passage.name not in self._hidden and passage.forward:
                lines += self._passage(passage, passage.forward)
        return lines

    def _backward(self) -> list[str]:
        going = [passage for passage in reversed(self.explanation.passages) if passage.backward]
        lines: list[str] = []
        for passage in going:
            if passage.name not in self._hidden:
                lines += self._passage(passage, passage.backward)
        for shown in self.explanation.inputs:
            lines += self._shown(shown)
        return [*self.writer.heading(self._words("backward")), *lines] if lines else []

    def _update(self) -> list[str]:
        if not self.explanation.update:
            return []
        optimizer = self.translation.derivation.optimizer
        letters = {
            str(symbol.key): None for equation in parsed(optimizer.equations()) for symbol in symbols(equation.right)
        }
        constants = self._constants({key: getattr(optimizer, optimizer.letters.get(key, key), None) for key in letters})
        lines = self.writer.heading(f"{self._words('update')}: {optimizer.name}")
        lines += self.writer.paragraph(constants) if constants else []
        for shown in self.explanation.update:
            lines += self._shown(shown)
        if self.numbers is not None:
            lines += self._updated()
        return lines

    def _updated(self) -> list[str]:
        """Every weight after the update."""
        assert self.numbers is not None
        lines = self.writer.paragraph(self._words("updated"))
        for name in self.translation.derivation.graph.trainable:
            weight = Quantity("weight", name)
            array = self.numbers.after(self.translation, weight)
            if array is not None:
                lines += self.writer.remark(text.written(self.translation.sign(weight)))
                lines += self.writer.matrix(written(array))
        return lines

    def _reasons(self) -> list[str]:
        if not self._rules:
            return []
        lines = self.writer.heading(self._words("rules"))
        for rule in self._rules:
            lines += self.writer.paragraph(f"{NAMES[rule][self.lang]}: {RULES[rule][self.lang]}.")
        return lines

    def _passage(self, passage: Passage, equations: Sequence[Shown]) -> list[str]:
        lines = self.writer.passage(passage.name, f"{passage.op}, {passage.place}")
        for shown in equations:
            lines += self._shown(shown)
        where = self._constants(passage.constants) if equations is passage.forward else ""
        if where:
            lines += self.writer.remark(where)
        if equations is passage.forward:
            for name, meaning in passage.words.items():
                lines += self.writer.remark(f"{WORDS.get(name, {}).get('sign', name)}: {self._meaning(name, meaning)}")
        others = self.repeats.get(passage.name)
        if others:
            lines += self.writer.remark(self._words("repeats", names=_listed(others)))
        return lines

    def _meaning(self, name: str, meaning: str) -> str:
        return WORDS.get(name, {}).get(self.lang, meaning)

    def _constants(self, constants: Mapping[str, float | None]) -> str:
        given = [
            f"{text.written(letter(self._letter(key)))} = {number(value)}"
            for key, value in constants.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        return f"{self._words('where')} {', '.join(given)}" if given else ""

    def _letter(self, key: str) -> str:
        return self.translation.notation.rate if key == "eta" else key

    def _shown(self, shown: Shown) -> list[str]:
        lines = self.writer.equation(shown.boxes)
        if self.numbers is not None:
            array = self.numbers.beside(self.translation, shown.kind, shown.of)
            lines += self.writer.matrix(written(array)) if array is not None else []
        self._rules |= dict.fromkeys(shown.rules)
        names = (", " if self.lang == "en" else "，").join(NAMES[rule][self.lang] for rule in shown.rules)
        code = dict.fromkeys(f"{line.place}  {line.text}" for line in shown.code)
        if names or code:
            first, *others = [*code] or [""]
            lines += self.writer.remark(names, first)
            for other in others:
                lines += self.writer.remark("", other)
        return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, …, {names[-1]}"


def about(translation: Translation, lang: str) -> str:
    """What the notation and the choices mean, in sentences."""
    notation = translation.notation
    keys = [f"samples_{notation.samples}", f"layout_{translation.layout}", f"through_{translation.through}"]
    if translation.means:
        keys.append(f"reduction_{translation.reduction if any(translation.means) else 'sum'}")
    said = [sentence(key, lang) for key in keys]
    if notation.sign < 0:
        said.append(sentence("negative", lang, letter=text.written(letter(notation.carried.split("_")[0]))))
    return ("" if lang == "zh" else " ").join(said)

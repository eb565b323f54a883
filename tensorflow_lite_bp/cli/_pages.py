"""The reference: a page for all that is declared and for every mistake, made from what the code says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from inspect import cleandoc
from typing import Any

from dsl.codes import catalogue
from dsl.diagnostics import Code
from dsl.signature import REQUIRED, Setting
from dsl.types import TensorType, show
from tensorflow_lite_bp.declare import Declared, registry, settings_of
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.table import table

_PLURALS = {"loss": "losses", "section": "sections", "mistake": "mistakes"}
_MIXED = {
    "half": "Computed in 16 bits.",
    "single": "Computed in float32.",
    "inputs": "Computed in 16 bits where all its inputs are, else in float32.",
    "either": "Computed in 16 bits where all its inputs are, or all that read its result, else in float32.",
}
"""What `Layer.mixed` means, for people."""


@dataclass(frozen=True)
class Page:
    """One page of the reference: Markdown, with LaTeX between ``$$``."""

    category: str
    name: str
    summary: str
    text: str

    @property
    def folder(self) -> str:
        return _PLURALS.get(self.category, f"{self.category}s")


def all_pages() -> list[Page]:
    """Every page, by category and name."""
    table()  # declares everything
    declared = (_page_of(cls) for known in registry.values() for cls in known.values())
    mistakes = (_page_of_mistake(code) for code in catalogue().values())
    return sorted((*declared, *mistakes), key=lambda page: (page.folder, page.name))


def index(pages: Iterable[Page]) -> str:
    """The list of all pages with links, as Markdown."""
    lines = ["# Reference", ""]
    folder = ""
    for page in pages:
        if page.folder != folder:
            folder = page.folder
            lines += ["", f"## {folder.capitalize()}", ""]
        lines.append(f"- [{page.name}]({folder}/{page.name}.md): {page.summary}")
    return "\n".join(lines) + "\n"


def _page_of(cls: type[Declared]) -> Page:
    doc = _markdown(cleandoc(cls.__doc__ or ""))
    summary, _, rest = doc.partition("\n")
    parts = [
        f"# {cls.name}",
        f"*{cls.category}*: {summary}",
        rest.strip(),
        _block("Use", _fenced(_usage(cls))),
        _block("Settings", _settings(settings_of(cls))),
        _block("Formula", _formulas(cls)),
        _block("Shapes", _shapes(cls)),
        _block("In mixed precision", _mixed(cls)),
    ]
    return Page(cls.category, cls.name, summary, "\n\n".join(filter(None, parts)) + "\n")


def _page_of_mistake(code: Code) -> Page:
    summary = _markdown(code.summary)
    options = "".join(f" --set {option}" for option in code.options)
    others = "\n\n".join(f"`{name}`:\n\n```net\n{text}```" for name, text in code.other_files.items())
    parts = [
        f"# {code.name}",
        f"*{code.severity}*: {summary}",
        _markdown(code.explanation),
        f"## Example\n\n```net\n{code.example}```",
        others,
        f"`tflbp check example.net{options}` prints:\n\n```text\n{code.rendered}```",
    ]
    return Page("mistake", code.name, summary, "\n\n".join(filter(None, parts)) + "\n")


def _block(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _fenced(text: str) -> str:
    return f"```net\n{text}\n```" if text else ""


def _markdown(text: str) -> str:
    """Docstrings write code as ``x``, Markdown as `x`."""
    return re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)


def _mixed(cls: type[Declared]) -> str:
    return _MIXED[cls.mixed] if issubclass(cls, Layer) else ""


def _settings(settings: Iterable[Setting]) -> str:
    rows = [
        (f"`{setting.name}`", _kind(setting.kind), _default(setting.default), _bounds(setting), setting.help)
        for setting in settings
    ]
    return _grid(("setting", "kind", "default", "range", "meaning"), rows)


def _grid(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table without repeated rows and without columns that say nothing."""
    columns = list(zip(titles, *dict.fromkeys(rows), strict=True))
    told = [column for column in columns if any(column[1:])]
    lines = [f"| {' | '.join(cells)} |" for cells in zip(*told, strict=True)]
    return "\n".join([*lines[:1], f"|{'---|' * len(told)}", *lines[1:]]) if told else ""


def _kind(kind: str) -> str:
    return kind.replace("|", " or ")


def _default(default: Any) -> str:
    if default is REQUIRED:
        return "required"
    return "" if default is None else f"`{value(default)}`"


def _bounds(setting: Setting) -> str:
    """The range of a setting in words."""
    bounds = (
        ("at least", setting.minimum),
        ("at most", setting.maximum),
        ("above", setting.above),
        ("below", setting.below),
    )
    words = [f"{word} {value(bound)}" for word, bound in bounds if bound is not None]
    if setting.choices:
        words.append(" or ".join(f"`{value(choice)}`" for choice in setting.choices))
    return ", ".join(words)


def value(constant: Any) -> str:
    """A setting's value as a `.net` file writes it.

    >>> value(True), value("same"), value((2, 2)), value(0.001), value(1e-8)
    ('true', '"same"', '[2, 2]', '0.001', '1e-8')
    """
    if isinstance(constant, Declared):
        changed = [
            f"{setting.name} = {value(getattr(constant, setting.name))}"
            for setting in settings_of(type(constant))
            if getattr(constant, setting.name) != setting.default
        ]
        return f"{constant.name}({', '.join(changed)})" if changed else constant.name
    if isinstance(constant, bool):
        return "true" if constant else "false"
    if isinstance(constant, str):
        return f'"{constant}"'
    if isinstance(constant, tuple):
        return f"[{', '.join(map(value, constant))}]"
    if isinstance(constant, float | Fraction):
        return f"{float(constant):.12g}".replace("e-0", "e-")
    return str(constant)


def _usage(cls: type[Declared]) -> str:
    """How the entry is written, with every setting that has something to say."""
    settings = [
        setting.name if setting.default is REQUIRED else f"{setting.name} = {value(setting.default)}"
        for setting in settings_of(cls)
        if setting.default is not None
    ]
    ports: tuple[str, ...] = getattr(cls, "ports", ())
    first, *others = ports or ("",)
    piped = _call(cls.name, [*others, *settings], bare=True)
    called = _call(cls.name, [*ports, *settings], bare=not ports)
    forms = {
        "operator": "",  # written with a sign, which the text shows
        "section": "\n".join([f"{cls.name} {{", *(f"  {line}" for line in settings), "}"]),
        "layer": f"Y = {first} -> {piped}",
        "transform": f"x = {first} -> {piped}" if ports else f"x = {called}",
        "loss": f"loss {called}",
        "metric": f"metric {called}",
        "initializer": f"parameter W: float[5, 3] = {called}",
    }
    return forms.get(cls.category, f"{cls.category} = {called}")  # the others are settings of a section


def _call(name: str, arguments: list[str], *, bare: bool) -> str:
    return f"{name}({', '.join(arguments)})" if arguments or not bare else name


def _formulas(cls: type[Declared]) -> str:
    """The forward equations and the gradients, or the update, in LaTeX."""
    if not getattr(cls, "formula", ""):
        return ""
    from tensorflow_lite_bp.explain.formula import formulas

    words = getattr(cls, "words", {})
    meanings = [f"- `{word}`: {meaning}" for word, meaning in words.items()]
    return "\n\n".join(
        [*(f"$$ {equation} $$" for equation in formulas(cls)), *(["\n".join(meanings)] if words else [])]
    )


def _shapes(cls: type[Declared]) -> str:
    """What comes out of a layer's examples, and the shapes of its weights."""
    signature = cls.signature()
    if signature.rule is None or not issubclass(cls, Layer):
        return ""
    rows = []
    for example in cls.examples:
        settings = {setting.name: setting.default for setting in signature.settings} | dict(example.settings)
        types = tuple(
            TensorType("float", shape, per_sample=port.name not in example.parameters)
            for port, shape in zip(signature.ports, example.shapes, strict=True)
        )
        written = [f"{name} = {value(given)}" for name, given in example.settings.items()]
        inputs = ", ".join(
            f"{port.name} {show(type_.shape)}" for port, type_ in zip(signature.ports, types, strict=True)
        )
        weights = signature.weights(settings, types) if signature.weights is not None else {}
        owned = ", ".join(f"{name} {show(shape)}" for name, shape in weights.items())
        rows.append((", ".join(written), inputs, show(signature.rule(settings, types).shape), owned))
    return _grid(("settings", "inputs", "result", "weights"), rows)

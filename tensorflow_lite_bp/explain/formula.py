"""The formulas of a layer, a loss or an optimizer in its own letters, as LaTeX for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.explain.boxes import Typesetter
from tensorflow_lite_bp.explain.expression import Equation, parsed
from tensorflow_lite_bp.explain.latex import latex
from tensorflow_lite_bp.explain.notation import Notation

_PLAIN = Notation(
    name="formulas", article="", title="", samples="columns", input="X", pre="Y", post="Y", target="T", weight="W",
    bias="b", loss="E", product="", transposed="T",
)  # fmt: skip


@dataclass(frozen=True)
class _Letters:
    """Stands for a translation: letters are what they are."""

    notation: Notation = _PLAIN
    names: Any = None


def formulas(cls: Any) -> list[str]:
    """Its equations as LaTeX: the values, then the gradients; an optimizer's are assignments."""
    gradients: Mapping[str, str] = getattr(cls, "gradients", {})
    found = list(parsed(cls.formula))
    for name, text in gradients.items():
        found += parsed(f"{name} = {text}")
    sign = "←" if cls.category == "optimizer" else "="
    return [_written(equation, sign) for equation in found]


def _written(equation: Equation, sign: str) -> str:
    return latex(Typesetter(_Letters(), shapes=False).equation(equation, sign))

"""Equations as LaTeX, for a document with amsmath; in notations that do so, letters carry their shapes below."""

from __future__ import annotations

import re

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

_SIGNS = {
    "·": r"\cdot", "⊙": r"\odot", "○": r"\circ", "☉": r"\odot", "*": "*", "−": "-", "×": r"\times", "←": r"\leftarrow",
    "≥": r"\ge", "≤": r"\le", "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "η": r"\eta", "λ": r"\lambda", "μ": r"\mu", "ρ": r"\rho", "σ": r"\sigma", "ξ": r"\xi",
    "π": r"\pi", "φ": r"\varphi", "Φ": r"\Phi", "∂": r"\partial", "∇": r"\nabla", "⊺": r"\intercal", "…": r"\ldots",
    "⋯": r"\cdots", "{": r"\{", "}": r"\}", "‖": r"\lVert", "|": r"\lvert",
}  # fmt: skip
_CLOSING = {"‖": r"\rVert", "|": r"\rvert"}
_DIGITS_BELOW = str.maketrans({digit: rf"\(_{number}\)" for number, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")})
_SPECIAL = str.maketrans({"_": r"\_", "%": r"\%", "#": r"\#", "&": r"\&", "$": r"\$"})


def latex(box: Box, *, shape_indices: bool = False) -> str:
    """The box in LaTeX's mathematics mode.

    Args:
        shape_indices: put the shape of a letter below it, as article 000 does; else shapes are left out.
    """
    match box:
        case Letter(sign=sign, shape=shape, bold=bold):
            made = written(sign, shape if shape_indices else "")
            return rf"\mathbf{{{made}}}" if bold else made
        case Text(text=text, kind="word"):
            return rf"\operatorname{{{_word(text)}}}"
        case Text(text=text, kind=kind):
            made = "".join(_SIGNS.get(sign, sign) for sign in text)
            return {"operator": f" {made} ", "comma": r",\ ", "space": r" "}.get(kind, made)
        case Row(boxes=boxes):
            return "".join(latex(inner, shape_indices=shape_indices) for inner in boxes)
        case Derivative(nabla=True, by=by):
            return rf"\nabla {latex(by)}"
        case Derivative(loss=loss, by=by, shape=shape):
            below = latex(Letter(by.sign, shape, by.bold), shape_indices=shape_indices)
            return rf"\frac{{\partial {latex(loss)}}}{{\partial {below}}}"
        case Over(over=over, under=under):
            return (
                rf"\frac{{{latex(over, shape_indices=shape_indices)}}}{{{latex(under, shape_indices=shape_indices)}}}"
            )
        case Raised(base=base, above=above):
            raised = "".join(_SIGNS.get(sign, sign) + " " * (sign in _SIGNS) for sign in above.replace("′", "")).strip()
            inner = latex(base, shape_indices=shape_indices)
            if "′" in above:
                return _primed(base, inner, above.count("′"))
            if isinstance(base, Letter) and base.shape and shape_indices:
                return rf"\left( {inner} \right)^{{{raised}}}"
            return f"{{{inner}}}^{{{raised}}}" if isinstance(base, Letter) else f"{inner}^{{{raised}}}"
        case Lowered(base=base, below=below):
            return f"{latex(base, shape_indices=shape_indices)}_{{{below}}}"
        case Fenced(left=left, inner=inner, right=right):
            close = _CLOSING.get(right, _SIGNS.get(right, right))
            return rf"\left{_SIGNS.get(left, left)} {latex(inner, shape_indices=shape_indices)} \right{close}"
        case Root(inner=inner):
            return rf"\sqrt{{{latex(inner, shape_indices=shape_indices)}}}"
        case Exponential(power=power):
            return rf"e^{{{latex(power, shape_indices=shape_indices)}}}"
        case Sum(index=index, inner=inner):
            return rf"\sum_{{{index}}} {latex(inner, shape_indices=shape_indices)}"
    raise AssertionError(f"no LaTeX for {box}")


def written(sign: Sign, shape: str = "") -> str:
    """A sign in LaTeX.

    >>> written(Sign("S", "in", "2")), written(Sign("W", "", "[1]"), "5×3")
    ('S_{in}^{2}', 'W_{5 \\\\times 3}^{[1]}')
    """
    word = len(sign.base) > 1 and sign.base.isascii() and not re.fullmatch("d[A-Za-z]", sign.base)
    base = rf"\mathrm{{{sign.base.translate(_SPECIAL)}}}" if word else _SIGNS.get(sign.base, sign.base)
    if sign.tilde:
        base = rf"\tilde{{{base}}}"
    below = sign.below.translate(_SPECIAL) + shape.replace("×", r" \times ").replace("·", r" \cdot ")
    above = rf"^{{{sign.above}}}" if sign.above else ""
    return base + (f"_{{{below}}}" if below else "") + above


def _primed(base: Box, inner: str, primes: int) -> str:
    """A prime joins what stands above a letter already: LaTeX takes one superscript."""
    if isinstance(base, Letter) and base.sign.above:
        return inner.removesuffix("}") + r"\prime" * primes + "}"
    return inner + "'" * primes


def _word(text: str) -> str:
    return (
        text.translate(_SPECIAL)
        .replace("⁻¹", "^{-1}")
        .replace("σ", r"\sigma")
        .replace("Φ", r"\Phi")
        .replace("φ", r"\varphi")
    )


def escaped(text: str) -> str:
    """Text outside of mathematics."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    made = "".join(special.get(sign, "\\" + sign if sign in "_%#&${}" else sign) for sign in text)
    typeset = "".join(rf"\({_SIGNS[sign]}\)" if sign in _SIGNS and not sign.isascii() else sign for sign in made)
    return typeset.translate(_DIGITS_BELOW)

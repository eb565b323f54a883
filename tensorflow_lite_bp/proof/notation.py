"""Names of entries and expressions as article 000 writes them: ``∂E/∂w₁₁ = ∂E/∂y₁ · x₁ + ∂E/∂y₂ · x₂``.

Indices count from 1. The sample stands above, as the article's braces do: ``x₁⁽²⁾`` is the first feature of the second
sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ABOVE = str.maketrans("0123456789-/", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ")
PARTIAL = "∂E/∂"


def entry(letter: str, place: Sequence[int], *, samples: bool) -> str:
    """The name of one entry of an array; with ``samples`` the last axis counts them.

    >>> entry("x", (0, 1), samples=True), entry("w", (0, 2), samples=False), entry("h.dense", (11, 0), samples=True)
    ('x₁⁽²⁾', 'w₁₃', 'h.dense[12]⁽¹⁾')
    """
    indices = [index + 1 for index in place]
    sample = f"⁽{str(indices.pop()).translate(_ABOVE)}⁾" if samples else ""
    if len(letter) == 1 and max(indices, default=0) < 10:
        return letter + "".join(map(str, indices)).translate(_BELOW) + sample
    return letter + (f"[{','.join(map(str, indices))}]" if indices else "") + sample


def written(expression: Any) -> str:
    """An expression of SymPy in this notation: expanded where it is a polynomial, as it was computed where it is not.

    >>> import sympy
    >>> x, w = sympy.symbols("x₁ w₁₁")
    >>> written(sympy.Symbol("∂E/∂y₁") * (x + 2 * w)), written(1 / (1 + sympy.exp(-x))), written(x**2 / 3)
    ('2 · ∂E/∂y₁ · w₁₁ + ∂E/∂y₁ · x₁', '1 / (1 + e^(−x₁))', 'x₁² / 3')
    """
    import sympy

    if expression.is_polynomial():
        expression = sympy.expand(expression)
    return _sum(expression)


def _sum(expression: Any) -> str:
    """Terms with their signs; those with what flows back first, then in the order of their names."""
    if not expression.is_Add:
        return _signed(expression, first=True)
    terms = sorted(expression.args, key=lambda term: (PARTIAL not in str(term), not term.is_number, _natural(term)))
    return "".join(_signed(term, first=number == 0) for number, term in enumerate(terms))


def _signed(term: Any, *, first: bool) -> str:
    negative = term.could_extract_minus_sign() and not term.is_Add
    text = _product(-term if negative else term)
    if first:
        return f"−{text}" if negative else text
    return f" − {text}" if negative else f" + {text}"


def _product(term: Any) -> str:
    """A number, what flows back, then the other factors; what is divided by stands behind a slash."""
    above, below = term.as_numer_denom() if term.is_Mul or term.is_Rational or _is_reciprocal(term) else (term, None)
    text = " · ".join(map(_factor, _factors(above)))
    if below is None or below == 1:
        return text
    divisors = " · ".join(map(_factor, _factors(below)))
    return f"{text} / ({divisors})" if below.is_Mul and len(_factors(below)) > 1 else f"{text} / {divisors}"


def _is_reciprocal(term: Any) -> bool:
    return bool(term.is_Pow and term.exp.is_number and term.exp.could_extract_minus_sign())


def _factors(product: Any) -> list[Any]:
    if not product.is_Mul:
        return [product]
    return sorted(product.args, key=lambda factor: (not factor.is_number, PARTIAL not in str(factor), _natural(factor)))


def _factor(factor: Any) -> str:
    """One factor: a name, a power, a function's value, or a sum in brackets."""
    if factor.is_Add:
        return f"({_sum(factor)})"
    if factor.func.__name__ == "exp":
        return f"e^{_in_brackets(factor.args[0])}"
    if factor.is_Pow:
        if factor.exp.is_number and 2 * factor.exp == 1:
            return f"√{_in_brackets(factor.base)}"
        raised = str(factor.exp)
        above = raised.translate(_ABOVE) if factor.exp.is_Integer else f"^({_sum(factor.exp)})"
        return f"{_in_brackets(factor.base)}{above}"
    if factor.is_Function:
        return f"{factor.func.__name__} {_in_brackets(factor.args[0])}"
    return "π" if str(factor) == "pi" else str(factor)


def _in_brackets(expression: Any) -> str:
    text = _sum(expression)
    return text if expression.is_Symbol or (expression.is_Integer and expression >= 0) or text == "π" else f"({text})"


def _natural(expression: Any) -> str:
    """In the order of the names, of sums and products that of their parts."""
    return " ".join(sorted(map(str, expression.free_symbols)))

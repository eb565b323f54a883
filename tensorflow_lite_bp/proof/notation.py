"""Names of entries and expressions as article 000 writes them: ``∂E/∂w₁₁ = ∂E/∂y₁ · x₁ + ∂E/∂y₂ · x₂``.

Indices count from 1. The sample stands above, as the article's braces do: ``x₁⁽²⁾`` is the first feature of the second
sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ABOVE = str.maketrans("0123456789-/", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ")
_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789")
PARTIAL = "∂E/∂"


def name_of(letter: str, place: Sequence[int], *, samples: bool) -> str:
    """The name of one entry of an array; with ``samples`` the last axis counts them.

    >>> name_of("w", (0, 2), samples=False), name_of("x", (0, 1), samples=True), name_of("h.relu", (9, 0), samples=True)
    ('w₁₃', 'x₁⁽²⁾', 'h.relu[10]⁽¹⁾')
    """
    indices = [index + 1 for index in place]
    sample = f"⁽{str(indices.pop()).translate(_ABOVE)}⁾" if samples else ""
    if len(letter) == 1 and max(indices, default=0) < 10:
        return letter + "".join(map(str, indices)).translate(_BELOW) + sample
    return letter + (f"[{','.join(map(str, indices))}]" if indices else "") + sample


def written(expression: Any) -> str:
    """An expression of SymPy in this notation, in the form in which it was computed.

    >>> import sympy
    >>> x, w = sympy.symbols("x₁ w₁₁")
    >>> written(sympy.Symbol("∂E/∂y₁") * (x + 2 * w)), written(1 / (1 + sympy.exp(-x))), written(x**2 / 3)
    ('∂E/∂y₁ · (2 · w₁₁ + x₁)', '1 / (1 + e^(−x₁))', 'x₁² / 3')
    """
    return _sum(expression)


def _sum(expression: Any) -> str:
    """Terms with their signs: what flows back first, numbers before names, what is added before what is taken off."""
    if not expression.is_Add:
        return _signed(expression, first=True)

    def order(term: Any) -> Any:
        flows, negative = PARTIAL in str(term), term.could_extract_minus_sign()
        return not flows, not term.is_number, negative, _natural(term)

    terms = sorted(expression.args, key=order)
    return "".join(_signed(term, first=number == 0) for number, term in enumerate(terms))


def _signed(term: Any, *, first: bool) -> str:
    negative = term.could_extract_minus_sign() and not term.is_Add
    text = _product(-term if negative else term)
    if first:
        return f"−{text}" if negative else text
    return f" − {text}" if negative else f" + {text}"


def _product(term: Any) -> str:
    """A number, what flows back, then the other factors; what is divided by stands behind a slash."""
    above, below = [], []
    for factor in term.args if term.is_Mul else (term,):
        if factor.is_Rational:
            above += [factor.p] if factor.p != 1 else []
            below += [factor.q] if factor.q != 1 else []
        elif factor.is_Pow and factor.exp.is_number and factor.exp.could_extract_minus_sign():
            below.append(1 / factor)
        else:
            above.append(factor)
    text = " · ".join(map(_factor, _ordered(above))) or "1"
    divisors = " · ".join(map(_factor, _ordered(below)))
    return " / ".join(filter(None, [text, f"({divisors})" if len(below) > 1 else divisors]))


def _ordered(factors: list[Any]) -> list[Any]:
    return sorted(map(_expression, factors), key=lambda f: (not f.is_number, PARTIAL not in str(f), _natural(f)))


def _expression(factor: Any) -> Any:
    import sympy

    return sympy.sympify(factor)


def _factor(factor: Any) -> str:
    """One factor: a name, a power, a function's value, or a sum in brackets."""
    if factor.is_Add:
        return f"({_sum(factor)})"
    if factor.func.__name__ == "exp":
        return f"e^({_sum(factor.args[0])})"
    if factor.is_Pow:
        if factor.exp.is_number and 2 * factor.exp == 1:
            return f"√{_in_brackets(factor.base)}"
        raised = str(factor.exp)
        above = raised.translate(_ABOVE) if factor.exp.is_Integer else f"^({_sum(factor.exp)})"
        return f"{_in_brackets(factor.base)}{above}"
    if factor.is_Function:
        return f"{factor.func.__name__}({_sum(factor.args[0])})"
    return "π" if str(factor) == "pi" else str(factor)


def _in_brackets(expression: Any) -> str:
    """A name or a natural number stands for itself; a name with its sample above cannot bear a power."""
    text = _sum(expression)
    plain = expression.is_Symbol or (expression.is_Integer and expression >= 0) or text == "π"
    return text if plain and not text.endswith("⁾") else f"({text})"


def counted(name: Any) -> str:
    """A name to sort by: digits above and below count as digits."""
    return str(name).translate(_PLAIN)


def _natural(expression: Any) -> list[str]:
    """In the order of the names, of sums and products that of their parts."""
    return sorted(map(counted, expression.free_symbols))

"""What an equation looks like, before it is text, LaTeX or MathML: letters in rows, fractions, brackets.

Precedence is settled here, once: what needs brackets gets them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction as Ratio
from typing import Any

from tensorflow_lite_bp.explain.derivation import M, Quantity
from tensorflow_lite_bp.explain.expression import (
    STRUCTURAL,
    Add,
    Divide,
    Dots,
    Entry,
    Equation,
    Expression,
    Function,
    Holds,
    Key,
    Negative,
    Number,
    Power,
    Product,
    Scalar,
    SumOver,
    Symbol,
    Times,
    Transpose,
    is_scalar,
    negative,
)
from tensorflow_lite_bp.explain.names import Names, Sign, letter
from tensorflow_lite_bp.explain.shapes import show

# The boxes


class Box:
    """Base of all boxes."""


@dataclass(frozen=True)
class Letter(Box):
    """A sign; ``shape`` is printed with it where shapes are shown."""

    sign: Sign
    shape: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Text(Box):
    """A number, an operator (``kind`` "operator", with room around), or a word of the formula language."""

    text: str
    kind: str = "number"


@dataclass(frozen=True)
class Row(Box):
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Derivative(Box):
    """∂E/∂x, or ∇x."""

    loss: Letter
    by: Letter
    shape: str = ""
    nabla: bool = False


@dataclass(frozen=True)
class Over(Box):
    """A fraction."""

    over: Box
    under: Box


@dataclass(frozen=True)
class Raised(Box):
    """With something above on the right: a power, a transpose, primes."""

    base: Box
    above: str
    shape: str = ""


@dataclass(frozen=True)
class Lowered(Box):
    """With an index below on the right."""

    base: Box
    below: str


@dataclass(frozen=True)
class Fenced(Box):
    left: str
    inner: Box
    right: str


@dataclass(frozen=True)
class Root(Box):
    inner: Box


@dataclass(frozen=True)
class Sum(Box):
    """Σ over an index, and what is summed."""

    index: str
    inner: Box


# From expressions

_SUM, _BIG, _HADAMARD, _PRODUCT, _POWER, _ATOM = range(1, 7)
_WORDS = {
    "unvec": "vec⁻¹", "unreshape": "reshape⁻¹", "unpermute": "permute⁻¹", "unmaxpool": "maxpool⁻¹",
    "unavgpool": "avgpool⁻¹", "sigmoid": "σ", "Phi": "Φ", "phi": "φ",
}  # fmt: skip
_FENCES = {"abs": ("|", "|"), "norm": ("‖", "‖")}


class Typesetter:
    """Makes boxes of a translation's expressions.

    Args:
        translation: gives signs, shapes and the notation.
        shapes: whether every letter gets its shape.
    """

    def __init__(self, translation: Any, *, shapes: bool = True) -> None:
        self.translation, self.notation = translation, translation.notation
        self.names: Names = translation.names
        self.shapes = shapes

    def equation(self, equation: Equation, sign: str = "=") -> Row:
        return Row((self.box(equation.left), Text(sign, "operator"), self.box(equation.right)))

    def box(self, of: Expression, least: int = 0) -> Box:
        """The box of an expression, bracketed where it binds less than ``least``."""
        made, binding = self._made(of)
        return Fenced("(", made, ")") if binding < least else made

    def letter_of(self, key: Key, *, shape: bool = True) -> Box:
        """A symbol: a letter, or the derivative by one."""
        if isinstance(key, Scalar):
            return Letter(letter(key.name))
        if isinstance(key, Sign):
            return Letter(key)
        if isinstance(key, str):
            return Letter(letter(key))
        assert isinstance(key, Quantity)
        shown = show(self.translation.shape_of_symbol(key)) if self.shapes and shape else ""
        if key.kind != "gradient":
            return Letter(self.translation.sign(key), shown, self.notation.bold)
        if self.translation.carried(key):
            return Letter(self.translation.carried_sign(key), shown)
        nabla = key.of == "weight" and self.notation.weight_gradient == "∇"
        by = Letter(
            self.translation.sign(Quantity(key.of, key.name, key.letter), derivative=True), "", self.notation.bold
        )
        return Derivative(Letter(self.translation.total()), by, shown, nabla)

    def _made(self, of: Expression) -> tuple[Box, int]:
        match of:
            case Symbol(key=key):
                return self.letter_of(key), _ATOM
            case Number(value=value):
                return Text(number(value)), _ATOM if value >= 0 else _SUM
            case Transpose(of=inner):
                return self._transposed(inner), _POWER
            case Negative(of=inner):
                return Row((Text("−", "sign"), self.box(inner, _HADAMARD))), _SUM
            case Add(terms=terms):
                return self._sum(terms), _SUM
            case Product(factors=factors):
                return self._joined(factors, self.notation.product, _POWER), _PRODUCT
            case Times(factors=factors):
                return self._times(factors), _HADAMARD
            case Divide():
                return self._divided(of)
            case Power(base=base, exponent=exponent):
                return self._power(base, self._plain(exponent)), _POWER
            case Function():
                return self._function(of)
            case Holds(sign=sign, left=left, right=right):
                return Fenced("[", Row((self.box(left), Text(sign, "operator"), self.box(right))), "]"), _ATOM
            case Entry(of=inner, row=row, column=column):
                return self._entry(inner, row, column), _ATOM
            case SumOver(index=index, of=inner):
                return Sum(index, self.box(inner, _BIG)), _BIG
            case Dots():
                return Text("⋯", "word"), _ATOM
        raise AssertionError(f"no box for {of}")

    def _entry(self, of: Expression, row: str, column: str) -> Box:
        """A letter with the indices of an entry; in notations with columns the sample stands above, in braces."""
        comma = "," if row and column and len(row) + len(column) > 2 else ""
        if not isinstance(of, Symbol):
            return Lowered(self.box(of, _ATOM), row + comma + column)
        box = self.letter_of(of.key, shape=False)
        sample = row if self.notation.samples == "rows" else column
        place = column if self.notation.samples == "rows" else row
        rows, columns = self.translation.shape_of_symbol(of.key)
        if not sample or M not in (rows if self.notation.samples == "rows" else columns):
            return _indexed(box, row + comma + column, "")
        return _indexed(box, place, f"{{{sample}}}")

    def _power(self, base: Expression, exponent: str) -> Box:
        box = self.box(base, _ATOM)
        bare = not isinstance(box, Derivative) and not (isinstance(box, Letter) and box.sign.above)
        return Raised(box if bare else Fenced("(", box, ")"), exponent)

    def _transposed(self, inner: Expression) -> Box:
        """A letter is bracketed where the notation does so; its shape is that of the transpose."""
        known = self.shapes and isinstance(inner, Symbol)
        shape = show(self.translation.shape(Transpose(inner))) if known else ""
        base = self.box(inner, _ATOM)
        indexed = isinstance(base, Letter) and base.sign.above != ""
        if isinstance(base, Derivative) or (indexed and self.notation.transposed_brackets):
            base = Fenced("(", base, ")")
        return Raised(base, self.notation.transposed, shape)

    def _sum(self, terms: tuple[Expression, ...]) -> Box:
        boxes: list[Box] = []
        for term in terms:
            minus = isinstance(term, Negative) or (isinstance(term, Number) and term.value < 0)
            if boxes:
                boxes.append(Text("−" if minus else "+", "operator"))
            elif minus:
                boxes.append(Text("−", "sign"))
            boxes.append(self.box(negative(term) if minus else term, _BIG))
        return Row(tuple(boxes))

    def _joined(self, factors: tuple[Expression, ...], sign: str, least: int) -> Box:
        boxes: list[Box] = []
        for factor in factors:
            if boxes:
                boxes.append(Text(sign, "operator") if sign else Text(" ", "space"))
            boxes.append(self.box(factor, least))
        return Row(tuple(boxes))

    def _times(self, factors: tuple[Expression, ...]) -> Box:
        """Numbers stand before what they multiply; between arrays stands Hadamard's sign."""
        scalars = tuple(factor for factor in factors if is_scalar(factor))
        arrays = tuple(factor for factor in factors if not is_scalar(factor))
        least = (_POWER if len(arrays) > 1 else _PRODUCT) if self.notation.brackets else _PRODUCT
        if not arrays:
            entries = any(not isinstance(factor, Number | Symbol | Divide) for factor in scalars)
            return self._joined(scalars, "·" if entries else "", _HADAMARD if entries else _PRODUCT)
        body = self._joined(arrays, self.notation.hadamard, least)
        if not scalars:
            return body
        if len(arrays) == 1:
            body = self.box(arrays[0], _PRODUCT)
        return Row((self._joined(scalars, "", _PRODUCT), Text(" ", "space"), body))

    def _divided(self, of: Divide) -> tuple[Box, int]:
        if isinstance(of.over, Number) and is_scalar(of.under):
            return Over(self.box(of.over), self.box(of.under)), _POWER
        if of.under == Symbol(M):  # as article 000 writes the mean
            return Row((self.box(of.over, _HADAMARD), Text("/", "operator"), self.box(of.under))), _HADAMARD
        return Over(self.box(of.over), self.box(of.under)), _POWER

    def _function(self, of: Function) -> tuple[Box, int]:
        match of:
            case Function(name=name, arguments=(Transpose(of=turned),)) if name in STRUCTURAL:  # it commutes
                return self._transposed(replace(of, arguments=(turned,))), _POWER
        inner = tuple(self.box(argument) for argument in of.arguments)
        match of:
            case Function(name="exp", arguments=(one,)):
                return Exponential(self.box(one)), _POWER
            case Function(name="sqrt"):
                return Root(inner[0]), _ATOM
            case Function(name="abs" | "norm" as fence):
                left, right = _FENCES[str(fence)]
                return Fenced(left, inner[0], right), _ATOM
            case Function(name="d", arguments=(one,)):
                return Row((Text("d", "number"), self.box(one, _ATOM))), _ATOM
            case Function(name="diag"):
                return Row((Text("diag", "word"), Fenced("{", inner[0], "}"))), _ATOM
            case Function(name="rows"):
                return self._rows(*of.arguments), _ATOM
        arguments: list[Box] = []
        for box in inner:
            arguments += [Text(",", "comma"), box] if arguments else [box]
        if of.axis is not None and of.name not in ("softmax",):
            arguments += [Text(",", "comma"), Text(f"axis={of.axis}", "word")]
        named: Box = (
            Letter(of.name) if isinstance(of.name, Sign) else Text(_WORDS.get(str(of.name), str(of.name)), "word")
        )
        applied = Fenced("(", Row(tuple(arguments)), ")")
        if of.primes and self.notation.prime_outside:
            return Raised(Fenced("(", Row((named, applied)), ")"), "′" * of.primes), _ATOM
        return Row((Raised(named, "′" * of.primes) if of.primes else named, applied)), _ATOM

    def _rows(self, row: Expression, times: Expression) -> Box:
        """``[a, a, a]ᵀ``: the same row, once for each output."""
        assert isinstance(times, Number)
        count = int(times.value)
        boxes: list[Box] = []
        for place in range(min(count, 3)):
            if boxes:
                boxes.append(Text(",", "comma"))
            boxes.append(Text("…", "word") if place == 1 and count > 3 else self.letter_or_box(row))
        return Raised(Fenced("[", Row(tuple(boxes)), "]"), self.notation.transposed)

    def letter_or_box(self, of: Expression) -> Box:
        return self.letter_of(of.key, shape=False) if isinstance(of, Symbol) else self.box(of)

    def _plain(self, exponent: Expression) -> str:
        match exponent:
            case Number(value=value):
                return number(value)
            case Symbol(key=Scalar(name=name)):
                return letter(name).base
        return str(exponent)


@dataclass(frozen=True)
class Exponential(Box):
    """e to a power that may be long."""

    power: Box


def _indexed(box: Box, below: str, above: str) -> Box:
    """A letter, or the letter by which is derived, with further indices."""
    match box:
        case Letter(sign=sign):
            gap = "," if len(sign.below) > 1 and below else ""
            return replace(box, sign=replace(sign, below=sign.below + gap + below, above=sign.above + above))
        case Derivative(by=by):
            indexed = _indexed(by, below, above)
            assert isinstance(indexed, Letter)
            return replace(box, by=indexed)
    return Lowered(box, below)


def number(value: float | Ratio) -> str:
    """A number as formulas write it.

    >>> number(2.0), number(-0.5), number(1e-05)
    ('2', '−0.5', '1e−05')
    """
    plain = str(int(value)) if float(value).is_integer() else f"{float(value):.6g}"
    return plain.replace("-", "−")

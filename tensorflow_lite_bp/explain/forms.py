"""The forms in which an equation is printed: whole matrices, one entry, entries written out, or differentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product as combinations
from typing import Any

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.boxes import Box, Typesetter
from tensorflow_lite_bp.explain.derivation import M, Quantity
from tensorflow_lite_bp.explain.differential import NoDifferential, differential, frobenius
from tensorflow_lite_bp.explain.expression import (
    STRUCTURAL,
    Divide,
    Dots,
    Entry,
    Equation,
    Expression,
    Function,
    Number,
    Power,
    Product,
    Scalar,
    SumOver,
    Symbol,
    Transpose,
    add,
    is_scalar,
    rebuilt,
    times,
)
from tensorflow_lite_bp.explain.translate import Line, Translation

Form = Callable[[Translation, Line], Iterator[Box]]


def form_of(name: str) -> Form:
    """The form of this name.

    Raises:
        InputError: with the list of those that there are.
    """
    from difflib import get_close_matches

    if name not in FORMS:
        close = get_close_matches(name, FORMS, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(FORMS)}"
        raise InputError(f"no form is named `{name}`: {hint}")
    return FORMS[name]


def matrix(translation: Translation, line: Line) -> Iterator[Box]:
    """The equation as it is."""
    yield Typesetter(translation).equation(line.equation, _sign(line))


def components(translation: Translation, line: Line) -> Iterator[Box]:
    """The equation for one entry, its row and column as letters."""
    equation = _Entries(translation, line).equation(line.equation)
    yield Typesetter(translation, shapes=False).equation(equation, _sign(line))


def expanded(translation: Translation, line: Line) -> Iterator[Box]:
    """The first entries and the last, their sums written out."""
    entries = _Entries(translation, line)
    equation = entries.equation(line.equation)
    for places in entries.places(equation):
        written = Equation(_placed(equation.left, places), _placed(equation.right, places))
        yield Typesetter(translation, shapes=False).equation(written, _sign(line))


def differentials(translation: Translation, line: Line) -> Iterator[Box]:
    """What a value's differential is, and what a gradient adds to dE, with Frobenius' product ``A : B = tr(Aᵀ B)``."""
    if translation.layout == "numerator":
        raise InputError(
            "--form differentials writes A : dX, where A lies as X does: take --layout denominator with it"
        )
    typesetter = Typesetter(translation)
    if line.kind == "gradient" and isinstance(line.of, Quantity):
        if line.of.of == "tensor":
            yield typesetter.equation(line.equation)
        yield frobenius(translation, typesetter, line)
    elif line.kind in ("value", "definition") and isinstance(line.equation.left, Symbol):
        try:
            yield typesetter.equation(differential(translation, line))
        except NoDifferential:
            yield typesetter.equation(line.equation)
    else:
        yield typesetter.equation(line.equation, _sign(line))


FORMS: dict[str, Form] = {
    "matrix": matrix,
    "components": components,
    "expanded": expanded,
    "differentials": differentials,
}


def _sign(line: Line) -> str:
    return "←" if line.kind == "update" else "="


# Entries


class _Entries:
    """Writes the entry of an expression, summing over the indices that matrix products and sums hide.

    Indices are chosen so that a weight's entry is ``W_ij``: of a value ``i``, of a derivative by a tensor ``j``.
    """

    def __init__(self, translation: Translation, line: Line) -> None:
        self.translation = translation
        self._free = iter("klnopquvw")
        of = line.of.of if isinstance(line.of, Quantity) and line.of.kind == "gradient" else ""
        across = of == "weight" and translation.layout == "numerator"
        across = across and bool(translation.shape(line.equation.left)[0])  # a matrix, not the row of a bias
        self._first, self._second = ("j", "i") if of == "tensor" or across else ("i", "j")
        self._used: set[str] = set()

    def equation(self, equation: Equation) -> Equation:
        rows, columns = self.translation.shape(equation.left)
        row = self._index(rows)
        column = self._index(columns)
        return Equation(self.entry(equation.left, row, column), self.entry(equation.right, row, column))

    def places(self, equation: Equation) -> Iterator[dict[str, str]]:
        """Numbers for the indices of the left side: all if they are few, else the first two and the last."""
        left = equation.left
        sizes = _indices(self.translation, left)
        ranges = [(index, _range(size)) for index, size in sizes.items()]
        found = [dict(zip(sizes, numbers, strict=True)) for numbers in combinations(*(r for _, r in ranges))]
        yield from found if len(found) <= 6 else [*found[:3], found[-1]]

    def entry(self, of: Expression, row: str, column: str) -> Expression:
        match of:
            case Symbol(key=key) if not is_scalar(of):
                rows, columns = self.translation.shape(of)
                here = Entry(of, row if rows else "", column if columns else "")
                if self._lies_across(key):  # ∂E/∂W_ij is the derivative by W_ij, wherever it stands
                    here = Entry(of, here.column, here.row)
                return here if here.row or here.column else of
            case Transpose(of=inner):
                return self.entry(inner, column, row)
            case Product(factors=factors):
                return self._product(factors, row, column)
            case Function():
                return self._function(of, row, column)
            case Power(base=Function(name="norm", arguments=(inner,)), exponent=Number(value=2)):
                return self._total(Power(inner, Number(2)))
        return rebuilt(of, lambda part: self.entry(part, row, column))

    def _lies_across(self, key: Any) -> bool:
        return isinstance(key, Quantity) and key.kind == "gradient" and self.translation.layout == "numerator"

    def _product(self, factors: tuple[Expression, ...], row: str, column: str) -> Expression:
        """``Σₖ A_ik B_kj``; a diagonal matrix only scales the columns."""
        *before, last = factors
        if not before:
            return self.entry(last, row, column)
        left = before[0] if len(before) == 1 else Product(tuple(before))
        if isinstance(last, Function) and last.name == "diag":
            return times(self.entry(left, row, column), self.entry(last.arguments[0], column, ""))
        size = self.translation.shape(left)[1]
        index = self._index(size)
        entries = [self.entry(left, row, index), self.entry(last, index, column)]
        if self.translation.layout == "numerator" and not size:
            entries.reverse()  # numbers commute: the derivative stands first, as everywhere
        term = times(*entries)
        return SumOver(index, size, term) if size else term

    def _function(self, of: Function, row: str, column: str) -> Expression:
        arguments = of.arguments
        if of.name == "rows":
            return self.entry(arguments[0], column, "")
        if of.name in ("sum", "mean") and of.axis is None:
            return self._total(arguments[0])
        if of.name in ("sum", "mean"):
            rows, columns = self.translation.shape(arguments[0])
            size = columns if of.axis == 1 else rows
            index = self._index(size)
            inner = self.entry(arguments[0], *((row, index) if of.axis == 1 else (index, column)))
            return _sum(index, size, inner, mean=of.name == "mean")
        if of.name == "softmax":
            exponential = Function("exp", arguments)
            return self.entry(Divide(exponential, Function("sum", (exponential,), of.axis)), row, column)
        if of.name in STRUCTURAL:
            return Entry(of, row, column)
        return rebuilt(of, lambda part: self.entry(part, row, column))

    def _total(self, of: Expression) -> Expression:
        rows, columns = self.translation.shape(of)
        row, column = self._index(rows), self._index(columns)
        return _sum(row, rows, _sum(column, columns, self.entry(of, row, column)))

    def _index(self, size: tuple[Any, ...]) -> str:
        """A letter for an axis of this size: s for samples, p for the columns of images and sequences."""
        if not size:
            return ""
        wanted = ("s" if size == (M,) else "p",) if M in size else (self._first, self._second)
        index = next((letter for letter in wanted if letter not in self._used), None) or next(self._free)
        self._used.add(index)
        return index


def _sum(index: str, size: tuple[Any, ...], of: Expression, *, mean: bool = False) -> Expression:
    made = SumOver(index, size, of) if index else of
    return times(Divide(Number(1), _count(size)), made) if mean and index else made


def _count(size: tuple[Any, ...]) -> Expression:
    return times(*(Number(part) if isinstance(part, int) else Symbol(_scalar(part)) for part in size))


def _scalar(part: Any) -> Scalar:
    return part if isinstance(part, Scalar) else Scalar(str(part))


def _indices(translation: Translation, left: Expression) -> dict[str, tuple[Any, ...]]:
    if not isinstance(left, Entry):
        return {}
    sides = translation.shape(left.of)
    if isinstance(left.of, Symbol) and isinstance(left.of.key, Quantity) and left.of.key.kind == "gradient":
        sides = sides[::-1] if translation.layout == "numerator" else sides
    return {index: size for index, size in zip((left.row, left.column), sides, strict=True) if index}


def _range(size: tuple[Any, ...]) -> list[str]:
    """Values of an index: all of a few, else the first two and the last."""
    if all(isinstance(part, int) for part in size):
        count = 1
        for part in size:
            count *= part
        return [str(number) for number in range(1, count + 1)] if count <= 4 else ["1", "2", str(count)]
    return ["1", "2", "·".join(part.name if isinstance(part, Scalar) else str(part) for part in size)]


def _placed(of: Expression, places: dict[str, str]) -> Expression:
    """Numbers in the place of indices, sums term by term."""
    match of:
        case Entry(of=inner, row=row, column=column):
            placed = inner if isinstance(inner, Symbol) else _placed(inner, places)
            return Entry(placed, places.get(row, row), places.get(column, column))
        case SumOver(index=index, size=size, of=inner):
            values = _range(size)
            terms = [_placed(inner, {**places, index: value}) for value in values]
            whole = len(values) <= 4 and size == (len(values),)
            if not whole:
                terms.insert(2, Dots())
            return add(*terms)
    return rebuilt(of, lambda part: _placed(part, places))

"""What the symbols of a notation stand for: letters, orientation, shapes, and how a framework's expression is read.

The framework's arrays have a column for each sample, and a gradient lies as its variable does. In another notation a
symbol may stand for the transpose, or for a multiple; then an equation is transposed where its left side is, and each
symbol on the right is put back by a transpose, which the algebra of `expression` brings into the form of the textbook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.derivation import Derivation, M, Quantity
from tensorflow_lite_bp.explain.expression import (
    Expression,
    Function,
    Key,
    Number,
    Product,
    Scalar,
    Symbol,
    Times,
    Transpose,
    product,
    rebuilt,
    substituted,
    times,
    transpose,
    walk,
)
from tensorflow_lite_bp.explain.names import Names, Sign
from tensorflow_lite_bp.explain.notation import Notation
from tensorflow_lite_bp.explain.shapes import Shape, shape_of, show


@dataclass(frozen=True)
class View:
    """How a derivation is to be shown; None takes what the notation does."""

    notation: Notation
    layout: str | None = None
    reduction: str | None = None
    through: str | None = None
    augmented: bool = False


class Reading:
    """A derivation as a view reads it.

    Attributes:
        layout, reduction, through: as the view or else the notation has them.
        means: for each loss, whether it is a mean over the samples.
        names: the signs of the quantities.
        shapes: of quantities, in the framework's orientation.
        function_letters: of the activations that have one, by the step.

    Raises:
        InputError: for a combination that cannot be written, with the reason.
    """

    def __init__(self, derivation: Derivation, view: View) -> None:
        self.derivation, self.view, self.notation = derivation, view, view.notation
        self.layout = view.layout or view.notation.layout
        self.through = view.through or view.notation.through
        self.names = Names(derivation, view.notation)
        self.means = [loss.reduction == "mean" for _, loss in derivation.graph.losses]
        self.reduction = self._chosen_reduction()
        self.shapes: dict[Any, Shape] = dict(derivation.shapes)
        self.function_letters = dict(self._function_letters())
        if view.notation.samples == "one":
            self._refuse_statistics()

    # Orientation and multiples

    def turned(self, quantity: Key) -> bool:
        """Whether a symbol stands for the transpose of the framework's array."""
        if isinstance(quantity, Scalar):
            return False
        rows = self.notation.samples == "rows"
        across = isinstance(quantity, Quantity) and quantity.kind == "gradient" and self.layout == "numerator"
        return rows != across

    def carried(self, quantity: Key) -> bool:
        """Whether a gradient has the notation's own letter, such as δ."""
        if not isinstance(quantity, Quantity) or quantity.kind != "gradient" or quantity.of != "tensor":
            return False
        return bool(self.notation.carried) and self.through != "post" and quantity.name in self.names.pre

    def multiple(self, quantity: Key) -> tuple[int, bool]:
        """A symbol times this is the framework's array: a sign, and whether it is to be divided by m."""
        flows = isinstance(quantity, Quantity) and quantity.kind == "gradient" and quantity.of == "tensor"
        return self.notation.sign if self.carried(quantity) else 1, flows and self.reduction == "gradient"

    def oriented(self, of: Expression, left: Key) -> Expression:
        """The framework's expression for what a symbol stands for, in the notation's symbols."""
        seen = transpose(of) if self.turned(left) else of
        placed = substituted(seen, lambda key: Transpose(Symbol(key)) if self.turned(key) else None)
        return self._styled(placed)

    def one_sample(self, of: Expression) -> Expression:
        """Where one sample is seen there is no sum over samples."""
        if self.notation.samples != "one":
            return of
        inner = rebuilt(of, self.one_sample)
        match inner:
            case Function(name="sum", axis=1, arguments=(columns,)) if shape_of(columns, self.shapes)[1] == (M,):
                return columns
        return inner

    def _styled(self, of: Expression) -> Expression:
        """Its own ways: ``diag{f′}`` beside a row of derivatives, an outer product as rows of activations."""
        inner = rebuilt(of, self._styled)
        if self.notation.diagonal and self.layout == "numerator" and isinstance(inner, Times):
            slopes = [part for part in inner.factors if isinstance(part, Function) and part.primes]
            others = [part for part in inner.factors if part not in slopes]
            if slopes and others:
                return product(times(*others), *(Function("diag", (transpose(slope),)) for slope in slopes))
        if self.notation.outer == "broadcast" and isinstance(inner, Product):
            match inner.factors:
                case (column, Transpose(of=row)) if self.shape(column)[1] == () == self.shape(row)[1]:
                    return Times((Function("rows", (row, *(Number(size) for size in self.shape(column)[0]))), column))
        return inner

    # Shapes

    def shape(self, of: Expression) -> Shape:
        """The shape of an expression of the notation: its symbols turned, one sample where it sees one."""
        return shape_of(of, _Turned(self))

    def shape_of_symbol(self, key: Key) -> Shape:
        rows, columns = self.shapes.get(key, ((), ()))
        if self.notation.samples == "one":
            rows, columns = (tuple(size for size in side if size != M) for side in (rows, columns))
        return (columns, rows) if self.turned(key) else (rows, columns)

    def shape_text(self, quantity: Quantity) -> str:
        """A quantity's shape as text: ``5×m``."""
        return show(self.shape_of_symbol(quantity))

    # Letters

    def sign(self, quantity: Quantity, *, derivative: bool = False) -> Sign:
        """The sign of a quantity; behind ∂ the network's output goes by its other name, if it has one."""
        alias = self.notation.output_alias
        if quantity == TOTAL:
            return self.total()
        if derivative and alias and quantity.kind == "tensor" and quantity.name == self.names.output:
            return Sign.of(alias)
        return self.names.sign(quantity)

    def carried_sign(self, quantity: Quantity) -> Sign:
        """δ with the index of the layer."""
        step = self.derivation.step_of(quantity.name)
        assert step is not None
        return Sign.of(self.notation.carried, self.names.indices[step.name])

    def total(self) -> Sign:
        """What is differentiated: the sum of all losses, or one sample's."""
        return Sign.of(self.notation.sample_loss or self.notation.loss)

    def aliased(self, of: Expression) -> Expression:
        """What the loss looks at, under the network's name for its output."""
        output = Quantity("tensor", self.names.output or "")
        if not self.notation.output_alias:
            return of
        return substituted(of, lambda key: Symbol(self.alias(output)) if key == output else None)

    def alias(self, tensor: Quantity) -> Quantity:
        """The network's input or output under its other name."""
        alias = replace(tensor, letter="alias")
        outward = tensor.name == self.names.output
        self.names.signs[alias] = Sign.of(self.notation.output_alias if outward else self.notation.input_alias)
        self.shapes[alias] = self.shapes[tensor]
        return alias

    def constant(self, key: Key) -> bool:
        """Whether nothing is differentiated by a symbol: targets, masks."""
        targets = {item.name for item in self.derivation.graph.program.targets}
        return isinstance(key, Quantity) and (key.name in targets or (key.kind == "local" and key.letter in ("U", "M")))

    # Choices

    def _chosen_reduction(self) -> str:
        chosen = self.view.reduction
        if chosen == "gradient" and not (self.means and all(self.means)):
            what = "no loss here is a mean" if not any(self.means) else "some losses here are means and some are sums"
            raise InputError(f"--reduction gradient takes the mean over the samples out of the loss, and {what}")
        if chosen is None:
            return self.notation.reduction if self.means and all(self.means) else "loss"
        return chosen

    def _refuse_statistics(self) -> None:
        for step in self.derivation.steps:
            functions = (part for equation in step.forward for part in walk(equation.right))
            for function in functions:
                if not isinstance(function, Function) or function.axis != 1:
                    continue
                if M in shape_of(function.arguments[0], self.shapes)[1]:
                    raise InputError(
                        f"{step.place}: `{step.name}` ({step.op}) needs the whole batch, and the notation "
                        f"`{self.notation.name}` writes one sample: take `columns` or `rows`"
                    )

    def _function_letters(self) -> Iterator[tuple[str, Sign]]:
        """The letters of activations, where each letter then means one function."""
        notation = self.notation
        steps = list(self.names.step_functions())
        output = {step.name for step, _ in steps if step.result.name == self.names.output and notation.output_function}
        hidden = {name for step, name in steps if step.name not in output}
        for step, _ in steps:
            k = self.names.indices[step.name]
            if step.name in output:
                yield step.name, Sign.of(notation.output_function, k)
            elif step.op in notation.functions:
                yield step.name, Sign.of(notation.functions[step.op], k)
            elif notation.function and ("{k}" in notation.function or len(hidden) == 1):
                yield step.name, Sign.of(notation.function, k)


TOTAL = Quantity("loss", "", "total")
"""The sum of all losses."""


class _Turned(Mapping[Any, Shape]):
    """The shapes of symbols as the notation has them."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __getitem__(self, key: Any) -> Shape:
        return self._reading.shape_of_symbol(key)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._reading.shape_of_symbol(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._reading.shapes)

    def __len__(self) -> int:
        return len(self._reading.shapes)

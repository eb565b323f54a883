"""Every gradient in terms of those that a notation carries back, with its sign and its mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow_lite_bp.explain.derivation import Arrival, Derivation, M, Quantity, Step, gradient
from tensorflow_lite_bp.explain.expression import (
    Divide,
    Expression,
    Function,
    Key,
    Number,
    Symbol,
    Times,
    add,
    is_scalar,
    negative,
    rebuilt,
    substituted,
    times,
)
from tensorflow_lite_bp.explain.reading import Reading, View
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.layers.elementwise import Elementwise


class Gradients(Reading):
    """The right sides of gradients, in the framework's orientation.

    Attributes:
        rights: what each gradient is, before those that are not carried are put into it.
    """

    def __init__(self, derivation: Derivation, view: View) -> None:
        super().__init__(derivation, view)
        self.rights: dict[Quantity, Expression] = {}
        self._inlined: set[Quantity] = set()
        for step in reversed(derivation.steps):
            for of, arrivals in step.arrivals.items():
                self.rights[of] = add(*map(self._arrival, arrivals))
                if of.of == "tensor" and self._not_carried(of.name):
                    self._inlined.add(of)
        for of, arrivals in derivation.input_arrivals.items():
            self.rights[of] = add(*map(self._arrival, arrivals))

    def right(self, of: Quantity) -> Expression:
        """A gradient in terms of those that are carried, as the symbol on its left has it."""
        right = self.signed(self.one_sample(self.put_in(self.rights[of])), of)
        return Divide(right, Symbol(M)) if of.of == "weight" and self.reduction == "gradient" else right

    def inlined(self, of: Quantity) -> bool:
        """Whether a gradient has no equation of its own, since it is put into others."""
        return of in self._inlined

    def put_in(self, of: Expression) -> Expression:
        """With what they are in the place of gradients that are not carried."""

        def replaced(key: Key) -> Expression | None:
            return self.put_in(self.rights[key]) if isinstance(key, Quantity) and key in self._inlined else None

        return substituted(of, replaced)

    def signed(self, of: Expression, left: Key) -> Expression:
        """With carried letters that stand for -1 times the derivative, on the right and on the left."""
        if self.notation.sign > 0:
            return of
        placed = substituted(of, lambda key: negative(Symbol(key)) if self.carried(key) else None)
        return negative(placed) if self.carried(left) else placed

    def arrivals_at(self, of: Quantity) -> Sequence[Arrival]:
        """Where the terms of a gradient come from."""
        step = self.derivation.step_of(of.name)
        found = self.derivation.input_arrivals if step is None else step.arrivals
        return found.get(of, ())

    def slope(self, step: Step, *, by_letter: bool) -> tuple[Quantity, Expression] | None:
        """An activation's input and its slope f′, by its letter or as the layer has it; None of other layers."""
        if not isinstance(step.layer, Elementwise) or gradient(step.result) not in self.rights:
            return None
        node, dY = step.nodes[-1], gradient(step.result)
        x = Quantity("tensor", self.derivation.graph.nodes[node].inputs[0])
        arrival = next(arrival for arrival in self.arrivals_at(gradient(x)) if arrival.step == node)
        value = self._arrival(arrival) if by_letter else arrival.value
        return x, substituted(value, lambda key: Number(1) if key == dY else None)

    def _arrival(self, arrival: Arrival) -> Expression:
        """What arrives from one use: from a loss with the mean where it is taken, past an activation as f′."""
        derivation = self.derivation
        step = derivation.step_of(arrival.step)
        assert step is not None
        if step.result.kind == "loss":
            return self._seed(self.aliased(arrival.value))
        tensor = Quantity("tensor", arrival.step)
        if self.inlined(gradient(tensor)) and arrival.step in derivation.through:
            return self._seed(derivation.through[arrival.step])
        if not isinstance(step.layer, Elementwise):
            return arrival.value
        value, letter = arrival.value, self.function_letters.get(step.name)
        if letter is not None:
            x = Symbol(Quantity("tensor", derivation.graph.nodes[arrival.step].inputs[0]))
            value = times(Symbol(gradient(tensor)), Function(letter, (x,), primes=1))
        return _slope_first(value, gradient(tensor)) if self._slope_stands_first(tensor) else value

    def _seed(self, value: Expression) -> Expression:
        """What a loss sends back, without the mean if that is taken later."""
        return _without_m(value) if self.reduction == "gradient" else value

    def _slope_stands_first(self, tensor: Quantity) -> bool:
        """Before what comes through a matrix; behind what a loss sends."""
        steps = map(self.derivation.step_of, (arrival.step for arrival in self.arrivals_at(gradient(tensor))))
        seeded = any(step is not None and step.result.kind == "loss" for step in steps)
        return self.notation.slope_first and not seeded

    def _not_carried(self, tensor: str) -> bool:
        derivation = self.derivation
        step = derivation.step_of(tensor)
        if step is None or self.through == "both":
            return False
        if self.notation.seed == "named" and tensor == self.names.output:
            return False
        if self.through == "pre":
            return _diagonal(step.layer) or (tensor in derivation.through and self.notation.seed == "explicit")
        users = derivation.users(tensor)
        return len(users) == 1 and _diagonal(users[0].layer)


def _diagonal(layer: Any) -> bool:
    """Whether each value of the result depends on one value of the input: then a gradient goes through a factor."""
    if not isinstance(layer, Layer) or not layer.in_place or layer.view or list(layer.gradients) != ["dX"]:
        return False
    return "sum" not in layer.gradients["dX"] and "mean" not in layer.gradients["dX"]


def _slope_first(value: Expression, dY: Quantity) -> Expression:
    """``f′ ⊙ dY`` for ``dY ⊙ f′``."""
    if not isinstance(value, Times):
        return value
    return times(*(part for part in value.factors if part != Symbol(dY)), Symbol(dY))


def _without_m(of: Expression) -> Expression:
    """A mean's ``1 / (k m)`` as ``1 / k``."""
    if isinstance(of, Divide) and is_scalar(of.under):
        below = of.under.factors if isinstance(of.under, Times) else (of.under,)
        kept = [part for part in below if part != Symbol(M)]
        over = _without_m(of.over)
        return Divide(over, times(*kept)) if kept else over
    return rebuilt(of, _without_m)

"""Biases inside of their matrices, article 001 (2′): ``a = W̃ z̃``, where column 0 of W̃ is b and entry 0 of z̃ is 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.derivation import Derivation, Quantity, Step, gradient
from tensorflow_lite_bp.explain.expression import (
    Add,
    Equation,
    Expression,
    Product,
    Symbol,
    Transpose,
    product,
    rebuilt,
)
from tensorflow_lite_bp.explain.reading import Reading


@dataclass(frozen=True)
class Affine:
    """``W X + b``: the weight W, the tensor X and the bias b."""

    W: Quantity
    X: Quantity
    b: Quantity


class Augmented:
    """The affine steps of a network whose W and b have no other use, by the name of W.

    Raises:
        InputError: when there are none.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.found = {affine.W.name: affine for affine in _affine_steps(reading.derivation)}
        if not self.found:
            raise InputError("--augmented puts biases into their matrices, and no layer here has both")
        self.biases = {gradient(affine.b) for affine in self.found.values()}

    def value(self, equation: Equation) -> Equation:
        """``a = W̃ z̃`` for ``a = W z + b``."""
        affine = _affine(equation.right)
        if affine is None or affine.W.name not in self.found:
            return equation
        return Equation(equation.left, product(Symbol(self._tilde(affine.W)), Symbol(self._tilde(affine.X))))

    def gradient(self, of: Quantity, right: Expression) -> tuple[Quantity, Expression]:
        """``∂E/∂W̃ = δ z̃ᵀ``: its column 0 is the gradient of b."""
        affine = self.found[of.name]
        wide = Symbol(self._tilde(affine.X))

        def widened(part: Expression) -> Expression:
            return Transpose(wide) if part == Transpose(Symbol(affine.X)) else rebuilt(part, widened)

        return gradient(self._tilde(affine.W)), widened(right)

    def _tilde(self, plain: Quantity) -> Quantity:
        names, shapes = self._reading.names, self._reading.shapes
        made = replace(plain, letter="augmented")
        if made not in names.signs:
            names.signs[made] = replace(names.sign(plain), tilde=True)
            rows, columns = shapes[plain]
            more = (rows, (1 + columns[0],)) if plain.kind == "weight" else ((1 + rows[0], *rows[1:]), columns)
            shapes[made] = shapes[gradient(made)] = more
        return made


def _affine_steps(derivation: Derivation) -> Iterator[Affine]:
    users: dict[str, list[Step]] = {}
    for step in derivation.steps:
        for weight in derivation.weights_of(step):
            users.setdefault(weight, []).append(step)
    for step in derivation.steps:
        affine = _affine(step.forward[-1].right)
        if affine is not None and users.get(affine.W.name) == users.get(affine.b.name) == [step]:
            yield affine


def _affine(of: Expression) -> Affine | None:
    match of:
        case Add(
            terms=(
                Product(factors=(Symbol(key=Quantity(kind="weight") as W), Symbol(key=Quantity(kind="tensor") as X))),
                Symbol(key=Quantity(kind="weight") as b),
            )
        ):
            return Affine(W, X, b)
    return None

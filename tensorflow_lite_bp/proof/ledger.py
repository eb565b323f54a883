"""What code computed, written down definition by definition, and the derivative that must come out.

Where forward leaves a result, each of its entries gets a name: ``y₁ := w₁₁ · x₁ + … + b₁``. The code that follows sees
the name, so that expressions stay as small as one layer, however deep a network is. For a variable v the chain rule
then says, with SymPy's derivative of each definition,

    ∂E/∂v = Σ ∂E/∂y · ∂y/∂v, over the definitions y that name v.

That is what the gradient that the code wrote for v is held against, before any code reads it. Proved, it gets a name
too, and the gradients behind it are held against sums over that name: what is proved link by link is proved of the
whole chain, with the order and the memory in which the code computed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic
from typing import Any

import numpy as np
import sympy

from tensorflow_lite_bp.backend.exact import DECISIONS, Exact, exactly, symbol, value_of
from tensorflow_lite_bp.proof.algebra import TooLarge, Tower
from tensorflow_lite_bp.proof.notation import PARTIAL, counted, name_of

PROVED, ROUNDED, NUMERICAL, REFUTED, LEFT = "proved", "rounded", "numerical", "refuted", "left"
VERDICTS = {
    PROVED: "equal by algebra",
    ROUNDED: "equal by algebra, but for the rounding of constants that the code keeps as floats",
    NUMERICAL: "numbers agree, and algebra did not decide within its bounds",
    REFUTED: "another number at the sample point",
    LEFT: "nobody has looked, for lack of time",
}
"""From the verdict that says most to those that say least."""
_DIGITS = 30
_POINTS = 3  # at which numbers are compared where algebra does not decide
_ROUNDING = 1e-14  # of constants in double precision, and of a few operations on them


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient: what the code wrote, what the chain rule says, and whether they are equal."""

    of: str
    """The array by which is differentiated."""
    name: str
    verdict: str
    code: Any
    derivative: Any
    """None where nobody has looked."""
    note: str = ""
    point: dict[str, str] = field(default_factory=dict)
    """For a refutation: the sample values of the symbols, and of both sides."""


@dataclass(eq=False)
class _Definition:
    symbol: Any
    expression: Any
    adjoint: Any = None
    """``∂E/∂symbol``, once it is known."""


class Ledger:
    """The definitions and checked entries of one proof.

    Args:
        deadline: the time (`time.monotonic`) after which entries are left out.
        seconds: that algebra may take for the entries of one array.
    """

    def __init__(self, *, deadline: float = float("inf"), seconds: float = 10.0) -> None:
        self.deadline, self.seconds = deadline, seconds
        self.start()

    def start(self) -> None:
        """Begin with an empty page."""
        self.entries: list[Entry] = []
        self.values: dict[Any, Any] = {}
        self._definitions: dict[Any, _Definition] = {}
        self._users: dict[Any, list[_Definition]] = defaultdict(list)
        DECISIONS.clear()

    # Names

    def free(self, letter: str, samples: np.ndarray, *, per_sample: bool) -> Any:
        """An array of free symbols with these sample values."""
        made = np.empty(samples.shape, dtype=object)
        for place in np.ndindex(samples.shape):
            made[place] = self._named(name_of(letter, place, samples=per_sample), samples[place])
        return made

    def define(self, letter: str, results: np.ndarray, *, per_sample: bool = True) -> None:
        """Put a name for each entry of a result, in its place. A constant stays: nothing flows back through it."""
        for place in np.ndindex(results.shape):
            result = exactly(results[place])
            if not result.constant:
                made = self._named(name_of(letter, place, samples=per_sample), result.value)
                self._define(made.expression, result.expression)
                results[place] = made

    def objective(self, name: str, result: Exact) -> None:
        """What is differentiated, or one of the summands: ``∂E/∂result`` is 1."""
        self._define(sympy.Symbol(name), result.expression).adjoint = sympy.Integer(1)

    def arriving(self, results: Any) -> Any:
        """Free symbols ``∂E/∂y`` for the entries of a result: E is any function of them."""
        made: Any = np.empty(results.shape, dtype=object)
        for number, place in enumerate(np.ndindex(results.shape)):
            name = exactly(results[place])
            known = name.expression in self._definitions
            label = PARTIAL + (str(name) if known else f"constant{number + 1}")
            made[place] = self._named(label, Fraction((-1) ** number * (1 + 7 * number % 23), 13))  # never 0
            if known:
                self._definitions[name.expression].adjoint = made[place].expression
        return made

    # Checks

    def check(self, of: str, variables: np.ndarray, gradients: np.ndarray, *, name_them: bool = False) -> None:
        """Hold each entry of a gradient against the chain rule; with ``name_them`` put its name in its place.

        Args:
            of: what people call the array.
            variables: the names by which the gradient is taken.
            gradients: of the same shape, what the code wrote.
        """
        tower = Tower(min(self.deadline, monotonic() + self.seconds))
        for place in np.ndindex(variables.shape):
            variable, gradient = exactly(variables[place]), exactly(gradients[place])
            if variable.constant:
                continue
            if monotonic() > self.deadline:
                found = Entry(of, f"{PARTIAL}{variable}", LEFT, gradient.expression, None)
            else:
                found = self._entry(tower, of, variable.expression, gradient.expression)
            self.entries.append(found)
            if name_them:
                gradients[place] = self._arrived(variable, gradient, found.derivative)

    def _arrived(self, variable: Exact, gradient: Exact, derivative: Any) -> Exact:
        """The name of a gradient that was checked; a number is its own."""
        constant = derivative is not None and derivative.is_number
        made = Exact(derivative, gradient.value) if constant else self._named(f"{PARTIAL}{variable}", gradient.value)
        self._definitions[variable.expression].adjoint = made.expression
        return made

    def _derivative(self, variable: Any) -> Any:
        """``∂E/∂variable`` by the chain rule."""
        summands = []
        for user in self._users[variable]:
            slope = sympy.diff(user.expression, variable)
            if slope != 0:
                assert user.adjoint is not None, f"∂E/∂{user.symbol} is needed for ∂E/∂{variable} and is not known yet"
                summands.append(user.adjoint * slope)
        return sympy.Add(*summands)

    def _entry(self, tower: Tower, of: str, variable: Any, gradient: Any) -> Entry:
        derivative = self._derivative(variable)
        code, right = self._unfolded(gradient, derivative, variable)
        verdict, note = (PROVED, "") if code == right else self._by_algebra(tower, code, right)
        point = None if verdict in (PROVED, ROUNDED) else self._where_they_differ(code, right)
        verdict = REFUTED if point is not None else verdict
        return Entry(of, f"{PARTIAL}{variable}", verdict, gradient, derivative, note, point or {})

    def _unfolded(self, code: Any, right: Any, variable: Any) -> tuple[Any, Any]:
        """Both sides in terms of what the definitions with this variable are made of: code may read a result's name."""
        users = {user.symbol: user.expression for user in self._users[variable]}
        while users.keys() & (code.free_symbols | right.free_symbols):
            code, right = code.xreplace(users), right.xreplace(users)
        return code, right

    def _by_algebra(self, tower: Tower, code: Any, right: Any) -> tuple[str, str]:
        """The verdict of the normal forms; where they do not decide, it is numerical as long as numbers agree."""
        agree = f"{_DIGITS} digits agree at {_POINTS} points"
        try:
            if not tower.difference(code, right):
                return PROVED, ""
            bound = self._relative_difference(tower, code, right) if DECISIONS.rough else 1.0
        except TooLarge as reason:
            return NUMERICAL, f"{reason}; {agree}"
        if bound <= _ROUNDING:
            return ROUNDED, f"coefficients differ by up to {bound:.1e} of the largest"
        return NUMERICAL, f"no relation that is known makes them equal; {agree}"

    def _relative_difference(self, tower: Tower, code: Any, right: Any) -> float:
        first, second = tower.pair(code, right)
        largest = max((abs(float(c)) for c in (*first.values(), *second.values())), default=1.0)
        gaps = (abs(float(first.get(m, 0) - second.get(m, 0))) for m in first.keys() | second.keys())
        return max(gaps, default=0.0) / largest

    def _where_they_differ(self, code: Any, right: Any) -> dict[str, str] | None:
        """The sample point or one near it at which numbers differ, with both; None where they agree."""
        names = sorted(code.free_symbols | right.free_symbols, key=counted)
        if not set(names) <= self.values.keys():
            return {"code": "never written", "derivative": _shown(value_of(right, self.values), digits=15)}
        for point in range(_POINTS):
            values = {name: self.values[name] + point * (n % 7 + 1) / 10007 for n, name in enumerate(names)}
            one, other = value_of(code, values), value_of(right, values)
            if abs(one - other) > 10.0**-_DIGITS * max(1, abs(one), abs(other)):
                sides = {"code": _shown(one, digits=15), "derivative": _shown(other, digits=15)}
                return {str(name): _shown(value) for name, value in values.items()} | sides
        return None

    def _define(self, name: Any, expression: Any) -> _Definition:
        made = self._definitions[name] = _Definition(name, expression)
        for used in expression.free_symbols:
            self._users[used].append(made)
        return made

    def _named(self, name: str, value: Any) -> Exact:
        made = symbol(name, value)
        assert made.expression not in self.values, f"two entries are named {name}"
        self.values[made.expression] = made.value
        return made


def _shown(value: Any, *, digits: int = 6) -> str:
    return f"{float(value):.{digits}g}"


def count(entries: Iterable[Entry]) -> dict[str, int]:
    """How many entries have each verdict."""
    found = dict.fromkeys(VERDICTS, 0)
    for item in entries:
        found[item.verdict] += 1
    return found

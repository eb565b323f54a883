"""A derivation in a notation, equation by equation: values, functions, gradients, the update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tensorflow_lite_bp.explain.augmented import Augmented
from tensorflow_lite_bp.explain.derivation import Arrival, Derivation, Quantity, Step, gradient
from tensorflow_lite_bp.explain.expression import (
    Equation,
    Expression,
    Function,
    Key,
    Scalar,
    Symbol,
    add,
    parsed,
    substituted,
)
from tensorflow_lite_bp.explain.gradients import Gradients
from tensorflow_lite_bp.explain.names import Sign
from tensorflow_lite_bp.explain.reading import TOTAL, View
from tensorflow_lite_bp.explain.rules import rules_of
from tensorflow_lite_bp.layers.elementwise import SLOPE


@dataclass(frozen=True)
class Line:
    """One equation of the page.

    ``kind`` is ``value``, ``definition`` (of a function or helper), ``gradient`` or ``update``; ``of`` is the quantity
    on the left; ``rules`` are the reasons (keys of `rules`), ``sources`` says which lines of code compute it: node or
    loss, and the letter that is written there.
    """

    kind: str
    of: Key
    equation: Equation
    rules: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()


@dataclass
class Section:
    """The equations of a step."""

    name: str
    op: str
    place: str
    nodes: list[str]
    forward: list[Line] = field(default_factory=list)
    backward: list[Line] = field(default_factory=list)
    constants: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


class Translation(Gradients):
    """A derivation as a notation writes it.

    Attributes:
        beginning: equations of the inputs.
        sections: of the steps in the order of the forward pass.
        inputs: the gradients of the network's inputs.
        update: what the optimizer does with a gradient.
        augmented: matrices that hold their bias, if the view asks for them.
    """

    def __init__(self, derivation: Derivation, view: View) -> None:
        super().__init__(derivation, view)
        self.augmented = Augmented(self) if view.augmented else None
        self.beginning = list(self._input_lines())
        self.sections = [self._section(step) for step in derivation.steps]
        self.inputs = [
            self._gradient_line(_left(equation), derivation.input_arrivals[_left(equation)])
            for equation in derivation.inputs
        ]
        self.update = list(self._updates())

    def _section(self, step: Step) -> Section:
        made = Section(step.name, step.op, step.place, step.nodes, constants=step.constants, words=step.words)
        made.forward = list(self._forward(step))
        for equation in step.backward:
            of = _left(equation)
            if self.inlined(of) or (self.augmented is not None and of in self.augmented.biases):
                continue
            arrivals = step.arrivals.get(of)
            line = self._helper_line(equation) if arrivals is None else self._gradient_line(of, arrivals)
            made.backward.append(line)
        return made

    # Forward

    def _input_lines(self) -> Iterator[Line]:
        notation = self.notation
        for variable in self.derivation.graph.program.inputs:
            tensor = Quantity("tensor", variable.name)
            letter = Sign.of(notation.input, notation.first - 1 + notation.behind)
            if notation.input_alias and self.names.sign(tensor) == letter:
                yield Line("value", tensor, Equation(Symbol(tensor), Symbol(self.alias(tensor))))

    def _forward(self, step: Step) -> Iterator[Line]:
        *helpers, last = step.forward
        for equation in helpers:
            yield replace(self._value_line(step, equation), kind="definition")
        function = self.function_letters.get(step.name)
        if function is not None:
            yield from self._function_lines(step, function)
        elif self.augmented is not None:
            yield self._value_line(step, self.augmented.value(last))
        else:
            yield self._value_line(step, last)
        if self.notation.output_alias and step.result.name == self.names.output:
            yield Line("value", step.result, Equation(Symbol(self.alias(step.result)), Symbol(step.result)))
        losses = self.derivation.graph.program.losses
        if len(losses) > 1 and step.name == losses[-1].name:
            summands = (Symbol(Quantity("loss", item.name, str(index))) for index, item in enumerate(losses))
            yield Line("definition", TOTAL, Equation(Symbol(TOTAL), add(*summands)))

    def _value_line(self, step: Step, equation: Equation, *rules: str) -> Line:
        left = _left(equation)
        loss = step.result.kind == "loss"
        plain = self.aliased(equation.right) if loss else equation.right
        right = self.oriented(self.one_sample(plain), left)
        sources = [(step.name, "E")] if loss else [(node, "Y") for node in step.nodes]
        return Line("value", left, Equation(Symbol(left), right), rules, tuple(sources) if left == step.result else ())

    def _function_lines(self, step: Step, function: Sign) -> Iterator[Line]:
        """``a = g(y)``, what g is, and what its slope is."""
        last = step.forward[-1]
        x = Quantity("tensor", self.derivation.graph.nodes[step.nodes[-1]].inputs[0])
        applied = Function(function, (Symbol(x),))
        yield self._value_line(step, Equation(last.left, applied), "activation")
        meant = Quantity("local", step.nodes[-1], "function")
        yield Line("definition", meant, Equation(self.oriented(applied, x), self.oriented(last.right, x)))
        slope = self.slope(step, by_letter=False)
        if slope is not None:
            primed = self.oriented(replace(applied, primes=1), x)
            node = step.nodes[-1]
            of = Quantity("local", node, SLOPE)
            yield Line("definition", of, Equation(primed, self.oriented(slope[1], x)), ("slope",), ((node, "dX"),))

    # Backward

    def _helper_line(self, equation: Equation) -> Line:
        """What a layer's gradients name before they use it."""
        left = _left(equation)
        right = self.signed(self.one_sample(self.put_in(equation.right)), left)
        return Line("definition", left, Equation(Symbol(left), self.oriented(right, left)))

    def _gradient_line(self, of: Quantity, arrivals: Sequence[Arrival]) -> Line:
        shown, right = of, self.right(of)
        if self.augmented is not None and of.of == "weight" and of.name in self.augmented.found:
            shown, right = self.augmented.gradient(of, right)
        line = Equation(Symbol(shown), self.oriented(right, shown))
        sources = tuple((arrival.step, arrival.letter) for arrival in arrivals)
        return Line("gradient", shown, line, rules_of(self, of, arrivals), sources)

    # The update

    def _updates(self) -> Iterator[Line]:
        """For each weight, its gradient written out, where the notation does so; else once for each letter."""
        formula = parsed(self.derivation.optimizer.equations())
        weights = [Quantity("weight", name) for name in self.derivation.graph.trainable]
        weights = [weight for weight in weights if gradient(weight) in self.rights]
        if self.notation.update == "explicit" and len(formula) == 1:
            for weight in weights:
                yield self._update(formula[0], weight, self.right(gradient(weight)))
            return
        for base in dict.fromkeys(self.names.sign(weight).base for weight in weights):
            of = Quantity("weight", "", base)
            self.names.signs[of] = Sign(base)
            self.shapes[of] = self.shapes[gradient(of)] = ((), ())  # it stands for weights of every shape
            for equation in formula:
                yield self._update(equation, of, Symbol(gradient(of)))

    def _update(self, equation: Equation, weight: Quantity, slope: Expression) -> Line:
        optimizer = self.derivation.optimizer

        def replaced(key: Key) -> Expression | None:
            if key in ("W", "dW"):
                return Symbol(weight) if key == "W" else slope
            setting = getattr(optimizer, optimizer.letters.get(str(key), str(key)), None)
            if key == "t" or isinstance(setting, float | int):
                return Symbol(Scalar(self.notation.rate if key == "eta" else str(key)))
            state = Quantity("state", weight.name or weight.letter, str(key))
            self.names.signs.setdefault(state, Sign(str(key)))
            self.shapes.setdefault(state, self.shapes[weight])
            return Symbol(state)

        left = substituted(equation.left, replaced)
        assert isinstance(left, Symbol)
        return Line("update", left.key, Equation(left, self.oriented(substituted(equation.right, replaced), left.key)))


def _left(equation: Equation) -> Quantity:
    assert isinstance(equation.left, Symbol)
    assert isinstance(equation.left.key, Quantity)
    return equation.left.key

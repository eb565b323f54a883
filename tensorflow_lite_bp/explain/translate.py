"""A derivation in a notation: the same equations with a textbook's letters, orientation, layout and reduction.

The framework's arrays have a column for each sample, and a gradient lies as its variable does. In another notation a
symbol may stand for the transpose, or for a multiple; then each equation is transposed where its left side is, and each
symbol on the right is put back by a transpose, which the algebra of `expression` brings into the form of the textbook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.derivation import Arrival, Derivation, M, Quantity, Step, gradient
from tensorflow_lite_bp.explain.expression import (
    Add,
    Divide,
    Equation,
    Expression,
    Function,
    Key,
    Number,
    Product,
    Scalar,
    Symbol,
    Times,
    Transpose,
    add,
    is_scalar,
    negative,
    parsed,
    parts,
    product,
    rebuilt,
    substituted,
    times,
    transpose,
)
from tensorflow_lite_bp.explain.names import Names, Sign
from tensorflow_lite_bp.explain.notation import Notation
from tensorflow_lite_bp.explain.rules import rules_of
from tensorflow_lite_bp.explain.shapes import Shape, shape_of
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.layers.elementwise import Elementwise


@dataclass(frozen=True)
class View:
    """How a derivation is to be shown; None takes what the notation does."""

    notation: Notation
    layout: str | None = None
    reduction: str | None = None
    through: str | None = None
    augmented: bool = False


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
    """The equations of a step; the first section holds those of the inputs' gradients, the last the update's."""

    name: str
    op: str
    place: str
    nodes: list[str]
    forward: list[Line] = field(default_factory=list)
    backward: list[Line] = field(default_factory=list)
    constants: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


class Translation:
    """A derivation as a notation writes it.

    Attributes:
        sections: of the steps in the order of the forward pass.
        beginning: equations of the inputs.
        inputs: the gradients of the network's inputs.
        update: what the optimizer does with a gradient.
        function_letters: of the activations that have one, by the step.
        augmented: matrices that hold their bias: the tensor that they are multiplied by, and the bias.
        names: the signs of the quantities.

    Raises:
        InputError: for a combination that cannot be written, with the reason.
    """

    def __init__(self, derivation: Derivation, view: View) -> None:
        self.derivation, self.view, self.notation = derivation, view, view.notation
        self.layout = view.layout or view.notation.layout
        self.through = view.through or view.notation.through
        self.names = Names(derivation, view.notation)
        self._losses = derivation.graph.program.losses
        self.means = [loss.reduction == "mean" for _, loss in derivation.graph.losses]
        self.reduction = self._chosen_reduction()
        self.shapes: dict[Any, Shape] = dict(derivation.shapes)
        self.function_letters = dict(self._function_letters())
        self.rights: dict[Quantity, Expression] = {}
        self._inlined: set[Quantity] = set()
        self.augmented = dict(self._augmentable()) if view.augmented else {}
        if view.augmented and not self.augmented:
            raise InputError("--augmented puts biases into their matrices, and no layer here has both")
        if view.notation.samples == "one":
            self._refuse_statistics()
        self._find_rights()
        self.sections = [self._section(step) for step in derivation.steps]
        self.beginning = list(self._input_lines())
        self.inputs = [
            self._gradient_line(equation, derivation.input_arrivals[_key(equation)]) for equation in derivation.inputs
        ]
        self.update = list(self._updates())

    # What a symbol stands for

    def turned(self, quantity: Key) -> bool:
        """Whether a symbol stands for the transpose of the framework's array."""
        if isinstance(quantity, Scalar):
            return False
        rows = self.notation.samples == "rows"
        across = isinstance(quantity, Quantity) and quantity.kind == "gradient" and self.layout == "numerator"
        return rows != across

    def multiple(self, quantity: Key) -> tuple[int, bool]:
        """A symbol times this is the framework's array: a sign, and whether it is to be divided by m."""
        flows = isinstance(quantity, Quantity) and quantity.kind == "gradient" and quantity.of == "tensor"
        sign = self.notation.sign if flows and self.carried(quantity) else 1
        return sign, flows and self.reduction == "gradient"

    def carried(self, quantity: Key) -> bool:
        """Whether a gradient has the notation's own letter, such as δ."""
        if not isinstance(quantity, Quantity) or quantity.kind != "gradient" or quantity.of != "tensor":
            return False
        return bool(self.notation.carried) and self.through != "post" and quantity.name in self.names.pre

    def oriented(self, of: Expression, left: Key) -> Expression:
        """The framework's expression for what a symbol stands for, in the notation's symbols."""
        seen = transpose(of) if self.turned(left) else of
        placed = substituted(seen, lambda key: Transpose(Symbol(key)) if self.turned(key) else None)
        return self._styled(placed)

    def shape(self, of: Expression) -> Shape:
        """The shape of an expression of the notation: its symbols turned, one sample where it sees one."""
        shapes = _Turned(self)
        return shape_of(of, shapes)

    def shape_text(self, quantity: Quantity) -> str:
        """A quantity's shape as text: ``5×m``."""
        from tensorflow_lite_bp.explain.boxes import show

        return show(self.shape_of_symbol(quantity))

    def shape_of_symbol(self, key: Key) -> Shape:
        rows, columns = self.shapes.get(key, ((), ()))
        if self.notation.samples == "one":
            rows, columns = (tuple(size for size in side if size != M) for side in (rows, columns))
        return (columns, rows) if self.turned(key) else (rows, columns)

    def sign(self, quantity: Quantity, *, derivative: bool = False) -> Sign:
        """The sign of a quantity; behind ∂ the network's output goes by its other name, if it has one."""
        alias = self.notation.output_alias
        if quantity == Quantity("loss", "", "total"):
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

    def _aliased(self, of: Expression) -> Expression:
        """What the loss looks at, under the network's name for its output."""
        output = Quantity("tensor", self.names.output or "")
        if not self.notation.output_alias:
            return of
        return substituted(of, lambda key: Symbol(self._alias(output)) if key == output else None)

    def _alias(self, tensor: Quantity) -> Quantity:
        alias = replace(tensor, letter="alias")
        outward = tensor.name == self.names.output
        self.names.signs[alias] = Sign.of(self.notation.output_alias if outward else self.notation.input_alias)
        self.shapes[alias] = self.shapes[tensor]
        return alias

    # Choices

    def _chosen_reduction(self) -> str:
        chosen = self.view.reduction
        if chosen == "gradient" and not all(self.means):
            what = "no loss here is a mean" if not any(self.means) else "some losses here are means and some are sums"
            raise InputError(f"--reduction gradient takes the mean over the samples out of the loss, and {what}")
        if chosen is None:
            return self.notation.reduction if self.means and all(self.means) else "loss"
        return chosen

    def _refuse_statistics(self) -> None:
        for step in self.derivation.steps:
            for equation in step.forward:
                for function in _functions(equation.right):
                    if function.axis == 1 and M in shape_of(function.arguments[0], self.shapes)[1]:
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

    # Right sides of gradients, before they are oriented

    def _find_rights(self) -> None:
        """What each gradient is, with those that are not carried put into the others."""
        derivation = self.derivation
        for step in reversed(derivation.steps):
            for of, arrivals in step.arrivals.items():
                self.rights[of] = add(*(self._arrival(arrival) for arrival in arrivals))
                if of.of == "tensor" and self._not_carried(of.name):
                    self._inlined.add(of)
        for of, arrivals in derivation.input_arrivals.items():
            self.rights[of] = add(*(self._arrival(arrival) for arrival in arrivals))

    def inlined(self, of: Quantity) -> bool:
        """Whether a gradient has no equation of its own, since it is put into others."""
        return of in self._inlined

    def right(self, of: Quantity) -> Expression:
        """The gradient in terms of those that are carried."""

        return substituted(self.rights[of], self._put_in)

    def _put_in(self, key: Key) -> Expression | None:
        """What stands for a gradient that is not carried."""
        return self.right(key) if isinstance(key, Quantity) and key in self._inlined else None

    def _arrival(self, arrival: Arrival) -> Expression:
        """What arrives from one use: from a loss as the reduction and the sign have it, past an activation as f′."""
        derivation = self.derivation
        step = derivation.step_of(arrival.step)
        assert step is not None
        if step.result.kind == "loss":
            return self._seed(self._aliased(arrival.value))
        tensor = Quantity("tensor", arrival.step)
        if gradient(tensor) in self._inlined and arrival.step in derivation.through:
            return self._seed(derivation.through[arrival.step])
        value = arrival.value
        if step.name in self.function_letters and isinstance(step.layer, Elementwise):
            x = Symbol(Quantity("tensor", derivation.graph.nodes[arrival.step].inputs[0]))
            value = times(Symbol(gradient(tensor)), Function(self.function_letters[step.name], (x,), primes=1))
        seeded = any(a.step == loss.name for a in self.arrivals_at(gradient(tensor)) for loss in self._losses)
        if self.notation.slope_first and isinstance(step.layer, Elementwise) and not seeded:
            value = _slope_first(value, gradient(tensor))
        return value

    def _seed(self, value: Expression) -> Expression:
        """What a loss sends back, without the mean that is taken later."""
        return _without_m(value) if self.reduction == "gradient" else value

    def _signed(self, of: Expression, left: Key) -> Expression:
        """With carried letters that stand for -1 times the derivative, on the right and on the left."""
        if self.notation.sign > 0:
            return of
        placed = substituted(of, lambda key: negative(Symbol(key)) if self.carried(key) else None)
        return negative(placed) if self.carried(left) else placed

    def _not_carried(self, tensor: str) -> bool:
        derivation = self.derivation
        step = derivation.step_of(tensor)
        if step is None or self.through == "both":
            return False
        if self.notation.seed == "named" and tensor == self.names.output:
            return False
        if self.through == "pre":
            return _diagonal(step.layer) or (tensor in derivation.through and self.notation.seed == "explicit")
        users = [s for s in derivation.steps if tensor in derivation.inputs_of(s)]
        return len(users) == 1 and _diagonal(users[0].layer)

    # Lines

    def _section(self, step: Step) -> Section:
        made = Section(step.name, step.op, step.place, step.nodes, constants=step.constants, words=step.words)
        made.forward = list(self._forward(step))
        for equation in step.backward:
            of = _key(equation)
            if of in self._inlined:
                continue
            arrivals = step.arrivals.get(of)
            if arrivals is None:
                made.backward.append(self._helper_line(equation))
            elif of not in {gradient(Quantity("weight", b)) for _, b in self.augmented.values()}:
                made.backward.append(self._gradient_line(equation, arrivals))
        return made

    def _forward(self, step: Step) -> Iterator[Line]:
        function = self.function_letters.get(step.name)
        *helpers, last = step.forward
        if function is not None:
            x = Symbol(Quantity("tensor", self.derivation.graph.nodes[step.nodes[-1]].inputs[0]))
            yield self._value_line(step, Equation(last.left, Function(function, (x,))), ("activation",))
        for equation in helpers:
            yield replace(self._value_line(step, equation), kind="definition")
        if function is None:
            yield self._value_line(step, self._with_augmented(step, last))
        else:
            yield self._function_line(step, function)
            if isinstance(step.layer, Elementwise) and gradient(step.result) in self.rights:
                yield self._slope_line(step, function)
        if self.notation.output_alias and step.result.name == self.names.output:
            yield self._alias_line(step.result)
        if len(self._losses) > 1 and step.name == self._losses[-1].name:
            yield self._total_line()

    def _total_line(self) -> Line:
        """What is differentiated is the sum of all losses."""
        total = Quantity("loss", "", "total")
        summands = (Symbol(Quantity("loss", item.name, str(index))) for index, item in enumerate(self._losses))
        return Line("definition", total, Equation(Symbol(total), add(*summands)))

    def _value_line(self, step: Step, equation: Equation, rules: tuple[str, ...] = ()) -> Line:
        left = _key(equation)
        letter = "Y" if left == step.result and step.result.kind != "loss" else left.letter or "E"
        sources = ((step.nodes[-1] if step.nodes else step.name, "E" if step.result.kind == "loss" else "Y"),)
        plain = self._aliased(equation.right) if step.result.kind == "loss" else equation.right
        right = self.oriented(self._one(plain), left)
        return Line("value", left, Equation(Symbol(left), right), rules, sources if letter in ("Y", "E") else ())

    def _alias_line(self, tensor: Quantity) -> Line:
        """``y = zᴺ``, or for an input ``z⁰ = x``."""
        sides = (Symbol(self._alias(tensor)), Symbol(tensor))
        left, right = sides if tensor.name == self.names.output else reversed(sides)
        return Line("value", tensor, Equation(left, right))

    def _input_lines(self) -> Iterator[Line]:
        for variable in self.derivation.graph.program.inputs:
            tensor = Quantity("tensor", variable.name)
            letter = Sign.of(self.notation.input, self.notation.first - 1 + self.notation.behind)
            if self.notation.input_alias and self.names.sign(tensor) == letter:
                yield self._alias_line(tensor)

    def _function_line(self, step: Step, function: Sign) -> Line:
        """What the letter of an activation means."""
        x = Quantity("tensor", self.derivation.graph.nodes[step.nodes[-1]].inputs[0])
        left = self.oriented(Function(function, (Symbol(x),)), x)
        return Line("definition", x, Equation(left, self.oriented(step.forward[-1].right, x)))

    def slope_of(self, of: Quantity) -> tuple[Quantity, Expression] | None:
        """Of the result of an activation: its input, and f′ as the notation writes it; None of other quantities."""
        step = self.derivation.step_of(of.name) if of.kind == "tensor" else None
        if step is None or not isinstance(step.layer, Elementwise) or gradient(of) not in self.rights:
            return None
        node = step.nodes[-1]
        x = Quantity("tensor", self.derivation.graph.nodes[node].inputs[0])
        arrival = next(a for a in self.arrivals_at(gradient(x)) if a.step == node)
        dY = gradient(of)
        return x, self.oriented(substituted(self._arrival(arrival), lambda key: Number(1) if key == dY else None), x)

    def constant(self, key: Key) -> bool:
        """Whether nothing is differentiated by a symbol: targets, masks."""
        targets = {item.name for item in self.derivation.graph.program.targets}
        return isinstance(key, Quantity) and (key.name in targets or (key.kind == "local" and key.letter in ("U", "M")))

    def _slope_line(self, step: Step, function: Sign) -> Line:
        """f′ as the layer's own gradient has it."""
        node = step.nodes[-1]
        x = Quantity("tensor", self.derivation.graph.nodes[node].inputs[0])
        arrival = next(a for a in self.arrivals_at(gradient(x)) if a.step == node)
        slope = substituted(arrival.value, lambda key: Number(1) if key == gradient(step.result) else None)
        left = Function(function, (Symbol(x),), primes=1)
        return Line(
            "definition", x, Equation(self.oriented(left, x), self.oriented(slope, x)), ("slope",), ((node, "dX"),)
        )

    def arrivals_at(self, of: Quantity) -> Sequence[Arrival]:
        """Where the terms of a gradient come from."""
        step = self.derivation.step_of(of.name)
        found = self.derivation.input_arrivals if step is None else step.arrivals
        return found.get(of, ())

    def _helper_line(self, equation: Equation) -> Line:
        left = _key(equation)
        right = self._signed(self._one(substituted(equation.right, self._put_in)), left)
        return Line("definition", left, Equation(Symbol(left), self.oriented(right, left)))

    def _gradient_line(self, equation: Equation, arrivals: Sequence[Arrival]) -> Line:
        of = _key(equation)
        right = self._signed(self._one(self.right(of)), of)
        shown = of
        if of.of == "weight":
            right = self._of_weight(right)
            if of.name in self.augmented:
                shown, right = self._augmented_gradient(of, right)
        line = Equation(Symbol(shown), self.oriented(right, shown))
        sources = tuple((arrival.step, arrival.letter) for arrival in arrivals)
        return Line("gradient", shown, line, rules_of(self, of, arrivals), sources)

    def _of_weight(self, right: Expression) -> Expression:
        """A weight's gradient, where the mean is taken if it is not in the loss."""
        return Divide(right, Symbol(M)) if self.reduction == "gradient" else right

    def _one(self, of: Expression) -> Expression:
        """With one sample there is no sum over samples."""
        if self.notation.samples != "one":
            return of
        inner = rebuilt(of, self._one)
        match inner:
            case Function(name="sum", axis=1, arguments=(columns,)) if shape_of(columns, self.shapes)[1] == (M,):
                return columns
        return inner

    # The update

    def _updates(self) -> Iterator[Line]:
        derivation = self.derivation
        formula = derivation.optimizer.equations()
        weights = [Quantity("weight", name) for name in derivation.graph.trainable]
        weights = [weight for weight in weights if gradient(weight) in self.rights]
        if self.notation.update == "explicit" and len(parsed(formula)) == 1:
            for weight in weights:
                slope = self._signed(self._one(self.right(gradient(weight))), weight)
                yield self._update(parsed(formula)[0], weight, self._of_weight(slope))
        else:
            for base in dict.fromkeys(self.names.sign(weight).base for weight in weights):
                of = Quantity("weight", "", base)
                self.names.signs[of] = Sign(base)
                self.shapes[of] = self.shapes[gradient(of)] = ((), ())  # it stands for weights of every shape
                for equation in parsed(formula):
                    yield self._update(equation, of, Symbol(gradient(of)))

    def _update(self, equation: Equation, weight: Quantity, slope: Expression) -> Line:
        optimizer = self.derivation.optimizer

        def replaced(key: Key) -> Expression | None:
            if key in ("W", "dW"):
                return Symbol(weight) if key == "W" else slope
            if key == "t" or isinstance(
                getattr(optimizer, optimizer.letters.get(str(key), str(key)), None), float | int
            ):
                return Symbol(Scalar(self.notation.rate if key == "eta" else str(key)))
            state = Quantity("state", weight.name or weight.letter, str(key))
            self.names.signs.setdefault(state, Sign(str(key)))
            self.shapes.setdefault(state, self.shapes[weight])
            return Symbol(state)

        left = substituted(equation.left, replaced)
        assert isinstance(left, Symbol)
        return Line("update", left.key, Equation(left, self.oriented(substituted(equation.right, replaced), left.key)))

    # Biases inside of their matrices

    def _augmentable(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Matrices W, used once, with a bias b in ``W X + b``: W -> (the tensor X, b)."""
        derivation = self.derivation
        for step in derivation.steps:
            match step.forward[-1].right:
                case Add(
                    terms=(
                        Product(factors=(Symbol(key=Quantity() as W), Symbol(key=Quantity() as X))),
                        Symbol(key=Quantity() as b),
                    )
                ):
                    used = [other for other in derivation.steps if {W.name, b.name} & _weights(derivation, other)]
                    if (W.kind, X.kind, b.kind) == ("weight", "tensor", "weight") and used == [step]:
                        yield W.name, (X.name, b.name)

    def _with_augmented(self, step: Step, equation: Equation) -> Equation:
        for W, (X, _) in self.augmented.items():
            if W in _weights(self.derivation, step):
                return Equation(
                    equation.left, product(Symbol(self._tilde("weight", W)), Symbol(self._tilde("tensor", X)))
                )
        return equation

    def _augmented_gradient(self, of: Quantity, right: Expression) -> tuple[Quantity, Expression]:
        """``∂E/∂W̃ = δ z̃ᵀ``: its column 0 is that of b."""
        X = Quantity("tensor", self.augmented[of.name][0])
        wide = Symbol(self._tilde("tensor", X.name))

        def widened(part: Expression) -> Expression:
            return Transpose(wide) if part == Transpose(Symbol(X)) else rebuilt(part, widened)

        return gradient(self._tilde("weight", of.name)), widened(right)

    def _tilde(self, kind: str, name: str) -> Quantity:
        plain, made = Quantity(kind, name), Quantity(kind, name, "augmented")
        if made not in self.names.signs:
            self.names.signs[made] = replace(self.names.sign(plain), tilde=True)
            rows, columns = self.shapes[plain]
            more = (rows, (1 + columns[0],)) if kind == "weight" else ((1 + rows[0], *rows[1:]), columns)
            self.shapes[made] = self.shapes[gradient(made)] = more
        return made

    # The notation's own ways

    def _styled(self, of: Expression) -> Expression:
        """``diag{f′}`` beside a row of derivatives; an outer product as rows of activations."""
        inner = rebuilt(of, self._styled)
        if self.notation.diagonal and self.layout == "numerator" and isinstance(inner, Times):
            slopes = [part for part in inner.factors if isinstance(part, Function) and part.primes]
            others = [part for part in inner.factors if part not in slopes]
            if slopes and others:
                diagonals = (Function("diag", (transpose(slope),)) for slope in slopes)
                return product(times(*others), *diagonals)
        if self.notation.outer == "broadcast" and isinstance(inner, Product):
            match inner.factors:
                case (column, Transpose(of=row)) if self.shape(column)[1] == () == self.shape(row)[1]:
                    return Times((Function("rows", (row, *(Number(size) for size in self.shape(column)[0]))), column))
        return inner


class _Turned(Mapping[Any, Shape]):
    """The shapes of symbols as the notation has them."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation

    def __getitem__(self, key: Any) -> Shape:
        return self._translation.shape_of_symbol(key)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._translation.shape_of_symbol(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._translation.shapes)

    def __len__(self) -> int:
        return len(self._translation.shapes)


def _key(equation: Equation) -> Quantity:
    assert isinstance(equation.left, Symbol)
    assert isinstance(equation.left.key, Quantity)
    return equation.left.key


def _diagonal(layer: Any) -> bool:
    """Whether each value of the result depends on one value of the input: then a gradient goes through a factor."""
    return isinstance(layer, Layer) and layer.in_place and len(layer.ports) == 1 and _entrywise(layer)


def _entrywise(layer: Layer) -> bool:
    gradients = layer.gradients
    return list(gradients) == ["dX"] and "sum" not in gradients["dX"] and "mean" not in gradients["dX"]


def _weights(derivation: Derivation, step: Step) -> set[str]:
    graph = derivation.graph
    own = {name for node in step.nodes for name in graph.roles(node).values()}
    return own | {name for node in step.nodes for name in graph.nodes[node].inputs if name in graph.parameters}


def _functions(of: Expression) -> Iterator[Function]:
    if isinstance(of, Function):
        yield of
    for part in parts(of):
        yield from _functions(part)


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

"""The derivation of a network, before any notation: its layers' formulas put together.

Every tensor has one equation for its value and one for its gradient. A gradient is the sum of what arrives from all
places where the tensor or the weight is used, each as the formula of the layer there says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dsl.program import Call
from dsl.program import Loss as LossItem
from dsl.types import Shape, TensorType
from tensorflow_lite_bp.declare import build
from tensorflow_lite_bp.explain.expression import (
    Divide,
    Equation,
    Expression,
    Key,
    Number,
    Scalar,
    Symbol,
    add,
    expression,
    parsed,
    substituted,
    times,
)
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.losses.base import Loss
from tensorflow_lite_bp.optimizers.base import Optimizer

M = Scalar("m")
"""The number of samples."""


@dataclass(frozen=True)
class Quantity:
    """What a symbol of the derivation stands for.

    ``kind`` is ``tensor`` (inputs and targets too), ``weight``, ``gradient`` of one of these, ``loss``, ``local`` (a
    helper of one layer, such as a mean) or ``state`` (of the optimizer). ``name`` is the name in the file, of a local
    that of its node; ``letter`` is the local's in the layer's formula.
    """

    kind: str
    name: str
    letter: str = ""
    of: str = ""
    """Of a gradient: what it is the gradient of, ``tensor`` or ``weight``."""


def gradient(of: Quantity) -> Quantity:
    """∂E/∂of."""
    return Quantity("gradient", of.name, of.letter, of.kind)


@dataclass(frozen=True)
class Arrival:
    """One place from which a gradient comes: the step whose layer passes it on, under which letter."""

    step: str
    letter: str
    value: Expression


@dataclass
class Step:
    """A node, or a statement of several operators, or a loss.

    Attributes:
        nodes: the names of the nodes that it is made of; the last gives its result.
        forward, backward: its equations in the order in which they are computed.
        arrivals: for each gradient on a left side of ``backward``, where its terms come from.
        constants: letters of settings in its equations, with their values.
    """

    name: str
    op: str
    place: str
    nodes: list[str]
    layer: Layer | Loss
    result: Quantity
    forward: list[Equation] = field(default_factory=list)
    backward: list[Equation] = field(default_factory=list)
    arrivals: dict[Quantity, list[Arrival]] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


class Derivation:
    """The equations of a graph.

    Attributes:
        steps: nodes, statements and losses in the order of the forward pass.
        inputs: equations of the inputs' gradients, the last of the way back; ``input_arrivals`` says where they come
            from.
        shapes: of every quantity, as a matrix: rows and columns, factors that may be names.
        through: for a result at which a loss looks, the gradient of its activation's input, where the two together are
            simpler than each.
        optimizer: of the file's train section.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.inputs: list[Equation] = []
        self.input_arrivals: dict[Quantity, list[Arrival]] = {}
        self.shapes: dict[Quantity, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        self.through: dict[str, Expression] = {}
        self._steps: dict[str, Step] = {}
        self._users: dict[str, list[Step]] = defaultdict(list)
        self._types = graph.program.types
        self._inner = dict(self._merged())
        self._constants: dict[str, list[float]] = {}
        self._values: dict[str, Expression] = {}  # of nodes inside statements
        self._arriving: dict[Quantity, list[Arrival]] = defaultdict(list)
        self._flowing = self._with_gradient()
        self._forward()
        self._backward()
        optimizer = graph.program.train["optimizer"]
        self.optimizer: Optimizer = build(optimizer) if isinstance(optimizer, Call) else optimizer

    def step_of(self, tensor: str) -> Step | None:
        """The step whose result a tensor is; None for inputs."""
        return self._steps.get(tensor)

    def inputs_of(self, step: Step) -> set[str]:
        """The tensors that a step is computed from, from outside of it; of a loss the prediction alone."""
        graph = self.graph
        if step.result.kind == "loss":
            return {graph.program.losses[int(step.result.letter)].inputs[0]}
        taken = {tensor for node in step.nodes for tensor in graph.nodes[node].inputs}
        return taken - set(step.nodes) - graph.parameters

    def users(self, tensor: str) -> list[Step]:
        """The steps that take a tensor, losses among them."""
        if not self._users:
            for step in self.steps:
                for taken in self.inputs_of(step):
                    self._users[taken].append(step)
        return self._users.get(tensor, [])

    def weights_of(self, step: Step) -> set[str]:
        """The weights that a step uses, parameters of the file among them."""
        graph = self.graph
        own = {name for node in step.nodes for name in graph.roles(node).values()}
        taken = {name for node in step.nodes for name in graph.nodes[node].inputs}
        return own | (taken & graph.parameters)

    # Which nodes are one statement of the file

    def _merged(self) -> Iterator[tuple[str, str]]:
        """Operators without a name of their own that one other operator takes: ``W @ X`` in ``W @ X + b``."""
        program = self.graph.program
        users: dict[str, list[str]] = defaultdict(list)
        for name, inputs in self._uses():
            for tensor in inputs:
                users[tensor].append(name)
        for tensor in (*program.names.values(), *(item.tensor for item in program.outputs)):
            users[tensor].append("")  # it has a name of its own
        operators = {name for name, layer in self.graph.layers.items() if layer.category == "operator"}
        for node in program.nodes:
            if node.name in operators and len(users[node.name]) == 1 and users[node.name][0] in operators:
                yield node.name, users[node.name][0]

    def _uses(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Nodes and losses with the tensors that they take."""
        yield from ((node.name, node.inputs) for node in self.graph.program.nodes)
        yield from ((loss.name, loss.inputs) for loss in self.graph.program.losses)

    def _with_gradient(self) -> set[str]:
        """Tensors and weights through which a gradient flows, inputs of real numbers among them."""
        program = self.graph.program
        found = self.graph.learned | {item.name for item in program.inputs if item.type.kind == "float"}
        for node in program.nodes:
            if found.intersection(node.inputs):
                found.add(node.name)
        wanted = {item.inputs[0] for item in program.losses}
        for node in reversed(program.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return found & wanted

    # Forward

    def _forward(self) -> None:
        program = self.graph.program
        for variable in (*program.inputs, *program.targets):
            self._note(Quantity("tensor", variable.name), variable.type)
        for spec in self.graph.weights:
            shape = (spec.shape[:1], spec.shape[1:])
            self.shapes[Quantity("weight", spec.name)] = self.shapes[gradient(Quantity("weight", spec.name))] = shape
        nodes: dict[str, list[str]] = defaultdict(list)
        for node in program.nodes:
            result = Quantity("tensor", node.name)
            self._note(result, node.type)
            layer = self.graph.layers[node.name]
            inside = [inner for name in node.inputs if name in self._inner for inner in nodes.pop(name, [])]
            nodes[node.name] = [*inside, node.name]
            if node.name in self._inner:
                formula, _ = layer.equations(*(self._types[name] for name in node.inputs))
                self._values[node.name] = self._composed(parsed(formula)[-1].right, node.name)
                continue
            step = self._add(Step(node.name, node.op, str(node.span), nodes.pop(node.name), layer, result))
            formula, _ = layer.equations(*(self._types[name] for name in node.inputs))
            step.forward = [self._equation(equation, node.name, result) for equation in parsed(formula)]
        for index, (item, loss) in enumerate(self.graph.losses):
            result = Quantity("loss", item.name, str(index))
            self.shapes[result] = ((), ())
            step = self._add(Step(item.name, item.op, str(item.span), [], loss, result))
            formula, _ = loss.equations(*(self._types[name] for name in item.inputs))
            scale = _scale(item, loss, self._types)
            step.forward = [self._equation(equation, item.name, result, scale) for equation in parsed(formula)]

    def _add(self, step: Step) -> Step:
        for node in step.nodes:
            part = self.graph.layers[node]
            formula, gradients = part.equations(*(self._types[tensor] for tensor in self.graph.nodes[node].inputs))
            said = "\n".join([formula, *gradients.values()])
            step.words |= {word: meaning for word, meaning in part.words.items() if f"{word}(" in said}
        self.steps.append(step)
        self._steps |= dict.fromkeys([*step.nodes, step.name], step)
        return step

    def _note(self, quantity: Quantity, type_: TensorType) -> None:
        rows, columns = _matrix(type_)
        self.shapes[quantity] = self.shapes[gradient(quantity)] = (rows, columns)

    # Backward

    def _backward(self) -> None:
        for item, loss in self.graph.losses:
            if item.inputs[0] in self._flowing:
                self._seed(item, loss)
        for node in reversed(self.graph.program.nodes):
            tensor = Quantity("tensor", node.name)
            arriving = self._arriving.get(gradient(tensor))
            if node.name not in self._flowing or arriving is None:
                continue
            step = self._steps[node.name]
            if node.name not in self._inner:
                self._collect(step, tensor)
            self._pass_on(node.name, node.inputs, step)
        used = {
            name for node in self.graph.program.nodes for name in (*self.graph.roles(node.name).values(), *node.inputs)
        }
        for node in self.graph.program.nodes:  # a weight's gradient stands where the weight is first used
            for name in (*self.graph.roles(node.name).values(), *node.inputs):
                if name in used and name in self.graph.trainable:
                    used.discard(name)
                    self._collect(self._steps[node.name], Quantity("weight", name))
        for variable in self.graph.program.inputs:
            of = gradient(Quantity("tensor", variable.name))
            if of in self._arriving:
                self.inputs.append(Equation(Symbol(of), add(*(a.value for a in self._arriving[of]))))
                self.input_arrivals[of] = self._arriving[of]

    def _seed(self, item: LossItem, loss: Loss) -> None:
        """What a loss sends back: to its prediction, and past an activation before it where that is simpler."""
        prediction = Quantity("tensor", item.inputs[0])
        _, gradients = loss.equations(*(self._types[name] for name in item.inputs))
        scale = _scale(item, loss, self._types)
        step = self._steps[item.name]
        for letter, text in gradients.items():
            if letter != "dY":
                helper = Equation(Symbol(letter), expression(text))
                step.backward.append(self._equation(helper, item.name, step.result, scale))
                continue
            value = self._composed(expression(text), item.name, scale)
            self._arriving[gradient(prediction)].append(Arrival(item.name, "dY", value))
        before = self.graph.nodes.get(item.inputs[0])
        users = sum(item.inputs[0] in inputs for _, inputs in self._uses())
        together = loss.through(before.op) if before is not None and users == 1 else None
        if together is not None:
            self.through[item.inputs[0]] = self._composed(expression(together), item.name, scale)

    def _collect(self, step: Step, of: Quantity) -> None:
        """The equation of a gradient: the sum of all that has arrived."""
        arriving = self._arriving.get(gradient(of))
        if arriving:
            step.backward.append(Equation(Symbol(gradient(of)), add(*(arrival.value for arrival in arriving))))
            step.arrivals[gradient(of)] = arriving

    def _pass_on(self, name: str, inputs: tuple[str, ...], step: Step) -> None:
        """What a layer's formulas send to its inputs and weights."""
        layer = self.graph.layers[name]
        _, gradients = layer.equations(*(self._types[tensor] for tensor in inputs))
        ports = {f"d{port}": self._of(tensor) for port, tensor in zip(layer.ports, inputs, strict=True)}
        ports |= {f"d{role}": Quantity("weight", weight) for role, weight in self.graph.roles(name).items()}
        for letter, text in gradients.items():
            to = ports.get(letter)
            if to is None:
                helper = Equation(Symbol(letter), expression(text))
                step.backward.append(self._equation(helper, name, Quantity("tensor", name)))
            elif to.name in self._flowing or to.name in self.graph.trainable:
                value = self._composed(expression(text), name)
                self._arriving[gradient(to)].append(Arrival(name, letter, value))

    # Letters of a layer's formula become quantities of the network

    def _equation(self, equation: Equation, name: str, result: Quantity, scale: Expression | None = None) -> Equation:
        assert isinstance(equation.left, Symbol)
        right = self._composed(equation.right, name, scale)
        if equation.left.key in ("Y", "E"):
            return Equation(Symbol(result), right)
        local = Quantity("local", name, str(equation.left.key))
        self.shapes.setdefault(local, self._shape_of(right))
        return Equation(Symbol(local), right)

    def _composed(self, of: Expression, name: str, scale: Expression | None = None) -> Expression:
        """A formula's expression for a node or a loss, its letters replaced."""
        step_item = self.graph.nodes.get(name)
        item = step_item if step_item is not None else next(i for i in self.graph.program.losses if i.name == name)
        layer = self.graph.layers.get(name) or next(loss for i, loss in self.graph.losses if i.name == name)
        letters: dict[Key, Expression] = {}
        for port, tensor in zip(layer.ports, item.inputs, strict=True):
            letters[port] = self._values.get(tensor) or Symbol(self._of(tensor))
        if step_item is not None:
            letters |= {role: Symbol(Quantity("weight", weight)) for role, weight in self.graph.roles(name).items()}
            letters["Y"] = self._values.get(name) or Symbol(Quantity("tensor", name))
            letters["dY"] = self._arrived(name)
        if scale is not None:
            letters["s"] = scale

        def replaced(key: Key) -> Expression | None:
            return letters.get(key) or self._letter(str(key), name, layer)

        return substituted(of, replaced)

    def _arrived(self, node: str) -> Expression:
        """dY of a node: a symbol, inside of a statement what its one user sends."""
        of = gradient(Quantity("tensor", node))
        return self._arriving[of][0].value if node in self._inner and of in self._arriving else Symbol(of)

    def _letter(self, letter: str, name: str, layer: Layer | Loss) -> Expression:
        """A letter that is no port and no weight: a setting, or a helper of the layer."""
        value = getattr(layer, layer.letters.get(letter, letter), None)
        if letter == "pi":
            return Symbol(Scalar("pi"))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Symbol(self._constant(letter, float(value), name))
        local = Quantity("local", name, letter)
        if isinstance(value, tuple):
            self.shapes[local] = ((len(value),), ())
        elif letter == "U":
            self.shapes[local] = self.shapes[Quantity("tensor", name)]
        return Symbol(local)

    def _constant(self, letter: str, value: float, name: str) -> Scalar:
        """A setting's letter; where it has another value than in an earlier layer, with a number."""
        values = self._constants.setdefault(letter, [])
        if value not in values:
            values.append(value)
        number = values.index(value) + 1
        shown = letter if number == 1 else f"{letter}{number}"
        step = self._steps.get(name)
        if step is not None:
            step.constants[shown] = value
        return Scalar(shown)

    def _of(self, name: str) -> Quantity:
        return Quantity("weight" if name in self.graph.parameters else "tensor", name)

    def _shape_of(self, of: Expression) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        from tensorflow_lite_bp.explain.shapes import shape_of

        return shape_of(of, self.shapes)


def _matrix(type_: TensorType) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The shape of a tensor as the articles' matrix; a class target has a row for each class."""
    shape: Shape = type_.shape
    if type_.count is not None and type_.kind in ("class", "token"):
        shape = (type_.count, *shape)
    samples = (M,) if type_.per_sample else ()
    return shape[:1], (*shape[1:], *samples)


def _scale(item: LossItem, loss: Loss, types: Mapping[str, TensorType]) -> Expression:
    """s: the factor of the file over the number of terms, and over m for a mean."""
    Y, T = (types[name].shape for name in item.inputs)
    factor = Number(item.factor)
    if loss.reduction == "sum":
        return factor
    count = loss.terms(*(_bound(shape) for shape in (Y, T)))
    names = [name for name in dict.fromkeys([*Y, *T]) if isinstance(name, str)]
    counted = [name for name in names if loss.terms(*(_bound(shape, name) for shape in (Y, T))) != count]
    terms = times(Number(count), *(Symbol(Scalar(name)) for name in counted), Symbol(M))
    return times(factor, Divide(Number(1), terms))


def _bound(shape: Shape, doubled: str = "") -> tuple[int, ...]:
    """A shape whose symbolic sizes are 1, one of them 2: what a count of terms depends on."""
    return tuple(size if isinstance(size, int) else 1 + (size == doubled) for size in shape)

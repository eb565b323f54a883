"""A program with its layers made: what computes each node, which weights there are, and what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dsl.program import Loss as LossItem
from dsl.program import Metric as MetricItem
from dsl.program import Node, Program
from dsl.types import known, show
from tensorflow_lite_bp.declare import build, registry
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.initializers.base import Initializer
from tensorflow_lite_bp.initializers.glorot import Glorot
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.losses.base import Loss
from tensorflow_lite_bp.metrics.base import Metric


@dataclass(frozen=True)
class WeightSpec:
    """One array that training changes: its name everywhere, its shape, how it starts.

    ``trainable`` is False for state that a layer updates itself.
    """

    name: str
    shape: tuple[int, ...]
    initializer: Initializer
    trainable: bool = True


class Graph:
    """The layers of a program, in the order in which they are computed.

    Attributes:
        layers: node name -> layer.
        losses, metrics: pairs of the program's item and the object that computes it.
        weights: every weight once, bare parameters first, then in the order of the nodes.
        trainable: those that a gradient changes, by name.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: dict[str, Node] = {node.name: node for node in program.nodes}
        self.parameters = {parameter.name for parameter in program.parameters}
        self.layers: dict[str, Layer] = {node.name: _layer(node) for node in program.nodes}
        self.losses: list[tuple[LossItem, Loss]] = [
            (item, registry["loss"][item.op].from_settings(item.settings)) for item in program.losses
        ]
        self.metrics: list[tuple[MetricItem, Metric]] = [
            (item, registry["metric"][item.op].from_settings(item.settings)) for item in program.metrics
        ]
        self._roles: dict[str, dict[str, str]] = {}
        self.weights: tuple[WeightSpec, ...] = tuple(self._find_weights().values())
        self.trainable: dict[str, WeightSpec] = {spec.name: spec for spec in self.weights if spec.trainable}
        self.learned: set[str] = self._depending_on_weights()
        self._refuse_learned_targets()

    def roles(self, node: str) -> Mapping[str, str]:
        """The weights of a node: letter in the mathematics -> name (``{"W": "logits.dense.weight"}``)."""
        return self._roles[node]

    def sample_shapes(self, node: Node, sizes: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
        """The shapes of one sample of a node's inputs, symbolic sizes bound."""
        return tuple(self.sample_shape(name, sizes) for name in node.inputs)

    def sample_shape(self, tensor: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of one sample of a tensor, symbolic sizes bound."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.program.types[tensor].shape)

    def ancestors(self, tensors: Iterable[str]) -> list[Node]:
        """The nodes that must be computed for these tensors, in order."""
        wanted = set(tensors)
        for node in reversed(self.program.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return [node for node in self.program.nodes if node.name in wanted]

    def with_class_weights(self, weights: Mapping[str, tuple[float, ...]]) -> None:
        """Weigh the classes in every loss on these targets that takes such weights and has none of its own."""
        for index, (item, loss) in enumerate(self.losses):
            chosen = weights.get(item.inputs[1])
            if chosen is not None and getattr(loss, "class_weights", None) == ():
                self.losses[index] = (item, replace(loss, class_weights=chosen))  # type: ignore[call-arg]  # has it

    def _find_weights(self) -> dict[str, WeightSpec]:
        found: dict[str, WeightSpec] = {}
        for parameter in self.program.parameters:
            shape = known(parameter.type.shape)
            assert shape is not None, "the checker refuses symbolic parameters"
            default: Initializer = Glorot() if len(shape) > 1 else Zeros()
            initializer = build(parameter.initializer) if parameter.initializer is not None else default
            found[parameter.name] = WeightSpec(parameter.name, shape, initializer)
        for node in self.program.nodes:
            shapes = [self.program.types[name].shape for name in node.inputs]
            roles = self._roles[node.name] = {}
            for letter, weight in self.layers[node.name].weights(*shapes).items():
                name = roles[letter] = f"{node.weights}.{weight.name}"
                shape = known(weight.shape)
                if shape is None:
                    raise InputError(
                        f"{node.span}: the weights of `{node.op}` need fixed sizes, and its input is {show(shapes[0])}"
                    )
                spec = WeightSpec(name, shape, weight.initializer, weight.trainable)
                first = found.setdefault(name, spec)
                if first.shape != spec.shape:
                    raise InputError(
                        f"{node.span}: `{node.weights}` is used on inputs of different shapes: its {weight.name} would "
                        f"be {show(first.shape)} and {show(spec.shape)}"
                    )
        return found

    def _depending_on_weights(self) -> set[str]:
        """The tensors and parameters through which a gradient must flow."""
        learned = set(self.parameters)
        for node in self.program.nodes:
            own = self.trainable.keys() & self._roles[node.name].values()
            if own or learned.intersection(node.inputs):
                learned.add(node.name)
        return learned

    def _refuse_learned_targets(self) -> None:
        for item, _ in self.losses:
            target = item.inputs[1]
            if target in self.learned:
                raise InputError(
                    f"{item.span}: the second input of `{item.op}` depends on weights, and no gradient flows there: "
                    "hold the prediction against a `target` or an `input`"
                )


def _layer(node: Node) -> Layer:
    known_layers = {**registry["layer"], **registry["operator"]}
    layer: Layer = known_layers[node.op].from_settings(node.settings)
    return layer

"""Which symbol stands for which quantity in a notation: letters by their place in the network, each symbol once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tensorflow_lite_bp.explain.derivation import Derivation, Quantity, Step
from tensorflow_lite_bp.explain.notation import Notation
from tensorflow_lite_bp.layers.base import Layer

_GREEK = {
    "alpha": "α", "beta": "β", "epsilon": "ε", "eta": "η", "lam": "λ", "mu": "μ", "rho": "ρ", "pi": "π",
    "g": "γ", "class_weights": "w", "class": "c",
}  # fmt: skip


@dataclass(frozen=True)
class Sign:
    """A letter or a word with what stands below and above it."""

    base: str
    below: str = ""
    above: str = ""
    tilde: bool = False

    @staticmethod
    def of(template: str, k: int | str = "") -> Sign:
        """From a template such as ``S_in^{k}``.

        >>> Sign.of("S_in^{k}", 2), Sign.of("a^[{k}]", 1)
        (Sign(base='S', below='in', above='2', tilde=False), Sign(base='a', below='', above='[1]', tilde=False))
        """
        base, _, above = template.partition("^")
        base, _, below = base.partition("_")
        return Sign(base, below.format(k=k), above.format(k=k))


def letter(name: str) -> Sign:
    """The sign of a letter of formulas: ``beta1`` is β₁.

    >>> letter("beta1"), letter("mu")
    (Sign(base='β', below='1', above='', tilde=False), Sign(base='μ', below='', above='', tilde=False))
    """
    found = re.fullmatch(r"([A-Za-z_]+?)(\d*)", name)
    word, digits = found.groups() if found else (name, "")
    return Sign(_GREEK.get(word, word), digits)


class Names:
    """Signs of a derivation's quantities in a notation.

    Attributes:
        signs: of tensors, weights, losses and locals.
        pre, post: tensors before and behind activations.
        indices: of every step, the k of its letters.
        inputs: of the inputs that have the notation's letter (one at most).
    """

    def __init__(self, derivation: Derivation, notation: Notation) -> None:
        self.derivation, self.notation = derivation, notation
        self.signs: dict[Quantity, Sign] = {}
        self.pre: set[str] = set()
        self.post: set[str] = set()
        self.indices: dict[str, int] = {}
        self.output: str | None = None
        self._taken: set[Sign] = set()
        self._local: dict[str, list[Quantity]] = {}
        for quantity in derivation.shapes:
            if quantity.kind == "local":
                self._local.setdefault(quantity.name, []).append(quantity)
        self._name_variables()
        self._number()
        for step in derivation.steps:
            self._name_step(step)
        for quantity in derivation.shapes:
            if quantity.kind == "weight" and quantity not in self.signs:
                self._give(quantity, Sign(quantity.name))

    def sign(self, quantity: Quantity) -> Sign:
        return self.signs[quantity]

    def step_functions(self) -> Iterator[tuple[Step, str]]:
        """Steps of activations, each with the name of its function."""
        for step in self.derivation.steps:
            if isinstance(step.layer, Layer) and step.layer.activation:
                yield step, step.op

    def _name_variables(self) -> None:
        program = self.derivation.graph.program
        reals = [item.name for item in program.inputs if item.type.kind == "float"]
        first = self.notation.first - 1 + self.notation.behind
        for item in program.inputs:
            own = Sign(item.name)
            self._give(
                Quantity("tensor", item.name), Sign.of(self.notation.input, first) if reals == [item.name] else own
            )
        for item in program.targets:
            own = Sign.of(self.notation.target) if len(program.targets) == 1 else Sign(item.name)
            self._give(Quantity("tensor", item.name), own)

    def _number(self) -> None:
        """An activation has the index of what it is applied to; every other step has the next one."""
        derivation = self.derivation
        k = self.notation.first - 1
        activated: set[str] = set()
        users: dict[str, list[Step]] = {}
        for step in derivation.steps:
            for node in step.nodes:
                for tensor in derivation.graph.nodes[node].inputs:
                    users.setdefault(tensor, []).append(step)
        for step in derivation.steps:
            if step.result.kind == "loss":
                continue
            assert isinstance(step.layer, Layer)
            tensor = step.result.name
            source = derivation.graph.nodes[step.nodes[0]].inputs[0]
            if step.layer.activation and source in self.pre and source not in activated:
                activated.add(source)
                self.indices[step.name] = self.indices[derivation.step_of(source).name]  # type: ignore[union-attr]  # a node
                self.post.add(tensor)
                continue
            k += 1
            self.indices[step.name] = k
            followed = [user for user in users.get(tensor, []) if isinstance(user.layer, Layer)]
            before = len(followed) == 1 and followed[0].layer.activation  # type: ignore[union-attr]  # it is a layer
            ahead = before and not step.layer.activation  # no letter of a function stands for two
            (self.pre if ahead or self._weighted(step) else self.post).add(tensor)
        self.output = self._output(users)

    def _output(self, users: dict[str, list[Step]]) -> str | None:
        """The tensor that the only loss looks at."""
        losses = self.derivation.graph.program.losses
        return losses[0].inputs[0] if len(losses) == 1 else None

    def _weighted(self, step: Step) -> bool:
        graph = self.derivation.graph
        own = any(graph.roles(node) for node in step.nodes)
        return own or any(graph.parameters.intersection(graph.nodes[node].inputs) for node in step.nodes)

    def _name_step(self, step: Step) -> None:
        notation = self.notation
        if step.result.kind == "loss":
            several = len(self.derivation.graph.losses) > 1
            sign = Sign.of(notation.sample_loss or notation.loss)
            self._give(step.result, replace(sign, below=step.name) if several else sign)
            for quantity in self._locals(step):
                self._give(quantity, letter(quantity.letter))
            return
        k, tensor = self.indices[step.name], step.result.name
        for node in step.nodes:
            self._name_weights(node, k)
        if tensor in self.pre:
            sign = Sign.of(notation.pre, k)
        else:
            output = notation.output and tensor == self.output
            sign = Sign.of(notation.output if output else notation.post, k + notation.behind)
        self._give(step.result, sign)
        for quantity in self._locals(step):
            self._give(quantity, self._indexed(letter(quantity.letter), k))

    def _name_weights(self, node: str, k: int) -> None:
        graph, notation = self.derivation.graph, self.notation
        templates = {"W": notation.weight, "b": notation.bias}
        roles = dict(graph.roles(node))
        item, layer = graph.nodes[node], graph.layers[node]
        for port, tensor in zip(layer.ports, item.inputs, strict=True):
            if tensor in graph.parameters:
                roles[{"matmul": "W", "add": "b"}.get(item.op, port)] = tensor
        for role, weight in roles.items():
            quantity = Quantity("weight", weight)
            if quantity in self.signs:
                continue
            if weight in graph.parameters and role not in templates:
                self._give(quantity, Sign(weight))
            else:
                self._give(
                    quantity, Sign.of(templates[role], k) if role in templates else self._indexed(letter(role), k)
                )

    def _indexed(self, sign: Sign, k: int) -> Sign:
        """A letter with the index where the notation's weights have theirs."""
        pattern = Sign.of(self.notation.weight, k)
        return replace(sign, below=sign.below + pattern.below, above=pattern.above)

    def _locals(self, step: Step) -> list[Quantity]:
        return [local for name in dict.fromkeys([*step.nodes, step.name]) for local in self._local.get(name, [])]

    def _give(self, quantity: Quantity, sign: Sign) -> None:
        """The sign, or the name in the file where another quantity has that sign already."""
        if sign in self._taken:
            sign = Sign(quantity.name if quantity.kind != "local" else f"{quantity.letter}.{quantity.name}")
        self._taken.add(sign)
        self.signs[quantity] = sign

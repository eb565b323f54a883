"""Folding: what a block or a repeat says several times is shown once, with the names of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow_lite_bp.explain.derivation import Derivation, Step
from tensorflow_lite_bp.graph.graph import Graph

_LONGEST = 64  # steps of a stretch that is looked for again


def folded(derivation: Derivation) -> dict[str, list[str]]:
    """Steps to leave out, by the step that is shown for them.

    A stretch of steps is left out when it is that before it once more: the same layers with the same settings and
    shapes, each reading what lies as far behind it and feeding the like as far ahead. What the file names is shown.
    """
    steps = [step for step in derivation.steps if step.result.kind != "loss"]
    signs = _signs(derivation, steps)
    found: dict[str, list[str]] = {}
    start = 0
    while start < len(steps):
        period, times = _repeated(signs, start)
        for place in range(start, start + period if times else start):
            others = [steps[place + period * turn].name for turn in range(1, times + 1)]
            found[steps[place].name] = others
        start += period * (times + 1) if times else 1
    return found


def _repeated(signs: Sequence[Any], start: int) -> tuple[int, int]:
    """The period of the longest repetition that begins here, and how often it comes again."""
    best = (1, 0)
    for period in range(1, min(_LONGEST, (len(signs) - start) // 2) + 1):
        times = 0
        while signs[start : start + period] == signs[start + period * (times + 1) : start + period * (times + 2)]:
            times += 1
            if start + period * (times + 2) > len(signs):
                break
        if times and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def _signs(derivation: Derivation, steps: Sequence[Step]) -> list[Any]:
    """What two steps must share to be the same but for their indices; None is never the same as another's."""
    graph = derivation.graph
    places = {node: place for place, step in enumerate(steps) for node in step.nodes}
    users: dict[str, list[int]] = {}
    for place, step in enumerate(steps):
        for tensor in derivation.inputs_of(step):
            users.setdefault(tensor, []).append(place)
    named = set(graph.program.names.values()) | {item.tensor for item in graph.program.outputs}
    loss_inputs = {name for item in graph.program.losses for name in item.inputs}
    found: list[Any] = []
    for place, step in enumerate(steps):
        tensor = step.result.name
        if tensor in named or tensor in loss_inputs:
            found.append(object())  # like nothing else
            continue
        behind = sorted(place - places.get(name, -1) for name in derivation.inputs_of(step))
        ahead = [(user - place, steps[user].op, _type(graph, steps[user])) for user in users.get(tensor, [])]
        found.append((_layers(graph, step), _type(graph, step), behind, ahead, _owned(graph, step)))
    return found


def _type(graph: Graph, step: Step) -> Any:
    return graph.program.types[step.result.name]


def _layers(graph: Graph, step: Step) -> tuple[Any, ...]:
    return tuple(graph.layers[node] for node in step.nodes)


def _owned(graph: Graph, step: Step) -> tuple[Any, ...]:
    """The weights' shapes; parameters of the file by their names, since they are these and no others."""
    nodes = [graph.nodes[node] for node in step.nodes]
    shapes = {spec.name: spec.shape for spec in graph.weights}
    own = tuple(shapes[name] for node in step.nodes for name in graph.roles(node).values())
    return (*own, *(name for node in nodes for name in node.inputs if name in graph.parameters))

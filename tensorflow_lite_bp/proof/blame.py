"""Whose fault a wrong gradient is: each layer and loss is checked alone, from the loss back.

The plan is made again with every result and every gradient kept, so that the pieces of its own recorded program can be
computed one at a time. A layer goes forward on what the plan gives it, and back from a drawn ``dY``; what its backward
then writes is compared with central differences of ``Σ dY ⊙ Y``, a loss's with those of its value. The first that is
wrong is the guilty one: what comes after it, on the way back, has only passed on what it was given.

Where each is right alone, the plan is to blame: for memory that was used again while somebody still read it (the first
result that differs from that of the plan that keeps everything says where), or else for how it adds up what arrives
from several uses.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.graph.layout import Gradient, Step
from tensorflow_lite_bp.graph.plan import Calls, Plan
from tensorflow_lite_bp.proof.quotients import Entry, compare, drawn_indices

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

ENTRIES = 200
"""Entries of each input and weight of a layer that are compared: alone it is quick."""


@dataclass(frozen=True)
class Guilty:
    """What computes a wrong gradient.

    Attributes:
        kind: ``layer`` or ``loss``; ``memory`` when a layer reads what is no longer there; ``sum`` when every layer is
            right, and what their gradients add up to is not.
        name: of the node or loss; for ``sum`` of the weight or input.
        op: of the node or loss: ``dense``, ``mse``.
        place: ``file:line``.
        letter: which gradient, in the layer's own letters: ``dW``; None for ``sum``.
        entry: of that gradient, where it is wrong most; None for ``memory`` and ``sum``.
    """

    kind: str
    name: str
    op: str | None
    place: str
    letter: str | None = None
    entry: Entry | None = None


def guilty(
    network: Network,
    plan: Plan,
    rows: Mapping[str, Any],
    wrong: Iterable[str],
    places: Mapping[str, str],
    *,
    tolerance: float,
) -> Guilty:
    """What the wrong gradients of these weights and inputs come from.

    Args:
        plan: which computed them.
        places: of weights and inputs.
    """
    keeping = _keeping_plan(network, rows)
    bench = _Bench(keeping, network)
    backward = [step for step, back in keeping.shards[0].layout.moments if back]
    for step in backward:
        found = bench.wrong(step, tolerance)
        if found is not None:
            return found
    spoiled = _first_spoiled(plan, keeping)
    if spoiled is not None:
        step, what = spoiled
        return Guilty("memory", step.name, _op(network, step), step.place, what)
    first = next(iter(wrong))
    return Guilty("sum", first, None, places[first])


def _keeping_plan(network: Network, rows: Mapping[str, Any]) -> Plan:
    """The plan of the same step in which every result and every gradient lives to the end."""
    nodes = tuple(network.graph.nodes)
    floats = [variable.name for variable in network.program.inputs if variable.type.kind == "float"]
    plan = network.plan("train", rows, tensors=nodes, gradient_of=(*floats, *nodes))
    plan.feed(rows)
    return plan


class _Bench:
    """The pieces of a plan, each computed alone on what the plan gives it."""

    def __init__(self, plan: Plan, network: Network) -> None:
        self.plan, self.network = plan, network
        (self.shard,) = plan.shards
        self.calls: dict[tuple[Step, bool], list[Calls]] = {
            (parts[0].step, parts[0].back): programs for parts, programs in plan.by_parts()
        }

    def wrong(self, step: Step, tolerance: float) -> Guilty | None:
        """The first gradient of a step, in the order of its ports and weights, that is wrong on its own."""
        self.plan.run()  # what is computed alone works where others keep theirs
        dY = self._drawn(step) if step.loss is None else None
        self._compute(step)
        if dY is not None:
            self.shard.gradients[step.name][...] = dY
        self._compute(step, back=True)
        claimed = {letters: np.array(gradient) for letters, _, gradient in self._written(step)}

        def total() -> float:
            self._compute(step)
            return (
                float(self.shard.losses[step.loss]) if dY is None else float(np.vdot(dY, self.shard.arrays[step.name]))
            )

        start = total()
        magnitude = abs(start) if dY is None else float(np.abs(dY * self.shard.arrays[step.name]).sum())
        for letters, array, _ in self._written(step):
            indices = drawn_indices(array.shape, ENTRIES, self._generator(step))
            gradient = claimed[letters]
            found = compare(total, array, gradient, indices, magnitude=magnitude, tolerance=tolerance)
            if found.wrong:
                kind = "layer" if step.loss is None else "loss"
                return Guilty(kind, step.name, _op(self.network, step), step.place, letters, found.worst)
        return None

    def _compute(self, step: Step, *, back: bool = False) -> None:
        self.plan.compute(self.calls[step, back])

    def _written(self, step: Step) -> list[tuple[str, Any, Any]]:
        """What backward writes: letters, the array that it is the gradient of, the gradient.

        A tensor that stands at several ports (``x * x``) has one gradient, their sum.
        """
        uses: dict[str, list[Gradient]] = {}
        for gradient in step.gradients:
            uses.setdefault(gradient.tensor or gradient.weight or "", []).append(gradient)
        shard, weights = self.shard, self.network.arrays
        found = []
        for name, gradients in uses.items():
            array = weights.arrays[name] if name in weights.arrays else shard.arrays[name]
            whole = shard.gradients[name] if name in shard.gradients else weights.gradients.views[name]
            parts = [shard.layout.memory.view(each.part, shard.memory) for each in gradients if each.part is not None]
            gradient = whole if len(parts) < len(gradients) else sum(parts)  # else what others wrote is in the whole
            found.append((" + ".join(f"d{each.letter}" for each in gradients), array, gradient))
        return found

    def _drawn(self, step: Step) -> np.ndarray:
        return self._generator(step).uniform(-1, 1, self.shard.gradients[step.name].shape)

    def _generator(self, step: Step) -> np.random.Generator:
        return Draw(self.network.seed, "d layer", zlib.crc32(step.name.encode())).generator()


def _first_spoiled(plan: Plan, keeping: Plan) -> tuple[Step, str] | None:
    """The first result of a plan that is another one when all that was computed before is still there."""
    expected: dict[tuple[str, bool, str], np.ndarray] = {}
    for parts, programs in keeping.by_parts():
        keeping.compute(programs)
        part = parts[0]
        expected |= {(part.step.name, part.back, what): np.array(array) for what, array in part.results.items()}
    for parts, programs in plan.by_parts():
        plan.compute(programs)
        part = parts[0]
        for what, array in part.results.items():
            right = expected[part.step.name, part.back, what]
            if not np.allclose(
                array, right, rtol=1e-9, atol=1e-12 * float(np.abs(right).max(initial=0)), equal_nan=True
            ):
                return part.step, what
    return None


def _op(network: Network, step: Step) -> str:
    return network.graph.nodes[step.name].op if step.loss is None else network.graph.losses[step.loss][0].op

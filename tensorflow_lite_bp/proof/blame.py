"""Whose fault a wrong gradient is: each layer and loss is checked alone, from the loss back.

The plan is made again with every result and every gradient kept, so that the pieces of its own recorded program can be
computed one at a time. A layer goes forward on what the plan gives it, and back from a drawn ``dY``; what its backward
then writes is compared with central differences of ``Σ dY ⊙ Y``, a loss's with those of its value. The first that is
wrong is the guilty one: what comes after it, on the way back, has only passed on what it was given.

Where each is right alone, the plan is to blame. It adds up what arrives from several uses, and each of these sums is
looked at. It uses memory again, and must not while somebody still reads it: the first result that differs from that of
the plan that keeps everything says who read too late.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.graph.layout import Gradient, Step
from tensorflow_lite_bp.graph.plan import Calls, Part, Plan
from tensorflow_lite_bp.proof.quotients import Entry, compare, drawn_places

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

ENTRIES = 200
"""Entries of each input and weight of a layer that are compared: alone it is quick."""


@dataclass(frozen=True)
class Guilty:
    """What computes a wrong gradient.

    Attributes:
        kind: ``layer`` or ``loss``: its own backward. When each is right alone: ``sum`` where the plan adds up wrongly,
            ``memory`` where a result is spoiled by memory that was used again, ``plan`` for anything else.
        name: of the node or loss; for ``plan`` of the first weight or input with a wrong gradient.
        op: of the node or loss: ``dense``, ``mse``; None for ``plan``.
        place: ``file:line``.
        what: ``dW``, in the layer's own letters, for layers and losses; the tensor or weight of a ``sum``; the result
            that is spoiled for ``memory``; empty for ``plan``.
        entry: of a layer's or loss's gradient, where it is wrong most.
    """

    kind: str
    name: str
    op: str | None
    place: str
    what: str = ""
    entry: Entry | None = None


def guilty(
    network: Network,
    plan: Plan,
    rows: Mapping[str, Any],
    wrong: Mapping[str, str],
    *,
    tolerance: float,
) -> Guilty:
    """What the wrong gradients of these weights and inputs come from.

    Args:
        plan: which computed them.
        wrong: their names, each with its place in the file.
    """
    keeping = _keeping_plan(network, rows)
    bench = _Bench(keeping, network)
    backward = [step for step, back in keeping.shards[0].layout.moments if back]
    for step in backward:
        found = bench.wrong(step, tolerance)
        if found is not None:
            return found
    for kind, place in (("sum", bench.first_wrong_sum()), ("memory", _first_spoiled(plan, keeping))):
        if place is not None:
            step, what = place
            return Guilty(kind, step.name, _op(network, step), step.place, what)
    name, declared = next(iter(wrong.items()))
    return Guilty("plan", name, None, declared)


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
        self.calls = {(part.step, part.back): self._own_and_sums(part) for part in self.shard.parts}

    def _own_and_sums(self, part: Part) -> tuple[Calls, Calls]:
        """What a layer or loss computes itself, and behind it the sums with what others have written."""
        return self.shard.calls_of(replace(part, stop=part.sums)), self.shard.calls_of(replace(part, start=part.sums))

    def wrong(self, step: Step, tolerance: float) -> Guilty | None:
        """The first gradient of a step, in the order of its ports and weights, that is wrong on its own."""
        self.plan.run()  # what is computed alone works where others keep theirs
        with self.network.backend.computing():
            return self._wrong_alone(step, tolerance)

    def _wrong_alone(self, step: Step, tolerance: float) -> Guilty | None:
        dY = self._drawn(step) if step.loss is None else None
        self._compute(step)
        if dY is not None:
            self.shard.gradients[step.name][...] = dY
        self._compute(step, back=True)
        claimed = list(self._claimed(step))

        def value() -> float:
            self._compute(step)
            if dY is None:
                return float(self.shard.losses[step.loss])
            return float(np.vdot(dY, self.shard.arrays[step.name]))

        magnitude = abs(value()) if dY is None else float(np.abs(dY * self.shard.arrays[step.name]).sum())
        for letters, array, gradient in claimed:
            places = drawn_places(array.size, ENTRIES, self._generator(step))
            found = compare(value, array, gradient, places, magnitude=magnitude, tolerance=tolerance)
            if found.wrong:
                kind = "layer" if step.loss is None else "loss"
                return Guilty(kind, step.name, _op(self.network, step), step.place, letters, found.worst)
        return None

    def first_wrong_sum(self) -> tuple[Step, str] | None:
        """The first step after which a gradient is not what had arrived before and what the step adds."""
        for step, back in self.shard.layout.moments:
            own, sums = self.calls[step, back]
            self.plan.compute([own])
            added = [each for each in step.gradients if each.part is not None] if back else []
            totals = {_target(each): np.array(self._whole(each)) for each in added}
            for each in added:
                totals[_target(each)] += self._written(each)
            self.plan.compute([sums])
            for each in added:
                if not _alike(self._whole(each), totals[_target(each)]):
                    return step, _target(each)
        return None

    def _compute(self, step: Step, *, back: bool = False) -> None:
        own, _ = self.calls[step, back]
        self.plan.compute([own])

    def _claimed(self, step: Step) -> Iterator[tuple[str, Any, np.ndarray]]:
        """The gradients that a step's backward has written: the letters, the array that it is the gradient of, itself.

        A tensor that stands at several ports (``x * x``) has one gradient, the sum over them.
        """
        uses: dict[str, list[Gradient]] = {}
        for each in step.gradients:
            uses.setdefault(_target(each), []).append(each)
        for name, gradients in uses.items():
            array = self.network.arrays.arrays.get(name, self.shard.arrays.get(name))
            letters = " + ".join(f"d{each.letter}" for each in gradients)
            yield letters, array, np.sum([self._written(each) for each in gradients], axis=0)

    def _written(self, gradient: Gradient) -> Any:
        """Where a step writes its own share of a gradient."""
        if gradient.part is None:
            return self._whole(gradient)
        return self.shard.layout.memory.view(gradient.part, self.shard.memory)

    def _whole(self, gradient: Gradient) -> Any:
        """The gradient of a tensor or weight, from all its uses."""
        name = _target(gradient)
        return self.shard.gradients.get(name, self.network.arrays.gradients.views.get(name))

    def _drawn(self, step: Step) -> np.ndarray:
        shape: tuple[int, ...] = self.shard.gradients[step.name].shape
        return self._generator(step).uniform(-1, 1, shape)

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
            if not _alike(array, expected[part.step.name, part.back, what]):
                return part.step, what
    return None


def _alike(array: Any, right: Any) -> bool:
    """Equal but for rounding."""
    near = 1e-12 * float(np.abs(right).max(initial=0))
    return np.allclose(array, right, rtol=1e-9, atol=near, equal_nan=True)


def _target(gradient: Gradient) -> str:
    """The tensor or weight that a gradient belongs to."""
    name = gradient.tensor if gradient.tensor is not None else gradient.weight
    assert name is not None
    return name


def _op(network: Network, step: Step) -> str:
    return network.graph.nodes[step.name].op if step.loss is None else network.graph.losses[step.loss][0].op

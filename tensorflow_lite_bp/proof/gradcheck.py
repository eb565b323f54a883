"""The gradients of a declared network against central differences of its loss, in float64.

The network runs through its own plan, in training mode: batch_norm takes the batch's statistics, and dropout's random
numbers are addressed by the step, which stays the same, so its mask is frozen. One entry of a weight or an input is
changed at a time, and only the forward part is computed again. What a quotient is worth, and what a kink is, says
`proof.quotients`; whose fault a wrong gradient is, `proof.blame`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.program import Program
from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.layout import Layout
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.rows import RowCheck, drawn
from tensorflow_lite_bp.graph.threads import multiplications
from tensorflow_lite_bp.proof.blame import Guilty, guilty
from tensorflow_lite_bp.proof.quotients import Compared, Entry, compare, drawn_places

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

TOLERANCE = 1e-5
"""The largest relative error of a right gradient. Right ones come to 1e-7 or less, a wrong line seldom to as little."""

MOST, FEWEST = 100, 2
"""Entries of each weight and input that are compared by default, where the network is small and where it is large."""

WORK = 5e10
"""Multiplications that the default number of entries may take: a few seconds on one processor."""

_EVALUATIONS = 5  # of the loss, for an entry: a kink takes more
_NODE = 1e5  # multiplications that take about as long as what a node costs besides


@dataclass(frozen=True)
class Row:
    """One weight or input.

    Attributes:
        kind: ``weight`` or ``input``.
        place: where it is declared: ``file:line``.
        shape: of the weight; of an input with the samples first.
        compared: None for an input that a loss takes as the truth: no gradient flows there.
    """

    name: str
    kind: str
    place: str
    shape: tuple[int, ...]
    compared: Compared | None

    @property
    def wrong(self) -> bool:
        return self.compared is not None and self.compared.wrong > 0


@dataclass(frozen=True)
class Report:
    """What a check found. ``guilty`` is None when all is right."""

    rows: tuple[Row, ...]
    guilty: Guilty | None
    loss: float
    m: int
    tolerance: float

    @property
    def right(self) -> bool:
        return not any(row.wrong for row in self.rows)

    @property
    def worst(self) -> tuple[Row, Entry] | None:
        """The entry with the largest relative error; None when none was compared."""
        found = [(row, row.compared.worst) for row in self.rows if row.compared and row.compared.worst]
        return max(found, key=lambda pair: pair[1].error, default=None)


def gradcheck(
    network: Network,
    rows: Mapping[str, Any],
    *,
    entries: int | None = MOST,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Compare the gradient of every weight and float input with central differences of the loss.

    Args:
        network: in float64, on NumPy, with one thread. `off_constants` should have been called on it.
        rows: rows-first arrays for every input and target, such as `drawn_rows`.
        entries: of each weight and input, drawn with the network's seed; None for all.
        progress: is told how many entries of how many are done.

    Raises:
        InputError: for a network without a loss, or with nothing to differentiate by.
        NumericalFailure: when the loss of these rows is not finite.
    """
    assert network.precision == "float64"
    accepted = network.accepted(rows)
    inputs = _differentiable(network)
    plan = network.plan("train", accepted, gradient_of=inputs)
    plan.feed(accepted)
    plan.run()
    loss = plan.loss()
    if not isfinite(loss):
        raise NumericalFailure(
            f"{plan.first_not_finite() or 'the loss'} is not finite, and there is nothing to take differences of: "
            "other rows may do (--data, --seed)"
        )
    found = tuple(_rows(network, plan, inputs, entries=entries, tolerance=tolerance, progress=progress))
    if not any(row.compared and row.compared.entries for row in found):
        raise NumericalFailure(
            "no entry could be compared, as each lies at a kink or is what a loss takes as the truth: "
            "other rows may do (--data, --seed)"
        )
    wrong = {row.name: row.place for row in found if row.wrong}
    blamed = guilty(network, plan, accepted, wrong, tolerance=tolerance) if wrong else None
    return Report(found, blamed, loss, plan.m, tolerance)


def drawn_rows(network: Network, m: int) -> dict[str, np.ndarray]:
    """A batch for every input and target, as `graph.rows.drawn` makes it. Symbolic sizes become small and different
    ones, 4 and upwards."""
    sizes = _small_sizes(network.program)
    return {
        variable.name: drawn(variable, m, sizes, _draw(network, "rows", variable.name))
        for variable in (*network.program.inputs, *network.program.targets)
    }


def off_constants(network: Network) -> None:
    """Move the weights that start as constants (biases as zeros, gains as ones) by random numbers from -½ to ½.

    A factor of 0 or 1 hides that it was forgotten. What the layers keep for themselves stays.
    """
    for name in network.graph.trainable:
        W = network.weights[name]
        if (W == W.flat[0]).all():
            network.weights[name] = W + _draw(network, "weights", name).generator().uniform(-0.5, 0.5, W.shape)


def default_entries(network: Network, rows: Mapping[str, np.ndarray]) -> int:
    """How many entries of each weight and input are compared when nobody says: a rule on the work, never a timing."""
    accepted = network.accepted(rows)
    m = len(next(iter(accepted.values())))
    arrays = len(network.graph.trainable) + len(_differentiable(network))
    products = m * multiplications(network.graph, RowCheck(network.program).sizes(accepted))
    once = products + _NODE * len(network.graph.nodes)
    return max(FEWEST, min(MOST, int(WORK / (_EVALUATIONS * arrays * max(1, once)))))


def bytes_needed(graph: Graph, m: int) -> int:
    """The memory of a check on `drawn_rows`: weights, gradients, the batch, and a step's arrays, before any is made."""
    weights = sum(prod(spec.shape) for spec in graph.weights) + sum(prod(s.shape) for s in graph.trainable.values())
    sizes = _small_sizes(graph.program)
    layout = Layout(graph, mode="train", columns=m, sizes=sizes, dtype="float64", whole=False, staged=0)
    return 8 * weights + 2 * layout.fed_bytes + layout.own_bytes + layout.memory.peak


def forward_of(plan: Plan) -> Callable[[], float]:
    """The loss of what lies in the plan, computed without going back."""
    pieces = [programs for parts, programs in plan.by_parts() if not parts[0].back]
    programs = [list(chain.from_iterable(calls)) for calls in zip(*pieces, strict=True)]

    def forward() -> float:
        plan.compute(programs)
        return plan.loss()

    return forward


def held_against(graph: Graph) -> set[str]:
    """What a loss takes as the truth, and what leads to it: the loss changes with it, and no gradient flows there."""
    targets = [item.inputs[1] for item, _ in graph.losses]
    return {*targets, *(name for node in graph.ancestors(targets) for name in node.inputs)}


def _small_sizes(program: Program) -> dict[str, int]:
    return {name: 4 + place for place, name in enumerate(program.sizes)}


def _differentiable(network: Network) -> list[str]:
    program = network.program
    if not network.graph.losses:
        raise InputError(
            f"`{program.name}` has no loss, so there is nothing to differentiate: declare one, such as `loss mse(y, t)`"
        )
    inputs = [variable.name for variable in program.inputs if variable.type.kind == "float"]
    if not (network.graph.trainable or inputs):
        raise InputError(f"`{program.name}` has neither weights nor float inputs: there is no gradient to check")
    return inputs


def _rows(
    network: Network,
    plan: Plan,
    inputs: list[str],
    *,
    entries: int | None,
    tolerance: float,
    progress: Callable[[int, int], None],
) -> Iterator[Row]:
    """Every weight and float input, compared for the batch that the plan has computed."""
    arrays, places, frozen = _arrays(network, plan, inputs), _places(network.graph), held_against(network.graph)
    chosen = {
        name: drawn_places(array.size, entries, _draw(network, "entries", name).generator())
        for name, (array, _) in arrays.items()
        if name not in frozen
    }
    forward, magnitude = forward_of(plan), float(np.abs(plan.losses()).sum())
    done, total = count(1), sum(map(len, chosen.values()))
    for name, (array, gradient) in arrays.items():
        compared = None
        if name in chosen:
            compared = compare(
                forward,
                array,
                gradient,
                chosen[name],
                magnitude=magnitude,
                tolerance=tolerance,
                after=lambda: progress(next(done), total),
            )
        yield Row(name, "input" if name in inputs else "weight", places[name], array.shape, compared)


def _arrays(network: Network, plan: Plan, inputs: list[str]) -> dict[str, tuple[Any, np.ndarray]]:
    """Weights and inputs: where the plan reads them, and the gradient that it has computed."""
    (shard,) = plan.shards
    weights = network.arrays
    found = {name: (weights.arrays[name], np.array(gradient)) for name, gradient in weights.gradients.views.items()}
    for name in inputs:
        array, gradient = shard.fed[name], plan.fetch_gradient(name)
        found[name] = array, gradient if gradient is not None else np.zeros(array.shape)
    return found


def _places(graph: Graph) -> dict[str, str]:
    """Where each weight and input stands in the file; a shared weight where it is first used."""
    program = graph.program
    found = {item.name: str(item.span) for item in program.inputs}
    found |= {item.name: str(item.span) for item in program.parameters}
    for node in program.nodes:
        for name in graph.roles(node.name).values():
            found.setdefault(name, str(node.span))
    return found


def _draw(network: Network, purpose: str, name: str) -> Draw:
    return Draw(network.seed, f"d {purpose}", zlib.crc32(name.encode()))

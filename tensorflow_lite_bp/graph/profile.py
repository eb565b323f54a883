"""Where the time and the memory of a training step go: each layer and loss, forward and back, and what is around them.

The step is taken again and again on random rows: whole, as the training loop takes it, and then piece by piece, in the
order of computation, so that each piece finds the caches about as a step leaves them. The learning rate is 0: the work
is the same, and the weights stay as they are.

Medians stand. What other processes take of the machine falls into the median of a long stretch and not into those of
its short pieces, so it has a row of its own: otherwise it would look like a cost of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, prod
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph.layout import Step
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.rows import drawn
from tensorflow_lite_bp.graph.team import team
from tensorflow_lite_bp.graph.threads import Division, available, products
from tensorflow_lite_bp.graph.trainer import Trainer

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

SECONDS = 2.0
"""How long to measure when the number of repetitions is not given."""
FEWEST = 5
"""Repetitions that a median needs even when a step takes long."""
SIDE = 512
"""Rows and columns of the matrices whose product is the measure: large enough for the matrix library's full rate."""
SECONDS_OF_PRODUCTS = 0.25
"""How long these products are taken, before the step and again after it."""


@dataclass(frozen=True)
class Row:
    """One piece of a step.

    Attributes:
        kind: ``layer``, ``loss``, ``feed``, ``gather``, ``update``; ``else`` for what a step takes more than these in
            the same repetition; ``noise`` for what the medians of all of these leave of the step's median.
        name: of the node or loss; what happens, for the other kinds.
        direction: ``forward`` or ``back`` for layers and losses.
        seconds: the median. That of ``else`` is negative when the pieces take longer than the step.
        bytes: of the arrays that this piece is the first to need, all shards together. Those by which batches and
            random numbers come to a device are the feed's.
        multiplications: of its matrix products, for the whole batch.
    """

    kind: str
    name: str
    direction: str | None
    seconds: float
    bytes: int
    multiplications: int = 0


@dataclass(frozen=True)
class Profile:
    """A measured step.

    Attributes:
        rows: its pieces in the order of computation; their seconds add up to those of the step.
        seconds: of the whole step.
        parts_seconds: of all layers and losses one by one.
        plan_seconds: of all of them in one go, as in the step. One by one they take longer where a chain of passes goes
            through the cache across layers, or where threads wait for each other after each of them.
        start_seconds: what it takes to start a layer or loss by itself. It is taken off each.
        plan_bytes: in which the arrays of layers and losses lie. Dead memory is used again: it is less than their sum.
        waits: how often the host waits for queued work in a step of the training loop (`Trainer.advance`).
        m: the samples of the batch.
        division: as it came out; a batch has no more shards than samples.
        matrix_gflops: the machine's rate for products of large matrices, one in each of the step's threads, in its
            precision.
        launches: how often layers, losses and the update start work on the device: calls of the array library on a CPU.
    """

    rows: tuple[Row, ...]
    seconds: float
    parts_seconds: float
    plan_seconds: float
    start_seconds: float
    plan_bytes: int
    waits: int
    m: int
    division: Division
    repetitions: int
    matrix_gflops: float
    launches: int

    @property
    def total(self) -> Row:
        octets, multiplications = (sum(getattr(row, key) for row in self.rows) for key in ("bytes", "multiplications"))
        return Row("total", "total", None, self.seconds, octets, multiplications)

    def gflops(self, row: Row) -> float | None:
        """Billions of floating-point operations in a second: an addition comes with each multiplication.

        None without multiplications, and for what is so short that its start hides it.
        """
        measured = row.multiplications and row.seconds > self.start_seconds
        return 2e-9 * row.multiplications / row.seconds if measured else None


def profile(network: Network, rows: Mapping[str, Any], *, repetitions: int | None = None) -> Profile:
    """Measure the training step of a network.

    Args:
        rows: rows-first arrays for every input and target, such as `random_rows`.
        repetitions: as many as two seconds take when left out.

    Raises:
        InputError: for a network without a loss.
        NumericalFailure: when a value of the step is not finite.
    """
    if not network.graph.losses:
        raise InputError(
            f"`{network.program.name}` has no loss, so it has no training step: declare one, such as `loss mse(y, t)`"
        )
    trainer = Trainer(network, accumulate=1)  # a batch without an update is no whole step
    plan = _first_step(trainer, rows)
    works = _works(trainer, plan, rows)
    before = matrix_rate(network, plan.division.threads)
    with network.backend.computing():
        step, run, feed, *parts, start, gather, change = _times(works, network.backend, repetitions)
    matrix_gflops = max(before, matrix_rate(network, plan.division.threads))
    starts = len(parts) * median(start)
    pieces = zip(step, feed, *parts, gather, change, strict=True)
    fed = sum(shard.layout.fed_bytes + shard.layout.staged_bytes for shard in plan.shards)
    made = [
        Row("feed", "feed the batch", None, median(feed), fed),
        *(_part(plan, moment, max(0.0, median(times) - median(start))) for moment, times in enumerate(parts)),
        *_over_weights(trainer, plan, median(gather), median(change)),
        Row("else", "everything else", None, median(whole - sum(each) for whole, *each in pieces) + starts, 0),
    ]
    made.append(Row("noise", "disturbances", None, median(step) - sum(row.seconds for row in made), 0))
    plan_bytes = sum(shard.layout.memory.peak + shard.layout.own_bytes for shard in plan.shards)
    return Profile(
        rows=tuple(made),
        seconds=median(step),
        parts_seconds=median(map(sum, zip(*parts, strict=True))) - starts,
        plan_seconds=median(run) - median(start),
        start_seconds=median(start),
        plan_bytes=plan_bytes,
        waits=_waits(trainer, rows),
        m=plan.m,
        division=Division(len(plan.shards), plan.division.blas),
        repetitions=len(step),
        matrix_gflops=matrix_gflops,
        launches=plan.launches + plan.shards[0].advancing.launches + trainer.update.launches,
    )


def random_rows(network: Network, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """A batch of the train section's size, as `graph.rows.drawn` makes it for every input and target.

    Numbers are as pixels: of the dtype in which data comes, so that feeding them takes as long.
    """
    variables, m = (*network.program.inputs, *network.program.targets), network.program.train["batch"]
    return {
        variable.name: drawn(variable, m, sizes, Draw(network.seed, "profile", i), as_pixels=True)
        for i, variable in enumerate(variables)
    }


def matrix_rate(network: Network, threads: int) -> float:
    """GFLOP/s of products of large square matrices in so many threads, each with its own and at most one a processor.

    They have the precision of the network's; of a mixed one's products, 16 bits. The quickest of many counts in each
    thread: a neighbour on the machine only ever slows one down.
    """
    backend, mixed = network.backend, network.mixed
    dtype = real(mixed.half.dtype) if mixed is not None else network.dtype
    best = [inf] * min(threads, available())

    def multiply(thread: int) -> None:
        A, B, C = (backend.zeros((SIDE, SIDE), dtype=dtype) for _ in range(3))
        product = backend.bind(backend.matmul, (A, B), {"out": C})
        end = perf_counter() + SECONDS_OF_PRODUCTS
        while best[thread] == inf or perf_counter() < end:
            best[thread] = min(best[thread], _seconds(product, backend))

    with backend.threads(1):
        team(len(best), backend).run([partial(multiply, thread) for thread in range(len(best))])
    return sum(2e-9 * SIDE**3 / seconds for seconds in best)


def _first_step(trainer: Trainer, rows: Mapping[str, Any]) -> Plan:
    """Take one step, which makes all that later ones use; returns the plan."""
    try:
        trainer.step(rows, rate=0.0)
    except NumericalFailure as error:
        where = trainer.feed(rows).first_not_finite() or "the loss"
        raise NumericalFailure(f"{where} is not finite for the rows that the step was to be measured on") from error
    return trainer.feed(rows)


def _waits(trainer: Trainer, rows: Mapping[str, Any]) -> int:
    backend = trainer.network.backend
    before = backend.waits
    trainer.advance(rows, rate=0.0)
    after = backend.waits
    trainer.look()
    return after - before


def _works(trainer: Trainer, plan: Plan, rows: Mapping[str, Any]) -> list[Callable[[], Any]]:
    """The step, all layers and losses in one go, and then the pieces of the step in their order.

    Behind the layers and losses comes one that computes nothing: what it takes to start any of them.
    """
    plan.run()
    square = trainer.gather(plan)
    return [
        partial(trainer.advance, rows, rate=0.0),
        plan.run,
        partial(trainer.feed, rows),
        *(partial(plan.compute, programs) for _, programs in plan.by_parts()),
        partial(plan.compute, [() for _ in plan.shards]),
        partial(trainer.gather, plan),
        partial(trainer.change, 0.0, square),
    ]


def _times(works: Sequence[Callable[[], Any]], backend: Backend, repetitions: int | None) -> list[tuple[float, ...]]:
    """For each piece of work the seconds of its repetitions; all are done in order, again and again."""
    for work in works:
        work()
    found: list[list[float]] = []
    end = perf_counter() + SECONDS
    while len(found) < repetitions if repetitions is not None else (len(found) < FEWEST or perf_counter() < end):
        found.append([_seconds(work, backend) for work in works])
    return list(zip(*found, strict=True))


def _seconds(work: Callable[[], Any], backend: Backend) -> float:
    start = perf_counter()
    work()
    backend.synchronize()
    return perf_counter() - start


def _part(plan: Plan, moment: int, seconds: float) -> Row:
    layouts = [shard.layout for shard in plan.shards]
    step, back = layouts[0].moments[moment]
    return Row(
        "layer" if step.loss is None else "loss",
        step.name,
        "back" if back else "forward",
        seconds,
        sum(layout.bytes_at(moment) for layout in layouts),
        plan.m * _multiplications(plan, step, back=back),
    )


def _multiplications(plan: Plan, step: Step, *, back: bool) -> int:
    """For one sample. Back there is a product for each matrix, ``dW = dY Xᵀ``, and another one where dX is wanted."""
    if step.loss is not None:
        return 0
    once = products(plan.graph, plan.graph.nodes[step.name], plan.shards[0].layout.sizes)
    forward = sum(once.values())
    if not back:
        return forward
    of_weights = sum(once.get(gradient.weight, 0) for gradient in step.gradients if gradient.weight is not None)
    return of_weights + (forward if any(gradient.tensor is not None for gradient in step.gradients) else 0)


def _over_weights(trainer: Trainer, plan: Plan, gather: float, change: float) -> tuple[Row, Row]:
    """The passes over all weights: the gradients of each shard, then the weights and the optimizer's state."""
    graph, size = plan.graph, trainer.network.dtype.itemsize
    weights = size * sum(prod(spec.shape) for spec in graph.weights)
    trainable = size * sum(prod(spec.shape) for spec in graph.trainable.values())
    state = trainable * len(trainer.optimizer.used_slots())
    return (
        Row("gather", "gather the gradients", None, gather, trainable * len(plan.shards)),
        Row("update", f"update by {trainer.optimizer.name}", None, change, weights + state),
    )

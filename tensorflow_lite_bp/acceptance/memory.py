"""The memory of training against what the plan says that it needs, and that it does not grow."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from typing import Any

from tensorflow_lite_bp.acceptance.check import Check, Failed, NotHere
from tensorflow_lite_bp.acceptance.networks import mlp, step_of
from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.backend.base import MemoryUse
from tensorflow_lite_bp.graph.shortage import needed
from tensorflow_lite_bp.graph.trainer import Trainer
from tensorflow_lite_bp.units import size

BATCH = 2048  # so that the plan is far larger than what any array is rounded up to
STEPS = 5
TEMPORARY = 1.25
"""Of what is needed, what may be taken from the device at most: with what libraries take to work in."""


def checks() -> Iterator[Check]:
    yield Check("memory", "a training step stays within its plan", _bounded)
    yield Check("memory", "training does not take more from step to step", _constant)


def _bounded(backend: Backend) -> str:
    bound, before, first, _ = _measured(backend)
    used, taken = first.used - before.used, first.taken - before.taken
    if used > bound:
        raise Failed(f"arrays take {size(used)}, and plan, weights and optimizer need {size(bound)}")
    if taken > TEMPORARY * bound:
        raise Failed(f"{size(taken)} were taken from the device, and plan, weights and optimizer need {size(bound)}")
    return f"arrays take {size(used)} of the {size(bound)} that are planned; {size(taken)} were taken from the device"


def _constant(backend: Backend) -> str:
    _, _, first, last = _measured(backend)
    if last.used > first.used or last.taken > first.taken:
        raise Failed(
            f"after {STEPS} more steps arrays take {size(last.used)} and before {size(first.used)}; "
            f"{size(last.taken)} are taken from the device and before {size(first.taken)}"
        )
    return f"{size(last.used)} in use and {size(last.taken)} taken after 1 step and after {STEPS} more"


def _measured(backend: Backend) -> tuple[int, MemoryUse, MemoryUse, MemoryUse]:
    """What is planned, and the use before, after the first steps, and after more."""
    gc.collect()  # networks of earlier checks
    backend.release_memory()
    before = _use(backend)
    network, rows = mlp(backend, batch=BATCH)
    trainer = Trainer(network)
    step = step_of(trainer, rows)
    for _ in range(2):  # the first makes the plan, the second what stays for the next batch
        step()
    first = _use(backend)
    for _ in range(STEPS):
        step()
    return _bound(trainer, rows), before, first, _use(backend)


def _bound(trainer: Trainer, rows: Mapping[str, Any]) -> int:
    """Bytes of weights, gradients, the optimizer's state and scratch, and plan."""
    arrays, optimizer = trainer.network.arrays, trainer.optimizer
    flat: int = arrays.trainable.flat.nbytes
    weights: int = flat * (2 + len(optimizer.used_slots()) + optimizer.scratch) + arrays.state.flat.nbytes
    shards = trainer.feed(rows).shards
    plan = sum(needed(shard.layout) for shard in shards) + flat * (len(shards) - 1)
    small = 512 * 200  # an array takes at least 512 bytes of CuPy's pool
    return weights + plan + small


def _use(backend: Backend) -> MemoryUse:
    backend.synchronize()
    use = backend.memory_use()
    if use is None:
        raise NotHere(f"the backend {backend.name} does not count its memory")
    return use

"""What a training step asks of the device: launches against the plan's count, and how often the host waits.

CuPy counts neither. PyTorch's profiler sees both, whoever causes them, as it listens to CUDA itself (CUPTI); without
PyTorch only the waits that go through the backend are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.acceptance.check import Check, Failed, NotHere
from tensorflow_lite_bp.acceptance.networks import mlp, step_of
from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.trainer import Trainer

BATCH = 256
STEPS = 20
WAITING = ("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls of CUDA in which the host waits for the device."""
SPLIT = 1.5
"""Kernels that a launch of the plan may be on average: cuBLAS computes some products in two."""


def checks() -> Iterator[Check]:
    yield Check("steps", "launches are those that the plan counts", _launches)
    yield Check("steps", "the host never waits", _waits)


def _launches(backend: Backend) -> str:
    step, plan = _steps(backend)
    planned = plan.launches
    of_plan, of_step = listened(plan.run), listened(step)
    if of_plan is None or of_step is None:
        raise NotHere(f"the plan counts {planned} launches; counting the real ones needs PyTorch with CUDA")
    launched = of_plan.kernels / STEPS
    if launched > SPLIT * planned:
        raise Failed(f"the plan runs {launched:g} kernels, and it counts {planned} launches")
    whole = of_step.kernels / STEPS
    return f"the plan runs {launched:g} kernels, and it counts {planned} launches; the whole step runs {whole:g}"


def _waits(backend: Backend) -> str:
    if not backend.queued:
        raise NotHere(f"the backend {backend.name} computes at once: there is nothing to wait for")
    step, _ = _steps(backend)
    before = backend.waits
    for _ in range(STEPS):
        step()
    waited = backend.waits - before
    heard = listened(step)
    if waited or (heard is not None and heard.waits):
        seen = f"; {', '.join(f'{name} {count}' for name, count in heard.waits.items())}" if heard is not None else ""
        raise Failed(f"in {STEPS} steps the host waits {waited} times by way of the backend{seen}")
    how = "by the backend and by PyTorch's profiler" if heard is not None else "by the backend"
    return f"0 waits in {STEPS} steps, counted {how}"


@dataclass(frozen=True)
class Heard:
    """Kernels that ran on the device, and calls in which the host waited, in `STEPS` steps."""

    kernels: int
    waits: Counter[str]


def listened(step: Callable[[], Any]) -> Heard | None:
    """What CUDA does in `STEPS` steps; None where nobody can listen."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    nothing, steps = _profiled(torch, lambda: None), _profiled(torch, step)  # the profiler itself waits at its end
    return Heard(steps.kernels - nothing.kernels, steps.waits - nothing.waits)


def _profiled(torch: Any, step: Callable[[], Any]) -> Heard:
    activities = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[activities.CUDA, activities.CPU]) as listening:
        for _ in range(STEPS):
            step()
    return heard_in(listening.key_averages())


def heard_in(events: Iterable[Any]) -> Heard:
    """What PyTorch's profiler lists, a row for each name and place: kernels on the device, waits of the host."""
    known = [(event.key, event.count, str(event.device_type)) for event in events]
    copies = ("Memcpy", "Memset")
    kernels = sum(count for key, count, place in known if place.endswith("CUDA") and not key.startswith(copies))
    return Heard(kernels, Counter({key: count for key, count, _ in known if key in WAITING}))


def _steps(backend: Backend) -> tuple[Callable[[], Any], Plan]:
    """A training step that has been taken before, and its plan."""
    network, rows = mlp(backend, batch=BATCH)
    trainer = Trainer(network)
    step = step_of(trainer, rows)
    for _ in range(3):
        step()
    backend.synchronize()
    return step, trainer.feed(rows)

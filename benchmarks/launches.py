"""Launches of a training step on a GPU, counted from the plan; no GPU is used: ``python -m benchmarks.launches``.

Not among them are the copies of the batch to the device, one or two for each input and target.

Beside them stand the launches in mixed precision, the calls that were recorded, and, where PyTorch is installed, the
operators that it runs eagerly for the same step, as its profiler counts them on the CPU: on a GPU each of them is at
least one launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.contenders.ours import net_text
from benchmarks.ladder import CNN_28, MEDIUM, RESNET
from benchmarks.work import SGD, Adam, Task
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend.fusion.program import Step
from tensorflow_lite_bp.backend.planned import PlannedBackend
from tensorflow_lite_bp.graph.measures import QueuedMeasures
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.trainer import Trainer


@dataclass(frozen=True)
class Case:
    """A network, and how many launches a step of it may take."""

    what: str
    task: Task
    most: int


NETWORKS = {
    "mlp": Case("mlp 784-256-128-10, batch 128, adam", Task(MEDIUM, 128, Adam()), 20),
    "cnn": Case("cnn 1-16-32, 28×28, batch 64, sgd with momentum", Task(CNN_28, 64, SGD()), 45),
    "resnet": Case("residual net 16-32-64, 32×32, batch 64, adam", Task(RESNET, 64, Adam()), 120),
}


@dataclass(frozen=True)
class Launches:
    """Launches of one training step.

    Attributes:
        recorded: calls of forward, backward and update, each a launch of its own without fusion.
        plan: of the layers and losses, forward and backward.
        judging: of what finds out whether the step is finite, the gradient's length among it.
        states: of what layers keep for themselves (running statistics).
        update: of the optimizer.
    """

    recorded: int
    plan: int
    judging: int
    states: int
    update: int

    @property
    def step(self) -> int:
        return self.plan + self.judging + self.states + self.update


def counted(name: str, precision: str = "float32") -> Launches:
    """Of one of `NETWORKS`, as the CuPy backend plans it."""
    network, trainer, plan = _made(name, PlannedBackend(), precision)
    (shard,) = plan.shards
    judging = QueuedMeasures(network.backend, network.arrays, None, batches=1).program(plan)
    calls = len(shard.program) + len(judging) + len(shard.advancing) + trainer.update.calls
    return Launches(calls, plan.launches, judging.launches, shard.advancing.launches, trainer.update.launches)


def planned(name: str, precision: str = "float32") -> list[Step]:
    """All launches of a training step of one of `NETWORKS`."""
    found: list[Step] = []

    class Kept(PlannedBackend):
        def steps(self, *args: Any, **kwargs: Any) -> list[Step]:
            steps = super().steps(*args, **kwargs)
            found.extend(steps)
            return steps

    _made(name, Kept(), precision)
    return found


def _made(name: str, backend: PlannedBackend, precision: str) -> tuple[Network, Trainer, Plan]:
    """A network with the plan of its first batch."""
    task = NETWORKS[name].task
    network = Network.from_text(net_text(task), backend=backend, precision=precision)
    trainer = network.trainer()
    x, y = next(task.batches())
    return network, trainer, trainer.feed({"x": x, "y": y})


def operators_of_pytorch(task: Task) -> int | None:
    """Operators of a training step in PyTorch, without those that only call others or make views; None where PyTorch is
    not installed."""
    try:
        from torch.profiler import ProfilerActivity, profile

        from benchmarks.contenders.pytorch import Training
    except ImportError:
        return None
    training, batches = Training(task, task.weights()), task.batches()
    training.run(iter([next(batches)]))  # makes the optimizer's state
    with profile(activities=[ProfilerActivity.CPU]) as found:
        training.run(iter([next(batches)]))
    return sum(_operators(event) for event in found.events() if event.cpu_parent is None)


def _operators(event: Any) -> int:
    """Those that an operator stands for: what it calls, or where that is no operator of its own, one."""
    others = sum(_operators(child) for child in event.cpu_children if child.name not in _INSIDE)
    stands = event.name.startswith("aten::") and event.name not in _VIEWS
    return others or int(stands)


_VIEWS = frozenset(
    f"aten::{name}"
    for name in (
        *("alias", "as_strided", "detach", "empty", "empty_like", "empty_strided", "expand", "flatten", "is_nonzero"),
        *("item", "lift_fresh", "_local_scalar_dense", "permute", "_reshape_alias", "reshape", "resize_"),
        *("resolve_conj", "resolve_neg", "result_type", "select", "slice", "squeeze", "t", "to", "transpose"),
        *("unbind", "unsafe_view", "_unsafe_view", "unsqueeze", "view"),
    )
)
"""Operators that start nothing on a device."""
_INSIDE = frozenset(f"aten::{name}" for name in ("as_strided_", "copy_", "fill_", "zero_"))
"""Operators that, called by another one, are a part of it: a GPU does without most of them."""


def table() -> str:
    """Markdown."""
    lines = [
        "| training step | recorded calls | launches | forward and back + judging + states + update | at most | "
        "in mixed precision | operators of PyTorch eager |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, case in NETWORKS.items():
        found, operators = counted(name), operators_of_pytorch(case.task)
        parts = f"{found.plan} + {found.judging} + {found.states} + {found.update}"
        mixed, beside = counted(name, "mixed").step, "not installed" if operators is None else str(operators)
        lines.append(f"| {case.what} | {found.recorded} | {found.step} | {parts} | {case.most} | {mixed} | {beside} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

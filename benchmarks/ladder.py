"""The rows of the ladder: what is measured in each, who takes part, and the ratios to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from benchmarks.networks import Network, cnn, mlp, resnet
from benchmarks.work import SGD, Adam, Task

Quantity: TypeAlias = Literal["step", "process", "peak", "growth"]
"""Seconds of a step; seconds of a whole process; bytes at a process's peak; the same less what it held before."""


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of two figures. ``above`` and ``below`` name a contender, a family, or "best": every peer.

    A name that stands for several contenders is the one with the smallest median.
    """

    above: str
    below: str
    at_least: float | None = None
    at_most: float | None = None

    def reached(self, ratio: float) -> bool:
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)

    def __str__(self) -> str:
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return f"{self.above} / {self.below} {bound}"


@dataclass(frozen=True)
class Entrant:
    """One process that takes part in a row: a contender at a task, or a script (a path inside `benchmarks`)."""

    contender: str
    task: Task | None = None
    script: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        entrants: by the label that the table shows; the first one is ours. Those with equal tasks must agree.
    """

    name: str
    what: str
    entrants: Mapping[str, Entrant]
    targets: tuple[Target, ...]
    quantity: Quantity = "step"
    steps: int = field(default=21, kw_only=True)
    """Steps before anything is measured; the loss of the last one is compared."""


SMALL, MEDIUM, LARGE = mlp(64, 32, 10), mlp(784, 256, 128, 10), mlp(1024, 2048, 2048, 10)
WIDE = mlp(4096, 512, 1000)
CNN_28, CNN_32 = cnn(1, 16, 32, size=28), cnn(3, 32, 64, size=32)
RESNET = resnet(3, 16, 32, 64, size=32)

DENSE_PEERS = ("torch", "torch.compile", "jax", "sklearn")
IMAGE_PEERS = ("torch", "torch channels_last", "torch.compile", "jax", "jax nhwc")


def against_best(ratio: float) -> tuple[Target, ...]:
    return (Target("best", "ours", at_least=ratio),)


def training(name: str, what: str, task: Task, peers: tuple[str, ...], targets: tuple[Target, ...]) -> Row:
    """A row of training steps, ours beside these peers."""
    optimizer = "adam" if isinstance(task.optimizer, Adam) else "sgd with momentum"
    entrants = {contender: Entrant(contender, task) for contender in ("ours", *peers)}
    return Row(name, f"{what}, batch {task.batch}, {optimizer}", entrants, targets)


def prediction(name: str, what: str, network: Network, batch: int) -> Row:
    task = Task(network, batch, Adam())
    entrants = {"ours": Entrant("ours predict", task), "onnxruntime": Entrant("onnxruntime", task)}
    return Row(name, f"predict, {what}, batch {batch}", entrants, against_best(1.0))


def memory(name: str, what: str, task: Task) -> Row:
    entrants = {contender: Entrant(contender, task) for contender in ("ours", "torch")}
    return Row(name, f"peak memory, {what}", entrants, (Target("ours", "torch", at_most=0.6),), "peak")


def twice_as_deep(name: str, what: str, quantity: Quantity) -> Row:
    networks = {f"{depth} layers": mlp(512, *[512] * depth, 10) for depth in (8, 16)}
    entrants = {label: Entrant("ours", Task(network, 128, Adam())) for label, network in networks.items()}
    return Row(name, what, entrants, (Target("16 layers", "8 layers", at_most=2.1),), quantity)


def more_rows() -> Row:
    counts = {"10^4 rows": 10**4, "10^6 rows": 10**6}
    entrants = {label: Entrant("ours loop", Task(SMALL, 32, Adam(), rows)) for label, rows in counts.items()}
    what = "data of 10^4 and 10^6 rows, mlp 64-32-10, batch 32, adam"
    return Row("rows", what, entrants, (Target("10^6 rows", "10^4 rows", at_most=1.1),))


def digits() -> Row:
    entrants = {peer: Entrant(peer, script=f"scripts/digits_{peer}.py") for peer in ("ours", "torch", "sklearn")}
    targets = (Target("torch", "ours", at_least=3), Target("sklearn", "ours", at_least=1.5))
    return Row("digits-cold", "digits, a cold process to 0.97 test accuracy", entrants, targets, "process")


_small = (Target("jax", "ours", at_least=1.0), Target("torch", "ours", at_least=8))

ROWS = (
    training("mlp-small-adam", "mlp 64-32-10", Task(SMALL, 32, Adam()), DENSE_PEERS, _small),
    training("mlp-medium-adam", "mlp 784-256-128-10", Task(MEDIUM, 128, Adam()), DENSE_PEERS, against_best(1.2)),
    training("mlp-large-adam", "mlp 1024-2048-2048-10", Task(LARGE, 256, Adam()), DENSE_PEERS, against_best(1.15)),
    training("mlp-small-sgd", "mlp 64-32-10", Task(SMALL, 32, SGD()), DENSE_PEERS, against_best(1.0)),
    training("mlp-medium-sgd", "mlp 784-256-128-10", Task(MEDIUM, 128, SGD()), DENSE_PEERS, against_best(1.3)),
    training("mlp-large-sgd", "mlp 1024-2048-2048-10", Task(LARGE, 256, SGD()), DENSE_PEERS, against_best(1.2)),
    training("wide-adam", "mlp 4096-512-1000", Task(WIDE, 64, Adam()), DENSE_PEERS, against_best(1.2)),
    training("cnn-28", "cnn 1-16-32, 28×28", Task(CNN_28, 64, SGD()), IMAGE_PEERS, against_best(1.3)),
    training("cnn-32", "cnn 3-32-64, 32×32", Task(CNN_32, 64, SGD()), IMAGE_PEERS, against_best(1.3)),
    training("resnet", "residual net 16-32-64, 32×32", Task(RESNET, 64, Adam()), IMAGE_PEERS, against_best(1.0)),
    prediction("predict-small-1", "mlp 64-32-10", SMALL, 1),
    prediction("predict-small-256", "mlp 64-32-10", SMALL, 256),
    prediction("predict-medium-1", "mlp 784-256-128-10", MEDIUM, 1),
    prediction("predict-medium-256", "mlp 784-256-128-10", MEDIUM, 256),
    prediction("predict-large-1", "mlp 1024-2048-2048-10", LARGE, 1),
    prediction("predict-large-256", "mlp 1024-2048-2048-10", LARGE, 256),
    digits(),
    memory("memory-mlp-large", "training mlp 1024-2048-2048-10, batch 256, adam", Task(LARGE, 256, Adam())),
    memory("memory-resnet", "training the residual net, batch 64, adam", Task(RESNET, 64, Adam())),
    twice_as_deep("depth-time", "8 and 16 hidden layers of 512, batch 128, adam", "step"),
    twice_as_deep("depth-memory", "8 and 16 hidden layers of 512: memory that training adds", "growth"),
    more_rows(),
)

"""What a contender is given: a network, its first weights, an optimizer and the batches, the same for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol, TypeAlias

import numpy as np

from benchmarks.networks import Network, Shape, draw_weights

BATCHES = 16
"""Different batches of samples in host memory, gone through in turn: no step finds its batch in the cache already."""

LABELS = 17
"""Different batches of labels, gone through in turn as well. So a sample meets many labels and nothing can be learned
by heart: a loss of almost zero makes gradients that no training sees, and that some libraries handle slowly."""

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Samples ``(m, *shape)``, float32, and the index of each one's class ``(m,)``, int64."""


@dataclass(frozen=True)
class Adam:
    rate: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class SGD:
    rate: float = 0.01
    momentum: float = 0.9


@dataclass(frozen=True)
class Task:
    """What is computed, in words that a process can be sent: the arrays are drawn from it.

    Attributes:
        rows: of a data set to draw batches from as the training loop does; 0 for batches made beforehand.
    """

    network: Network
    batch: int
    optimizer: Adam | SGD
    rows: int = 0
    seed: int = 0

    def weights(self) -> list[np.ndarray]:
        return draw_weights(self.network, self.seed)

    def batches(self) -> Iterator[Batch]:
        """Batches without end, out of arrays that are made here and now."""
        generator = np.random.default_rng((self.seed, 1))
        x = [self.samples(generator, self.batch)[0] for _ in range(BATCHES)]
        y = [self.samples(generator, self.batch)[1] for _ in range(LABELS)]
        return zip(cycle(x), cycle(y), strict=False)

    def samples(self, generator: np.random.Generator, count: int) -> Batch:
        x = generator.standard_normal((count, *self.network.shape), dtype=np.float32)
        return x, generator.integers(self.network.classes, size=count)


class Contender(Protocol):
    """One library at one task, as its users would write it at its best.

    Made from a `Task` and the first weights (in the order and shapes of `networks.weight_shapes`).
    """

    def shapes(self) -> list[Shape]:
        """The shapes of what is trained, in the order of the network; a library may keep a matrix transposed."""
        ...

    def run(self, batches: Iterator[Batch]) -> float:
        """One step for each batch, all of them finished; returns the loss of the last batch, before its update."""
        ...

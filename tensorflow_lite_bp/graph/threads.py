"""How a step is divided over threads: a rule on its work, never a timing, so that runs repeat.

- *Tiny products* (none above `ALONE_ANYWAY` multiplications): one thread, and the matrix library is left as it is: to
  tell it takes a while, and it divides no such product.
- *Little work* (below `SMALL` multiplications in a step): one thread. Two that meet after each small product lose more
  by waiting than they win.
- *Heavy weights* (fewer than `COLUMNS` columns for each weight, on average): the shards of a batch would each read all
  weights and write a gradient as large; the matrix library divides each product over its own threads instead.
- *Mixed precision*: one thread. It is there to be looked at on a CPU, not to be fast.
- *Everything else*: the batch is cut into a shard for each thread, and a product inside of it gets one thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dsl.program import Node
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.layers.dense import Matmul

SMALL = 1 << 24
"""Multiplications in a step (forward, and twice as many backward) from which more than one thread is used."""

ALONE_ANYWAY = 1 << 16
"""Multiplications up to which a matrix library computes a product with one thread whatever it may use (OpenBLAS: four
times as many)."""

READ = 16
"""Multiplications that take as long as to read a weight: what a step of a few samples waits for."""

COLUMNS = 300
"""Columns (samples, pixels, steps) that each weight must meet on average for the batch to be cut into shards."""


@dataclass(frozen=True)
class Division:
    """Into how many shards a batch is cut, and how many threads compute each of their matrix products."""

    shards: int = 1
    blas: int | None = 1  # None leaves it to the library

    @property
    def threads(self) -> int:
        return self.shards * (self.blas or 1)


ALONE = Division()


def division(
    graph: Graph,
    *,
    m: int,
    sizes: Mapping[str, int],
    training: bool,
    threads: int | None = None,
    mixed: bool = False,
) -> Division:
    """The rule.

    Args:
        m: the samples of a batch.
        sizes: the symbolic sizes, as the data binds them.
        threads: to be used whatever the work is; by default what the machine has, for a step that is worth it.
        mixed: whether the step is computed in mixed precision, which is not divided.
    """
    if mixed:
        return ALONE
    each = [count for node in graph.program.nodes for count in products(graph, node, sizes).values()]
    once, largest = sum(each), max(each, default=0)
    weights = sum(prod(spec.shape) for spec in graph.weights)
    if threads in (None, 1) and m * largest <= ALONE_ANYWAY and READ * weights < SMALL:
        return Division(1, None)
    if threads is None:
        work = max(m * once, READ * weights) * (3 if training else 1)
        threads = available() if work >= SMALL else 1
    if m * once < COLUMNS * weights:
        return Division(1, threads)
    return Division(threads, 1)


def available() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def multiplications(graph: Graph, sizes: Mapping[str, int]) -> int:
    """The multiplications of the matrix products in one sample's forward pass."""
    return sum(sum(products(graph, node, sizes).values()) for node in graph.program.nodes)


def products(graph: Graph, node: Node, sizes: Mapping[str, int]) -> dict[str, int]:
    """For each matrix of a node, by its name, the multiplications for one sample: its size, once for each column.

    A bare parameter is a matrix where it stands before `@`; beside other signs it is used element by element.
    """
    names = {*graph.roles(node.name).values()}
    if isinstance(graph.layers[node.name], Matmul):
        names |= graph.parameters.intersection(node.inputs)
    columns = prod(graph.sample_shape(node.name, sizes)[1:])
    shapes = {name: graph.trainable[name].shape for name in names if name in graph.trainable}
    return {name: prod(shape) * columns for name, shape in shapes.items() if len(shape) > 1}

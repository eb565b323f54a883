"""How many threads the matrix products of a step get: a rule on the work, never a timing, so that runs repeat.

Two threads that meet after each small product lose more by waiting than they win. Below `SMALL` multiplications in a
step one thread computes; from there on the BLAS library uses what the machine has.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from tensorflow_lite_bp.graph.graph import Graph

SMALL = 1 << 24
"""Multiplications in a step (forward, and twice as many backward) from which more than one thread is used."""


def threads_for(graph: Graph, m: int, sizes: Mapping[str, int]) -> int | None:
    """1 for a step of little work, None (what the machine has) for more.

    Args:
        m: the samples of a batch.
        sizes: the symbolic sizes, as the data binds them.
    """
    return 1 if 3 * m * multiplications(graph, sizes) < SMALL else None


def multiplications(graph: Graph, sizes: Mapping[str, int]) -> int:
    """The multiplications of the matrix products in one sample's forward pass: each matrix, once for each column."""
    shapes = {spec.name: spec.shape for spec in graph.weights}
    total = 0
    for node in graph.program.nodes:
        columns = prod(graph.sample_shape(node.name, sizes)[1:])
        arrays = {*graph.roles(node.name).values(), *graph.parameters.intersection(node.inputs)}
        total += sum(prod(shapes[name]) * columns for name in arrays if len(shapes[name]) > 1)
    return total

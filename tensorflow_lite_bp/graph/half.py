"""What a mixed training step computes in half precision: by the rule of each layer, `Layer.mixed`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.memory import SIZES
from tensorflow_lite_bp.precision import PRECISIONS


@dataclass(frozen=True)
class Half:
    """``dtype``: of what is in half precision. ``names``: the nodes that are computed in it, with their results, and
    the weights that are only read by such nodes. All else is in float32; where the two meet, the plan converts."""

    dtype: str
    names: frozenset[str]

    @staticmethod
    def of(graph: Graph, precision: str) -> Half | None:
        """Of a network in one of `PRECISIONS`; None where that is not mixed."""
        dtype = PRECISIONS[precision].half
        if dtype is None:
            return None
        nodes: set[str] = set()
        weights = set(graph.trainable)
        for node in graph.program.nodes:
            mixed = graph.layers[node.name].mixed
            if mixed == "half" or (mixed == "inputs" and nodes.issuperset(set(node.inputs) - graph.parameters)):
                nodes.add(node.name)
            else:
                weights.difference_update(graph.roles(node.name).values(), node.inputs)
        return Half(dtype, frozenset(nodes | weights))

    def weight_bytes(self, graph: Graph) -> int:
        """Bytes of the weights in half precision."""
        return SIZES[self.dtype] * sum(prod(s.shape) for name, s in graph.trainable.items() if name in self.names)

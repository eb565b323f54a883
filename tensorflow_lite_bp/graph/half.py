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
        """Of a network in one of `PRECISIONS`; None where that is not mixed.

        First forward, by what a layer is and by its inputs, then back, by those that read its result.
        """
        dtype = PRECISIONS[precision].half
        if dtype is None:
            return None
        measured = {name for loss, _ in graph.losses for name in loss.inputs}
        measured |= {name for metric, _ in graph.metrics for name in metric.inputs}
        computed = graph.ancestors(measured)
        nodes: set[str] = set()
        for node in computed:
            mixed = graph.layers[node.name].mixed
            if mixed == "half" or (mixed != "single" and nodes.issuperset(set(node.inputs) - graph.parameters)):
                nodes.add(node.name)
        in_single = set(measured)  # what somebody reads in float32
        for node in reversed(computed):
            if graph.layers[node.name].mixed == "either" and node.name not in in_single:
                nodes.add(node.name)
            if node.name not in nodes:
                in_single.update(node.inputs, graph.roles(node.name).values())
        return Half(dtype, frozenset(nodes | (graph.trainable.keys() - in_single)))

    def weight_bytes(self, graph: Graph) -> int:
        """Bytes of the weights in half precision."""
        return SIZES[self.dtype] * sum(prod(s.shape) for name, s in graph.trainable.items() if name in self.names)

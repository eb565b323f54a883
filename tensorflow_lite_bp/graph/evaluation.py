"""Losses and metrics over many batches, in inference mode, exact whatever the batches are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tensorflow_lite_bp.graph.plan import Plan
    from tensorflow_lite_bp.network import Network


class Totals:
    """Running sums of a network's losses and metrics over the batches of plans that were run."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.samples = 0
        self.losses = np.zeros(len(network.graph.losses))
        self.sums: dict[str, np.ndarray] = {}
        looked_at = [name for item, _ in network.graph.metrics for name in item.inputs]
        self.tensors = tuple(name for name in looked_at if name in network.graph.nodes)
        """What a plan must compute besides the losses."""
        self._means = np.array([loss.reduction == "mean" for _, loss in network.graph.losses], dtype=bool)

    def add(self, plan: Plan) -> None:
        """Add the batch that the plan holds."""
        self.losses += plan.losses() * np.where(self._means, plan.m, 1)
        self.samples += plan.m
        for item, metric in self.network.graph.metrics:
            for shard in plan.shards:
                prediction, target = (shard.arrays[name] for name in item.inputs)
                sums = plan.backend.to_host(metric.measure(plan.backend, prediction, target))
                self.sums[item.name] = self.sums[item.name] + sums if item.name in self.sums else np.array(sums)

    def report(self) -> dict[str, float]:
        """``{"loss": …}`` and every metric under its name; NaN throughout when no sample was added."""
        graph = self.network.graph
        if self.samples == 0:
            return dict.fromkeys(["loss", *(item.name for item, _ in graph.metrics)], float("nan"))
        total = float((self.losses / np.where(self._means, self.samples, 1)).sum())
        return {"loss": total, **{item.name: metric.value(self.sums[item.name]) for item, metric in graph.metrics}}

    def state(self) -> dict[str, Any]:
        """The sums, as JSON holds them without loss."""
        sums = {name: array.tolist() for name, array in self.sums.items()}
        return {"samples": self.samples, "losses": self.losses.tolist(), "sums": sums}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.samples = int(state["samples"])
        self.losses = np.array(state["losses"], dtype=np.float64)
        self.sums = {name: np.array(values, dtype=np.float64) for name, values in state["sums"].items()}


class Evaluation(Totals):
    """Runs batches of rows through the network and totals them."""

    def add_rows(self, rows: Mapping[str, Any]) -> None:
        network = self.network
        accepted = network.accepted(rows)
        plan = network.plan("evaluate", accepted, tensors=self.tensors)
        plan.feed(accepted)
        plan.run()
        self.add(plan)

"""Losses and metrics over many batches, in inference mode, exact whatever the batches are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tensorflow_lite_bp.graph.plan import Plan
    from tensorflow_lite_bp.network import Network


class Totals:
    """Running sums of a network's losses and metrics over the batches of plans that were run.

    The sums stay with the backend: only `report` and `state` wait for it.

    Args:
        sound: a truth value on the device: batches are added as long as it is true (None: always).
    """

    def __init__(self, network: Network, *, sound: Any = None) -> None:
        self.network = network
        self.samples = 0
        self.losses = network.backend.zeros(len(network.graph.losses), dtype="float64")
        self.sums: dict[str, Any] = {}
        self._if_sound = {"where": sound} if sound is not None else {}
        self._factors: dict[int, Any] = {}
        looked_at = [name for item, _ in network.graph.metrics for name in item.inputs]
        self.tensors = tuple(name for name in looked_at if name in network.graph.nodes)
        """What a plan must compute besides the losses."""
        self._means = np.array([loss.reduction == "mean" for _, loss in network.graph.losses], dtype=bool)

    def add(self, plan: Plan) -> None:
        """Add the batch that the plan holds."""
        if plan.m not in self._factors:
            self._factors[plan.m] = plan.backend.from_host(np.where(self._means, float(plan.m), 1.0))
        self._add(self.losses, plan.losses() * self._factors[plan.m])
        self.samples += plan.m
        for item, metric in self.network.graph.metrics:
            for shard in plan.shards:
                prediction, target = (shard.arrays[name] for name in item.inputs)
                sums = metric.measure(plan.backend, prediction, target)
                if item.name not in self.sums:
                    self.sums[item.name] = plan.backend.zeros_like(sums)
                self._add(self.sums[item.name], sums)

    def _add(self, total: Any, part: Any) -> None:
        self.network.backend.copyto(total, total + part, **self._if_sound)

    def report(self) -> dict[str, float]:
        """``{"loss": …}`` and every metric under its name; NaN throughout when no sample was added."""
        graph = self.network.graph
        if self.samples == 0:
            return dict.fromkeys(["loss", *(item.name for item, _ in graph.metrics)], float("nan"))
        to_host = self.network.backend.to_host
        total = float((to_host(self.losses) / np.where(self._means, self.samples, 1)).sum())
        sums = {name: to_host(array) for name, array in self.sums.items()}
        return {"loss": total, **{item.name: metric.value(sums[item.name]) for item, metric in graph.metrics}}

    def state(self) -> dict[str, Any]:
        """The sums, as JSON holds them without loss."""
        to_host = self.network.backend.to_host
        sums = {name: to_host(array).tolist() for name, array in self.sums.items()}
        return {"samples": self.samples, "losses": to_host(self.losses).tolist(), "sums": sums}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        from_host = self.network.backend.from_host
        self.samples = int(state["samples"])
        self.losses = from_host(np.array(state["losses"], dtype=np.float64))
        self.sums = {name: from_host(np.array(values, np.float64)) for name, values in state["sums"].items()}


class Evaluation(Totals):
    """Runs batches of rows through the network and totals them."""

    def add_rows(self, rows: Mapping[str, Any]) -> None:
        network = self.network
        accepted = network.accepted(rows)
        plan = network.plan("evaluate", accepted, tensors=self.tensors)
        plan.feed(accepted)
        plan.run()
        self.add(plan)

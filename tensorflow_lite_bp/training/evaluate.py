"""How good the weights are on whole splits: loss and metrics, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.errors import NumericalFailure
from tensorflow_lite_bp.graph.evaluation import Totals
from tensorflow_lite_bp.metrics.classification import Decision
from tensorflow_lite_bp.metrics.confusion import Confusion

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Data
    from tensorflow_lite_bp.network import Network

_MOST_CLASSES = 100
"""Above, the report has no matrix unless the file declares the metric `confusion`."""


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts ``(classes, classes)``: row i, column j says how often class i was taken for j."""

    target: str
    split: str
    classes: Sequence[str]
    counts: np.ndarray

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "split": self.split,
            "classes": list(self.classes),
            "matrix": self.counts.tolist(),
        }


def split_batches(data: Data, split: str, *, batch: int) -> Iterator[dict[str, np.ndarray]]:
    """The rows of a split in their order."""
    from tensorflow_lite_bp.data import batches

    return batches(data, split, batch=batch, seed=0, epoch=0, shuffle=False)


def evaluate_split(network: Network, data: Data, split: str) -> dict[str, float]:
    """The loss and every metric on a split, in batches of the train section's size."""
    return network.evaluate(split_batches(data, split, batch=network.program.train["batch"]))


def not_finite(network: Network, data: Data, split: str, loss: float) -> NumericalFailure:
    """The failure for a loss on a split that is not finite; it names the first tensor that is not."""
    where = "the sum of the losses"
    tensors = Totals(network).tensors
    for rows in split_batches(data, split, batch=network.program.train["batch"]):
        accepted = network.accepted(rows)
        plan = network.plan("evaluate", accepted, tensors=tensors)
        plan.feed(accepted)
        found = plan.first_not_finite()
        if found is not None:
            where = found
            break
    return NumericalFailure(
        f"the loss on the {split} split is {loss}: {where} is not finite. Try a smaller learning rate or "
        "`clip_norm = 1` in the train section, or look at the data"
    )


def confusion_matrices(network: Network, data: Data, split: str) -> tuple[ConfusionMatrix, ...]:
    """One matrix for each class or flag target that a metric or a loss holds scores against."""
    found = []
    for target, (prediction, metric) in _decisions(network).items():
        total: Any = 0
        for rows in split_batches(data, split, batch=network.program.train["batch"]):
            inputs = {variable.name: rows[variable.name] for variable in network.program.inputs}
            scores = network.tensors(inputs, [prediction])[prediction]
            total = total + metric.measure(np, np.moveaxis(scores, 0, -1), np.moveaxis(rows[target], 0, -1))
        counts = metric.matrix(total)
        found.append(ConfusionMatrix(target, split, _class_names(network, target, len(counts)), counts))
    return tuple(found)


def _decisions(network: Network) -> dict[str, tuple[str, Confusion]]:
    """By target, the prediction held against it and how it is decided: as `confusion` says where the file declares it,
    else as its other metrics do, else by the scores of a loss."""
    program, graph = network.program, network.graph
    targets = {variable.name: variable.type for variable in program.targets}
    found: dict[str, tuple[str, Confusion]] = {}
    for item, metric in sorted(graph.metrics, key=lambda pair: not isinstance(pair[1], Confusion)):
        prediction, target = item.inputs
        if isinstance(metric, Decision) and target in targets:
            found.setdefault(target, (prediction, Confusion(threshold=metric.threshold)))
    for loss in program.losses:
        prediction, target = loss.inputs
        type_ = targets.get(target)
        if type_ is not None and type_.count is not None and program.types[prediction].shape[:1] == (type_.count,):
            found.setdefault(target, (prediction, Confusion()))
    declared = {item.inputs[1] for item, metric in graph.metrics if isinstance(metric, Confusion)}
    return {
        target: decision
        for target, decision in found.items()
        if target in declared or (targets[target].count or 2) <= _MOST_CLASSES
    }


def _class_names(network: Network, target: str, count: int) -> list[str]:
    known = network.preprocessing.classes.get(target) if network.preprocessing is not None else None
    if known is not None:
        return list(known)
    type_ = network.program.types[target]
    return ["no", "yes"] if type_.kind == "flag" else [str(index) for index in range(count)]

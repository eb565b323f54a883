"""scikit-learn: `MLPClassifier.partial_fit`, one batch a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.networks import Dense, Shape
from benchmarks.work import SGD, Adam, Batch, Task


class Training:
    def __init__(self, task: Task, weights: list[np.ndarray]) -> None:
        hidden = [layer.units for layer in task.network.layers if isinstance(layer, Dense)][:-1]
        self.model = MLPClassifier(hidden, alpha=0, batch_size=task.batch, shuffle=False, **_optimizer(task.optimizer))
        x, y = task.samples(np.random.default_rng(0), task.batch)
        self.model.partial_fit(x, y, classes=np.arange(task.network.classes))  # makes the arrays
        for own, array in zip(self.model.coefs_, weights[0::2], strict=True):
            own[...] = array.T
        for own, array in zip(self.model.intercepts_, weights[1::2], strict=True):
            own[...] = array
        del self.model._optimizer  # the next call makes a new one, whose moments are zero

    def shapes(self) -> list[Shape]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array.shape for pair in pairs for array in pair]

    def run(self, batches: Iterator[Batch]) -> float:
        for x, y in batches:
            self.model.partial_fit(x, y)
        return float(self.model.loss_)


def _optimizer(optimizer: Adam | SGD) -> dict[str, Any]:
    match optimizer:
        case Adam(rate, beta1, beta2, epsilon):
            return {"solver": "adam", "learning_rate_init": rate, "beta_1": beta1, "beta_2": beta2, "epsilon": epsilon}
        case SGD(rate, momentum):
            return {"solver": "sgd", "learning_rate_init": rate, "momentum": momentum, "nesterovs_momentum": False}

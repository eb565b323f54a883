"""This framework: a `.net` text made from the description, and its public interface."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from benchmarks.networks import (
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Relu,
    Residual,
    Shape,
)
from benchmarks.work import SGD, Adam, Batch, Task
from tensorflow_lite_bp import Network

_PLAIN: dict[type, str] = {
    BatchNorm: "batch_norm",
    Relu: "relu",
    MaxPool: "max_pool(2)",
    GlobalAvgPool: "global_avg_pool",
    Flatten: "flatten",
}


def net_text(task: Task) -> str:
    """The task in the language, with one name for each layer: `a1`, `a2`, …"""
    lines: list[str] = []
    last = _bind(lines, task.network.layers, "x")
    return "\n".join(
        [
            "network ladder",
            f"input x: float[{', '.join(map(str, task.network.shape))}]",
            f"target y: class({task.network.classes})",
            *lines,
            f"loss cross_entropy({last}, y)",
            f"output p = softmax({last})",
            f"train {{ optimizer = {_optimizer(task.optimizer)} }}",
            "",
        ]
    )


def network_of(task: Task, weights: list[np.ndarray]) -> Network:
    """The network of a task with these weights."""
    network = Network.from_text(net_text(task))
    for name, array in zip(_trained(network), weights, strict=True):
        network.weights[name] = array
    return network


class Training:
    def __init__(self, task: Task, weights: list[np.ndarray]) -> None:
        self.network = network_of(task, weights)
        self.trainer = self.network.trainer()

    def shapes(self) -> list[Shape]:
        return [self.network.weights[name].shape for name in _trained(self.network)]

    def run(self, batches: Iterator[Batch]) -> float:
        loss = 0.0
        for x, y in batches:
            loss = self.trainer.step({"x": x, "y": y})
        return loss


class Loop(Training):
    """Batches drawn from a data set in memory, as `fit` draws them; the batches that are handed in only count."""

    def __init__(self, task: Task, weights: list[np.ndarray]) -> None:
        super().__init__(task, weights)
        self.rows = self._drawn(task)

    def run(self, batches: Iterator[Batch]) -> float:
        loss = 0.0
        for _, rows in zip(batches, self.rows, strict=False):
            loss = self.trainer.step(rows)
        return loss

    def _drawn(self, task: Task) -> Iterator[dict[str, np.ndarray]]:
        from tensorflow_lite_bp.data import Data, Preprocessing, batches

        x, y = task.samples(np.random.default_rng((task.seed, 2)), task.rows)
        data = Data({"x": x, "y": y}, {"train": np.arange(task.rows)}, Preprocessing(self.network.program, {}), "", {})
        for epoch in count():
            yield from batches(data, "train", batch=task.batch, seed=task.seed, epoch=epoch, shuffle=True)


class Prediction:
    def __init__(self, task: Task, weights: list[np.ndarray]) -> None:
        self.network = network_of(task, weights)

    def shapes(self) -> list[Shape]:
        return [self.network.weights[name].shape for name in _trained(self.network)]

    def run(self, batches: Iterator[Batch]) -> float:
        for x, y in batches:
            p, labels = self.network.predict({"x": x})["p"], y
        return float(-np.log(p[np.arange(len(labels)), labels]).mean())


def _trained(network: Network) -> list[str]:
    """The names of what training changes, in the order of the layers; running statistics are not among them."""
    return [name for name, spec in network.weights.specs.items() if spec.trainable]


def _bind(lines: list[str], layers: tuple[Layer, ...], last: str) -> str:
    """Add a line for each layer; returns the name of the last one."""
    for layer in layers:
        if isinstance(layer, Residual):
            call = f"{last} + {_bind(lines, layer.layers, last)}"
        else:
            call = f"{last} -> {_call(layer)}"
        last = f"a{len(lines) + 1}"
        lines.append(f"{last} = {call}")
    return last


def _call(layer: Layer) -> str:
    match layer:
        case Dense(units):
            return f"dense({units})"
        case Conv(filters, stride, bias):
            return f"conv({filters}, kernel = 3, stride = {stride}, padding = 1, bias = {str(bias).lower()})"
    return _PLAIN[type(layer)]


def _optimizer(optimizer: Adam | SGD) -> str:
    match optimizer:
        case Adam(rate, beta1, beta2, epsilon):
            return f"adam({rate}, beta1 = {beta1}, beta2 = {beta2}, epsilon = {epsilon})"
        case SGD(rate, momentum):
            return f"sgd({rate}, momentum = {momentum})"

"""Small networks with data made on the spot, so that the acceptance needs no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.data import Data, Preprocessing
from tensorflow_lite_bp.data.dataset import bound_sizes
from tensorflow_lite_bp.graph.trainer import Trainer
from tensorflow_lite_bp.network import Network

CLASSES = 10
TRAIN, VALIDATION = 250, 64
"""Rows. The batches of 32 do not come out even."""

_PERCEPTRON = """
network perceptron
input  image: float[1, 8, 8]
target digit: class(10)
logits = image -> flatten -> dense(64) -> tanh -> dropout(0.2) -> dense(32) -> sigmoid -> dense(10)
loss   cross_entropy(logits, digit)
metric accuracy(logits, digit)
output probabilities = softmax(logits)
train {{ optimizer = adam(0.01)  batch = 32  epochs = 4  precision = "{precision}"  schedule = cosine(warmup = 1) }}
"""
_CONVOLUTION = """
network convolution
input  image: float[1, 8, 8]
target digit: class(10)
body = image -> conv(8, kernel = [3, 3], padding = "same") -> batch_norm -> relu -> max_pool(2)
skip = body -> conv(8, kernel = [3, 3], padding = "same") -> batch_norm -> gelu
logits = body + skip -> flatten -> dense(32) -> relu -> dense(10)
loss   cross_entropy(logits, digit, label_smoothing = 0.1)
metric top_k(logits, digit, k = 3)
output logits
train {{ optimizer = sgd(0.05, momentum = 0.9)  batch = 32  epochs = 4  precision = "{precision}"  clip_norm = 1 }}
"""
_REGRESSION = """
network regression
input  image: float[1, 8, 8]
target height: float[2]
y = image -> flatten -> dense(48) -> layer_norm -> silu -> dense(24) -> rms_norm -> tanh -> dense(2)
loss   mse(y, height)
loss   0.1 * mae(y, height)
metric rmse(y, height)
metric r2(y, height)
output y
train {{ optimizer = adamw(0.01)  batch = 32  epochs = 4  precision = "{precision}"  accumulate = 2 }}
"""
TRAINED = {"perceptron": _PERCEPTRON, "convolution": _CONVOLUTION, "regression": _REGRESSION}
"""Networks that train in a second, and have in them what a training step can have."""

_MLP = """
network mlp
input  image: float[784]
target digit: class(10)
logits = image -> dense(256) -> relu -> dense(128) -> relu -> dense(10)
loss   cross_entropy(logits, digit)
output logits
train {{ optimizer = adam(0.001)  batch = {batch} }}
"""


@dataclass(frozen=True)
class Run:
    """A network and the rows to train it on."""

    network: Network
    data: Data


def trained(name: str, precision: str, backend: Backend) -> Run:
    """One of `TRAINED` on a backend, with its data."""
    network = Network.from_text(TRAINED[name].format(precision=precision), name=name, seed=1, backend=backend)
    return Run(network, _data(network))


def mlp(backend: Backend, *, batch: int, precision: str = "float32") -> tuple[Network, dict[str, np.ndarray]]:
    """The perceptron 784-256-128-10 with adam, and a batch for it."""
    network = Network.from_text(_MLP.format(batch=batch), name="mlp", seed=1, backend=backend, precision=precision)
    generator = Draw(1, "accept").generator()
    return network, {
        "image": generator.random((batch, 784), dtype=np.float32),
        "digit": generator.integers(CLASSES, size=batch),
    }


def step_of(trainer: Trainer, rows: Mapping[str, Any]) -> Callable[[], Any]:
    """A training step on these rows, as a training takes it: the one that waits for nothing, where there is one."""
    return partial(trainer.advance, rows)


def _data(network: Network) -> Data:
    """Noisy pictures of ten patterns, which pattern each is, and two numbers that it has."""
    generator = Draw(2, "accept").generator()
    patterns = generator.normal(size=(CLASSES, 1, 8, 8))
    digits = generator.integers(CLASSES, size=TRAIN + VALIDATION)
    images = (patterns[digits] + 0.7 * generator.normal(size=(len(digits), 1, 8, 8))).astype(np.float32)
    heights = np.stack([np.tanh(images[:, 0, 0].sum(axis=1)), images[:, 0, :, 0].mean(axis=1)], axis=1)
    every: dict[str, np.ndarray] = {"image": images, "digit": digits, "height": heights.astype(np.float32)}
    program = network.program
    rows = {variable.name: every[variable.name] for variable in (*program.inputs, *program.targets)}
    splits = {"train": np.arange(TRAIN), "validation": np.arange(TRAIN, TRAIN + VALIDATION)}
    return Data(rows, splits, Preprocessing(program, {}), "", bound_sizes(program, rows))

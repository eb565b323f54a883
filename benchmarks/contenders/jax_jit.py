"""JAX: one jitted function for the whole step, its state donated. (The file is not named jax: that is the library.)"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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
    walked,
)
from benchmarks.work import SGD, Adam, Batch, Task


class Training:
    def __init__(self, task: Task, weights: list[np.ndarray], *, channels_last: bool = False) -> None:
        self.weights = [jnp.asarray(_own_layout(array, channels_last)) for array in weights]
        self.slots = [[jnp.zeros_like(w) for w in self.weights] for _ in _slots(task.optimizer)]
        norms = [step.input[0] for step in walked(task.network) if isinstance(step.layer, BatchNorm)]
        self.statistics = [(jnp.zeros(channels), jnp.ones(channels)) for channels in norms]
        self.number = jnp.zeros((), jnp.int32)
        step = partial(_step, task.network.layers, task.optimizer, channels_last)
        self.step = jax.jit(step, donate_argnums=(0, 1, 2, 3))

    def shapes(self) -> list[Shape]:
        return [w.shape for w in self.weights]

    def run(self, batches: Iterator[Batch]) -> float:
        loss = jnp.zeros(())
        for x, y in batches:  # steps are queued, so that entering a batch overlaps the step before
            self.weights, self.slots, self.statistics, self.number, loss = self.step(
                self.weights, self.slots, self.statistics, self.number, x, y
            )
        jax.block_until_ready(self.weights)
        return float(loss)


def _step(
    layers: tuple[Layer, ...],
    optimizer: Adam | SGD,
    channels_last: bool,
    W: Any,
    slots: Any,
    state: Any,
    t: Any,
    x: Any,
    y: Any,
) -> Any:
    def objective(W: Any) -> Any:
        weights, old, new = iter(W), iter(state), []
        image = x.transpose(0, 2, 3, 1) if channels_last else x
        scores = _forward(layers, image, weights, old, new, channels_last)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], axis=1)
        return -chosen.mean(), new

    (loss, statistics), G = jax.value_and_grad(objective, has_aux=True)(W)
    t = t + 1
    pairs = [_update(optimizer, t, *arrays) for arrays in zip(W, G, *slots, strict=True)]
    new_weights = [pair[0] for pair in pairs]
    new_slots = [[pair[1][k] for pair in pairs] for k in range(len(slots))]
    return new_weights, new_slots, statistics, t, loss


def _forward(
    layers: tuple[Layer, ...], x: Any, W: Iterator[Any], old: Iterator[Any], new: list[Any], channels_last: bool
) -> Any:
    """The scores; weights and running statistics are taken in order, new statistics are appended."""
    space = (1, 2) if channels_last else (2, 3)
    for layer in layers:
        match layer:
            case Dense():
                x = x @ next(W) + next(W)
            case Conv(_, stride, bias):
                x = _convolution(x, next(W), stride, channels_last)
                x = x + _by_channel(next(W), channels_last) if bias else x
            case BatchNorm():
                x, statistics = _normalized(x, next(W), next(W), *next(old), channels_last)
                new.append(statistics)
            case Relu():
                x = jax.nn.relu(x)
            case MaxPool():
                x = _halved(x, space)
            case GlobalAvgPool():
                x = x.mean(space)
            case Flatten():
                x = (x.transpose(0, 3, 1, 2) if channels_last else x).reshape(len(x), -1)
            case Residual(inside):
                x = x + _forward(inside, x, W, old, new, channels_last)
    return x


def _convolution(x: Any, kernel: Any, stride: int, channels_last: bool) -> Any:
    layout = ("NHWC", "HWIO", "NHWC") if channels_last else ("NCHW", "OIHW", "NCHW")
    return lax.conv_general_dilated(x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=layout)


def _normalized(x: Any, scale: Any, shift: Any, mean: Any, variance: Any, channels_last: bool) -> Any:
    axes = (0, 1, 2) if channels_last else (0, 2, 3)
    here, spread = x.mean(axes), x.var(axes)
    factor = scale * lax.rsqrt(spread + 1e-5)
    y = x * _by_channel(factor, channels_last) + _by_channel(shift - here * factor, channels_last)
    count = x.size // here.size
    running = 0.9 * mean + 0.1 * here, 0.9 * variance + 0.1 * spread * (count / (count - 1))
    return y, jax.tree.map(lax.stop_gradient, running)


def _halved(x: Any, space: tuple[int, int]) -> Any:
    """Max pooling as a reshape and a maximum: its gradient needs no scatter, which is slow in XLA on a CPU."""
    h, w = space
    windows = (*x.shape[:h], x.shape[h] // 2, 2, x.shape[w] // 2, 2, *x.shape[w + 1 :])
    return x[_even(x.shape, space)].reshape(windows).max((h + 1, w + 2))


def _even(shape: Shape, space: tuple[int, int]) -> tuple[slice, ...]:
    """All of an array but an odd last row and column."""
    return tuple(slice(size // 2 * 2) if axis in space else slice(None) for axis, size in enumerate(shape))


def _by_channel(vector: Any, channels_last: bool) -> Any:
    return vector if channels_last else vector[:, None, None]


def _own_layout(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """Matrices (in, out), and kernels (3, 3, in, out) where channels are last, as JAX's users keep them."""
    if array.ndim == 2:
        return array.T
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 and channels_last else array


def _slots(optimizer: Adam | SGD) -> tuple[str, ...]:
    return ("mean", "square") if isinstance(optimizer, Adam) else ("velocity",)


def _update(optimizer: Adam | SGD, t: Any, W: Any, G: Any, *slots: Any) -> Any:
    """One array's update, in the formulas of the papers."""
    match optimizer:
        case Adam(rate, beta1, beta2, epsilon):
            mean = beta1 * slots[0] + (1 - beta1) * G
            square = beta2 * slots[1] + (1 - beta2) * G * G
            direction = mean / (1 - beta1**t) / (jnp.sqrt(square / (1 - beta2**t)) + epsilon)
            return W - rate * direction, (mean, square)
        case SGD(rate, momentum):
            velocity = momentum * slots[0] + G
            return W - rate * velocity, (velocity,)

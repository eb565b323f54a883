"""JAX: one jitted function for the whole step, its state donated. (The file is not named jax: that is the library.)"""

from __future__ import annotations

from collections.abc import Iterator
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
    """The state of a step is (weights, optimizer's slots of each weight, running statistics, number of steps)."""

    def __init__(self, task: Task, weights: list[np.ndarray], *, channels_last: bool = False) -> None:
        self.model, self.optimizer = Model(task.network.layers, channels_last=channels_last), task.optimizer
        W = [jnp.asarray(_own_layout(array, channels_last)) for array in weights]
        slots = [(jnp.zeros_like(w),) * _slots(task.optimizer) for w in W]
        norms = [step.input[0] for step in walked(task.network) if isinstance(step.layer, BatchNorm)]
        statistics = [(jnp.zeros(channels), jnp.ones(channels)) for channels in norms]
        self.state = jax.tree.map(jnp.copy, (W, slots, statistics, jnp.zeros((), jnp.int32)))  # donated: each its own
        self.step = jax.jit(self._step, donate_argnums=0)

    def shapes(self) -> list[Shape]:
        return [w.shape for w in self.state[0]]

    def run(self, batches: Iterator[Batch]) -> float:
        loss = jnp.zeros(())
        for x, y in batches:  # steps are queued, so that entering a batch overlaps the step before
            self.state, loss = self.step(self.state, x, y)
        jax.block_until_ready(self.state)
        return float(loss)

    def _step(self, state: Any, x: Any, y: Any) -> Any:
        W, slots, statistics, t = state
        (loss, statistics), dW = jax.value_and_grad(self.model.loss, has_aux=True)(W, statistics, x, y)
        pairs = [_update(self.optimizer, t + 1, *arrays) for arrays in zip(W, dW, slots, strict=True)]
        return ([w for w, _ in pairs], [slot for _, slot in pairs], statistics, t + 1), loss


class Model:
    """Channels come first, as the batches have them, or last, as XLA may prefer them."""

    def __init__(self, layers: tuple[Layer, ...], *, channels_last: bool) -> None:
        self.layers = layers
        self.channels_last = channels_last
        self.space = (1, 2) if channels_last else (2, 3)
        self.layout = ("NHWC", "HWIO", "NHWC") if channels_last else ("NCHW", "OIHW", "NCHW")

    def loss(self, W: Any, statistics: Any, x: Any, y: Any) -> Any:
        """The cross entropy, and the new running statistics."""
        found: list[Any] = []
        x = x.transpose(0, 2, 3, 1) if self.channels_last else x
        scores = self.forward(self.layers, x, iter(W), iter(statistics), found)
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], axis=1).mean(), found

    def forward(self, layers: tuple[Layer, ...], x: Any, W: Any, statistics: Any, found: list[Any]) -> Any:
        """What layers make of x; weights and running statistics are taken in order, the new ones appended."""
        for layer in layers:
            match layer:
                case Dense():
                    x = x @ next(W) + next(W)
                case Conv(_, stride, bias):
                    x = self.convolution(x, next(W), stride)
                    x = x + self.by_channel(next(W)) if bias else x
                case BatchNorm():
                    x, new = self.normalized(x, (next(W), next(W)), next(statistics))
                    found.append(new)
                case Relu():
                    x = jax.nn.relu(x)
                case MaxPool():
                    x = self.halved(x)
                case GlobalAvgPool():
                    x = x.mean(self.space)
                case Flatten():
                    x = (x.transpose(0, 3, 1, 2) if self.channels_last else x).reshape(len(x), -1)
                case Residual(inside):
                    x = x + self.forward(inside, x, W, statistics, found)
        return x

    def convolution(self, x: Any, kernel: Any, stride: int) -> Any:
        return lax.conv_general_dilated(x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=self.layout)

    def normalized(self, x: Any, weights: Any, running: Any) -> Any:
        """Batch normalisation, and the running mean and variance with this batch in them."""
        (scale, shift), axes = weights, (0, *self.space)
        mean, variance = x.mean(axes), x.var(axes)
        factor = scale * lax.rsqrt(variance + 1e-5)
        count = x.size // mean.size
        here = lax.stop_gradient((mean, variance * (count / (count - 1))))
        new = tuple(0.9 * old + 0.1 * value for old, value in zip(running, here, strict=True))
        return x * self.by_channel(factor) + self.by_channel(shift - mean * factor), new

    def halved(self, x: Any) -> Any:
        """2×2 max pooling as a reshape and a maximum: its gradient needs no scatter, which is slow in XLA on a CPU."""
        h, w = self.space
        windows = (*x.shape[:h], x.shape[h] // 2, 2, x.shape[w] // 2, 2, *x.shape[w + 1 :])
        return x.reshape(windows).max((h + 1, w + 2))

    def by_channel(self, vector: Any) -> Any:
        return vector if self.channels_last else vector[:, None, None]


def _own_layout(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """Matrices (in, out), and kernels (3, 3, in, out) where channels are last, as JAX's users keep them."""
    if array.ndim == 2:
        return array.T
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 and channels_last else array


def _slots(optimizer: Adam | SGD) -> int:
    return 2 if isinstance(optimizer, Adam) else 1


def _update(optimizer: Adam | SGD, t: Any, W: Any, dW: Any, slots: Any) -> Any:
    """One array after step t, and its slots, in the formulas of the papers."""
    match optimizer:
        case Adam(rate, beta1, beta2, epsilon):
            mean = beta1 * slots[0] + (1 - beta1) * dW
            square = beta2 * slots[1] + (1 - beta2) * dW * dW
            direction = mean / (1 - beta1**t) / (jnp.sqrt(square / (1 - beta2**t)) + epsilon)
            return W - rate * direction, (mean, square)
        case SGD(rate, momentum):
            velocity = momentum * slots[0] + dW
            return W - rate * velocity, (velocity,)

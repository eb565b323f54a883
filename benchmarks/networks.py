"""The networks of the ladder, described once: every contender builds its own from this description.

A network is the shape of one sample and a tuple of layers. Samples are rows; images are (channels, height, width).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt
from typing import TypeAlias

import numpy as np

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Dense:
    units: int


@dataclass(frozen=True)
class Conv:
    """3×3, padded by one on each side: the size stays, or is divided by the stride."""

    filters: int
    stride: int = 1
    bias: bool = True


@dataclass(frozen=True)
class BatchNorm:
    """Each channel to mean 0 and variance 1 over the batch, then scale and shift; ε is 1e-5."""


@dataclass(frozen=True)
class Relu:
    pass


@dataclass(frozen=True)
class MaxPool:
    """2×2, side by side."""


@dataclass(frozen=True)
class GlobalAvgPool:
    pass


@dataclass(frozen=True)
class Flatten:
    pass


@dataclass(frozen=True)
class Residual:
    """The input plus what these layers make of it."""

    layers: tuple[Layer, ...]


Layer: TypeAlias = Dense | Conv | BatchNorm | Relu | MaxPool | GlobalAvgPool | Flatten | Residual


@dataclass(frozen=True)
class Network:
    """Layers that end in one score for each class, for samples of a shape."""

    shape: Shape
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        return walked(self)[-1].output[0]


@dataclass(frozen=True)
class Step:
    """A layer in its place: the shapes of one sample of its input and output, and those of its weights."""

    layer: Layer
    input: Shape
    output: Shape
    weights: tuple[Shape, ...]


def walked(network: Network) -> list[Step]:
    """Every layer in the order of computation; a residual stands behind the layers inside it."""
    return list(_walk(network.layers, network.shape))


def weight_shapes(network: Network) -> list[Shape]:
    """The weights in order: matrix (out, in) or kernel (out, in, 3, 3), then bias; or scale, then shift."""
    return [shape for step in walked(network) for shape in step.weights]


def draw_weights(network: Network, seed: int) -> list[np.ndarray]:
    """First weights, float32: He's for matrices and kernels, vectors near the usual 0 or 1 but never at it.

    Vectors that are drawn too show a contender that exchanges or forgets them.
    """
    generator = np.random.default_rng(seed)
    weights = []
    for step in walked(network):
        for place, shape in enumerate(step.weights):
            scale = sqrt(2 / prod(shape[1:])) if len(shape) > 1 else 0.1
            mean = 1.0 if isinstance(step.layer, BatchNorm) and place == 0 else 0.0
            weights.append((mean + scale * generator.standard_normal(shape)).astype(np.float32))
    return weights


def _walk(layers: tuple[Layer, ...], shape: Shape) -> Iterator[Step]:
    for layer in layers:
        if isinstance(layer, Residual):
            yield from _walk(layer.layers, shape)
        output = _output(layer, shape)
        yield Step(layer, shape, output, _weights(layer, shape))
        shape = output


def _output(layer: Layer, shape: Shape) -> Shape:
    match layer, shape:
        case Dense(units), (_,):
            return (units,)
        case Conv(filters, stride), (_, h, w):
            return (filters, -(-h // stride), -(-w // stride))
        case MaxPool(), (c, h, w):
            return (c, h // 2, w // 2)
        case GlobalAvgPool(), (c, _, _):
            return (c,)
        case Flatten(), _:
            return (prod(shape),)
        case ((BatchNorm() | Relu() | Residual()), _):
            return shape
    raise TypeError(f"{layer} takes no sample of the shape {shape}")


def _weights(layer: Layer, shape: Shape) -> tuple[Shape, ...]:
    match layer:
        case Dense(units):
            return ((units, shape[0]), (units,))
        case Conv(filters, bias=bias):
            kernel = (filters, shape[0], 3, 3)
            return (kernel, (filters,)) if bias else (kernel,)
        case BatchNorm():
            return ((shape[0],), (shape[0],))
    return ()


def mlp(*sizes: int) -> Network:
    """Dense layers of these sizes, the first being that of a sample, with relu between them."""
    hidden = [layer for size in sizes[1:-1] for layer in (Dense(size), Relu())]
    return Network((sizes[0],), (*hidden, Dense(sizes[-1])))


def cnn(*channels: int, size: int) -> Network:
    """Two convolutions with relu and pooling, then two dense layers, for images of size×size."""
    image, *filters = channels
    convolutions = [layer for count in filters for layer in (Conv(count), Relu(), MaxPool())]
    return Network((image, size, size), (*convolutions, Flatten(), Dense(128), Relu(), Dense(10)))


def resnet(*channels: int, size: int) -> Network:
    """A stem, then for each number of channels two convolutions, the second inside a residual; the sizes halve.

    The first stage keeps the size, every later one halves it with its first convolution, outside the residual, so
    that the sum needs no projection.
    """
    image, *stages = channels

    def unit(filters: int, stride: int = 1) -> tuple[Layer, ...]:
        return (Conv(filters, stride, bias=False), BatchNorm())

    layers: list[Layer] = [*unit(stages[0]), Relu()]
    for number, filters in enumerate(stages):
        layers += [*unit(filters, stride=1 if number == 0 else 2), Relu(), Residual(unit(filters)), Relu()]
    return Network((image, size, size), (*layers, GlobalAvgPool(), Dense(10)))

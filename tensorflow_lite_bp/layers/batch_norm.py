"""Normalise each channel over the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dsl.types import Shape
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.ones import Ones
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer, Weight, fixed_first_axis, matrix


@dataclass(frozen=True)
class BatchNorm(Layer, name="batch_norm"):
    """Each channel minus its mean, divided by its standard deviation, times a gain, plus a bias.

    A channel is an entry of the first axis of ``[n]``, ``[d, t]`` or ``[c, h, w]``; while training its mean μ and
    variance σ² are those of all its values in the whole batch. Prediction uses running statistics, which each step of
    training moves a little: running ← (1 - momentum) · running + momentum · batch, where the batch's variance is the
    unbiased one, Σ (x - μ)² / (N - 1). Of a single value (N = 1) nothing can be said: it is normalised to 0, and moves
    the running variance towards 0.

    The gain ``[c]`` starts at one, the bias ``[c]`` at zero, the running mean at 0 and the running variance at 1.

    Source: S. Ioffe and C. Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2; the momentum is PyTorch's.
    """

    in_place = True
    formula = """
    mu = mean(X, axis=1)
    v = mean((X - mu) ** 2, axis=1)
    N = (X - mu) / sqrt(v + epsilon)
    Y = g * N + b
    """
    gradients = {
        "dg": "sum(dY * N, axis=1)",
        "db": "sum(dY, axis=1)",
        "dX": "g / sqrt(v + epsilon) * (dY - mean(dY, axis=1) - N * mean(dY * N, axis=1))",
    }
    letters = {"mu": "mean", "v": "variance"}
    examples = (
        Example(shapes=((3,),)),
        Example({"epsilon": 0.5}, ((2, 3),)),
        Example({"momentum": 0.5}, ((2, 2, 2),)),
    )

    epsilon: float = setting(1e-5, above=0, help="ε, keeps the division finite")
    momentum: float = setting(0.1, minimum=0, maximum=1, help="how far each step moves the running statistics")

    def shape(self, *shapes: Shape) -> Shape:
        return fixed_first_axis(self.name, shapes[0], "channels")

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        channels = shapes[0][:1]
        return {
            "g": Weight("gain", channels, Ones()),
            "b": Weight("bias", channels, Zeros()),
            "running_mean": Weight("running_mean", channels, Zeros(), trainable=False),
            "running_variance": Weight("running_variance", channels, Ones(), trainable=False),
        }

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        """``C`` is X - μ, ``R`` 1 / √(σ² + ε)."""
        c, columns = shapes[0][0], prod(shapes[0][1:])
        return {
            "C": Buffer((c, columns), saved=True),
            "R": Buffer((c, 1), saved=True),
            "mean": Buffer((c, 1), zeroed=True),  # these two nobody overwrites before `advance`
            "variance": Buffer((c, 1), zeroed=True),
            "parts": Buffer((2, c, 1)),
            "sums": Buffer((2, c, 1)),
            "scale": Buffer((c, 1)),
        }

    def forward(self, xp: Any, ws: Any) -> None:
        X, Y, count = matrix(ws.X), matrix(ws.Y), self._count(ws)
        xp.sum(X, axis=1, out=ws.parts[0, :, 0])
        xp.sum_shards(ws.parts[0], out=ws.mean)
        xp.multiply(ws.mean, 1 / count, out=ws.mean)
        xp.subtract(X, ws.mean, out=ws.C)  # the mean of X² minus μ² would lose the variance's digits
        _dots(xp, ws.C, ws.C, out=ws.parts[0])
        xp.sum_shards(ws.parts[0], out=ws.variance)
        xp.multiply(ws.variance, 1 / count, out=ws.variance)
        self._scale(xp, ws, ws.variance)
        xp.multiply(ws.C, ws.scale, out=Y)
        xp.add(Y, ws.b[:, None], out=Y)

    def infer(self, xp: Any, ws: Any) -> None:
        X, Y = matrix(ws.X), matrix(ws.Y)
        self._scale(xp, ws, ws.running_variance[:, None])
        xp.subtract(X, ws.running_mean[:, None], out=Y)
        xp.multiply(Y, ws.scale, out=Y)
        xp.add(Y, ws.b[:, None], out=Y)

    def _scale(self, xp: Any, ws: Any, variance: Any) -> None:
        """R, and with it the factor g R of X - μ."""
        xp.add(variance, self.epsilon, out=ws.R)
        xp.sqrt(ws.R, out=ws.R)
        xp.divide(1.0, ws.R, out=ws.R)
        xp.multiply(ws.g[:, None], ws.R, out=ws.scale)

    def advance(self, xp: Any, ws: Any) -> None:
        count = self._count(ws)
        unbiased = count / max(1, count - 1)
        for running, batch, factor in (
            (ws.running_mean[:, None], ws.mean, self.momentum),
            (ws.running_variance[:, None], ws.variance, self.momentum * unbiased),
        ):
            xp.multiply(running, 1 - self.momentum, out=running)
            xp.multiply(batch, factor, out=ws.scale)
            xp.add(running, ws.scale, out=running)

    def backward(self, xp: Any, ws: Any) -> None:
        """With db and dg of the whole batch dX = g R (dY - db / count - C R dg / count)."""
        dY, count = matrix(ws.dY), self._count(ws)
        db, dg = ws.parts
        xp.sum(dY, axis=1, out=db[:, 0])
        _dots(xp, dY, ws.C, out=dg)
        xp.multiply(dg, ws.R, out=dg)
        xp.copyto(ws.db, db[:, 0])
        xp.copyto(ws.dg, dg[:, 0])
        if ws.dX is None:
            return
        dX = matrix(ws.dX)
        xp.sum_shards(ws.parts, out=ws.sums)
        xp.multiply(ws.sums, -1 / count, out=ws.sums)
        mean_dY, slope = ws.sums  # both negative
        xp.multiply(slope, ws.R, out=slope)
        xp.multiply(ws.g[:, None], ws.R, out=ws.scale)
        xp.multiply(ws.C, slope, out=ws.C)
        xp.add(dY, ws.C, out=dX)
        xp.add(dX, mean_dY, out=dX)
        xp.multiply(dX, ws.scale, out=dX)

    def _count(self, ws: Any) -> int:
        """Values of a channel in the whole batch."""
        return int(ws.m * prod(ws.X.shape[1:-1]))

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.BatchNormalization(
            at.X, at.g, at.b, at.running_mean, at.running_variance, epsilon=self.epsilon, momentum=1 - self.momentum
        )
        return result


def _dots(xp: Any, A: Any, B: Any, *, out: Any) -> None:
    """The scalar product of each row of A with that of B, ``(c, 1)``."""
    xp.matmul(A[:, None], B[:, :, None], out=out[:, None])

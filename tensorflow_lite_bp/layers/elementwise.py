"""The table of elementwise functions: Y = f(X), so dX = dY ⊙ f′, with f′ through Y where it can be.

A row is a class: its name, its formula, f in `forward`, f′ in `slope`, and its ONNX operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, pi, sqrt
from typing import Any, ClassVar

from dsl.types import TensorType
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Buffer, Example, Layer

SLOPE = "D"
"""The buffer that holds f′ on the way back."""
_THROUGH_X = frozenset({"X"})
_THROUGH_Y = frozenset({"Y"})


def ranks(
    settings: Mapping[str, Any] | None = None, *, low: float = -3.0, high: float = 3.0, kinks: tuple[float, ...] = ()
) -> tuple[Example, ...]:
    """Examples for a number, a vector, a sequence and an image for each sample."""
    shapes: tuple[tuple[int, ...], ...] = ((), (5,), (3, 2), (2, 3, 2))
    return tuple(Example(settings or {}, (shape,), low=low, high=high, kinks=kinks) for shape in shapes)


class Elementwise(Layer):
    """What all rows share. ``D`` is their `SLOPE`."""

    in_place = True
    activation = True
    examples = ranks()
    onnx_operator: ClassVar[str]

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"D": Buffer(shapes[0])}

    def slope(self, xp: Any, ws: Any) -> None:
        """Write f′ to ``ws.D``."""
        raise NotImplementedError

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            self.slope(xp, ws)
            xp.multiply(ws.dY, ws.D, out=ws.dX)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = getattr(g, self.onnx_operator)(at.X)
        return result


# Rectifiers


class Relu(Elementwise, name="relu"):
    """The rectifier: negative values become 0. Its derivative at 0 is taken as 0."""

    reads = _THROUGH_Y
    mixed = "either"
    formula = "Y = max(X, 0)"
    gradients = {"dX": "dY * [Y > 0]"}
    examples = ranks(kinks=(0.0,))
    onnx_operator = "Relu"

    def forward(self, xp: Any, ws: Any) -> None:
        xp.maximum(ws.X, 0.0, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.greater(ws.Y, 0.0, out=ws.D)


@dataclass(frozen=True)
class LeakyRelu(Elementwise, name="leaky_relu"):
    """A rectifier that lets a fraction of negative values through.

    Source: A. Maas, A. Hannun and A. Ng, Rectifier nonlinearities improve neural network acoustic models, ICML 2013.
    """

    reads = _THROUGH_Y
    mixed = "either"
    formula = "Y = max(X, alpha * X)"
    gradients = {"dX": "dY * (alpha + (1 - alpha) * [Y > 0])"}
    examples = (*ranks(kinks=(0.0,)), *ranks({"alpha": 0.3}, kinks=(0.0,)))

    alpha: float = setting(0.01, minimum=0, maximum=1, help="the slope α below 0")

    def forward(self, xp: Any, ws: Any) -> None:
        xp.multiply(ws.X, self.alpha, out=ws.D)
        xp.maximum(ws.X, ws.D, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.greater(ws.Y, 0.0, out=ws.D)
        xp.multiply(ws.D, 1.0 - self.alpha, out=ws.D)
        xp.add(ws.D, self.alpha, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.LeakyRelu(at.X, alpha=self.alpha)
        return result


def _elu(xp: Any, ws: Any, alpha: float, scale: float) -> None:
    """scale · (max(X, 0) + α (e^min(X, 0) - 1)): the exponential never sees a large number."""
    xp.minimum(ws.X, 0.0, out=ws.D)
    xp.exp(ws.D, out=ws.D)
    xp.subtract(ws.D, 1.0, out=ws.D)
    xp.multiply(ws.D, scale * alpha, out=ws.D)
    xp.maximum(ws.X, 0.0, out=ws.Y)
    if scale != 1.0:
        xp.multiply(ws.Y, scale, out=ws.Y)
    xp.add(ws.Y, ws.D, out=ws.Y)


def _elu_slope(xp: Any, ws: Any, alpha: float, scale: float) -> None:
    """scale where Y > 0, and Y + scale · α, which is scale · α e^X, where Y ≤ 0."""
    xp.greater(ws.Y, 0.0, out=ws.D)
    xp.multiply(ws.D, scale * (1.0 - alpha), out=ws.D)
    xp.minimum(ws.Y, 0.0, out=ws.N)
    xp.add(ws.N, scale * alpha, out=ws.N)
    xp.add(ws.D, ws.N, out=ws.D)


@dataclass(frozen=True)
class Elu(Elementwise, name="elu"):
    """The exponential linear unit, which bends to -α instead of breaking at 0.

    Source: D.-A. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by exponential
    linear units (ELUs), ICLR 2016.
    """

    reads = _THROUGH_Y
    formula = "Y = max(X, 0) + alpha * (exp(min(X, 0)) - 1)"
    gradients = {"dX": "dY * ([Y > 0] + [Y <= 0] * (Y + alpha))"}
    examples = (*ranks(), *ranks({"alpha": 0.5}, kinks=(0.0,)))

    alpha: float = setting(1.0, minimum=0, help="what it bends to, -α")

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"D": Buffer(shapes[0]), "N": Buffer(shapes[0])}

    def forward(self, xp: Any, ws: Any) -> None:
        _elu(xp, ws, self.alpha, 1.0)

    def slope(self, xp: Any, ws: Any) -> None:
        _elu_slope(xp, ws, self.alpha, 1.0)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Elu(at.X, alpha=self.alpha)
        return result


class Selu(Elementwise, name="selu"):
    """The exponential linear unit whose constants keep mean 0 and variance 1 from layer to layer.

    Source: G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, Self-normalizing neural networks, NeurIPS 2017,
    equation (2).
    """

    reads = _THROUGH_Y
    formula = "Y = lam * (max(X, 0) + alpha * (exp(min(X, 0)) - 1))"
    gradients = {"dX": "dY * (lam * [Y > 0] + [Y <= 0] * (Y + lam * alpha))"}
    letters = {"lam": "LAMBDA", "alpha": "ALPHA"}
    examples = ranks(kinks=(0.0,))
    ALPHA: ClassVar[float] = 1.6732632423543772848
    LAMBDA: ClassVar[float] = 1.0507009873554804934

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"D": Buffer(shapes[0]), "N": Buffer(shapes[0])}

    def forward(self, xp: Any, ws: Any) -> None:
        _elu(xp, ws, self.ALPHA, self.LAMBDA)

    def slope(self, xp: Any, ws: Any) -> None:
        _elu_slope(xp, ws, self.ALPHA, self.LAMBDA)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Selu(at.X, alpha=self.ALPHA, gamma=self.LAMBDA)
        return result


# Steps that bend


def _logistic(xp: Any, x: Any, *, out: Any) -> None:
    """1 / (1 + e^-x). Where e^-x overflows the quotient is 0, as it should be; small results keep all their digits."""
    xp.negative(x, out=out)
    xp.exp(out, out=out)
    xp.add(out, 1.0, out=out)
    xp.reciprocal(out, out=out)


def _logistic_slope(xp: Any, y: Any, *, out: Any) -> None:
    """y (1 - y)"""
    xp.subtract(1.0, y, out=out)
    xp.multiply(out, y, out=out)


class Sigmoid(Elementwise, name="sigmoid"):
    """The logistic function σ, into (0, 1).

    Source: articles 000 (exercise) and 004, whose σ′ = σ (1 - σ) is taken through Y.
    """

    reads = _THROUGH_Y
    formula = "Y = 1 / (1 + exp(-X))"
    gradients = {"dX": "dY * Y * (1 - Y)"}
    onnx_operator = "Sigmoid"

    def forward(self, xp: Any, ws: Any) -> None:
        _logistic(xp, ws.X, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        _logistic_slope(xp, ws.Y, out=ws.D)


class Tanh(Elementwise, name="tanh"):
    """The hyperbolic tangent, into (-1, 1)."""

    reads = _THROUGH_Y
    formula = "Y = tanh(X)"
    gradients = {"dX": "dY * (1 - Y ** 2)"}
    onnx_operator = "Tanh"

    def forward(self, xp: Any, ws: Any) -> None:
        xp.tanh(ws.X, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.square(ws.Y, out=ws.D)
        xp.subtract(1.0, ws.D, out=ws.D)


class HardSigmoid(Elementwise, name="hard_sigmoid"):
    """The logistic function in three straight pieces: 0 up to -3, 1 from 3 on.

    The slope is 1/6, as in PyTorch and Keras 3; ONNX's default and Keras 2 have 0.2.
    """

    reads = _THROUGH_Y
    formula = "Y = min(max(X / 6 + 1 / 2, 0), 1)"
    gradients = {"dX": "1 / 6 * dY * [Y > 0] * [Y < 1]"}
    examples = ranks(low=-5.0, high=5.0, kinks=(-3.0, 3.0))

    def forward(self, xp: Any, ws: Any) -> None:
        xp.multiply(ws.X, 1.0 / 6.0, out=ws.Y)
        xp.add(ws.Y, 0.5, out=ws.Y)
        xp.clip(ws.Y, 0.0, 1.0, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        _logistic_slope(xp, ws.Y, out=ws.D)  # positive just where 0 < Y < 1
        xp.greater(ws.D, 0.0, out=ws.D)
        xp.multiply(ws.D, 1.0 / 6.0, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.HardSigmoid(at.X, alpha=1.0 / 6.0, beta=0.5)
        return result


class Softplus(Elementwise, name="softplus"):
    """A smooth rectifier, log(1 + e^x), without overflow."""

    reads = _THROUGH_X
    formula = "Y = log(1 + exp(X))"
    gradients = {"dX": "dY * sigmoid(X)"}
    onnx_operator = "Softplus"

    def forward(self, xp: Any, ws: Any) -> None:
        xp.logaddexp(ws.X, 0.0, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        _logistic(xp, ws.X, out=ws.D)


# Gates: Y = X ⊙ G(X), so f′ = G + X ⊙ G′


class _Gated(Elementwise):
    """What gelu and silu share: a gate G between 0 and 1, kept from forward to backward."""

    reads = _THROUGH_X

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {"G": Buffer(shapes[0], saved=True), "D": Buffer(shapes[0])}

    def gate(self, xp: Any, ws: Any) -> None:
        """Write G(X) to ``ws.G``."""
        raise NotImplementedError

    def gate_slope(self, xp: Any, ws: Any) -> None:
        """Write G′(X) to ``ws.D``."""
        raise NotImplementedError

    def forward(self, xp: Any, ws: Any) -> None:
        self.gate(xp, ws)
        xp.multiply(ws.X, ws.G, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        self.gate_slope(xp, ws)
        xp.multiply(ws.D, ws.X, out=ws.D)
        xp.add(ws.D, ws.G, out=ws.D)


class Silu(_Gated, name="silu"):
    """The sigmoid linear unit x σ(x), also known as swish.

    Source: S. Elfwing, E. Uchibe and K. Doya, Sigmoid-weighted linear units for neural network function approximation
    in reinforcement learning, Neural Networks 107 (2018).
    """

    formula = "Y = X * sigmoid(X)"
    gradients = {"dX": "dY * (sigmoid(X) + X * sigmoid(X) * (1 - sigmoid(X)))"}

    def gate(self, xp: Any, ws: Any) -> None:
        _logistic(xp, ws.X, out=ws.G)

    def gate_slope(self, xp: Any, ws: Any) -> None:
        _logistic_slope(xp, ws.G, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Mul(at.X, g.Sigmoid(at.X))
        return result


_TWO_ROOT = 2.0 * sqrt(2.0 / pi)
_CUBIC = 0.044715
_FLAT = 1e4  # where x² is larger, σ(2u) is 0 or 1 in every precision


@dataclass(frozen=True)
class Gelu(_Gated, name="gelu"):
    """The Gaussian error linear unit x Φ(x), with the normal distribution Φ or its tanh approximation.

    The approximation ½ (1 + tanh u) = σ(2u), u = √(2/π) (x + 0.044715 x³), is what GPT-2 and BERT's first code used.

    Source: D. Hendrycks and K. Gimpel, Gaussian error linear units (GELUs), arXiv:1606.08415, section 2.
    """

    formula = "Y = X * Phi(X)"
    gradients = {"dX": "dY * (Phi(X) + X * phi(X))"}
    words = {"Phi": "½ (1 + erf(x / √2)), the normal distribution", "phi": "e^(−x²/2) / √(2π), the slope of Φ"}
    examples = (*ranks(), *ranks({"form": "tanh"}))

    form: str = setting("exact", choices=("exact", "tanh"), help="the normal distribution, or its approximation")

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        if self.form == "exact":
            return self.formula, self.gradients
        slope = f"sigmoid(u) + X * sigmoid(u) * (1 - sigmoid(u)) * sqrt(8 / pi) * (1 + {3 * _CUBIC} * X ** 2)"
        return f"u = sqrt(8 / pi) * (X + {_CUBIC} * X ** 3)\nY = X * sigmoid(u)", {"dX": f"dY * ({slope})"}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        shared = super().buffers(*shapes)
        return {**shared, "H": Buffer(shapes[0])} if self.form == "tanh" else shared

    def gate(self, xp: Any, ws: Any) -> None:
        if self.form == "tanh":
            xp.square(ws.X, out=ws.G)
            xp.multiply(ws.G, _TWO_ROOT * _CUBIC, out=ws.G)
            xp.add(ws.G, _TWO_ROOT, out=ws.G)
            xp.multiply(ws.G, ws.X, out=ws.D)  # 2u
            _logistic(xp, ws.D, out=ws.G)
        else:
            xp.multiply(ws.X, sqrt(0.5), out=ws.D)
            xp.erf(ws.D, out=ws.G)
            xp.add(ws.G, 1.0, out=ws.G)
            xp.multiply(ws.G, 0.5, out=ws.G)

    def gate_slope(self, xp: Any, ws: Any) -> None:
        if self.form == "tanh":
            xp.square(ws.X, out=ws.D)
            xp.minimum(ws.D, _FLAT, out=ws.D)  # no 0 · ∞ where the gate has long been 0 or 1
            xp.multiply(ws.D, 3.0 * _TWO_ROOT * _CUBIC, out=ws.D)
            xp.add(ws.D, _TWO_ROOT, out=ws.D)  # (2u)′
            _logistic_slope(xp, ws.G, out=ws.H)
            xp.multiply(ws.D, ws.H, out=ws.D)
        else:
            xp.square(ws.X, out=ws.D)
            xp.multiply(ws.D, -0.5, out=ws.D)
            xp.add(ws.D, -0.5 * log(2.0 * pi), out=ws.D)
            xp.exp(ws.D, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        """Composed, because the operator Gelu exists from opset 20 on only."""
        if self.form == "tanh":
            cube = g.Mul(g.Mul(at.X, at.X), at.X)
            u = g.Mul(g.Add(at.X, g.Mul(cube, g.constant(_CUBIC))), g.constant(sqrt(2.0 / pi)))
            twice = g.Add(g.Tanh(u), g.constant(1.0))
        else:
            twice = g.Add(g.Erf(g.Mul(at.X, g.constant(sqrt(0.5)))), g.constant(1.0))
        result: str = g.Mul(at.X, g.Mul(twice, g.constant(0.5)))
        return result


# Plain functions


class Abs(Elementwise, name="abs"):
    """The absolute value. Its derivative at 0 is taken as 0."""

    reads = _THROUGH_X
    mixed = "either"
    formula = "Y = abs(X)"
    gradients = {"dX": "dY * sign(X)"}
    examples = ranks(kinks=(0.0,))
    onnx_operator = "Abs"

    def forward(self, xp: Any, ws: Any) -> None:
        xp.abs(ws.X, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.sign(ws.X, out=ws.D)


class Exp(Elementwise, name="exp"):
    """The exponential function, its own derivative."""

    reads = _THROUGH_Y
    formula = "Y = exp(X)"
    gradients = {"dX": "dY * Y"}
    onnx_operator = "Exp"

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.exp(ws.X, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.multiply(ws.dY, ws.Y, out=ws.dX)


class Log(Elementwise, name="log"):
    """The natural logarithm; of 0 it is -∞, which stops the training with its place."""

    reads = _THROUGH_X
    formula = "Y = log(X)"
    gradients = {"dX": "dY / X"}
    examples = ranks(low=0.2, high=3.0)
    onnx_operator = "Log"

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.log(ws.X, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX is not None:
            xp.divide(ws.dY, ws.X, out=ws.dX)


class Sqrt(Elementwise, name="sqrt"):
    """The square root; its derivative at 0 is infinite, which stops the training with its place."""

    reads = _THROUGH_Y
    formula = "Y = sqrt(X)"
    gradients = {"dX": "dY / (2 * Y)"}
    examples = ranks(low=0.2, high=3.0)
    onnx_operator = "Sqrt"

    def forward(self, xp: Any, ws: Any) -> None:
        xp.sqrt(ws.X, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.divide(0.5, ws.Y, out=ws.D)


class Square(Elementwise, name="square"):
    """The square of each value."""

    reads = _THROUGH_X
    formula = "Y = X ** 2"
    gradients = {"dX": "2 * dY * X"}

    def forward(self, xp: Any, ws: Any) -> None:
        xp.square(ws.X, out=ws.Y)

    def slope(self, xp: Any, ws: Any) -> None:
        xp.multiply(ws.X, 2.0, out=ws.D)

    def onnx(self, g: Any, at: Any) -> str:
        result: str = g.Mul(at.X, at.X)
        return result

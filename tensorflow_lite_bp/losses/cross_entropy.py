"""Losses of predictions for classes: `cross_entropy` of scores and `nll` of probabilities.

The prediction has a row for each class, the target holds for each column the number of the right one. Seen as a matrix
``c × N`` (N columns: samples, and pixels or steps) the right entry of column j has the flat place ``T_j · N + j``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, floats, show
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.layers.base import Buffer, matrix
from tensorflow_lite_bp.losses.base import Example, Loss

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class _OfClasses(Loss):
    """What both share: the places of the right entries, and the weights of the classes."""

    kinds = (("float",), ("class", "token"))
    reads = frozenset()

    class_weights: tuple[float, ...] = setting(
        (), help="the weight of each class; the mean is still over the number of samples, not of weights"
    )

    def agree(self, Y: TensorType, T: TensorType) -> None:
        if not Y.shape or Y.shape[1:] != T.shape:
            raise ShapeMismatch(
                f"`{self.name}` needs one {T.kind} for each column of the first axis: {Y} and {T}",
                help=f"{T} goes with {floats((T.count or 'n', *T.shape))}",
            )
        if Y.shape[0] != T.count:
            raise ShapeMismatch(
                f"`{self.name}` needs a value for each {T.kind}: {Y} has {Y.shape[0]}, and {T} has {T.count}",
                help=f"`dense({T.count})` makes {T.count} of them",
                input=0,
            )
        if self.class_weights and (len(self.class_weights) != T.count or min(self.class_weights) < 0):
            raise ShapeMismatch(
                f"`class_weights` needs {T.count} numbers, none below 0, and this is {show(self._written_weights())}"
            )

    def terms(self, Y: tuple[int, ...], T: tuple[int, ...]) -> int:
        """One for each class index: 1, or the number of pixels or steps."""
        return prod(T)

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        columns = prod(T)
        wanted = {
            "column": Buffer((columns,), "int", constant=lambda: _counted(columns)),
            "place": Buffer((columns,), "int", saved=True),
            "right": Buffer((columns,)),
            "terms": Buffer((columns,)),
        }
        if self.class_weights:
            wanted["scales"] = Buffer((columns,), saved=True)
            wanted["row"] = Buffer((columns,))
            wanted["weights"] = Buffer((Y[0],), constant=lambda: _array(self.class_weights))
        return wanted

    def _locate(self, xp: Any, ws: Any) -> None:
        """Write to ``place`` where the right entry of each column is, to ``scales`` what its term counts."""
        classes = ws.T.reshape(-1)
        xp.multiply(classes, ws.place.size, out=ws.place)
        xp.add(ws.place, ws.column, out=ws.place)
        if self.class_weights:
            xp.take(ws.weights, classes, out=ws.scales)
            xp.multiply(ws.scales, ws.scale, out=ws.scales)

    def _counts(self, xp: Any, ws: Any, times: float = 1.0) -> Any:
        """So many times what each column's term counts: an array where classes have weights, else one number."""
        return xp.multiply(ws.scales, times, out=ws.row) if self.class_weights else times * ws.scale

    def _total(self, xp: Any, ws: Any) -> None:
        """Write to ``E`` the sum of the terms, each as much as it counts."""
        if self.class_weights:
            xp.multiply(ws.terms, ws.scales, out=ws.terms)
        xp.sum(ws.terms, axis=None, out=ws.E)
        if not self.class_weights:
            xp.multiply(ws.E, ws.scale, out=ws.E)

    def _written_weights(self) -> tuple[str, ...]:
        return tuple(f"{weight:g}" for weight in self.class_weights)


def _counted(columns: int) -> np.ndarray:
    import numpy as np

    return np.arange(columns)


def _array(values: tuple[float, ...]) -> np.ndarray:
    import numpy as np

    return np.array(values)


@dataclass(frozen=True)
class CrossEntropy(_OfClasses, name="cross_entropy"):
    """The cross entropy of class targets and scores before the softmax (logits).

    The scores are ``[c]`` for one class of c, ``[c, h, w]`` for a class for each pixel. They go in as they are: a
    softmax before this loss would be taken twice. The largest score of each column is taken off first, so nothing
    overflows.

    ``mean`` is over the class indices: the samples, and the pixels or steps of each. A class weight multiplies the
    terms of its class; the sum is not divided by the weights, as PyTorch does, but by the number of terms, so that a
    batch counts the same whatever its mix. ``label_smoothing = ε`` gives ε / c of the target to every class and 1 - ε
    more to the right one.

    Source: C. Szegedy et al., Rethinking the Inception architecture, CVPR 2016, section 7, for the smoothing.
    """

    formula = "E = -s * sum(T * log(softmax(Y, axis=0)))"
    gradients = {"dY": "s * (softmax(Y, axis=0) - T)"}
    examples = (
        Example({}, floats((4,)), TensorType("class", (), 4)),
        Example({"reduction": "sum"}, floats((3, 2, 2)), TensorType("class", (2, 2), 3)),
        Example({"class_weights": (0.5, 2.0, 1.0)}, floats((3,)), TensorType("class", (), 3)),
        Example({"label_smoothing": 0.1}, floats((3, 2)), TensorType("token", (2,), 3)),
        Example({"label_smoothing": 0.2, "class_weights": (1.0, 3.0)}, floats((2,)), TensorType("class", (), 2)),
    )
    letters = {"epsilon": "label_smoothing"}

    label_smoothing: float = setting(0.0, minimum=0, below=1, help="the share ε that all classes get alike")

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        """``Q`` is the smoothed and weighted target, which takes the place of T."""
        if not self.label_smoothing and not self.class_weights:
            return self.formula, self.gradients
        smooth = f"(1 - epsilon) * T + epsilon / {types[0].shape[0]}" if self.label_smoothing else "T"
        if not self.class_weights:
            return f"Q = {smooth}\n{self.formula.replace('T', 'Q')}", {"dY": self.gradients["dY"].replace("T", "Q")}
        return (
            f"r = sum(class_weights * T, axis=0)\nQ = r * ({smooth})\n{self.formula.replace('T', 'Q')}",
            {"dY": "s * (r * softmax(Y, axis=0) - Q)"},
        )

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        row = (prod(T),)
        own = {"P": Buffer(Y, saved=True), "total": Buffer(row, saved=True), "row": Buffer(row)}
        return {**super().buffers(Y, T), **own}

    def forward(self, xp: Any, ws: Any) -> None:
        self._locate(xp, ws)
        Y, P = matrix(ws.Y), matrix(ws.P)
        xp.max(Y, axis=0, out=ws.row)
        xp.subtract(Y, ws.row, out=P)
        xp.take(P.reshape(-1), ws.place, out=ws.right)
        if self.label_smoothing:
            xp.mean(P, axis=0, out=ws.row)
            xp.multiply(ws.row, self.label_smoothing, out=ws.row)
            xp.multiply(ws.right, 1.0 - self.label_smoothing, out=ws.right)
            xp.add(ws.right, ws.row, out=ws.right)
        xp.exp(P, out=P)
        xp.sum(P, axis=0, out=ws.total)
        xp.log(ws.total, out=ws.terms)
        xp.subtract(ws.terms, ws.right, out=ws.terms)
        self._total(xp, ws)

    def backward(self, xp: Any, ws: Any) -> None:
        P, dY = matrix(ws.P), matrix(ws.dY)
        xp.divide(self._counts(xp, ws), ws.total, out=ws.row)
        xp.multiply(P, ws.row, out=dY)
        if self.label_smoothing:
            xp.subtract(dY, self._counts(xp, ws, self.label_smoothing / dY.shape[0]), out=dY)
        flat = dY.reshape(-1)
        xp.take(flat, ws.place, out=ws.right)
        xp.subtract(ws.right, self._counts(xp, ws, 1.0 - self.label_smoothing), out=ws.right)
        xp.put(flat, ws.place, ws.right)


class Nll(_OfClasses, name="nll"):
    """The negative log-likelihood of class targets and probabilities, as a softmax gives them.

    Where scores can be had, `cross_entropy` is faster and exact: a probability below the smallest normal float32 counts
    as that number, so that neither the logarithm nor the gradient is infinite.

    ``mean`` and class weights are as in `cross_entropy`.

    Source: article 002, whose loss lacks the minus sign.
    """

    formula = "E = -s * sum(T * log(Y))"
    gradients = {"dY": "-s * T / Y"}
    examples = (
        Example({}, floats((4,)), TensorType("class", (), 4), low=0.1, high=1.0),
        Example({"reduction": "sum"}, floats((3, 2, 2)), TensorType("class", (2, 2), 3), low=0.1, high=1.0),
        Example({"class_weights": (0.5, 2.0, 1.0)}, floats((3,)), TensorType("token", (), 3), low=0.1, high=1.0),
    )

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        if not self.class_weights:
            return self.formula, self.gradients
        return "E = -s * sum(class_weights * T * log(Y))", {"dY": "-s * class_weights * T / Y"}

    def through(self, layer: str) -> str | None:
        """A column of T sums to 1, so softmax's Jacobian diag(y) - y yᵀ leaves the difference."""
        if layer != "softmax":
            return None
        return "s * sum(class_weights * T, axis=0) * (Y - T)" if self.class_weights else "s * (Y - T)"

    def buffers(self, Y: tuple[int, ...], T: tuple[int, ...]) -> Mapping[str, Buffer]:
        return {**super().buffers(Y, T), "right": Buffer((prod(T),), saved=True)}

    def forward(self, xp: Any, ws: Any) -> None:
        self._locate(xp, ws)
        xp.take(ws.Y.reshape(-1), ws.place, out=ws.right)
        xp.maximum(ws.right, _SMALLEST, out=ws.right)
        xp.log(ws.right, out=ws.terms)
        self._total(xp, ws)
        xp.negative(ws.E, out=ws.E)

    def backward(self, xp: Any, ws: Any) -> None:
        xp.divide(self._counts(xp, ws), ws.right, out=ws.terms)
        xp.negative(ws.terms, out=ws.terms)
        xp.copyto(ws.dY, 0.0)
        xp.put(ws.dY.reshape(-1), ws.place, ws.terms)


_SMALLEST = 1.1754944e-38

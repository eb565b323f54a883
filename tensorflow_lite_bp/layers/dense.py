"""A matrix times the features of every sample: `dense` owns its matrix, for `@` the file declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.signature import ShapeMismatch
from dsl.types import Shape, TensorType, floats, show
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.initializers.base import Initializer
from tensorflow_lite_bp.initializers.glorot import Glorot
from tensorflow_lite_bp.initializers.zeros import Zeros
from tensorflow_lite_bp.layers.base import Example, Layer, Operator, Weight, matrix


def _multiply(xp: Any, ws: Any) -> None:
    xp.matmul(ws.W, matrix(ws.X), out=matrix(ws.Y))


def _multiply_backward(xp: Any, ws: Any) -> None:
    """Article 000, equations (1) and (2); its division by m is the loss's ``mean``."""
    dY = matrix(ws.dY)
    if ws.dW is not None:
        xp.matmul(dY, matrix(ws.X).T, out=ws.dW)
    if ws.dX is not None:
        xp.matmul(ws.W.T, dY, out=matrix(ws.dX))


def _multiply_onnx(g: Any, at: Any, b: str | None) -> str:
    """``Gemm`` for vectors; otherwise the features change places with the last axis, where ``MatMul`` works."""
    rank = len(at.shapes["X"])
    if rank == 1:
        vectors: str = g.Gemm(at.X, at.W, b, transB=1)
        return vectors
    Y = g.MatMul(g.Transpose(at.X, perm=[0, *range(2, rank + 1), 1]), g.Transpose(at.W, perm=[1, 0]))
    if b is not None:
        Y = g.Add(Y, b)
    result: str = g.Transpose(Y, perm=[0, rank, *range(1, rank)])
    return result


@dataclass(frozen=True)
class Dense(Layer, name="dense"):
    """A matrix times the features, plus a bias: Y = W X + b.

    It acts on the first axis, alike for a vector ``[n]``, each step of a sequence ``[d, t]`` and each pixel of an image
    ``[c, h, w]``; the other axes stay. The weight is ``[units, n]``, the bias ``[units]``.

    W starts as Glorot's uniform, which suits tanh, sigmoid, softmax and no activation at all; before relu and its kin
    write ``initializer = he``. The bias starts at zero.

    Source: article 000, forward equation and equations (1) to (3).
    """

    reads = frozenset({"X"})
    turned = frozenset({"X"})
    mixed = "half"
    formula = "Y = W @ X + b"
    gradients = {"dX": "W.T @ dY", "dW": "dY @ X.T", "db": "sum(dY, axis=1)"}
    examples = (
        Example({"units": 2}, ((3,),)),
        Example({"units": 3, "bias": False}, ((2,),)),
        Example({"units": 2, "initializer": Zeros()}, ((3, 4),)),
        Example({"units": 2, "bias": False}, ((3, 4),)),
        Example({"units": 4}, ((3, 2, 2),)),
    )

    units: int = setting(minimum=1, help="features out")
    bias: bool = setting(True, help="whether b is added")
    initializer: Initializer = setting(Glorot(), kind="initializer", help="how W starts")

    def shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not X:
            raise ShapeMismatch(
                "`dense` works on the first axis, and this is a single number for each sample",
                help="make a vector of it: `reshape([1])`",
                input=0,
            )
        if isinstance(X[0], str):
            raise ShapeMismatch(
                f"`dense` needs a fixed number of features, and the first size of {show(X)} is symbolic",
                help="put an axis of fixed size first with `permute`",
                input=0,
            )
        return (self.units, *X[1:])

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        return (self.formula, self.gradients) if self.bias else (Matmul.formula, Matmul.gradients)

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        W = Weight("weight", (self.units, shapes[0][0]), self.initializer)
        return {"W": W, "b": Weight("bias", (self.units,), Zeros())} if self.bias else {"W": W}

    def forward(self, xp: Any, ws: Any) -> None:
        _multiply(xp, ws)
        if self.bias:
            Y = matrix(ws.Y)
            xp.add(Y, ws.b.reshape(-1, 1), out=Y)

    def backward(self, xp: Any, ws: Any) -> None:
        _multiply_backward(xp, ws)
        if self.bias:
            xp.sum(matrix(ws.dY), axis=1, out=ws.db)

    def onnx(self, g: Any, at: Any) -> str:
        return _multiply_onnx(g, at, at.b if self.bias else None)


class Matmul(Operator, name="matmul"):
    """A declared matrix times each sample's column vector: Y = W X, written ``W @ x``.

    ``W`` is a ``parameter`` of shape ``[o, n]``, ``x`` a tensor whose first axis is n. The rest stays, as in `dense`.

    Source: article 000, equations (1) and (2).
    """

    ports = ("W", "X")
    reads = frozenset({"W", "X"})
    turned = frozenset({"X"})
    mixed = "half"
    formula = "Y = W @ X"
    gradients = {"dW": "dY @ X.T", "dX": "W.T @ dY"}
    examples = (
        Example(shapes=((2, 3), (3,)), parameters=frozenset({"W"})),
        Example(shapes=((4, 3), (3, 2)), parameters=frozenset({"W"})),
        Example(shapes=((2, 3), (3, 2, 2)), parameters=frozenset({"W"})),
    )

    def result(self, *types: TensorType) -> TensorType:
        W, X = types
        if W.per_sample or not X.per_sample:
            raise ShapeMismatch(
                f"`@` multiplies a parameter by a tensor, and this is {_what(W)} @ {_what(X)}",
                help="write the parameter on the left: `W @ x`",
                input=0 if W.per_sample else 1,
            )
        if len(W.shape) != 2:
            raise ShapeMismatch(
                f"`@` needs a matrix [out, in] on its left, and this parameter is {show(W.shape)}", input=0
            )
        if not X.shape or X.shape[0] != W.shape[1]:
            raise ShapeMismatch(
                f"`@` needs as many features as the matrix has columns: {show(W.shape)} @ {show(X.shape)}",
                help=f"declare the parameter as float[{W.shape[0]}, {X.shape[0]}]" if X.shape else None,
                input=1,
            )
        return floats((W.shape[0], *X.shape[1:]))

    def forward(self, xp: Any, ws: Any) -> None:
        _multiply(xp, ws)

    def backward(self, xp: Any, ws: Any) -> None:
        _multiply_backward(xp, ws)

    def onnx(self, g: Any, at: Any) -> str:
        return _multiply_onnx(g, at, None)


def _what(type_: TensorType) -> str:
    return f"a {'tensor' if type_.per_sample else 'parameter'} {show(type_.shape)}"

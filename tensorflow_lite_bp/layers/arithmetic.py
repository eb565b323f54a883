"""The signs between tensors, ``+ - * /``, element by element; on either side there may be a bare parameter.

A parameter has no sample axis: its one value is used in many columns, so its gradient is the sum over these. Beside a
tensor ``[c, h, w]`` it may be ``[c, h, w]``, ``[c]`` (one value for each channel, which is what a bias is) or ``[]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, floats, show
from tensorflow_lite_bp.layers.base import Buffer, Example, Operator


def _cases(low: float = -2.0) -> tuple[Example, ...]:
    """Two tensors of each rank; then a parameter on either side in each shape that fits."""
    first, second = frozenset({"X1"}), frozenset({"X2"})
    return (
        *(Example(shapes=(shape, shape), low=low) for shape in ((), (3,), (3, 2), (2, 3, 2))),
        Example(shapes=((3,), (3,)), parameters=second, low=low),
        Example(shapes=((3,), (3,)), parameters=first, low=low),
        Example(shapes=((2, 3, 2), (2,)), parameters=second, low=low),
        Example(shapes=((2,), (2, 3, 2)), parameters=first, low=low),
        Example(shapes=((3, 2), (3, 2)), parameters=second, low=low),
        Example(shapes=((3, 2), (3, 2)), parameters=first, low=low),
        Example(shapes=((3, 2), ()), parameters=second, low=low),
        Example(shapes=((), (3,)), parameters=first, low=low),
    )


class Arithmetic(Operator):
    """What the four share: their shape rule, and how a parameter meets a tensor."""

    ports = ("X1", "X2")
    in_place = True
    examples = _cases()
    words = {"spread": "the same values for every sample", "gather": "the sum over the samples"}
    sign: ClassVar[str]
    onnx_operator: ClassVar[str]

    def result(self, *types: TensorType) -> TensorType:
        X1, X2 = types
        if not X1.per_sample and not X2.per_sample:
            both = f"{show(X1.shape)} and {show(X2.shape)}"
            raise ShapeMismatch(
                f"`{self.sign}` needs a tensor on one side, and these are two parameters: {both}",
                help="declare one parameter of the shape you need",
            )
        if X1.per_sample and X2.per_sample:
            if X1.shape != X2.shape:
                raise ShapeMismatch(f"`{self.sign}` needs equal shapes: {show(X1.shape)} and {show(X2.shape)}")
            return floats(X1.shape)
        tensor, parameter = (X1, X2) if X1.per_sample else (X2, X1)
        fitting = list(dict.fromkeys([tensor.shape, tensor.shape[:1], ()]))
        if parameter.shape not in fitting:
            raise ShapeMismatch(
                f"`{self.sign}` cannot spread a parameter {show(parameter.shape)} over {show(tensor.shape)}",
                help=f"a parameter beside this tensor is {' or '.join(map(show, fitting))}",
                input=types.index(parameter),
            )
        return floats(tensor.shape)

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        """A parameter's gradient is summed over what used it: all columns, or with axes of its own all samples."""
        formula, gradients = self.formula, dict(self.gradients)
        for port, type_ in zip(self.ports, types, strict=True):
            if type_.per_sample:
                continue
            letter = f"d{port}"
            if len(type_.shape) < 2:
                over = ", axis=1" if type_.shape else ""
                gradients[letter] = f"sum({gradients[letter]}{over})"
            else:
                formula = formula.replace(port, f"spread({port})")
                gradients = {name: text.replace(f" {port}", f" spread({port})") for name, text in gradients.items()}
                gradients[letter] = f"gather({gradients[letter]})"
        return formula, gradients

    def onnx(self, g: Any, at: Any) -> str:
        rank = len(at.shapes["Y"])
        X1, X2 = (_spread_onnx(g, name, len(at.shapes[port]), rank) for port, name in (("X1", at.X1), ("X2", at.X2)))
        result: str = getattr(g, self.onnx_operator)(X1, X2)
        return result


def _operands(ws: Any) -> tuple[Any, Any]:
    """Both operands so that they broadcast: a parameter's missing axes stand behind its own."""
    rank = max(ws.X1.ndim, ws.X2.ndim)
    return _spread(ws.X1, rank), _spread(ws.X2, rank)


def _spread(X: Any, rank: int) -> Any:
    return X.reshape(X.shape + (1,) * (rank - X.ndim))


def _spread_onnx(g: Any, name: str, own: int, rank: int) -> str:
    """ONNX broadcasts from the last axis on: only ``[c]`` beside ``[c, h, w]`` needs its missing axes."""
    spread: str = g.Unsqueeze(name, g.constant([*range(1, rank)])) if own == 1 < rank else name
    return spread


def _room(X1: tuple[int, ...], X2: tuple[int, ...]) -> dict[str, Buffer]:
    """Where a parameter's gradient is computed for every column before it is summed."""
    return {} if len(X1) == len(X2) else {"S": Buffer(max(X1, X2, key=len))}


def _whole(ws: Any, dX: Any) -> Any:
    """The array for a gradient of every column: a tensor's own, a parameter's `_room`."""
    return dX if dX.ndim == ws.dY.ndim else ws.S


def _collect(xp: Any, whole: Any, dX: Any) -> None:
    """A tensor's gradient is that of every column, a parameter's the sum over the columns that used it."""
    if dX.ndim < whole.ndim:
        xp.sum(whole.reshape(dX.size, -1), axis=1, out=dX.reshape(-1))
    elif dX is not whole:
        xp.copyto(dX, whole)


class Add(Arithmetic, name="add"):
    """The sum, element by element: ``a + b``."""

    mixed = "inputs"
    formula = "Y = X1 + X2"
    gradients = {"dX1": "dY", "dX2": "dY"}
    sign = "+"
    onnx_operator = "Add"

    def forward(self, xp: Any, ws: Any) -> None:
        X1, X2 = _operands(ws)
        xp.add(X1, X2, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        for dX in (ws.dX2, ws.dX1):
            if dX is not None:
                _collect(xp, ws.dY, dX)


class Subtract(Arithmetic, name="subtract"):
    """The difference, element by element: ``a - b``."""

    mixed = "inputs"
    formula = "Y = X1 - X2"
    gradients = {"dX1": "dY", "dX2": "-dY"}
    sign = "-"
    onnx_operator = "Sub"

    def forward(self, xp: Any, ws: Any) -> None:
        X1, X2 = _operands(ws)
        xp.subtract(X1, X2, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        if ws.dX2 is not None:
            _collect(xp, ws.dY, ws.dX2)
            xp.negative(ws.dX2, out=ws.dX2)
        if ws.dX1 is not None:
            _collect(xp, ws.dY, ws.dX1)


class Multiply(Arithmetic, name="multiply"):
    """Hadamard's product, element by element: ``a * b``."""

    reads = frozenset({"X1", "X2"})
    mixed = "inputs"
    formula = "Y = X1 * X2"
    gradients = {"dX1": "dY * X2", "dX2": "dY * X1"}
    sign = "*"
    onnx_operator = "Mul"

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return _room(*shapes)

    def forward(self, xp: Any, ws: Any) -> None:
        X1, X2 = _operands(ws)
        xp.multiply(X1, X2, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        X1, X2 = _operands(ws)
        for dX, other in ((ws.dX2, X1), (ws.dX1, X2)):  # dX1 last: it may lie where dY does
            if dX is not None:
                whole = _whole(ws, dX)
                xp.multiply(ws.dY, other, out=whole)
                _collect(xp, whole, dX)


class Divide(Arithmetic, name="divide"):
    """The quotient, element by element: ``a / b``."""

    reads = frozenset({"X2", "Y"})
    formula = "Y = X1 / X2"
    gradients = {"dX1": "dY / X2", "dX2": "-dY * Y / X2"}
    examples = _cases(low=0.3)
    sign = "/"
    onnx_operator = "Div"

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        return _room(*shapes)

    def forward(self, xp: Any, ws: Any) -> None:
        X1, X2 = _operands(ws)
        xp.divide(X1, X2, out=ws.Y)

    def backward(self, xp: Any, ws: Any) -> None:
        _, X2 = _operands(ws)
        if ws.dX2 is not None:
            whole = _whole(ws, ws.dX2)
            xp.multiply(ws.dY, ws.Y, out=whole)
            xp.divide(whole, X2, out=whole)
            xp.negative(whole, out=whole)
            _collect(xp, whole, ws.dX2)
        if ws.dX1 is not None:
            whole = _whole(ws, ws.dX1)
            xp.divide(ws.dY, X2, out=whole)
            _collect(xp, whole, ws.dX1)

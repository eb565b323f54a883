"""The signs + - * / ^ in the data section, between expressions and constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.types import show
from tensorflow_lite_bp.data.base import BadValue, State, Transform

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block


class Arithmetic(Transform):
    """Base of the signs. Two expressions need the same shape: nothing is spread over a row but a constant."""

    ports: ClassVar[tuple[str, ...]] = ("X1", "X2")
    sign: ClassVar[str]
    function: ClassVar[str]  # in NumPy
    node: ClassVar[str]  # in ONNX

    def apply(self, state: State, *inputs: Block | float) -> Block:
        import numpy as np

        shapes = [block.shape[1:] for block in inputs if not isinstance(block, float)]
        if len(set(shapes)) > 1:
            raise BadValue(f"`{self.sign}` needs equal shapes: {' and '.join(show(shape) for shape in shapes)}")
        constants = [np.float32(value) if isinstance(value, float) else value for value in inputs]
        result: Block = getattr(np, self.function)(*constants)
        return result

    def onnx(self, g: Any, state: State, *inputs: str) -> str:
        result: str = getattr(g, self.node)(*inputs)
        return result

    def labels(self, state: State, *inputs: Sequence[str] | float) -> Sequence[str]:
        named = [labels for labels in inputs if not isinstance(labels, float)]
        return [f" {self.sign} ".join(dict.fromkeys(labels)) for labels in zip(*named, strict=True)]


class Add(Arithmetic, name="add"):
    """Sum, element by element: `column("a") + column("b")`."""

    sign, function, node = "+", "add", "Add"


class Subtract(Arithmetic, name="subtract"):
    """Difference, element by element: `column("year") - 2000`."""

    sign, function, node = "-", "subtract", "Sub"


class Multiply(Arithmetic, name="multiply"):
    """Product, element by element: `column("height") * column("width")`."""

    sign, function, node = "*", "multiply", "Mul"


class Divide(Arithmetic, name="divide"):
    """Quotient, element by element: `columns("p0".."p63") / 16`."""

    sign, function, node = "/", "divide", "Div"


class Power(Arithmetic, name="power"):
    """Power, element by element: `column("radius") ^ 2`."""

    sign, function, node = "^", "power", "Pow"

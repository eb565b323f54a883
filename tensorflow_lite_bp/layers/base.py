"""The contract of a layer: one derivation, one file.

A layer is a frozen dataclass whose fields are its settings in the language. It says its shape rule, its weights, the
buffers it wants, its forward and backward mathematics, its ONNX nodes, its formulas, and a few examples. From these
come the checker's signature, the reference, the gradient test, the backend comparison, the round trip through
onnxruntime and the derivation. A class without settings of its own is a dataclass by inheritance; decorating it would
cost start-up time.

The rules of `forward` and `backward`:

- arrays have the sample axis last: a vector per sample is ``(n, m)``, a sequence ``(d, t, m)``, an image
  ``(c, h, w, m)``; ``X.reshape(n, -1)`` is the matrix of the articles;
- every operation is a function of ``xp`` that writes with ``out=`` (or ``xp.copyto``, ``xp.put``), or one that makes a
  view (`matrix`, ``reshape``, ``.T``, indexing, ``xp.broadcast_to``). Never an operator on arrays (``X > 0``,
  ``Y += b``) and never an array method that computes: the plan records the calls of one run, without computing, and
  replays them;
- a batch may be cut into shards of columns, one for each thread: ``ws.m`` counts the samples of the whole batch, and
  ``xp.sum_shards(part, out=whole)`` adds up what each shard has of a sum over them. The threads wait for each other
  there, so pack what can be packed. Weights' gradients need no such sum: the plan adds them up;
- nothing depends on the values in an array (no ``if``, no ``float(...)``), only on shapes and settings;
- write to ``ws.Y`` (forward), to ``ws.dX`` and the weights' gradients (backward), to the buffers you asked for, and to
  nothing else; overwrite, never accumulate: the plan adds up what arrives from several uses;
- ``ws.dX`` is None when nobody needs it;
- in ``backward`` read only what ``reads`` names, ``dY``, the weights and your saved buffers;
- only `Layer.advance` changes the layer's own state (weights that are not trainable), by elementwise functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.signature import Port, Settings, ShapeMismatch, Signature
from dsl.types import Shape, TensorType, floats, show
from tensorflow_lite_bp.declare import Declared, settings_of, summary
from tensorflow_lite_bp.initializers.base import Initializer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Weight:
    """An array that a layer owns: its name in files, its shape, and how it starts.

    ``trainable`` is False for state that `Layer.advance` changes (running statistics).
    """

    name: str
    shape: Shape
    initializer: Initializer
    trainable: bool = True


@dataclass(frozen=True)
class Buffer:
    """Memory that a layer asks for by role: ``saved`` lives from forward to backward, otherwise it is scratch.

    ``kind`` is ``float`` (the precision that the layer computes in), ``bool`` or ``int`` (int64). ``constant`` makes
    the values of a table that the layer only reads (indices, the weights of classes): the plan puts them there once.
    ``zeroed`` memory starts as zeros and is nobody else's: what the layer wrote there stays, and so does a border of
    zeros around it. ``drawn`` memory is what ``xp.uniform`` fills while training: these numbers come from the host, and
    in float32 also where the layer computes in 16 bits.
    """

    shape: tuple[int, ...]
    kind: str = "float"
    saved: bool = False
    constant: Callable[[], np.ndarray] | None = field(default=None, compare=False)
    zeroed: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class Example:
    """A small use of a layer, from which its tests are made.

    ``shapes`` are those of one sample for each port. Inputs are drawn uniformly from ``low`` to ``high``; those in
    ``parameters`` are bare parameters, without a sample axis. ``kinks`` are the input values at which the function has
    no derivative: finite differences keep away from them.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((3,),)
    parameters: frozenset[str] = frozenset()
    low: float = -2.0
    high: float = 2.0
    kinks: tuple[float, ...] = ()


class Layer(Declared, category="layer"):
    """Base of all layers and operators."""

    ports: ClassVar[tuple[str, ...]] = ("X",)
    reads: ClassVar[frozenset[str]] = frozenset()
    """What backward reads besides dY and weights: names of ports, and ``Y`` for the output."""
    in_place: ClassVar[bool] = False
    """True when ``Y`` may be the same memory as the first input (where `reads` does not name that), and the first
    input's gradient the same as ``dY``."""
    view: ClassVar[bool] = False
    """True when ``Y`` has the values of the first input in their order: the plan lets both be the same memory."""
    mixed: ClassVar[str] = "single"
    """In what a mixed training step computes it: ``half`` what is a product of matrices; ``single`` what adds up many
    values or needs the range of float32; ``inputs`` what does neither: in half if all its inputs are; ``either`` what
    is hardly rounded at all: in half also if all that read its result are."""
    turned: ClassVar[frozenset[str]] = frozenset()
    """Ports that take a matrix whose columns lie one behind the other: the rows of a batch as people give them."""
    formula: ClassVar[str] = ""
    """The forward equations, one a line, as `explain.expression` reads them: ``Y = W @ X + b``. Arrays are matrices, a
    column for each sample (pixel, step); letters that are no port, weight or left side are settings (see `letters`)."""
    gradients: ClassVar[Mapping[str, str]] = {}
    """The same for each gradient, ``{"dX": "W.T @ dY", ...}``, with helpers (``"G": "g * dY"``) before their use."""
    letters: ClassVar[Mapping[str, str]] = {}
    """Letters of the formulas that stand for attributes or buffers of another name: ``{"p": "rate"}``."""
    words: ClassVar[Mapping[str, str]] = {}
    """What the functions that only this layer's formulas use do: ``{"unroll": "a column for each window"}``."""
    activation: ClassVar[bool] = False
    """Whether textbooks give the function a letter of its own, and its result that of an activation."""
    examples: ClassVar[tuple[Example, ...]] = (Example(),)

    def equations(self, *types: TensorType) -> tuple[str, Mapping[str, str]]:
        """`formula` and `gradients` as they are with these settings, for inputs of these types."""
        return self.formula, self.gradients

    def shape(self, *shapes: Shape) -> Shape:
        """The shape of one sample of the result, or `ShapeMismatch`. Sizes may be symbolic (str)."""
        return shapes[0]

    def result(self, *types: TensorType) -> TensorType:
        """The type of the result; layers that take bare parameters override this."""
        for port, type_ in enumerate(types):
            if not type_.per_sample:
                raise ShapeMismatch(
                    f"`{self.name}` works on a tensor with samples, and this is a parameter {show(type_.shape)}",
                    help="use a parameter beside a tensor: `W @ x`, `x + b`, `x * g`",
                    input=port,
                )
        return floats(self.shape(*(type_.shape for type_ in types)))

    def weights(self, *shapes: Shape) -> Mapping[str, Weight]:
        """The weights by their letter in the mathematics: ``{"W": Weight("weight", (o, n), glorot)}``."""
        return {}

    def buffers(self, *shapes: tuple[int, ...]) -> Mapping[str, Buffer]:
        """The buffers by role, for inputs of these whole shapes (the sample axis included, last)."""
        return {}

    def forward(self, xp: Any, ws: Any) -> None:
        """Write ``ws.Y`` from the ports (``ws.X``), the weights (``ws.W``) and buffers."""
        raise NotImplementedError

    def infer(self, xp: Any, ws: Any) -> None:
        """Forward in inference mode, where that differs (dropout, running statistics)."""
        self.forward(xp, ws)

    def advance(self, xp: Any, ws: Any) -> None:
        """Change the layer's own state (running statistics), after a training step whose numbers are all finite.

        Nothing else may change it: to differentiate has no side effect, and a step that failed leaves all as it was.
        What it needs of the step lies in ``zeroed`` buffers, which nobody has overwritten since.
        """

    def backward(self, xp: Any, ws: Any) -> None:
        """Write the ports' gradients (``ws.dX``) and the weights' (``ws.dW``) from ``ws.dY``."""
        raise NotImplementedError

    def onnx(self, g: Any, at: Any) -> str:
        """Add nodes to the ONNX graph; returns the name of the result.

        ``g.Relu(at.X)`` adds a node and returns its output's name; ``at.X``, ``at.W`` are names, ``at.shapes["X"]`` the
        shapes of one sample (symbolic sizes as str), ``at.shapes["Y"]`` the result's. In ONNX the batch axis stands
        first: ``(batch, *shape)``. See `tensorflow_lite_bp.exchange.builder`.
        """
        raise NotImplementedError

    @classmethod
    def signature(cls) -> Signature:
        """What the checker knows of this layer."""

        def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
            made: TensorType = cls.from_settings(settings).result(*types)
            return made

        def weights(settings: Settings, types: tuple[TensorType, ...]) -> Mapping[str, Shape]:
            made = cls.from_settings(settings).weights(*(t.shape for t in types))
            return {weight.name: weight.shape for weight in made.values()}

        ports = tuple(Port(port) for port in cls.ports)
        return Signature(cls.category, cls.name, settings_of(cls), ports, rule, weights, summary(cls))


class Operator(Layer, category="operator"):
    """A layer that is written with an operator sign; its name is what the checker puts for the sign."""


def matrix(A: Any) -> Any:
    """An array as the articles' matrix, features × columns: ``(c, h, w, m)`` seen as ``(c, h·w·m)``, without a copy."""
    if A.ndim == 2:
        return A
    assert A.flags.c_contiguous, "a reshaped copy would not be the planned array"
    return A.reshape(A.shape[0], -1)


def fixed_first_axis(layer: str, X: Shape, what: str) -> Shape:
    """The shape itself, when its first axis has a fixed size: what norms keep a weight for each entry of.

    Raises:
        ShapeMismatch: for a single number, or a symbolic first size; ``what`` says what the first axis counts.
    """
    if not X or isinstance(X[0], str):
        raise ShapeMismatch(
            f"`{layer}` needs a fixed number of {what} on the first axis, and this is {show(X)}",
            help="put an axis of fixed size first with `permute`" if X else "make a vector of it: `reshape([1])`",
            input=0,
        )
    return X

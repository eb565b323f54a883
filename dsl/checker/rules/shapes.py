"""Shapes: what does not fit, and where it comes from."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def shape_mismatch(message: str, labels: tuple[Label, ...], notes: tuple[str, ...], help: str | None) -> Message:
    """Tensors have shapes that a layer, an operator, a loss or a metric cannot work on.

    Shapes are those of one sample. The notes say where each comes from: the chain of nodes from the last name on,
    with a shape wherever it changes.

    ```net
    network digits

    input image: float[1, 8, 8]

    stem   = image -> conv(16, padding = "same") -> batch_norm -> relu
    body   = stem -> conv(16)
    merged = relu(stem + body)
    output merged
    ```
    ```text
    error[shape-mismatch]: `+` needs equal shapes: [16, 8, 8] and [16, 6, 6]
     --> example.net:7:15
      |
    7 | merged = relu(stem + body)
      |               ^^^^   ^^^^ [16, 6, 6]
      |               [16, 8, 8]
      = stem is [16, 8, 8]: image [1, 8, 8] -> conv(16) [16, 8, 8] -> batch_norm -> relu     (line 5)
      = body is [16, 6, 6]: stem [16, 8, 8] -> conv(16) [16, 6, 6]                           (line 6)
      = help: add `padding = "same"` to the conv on line 6 to keep 8×8
    ```
    """
    return Message(message, labels, notes, help)


@error
def symbolic_weight(at: Span, name: str, shape: str) -> Message:
    """A weight would have a size that only the data knows.

    Weights are made before any data is read, and are the same for all of it. A symbolic size can be an axis that
    the layer leaves alone: `dense` acts on the first axis of `[28, T]`.

    ```net
    network sequence

    input x: float[T]
    output y = x -> batch_norm
    ```
    ```text
    error[symbolic-weight]: the weight `y.batch_norm.scale` would have the shape [T], and a weight has fixed sizes
     --> example.net:4:17
      |
    4 | output y = x -> batch_norm
      |                 ^^^^^^^^^^
      = help: fix the size with a `let`, or put an axis of fixed size first
    ```
    """
    return Message(
        f"the weight `{name}` would have the shape {shape}, and a weight has fixed sizes",
        (Label(at),),
        help="fix the size with a `let`, or put an axis of fixed size first",
    )


@error
def shared_shapes(at: Span, name: str, found: str, first: Span, expected: str) -> Message:
    """A `layer` is used on tensors that would need weights of different shapes.

    A `layer` has one set of weights for all its uses. A `block` makes new ones for each.

    ```net
    network siamese

    input left:  float[20]
    input right: float[30]

    layer encoder = dense(8) -> relu

    output a = left -> encoder
    output b = right -> encoder
    ```
    ```text
    error[shared-shapes]: the shared weight `encoder.dense.weight` would be [8, 30] here, and is [8, 20] already
     --> example.net:9:21
      |
    8 | output a = left -> encoder
      |                    ^^^^^^^ [8, 20]
    9 | output b = right -> encoder
      |                     ^^^^^^^ [8, 30]
      = help: use it on tensors of one shape, or make it a `block`, which has new weights for each use
    ```
    """
    return Message(
        f"the shared weight `{name}` would be {found} here, and is {expected} already",
        (Label(at, found), Label(first, expected)),
        help="use it on tensors of one shape, or make it a `block`, which has new weights for each use",
    )

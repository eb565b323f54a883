"""Declared types: kinds, counts and sizes."""

from __future__ import annotations

from dsl.codes import Message, error, warning
from dsl.diagnostics import Label
from dsl.source import Span


@error
def missing_count(at: Span, kind: str) -> Message:
    """`class` or `token` without the number of classes or words.

    A class is an index below a fixed number, and so is a token. The last layer, the loss and the ONNX model depend
    on it.

    ```net
    network digits

    input  image: float[64]
    target digit: class
    logits = image -> dense(10)
    loss cross_entropy(logits, digit)
    output logits
    ```
    ```text
    error[missing-count]: `class` needs to know how many classes there are
     --> example.net:4:15
      |
    4 | target digit: class
      |               ^^^^^
      = help: write `class(10)` for ten
    ```
    """
    of_what = "classes there are" if kind == "class" else "words the vocabulary has"
    return Message(f"`{kind}` needs to know how many {of_what}", (Label(at),), help=f"write `{kind}(10)` for ten")


@error
def unwanted_count(at: Span, kind: str) -> Message:
    """A count stands behind a kind that has none.

    `class(10)` and `token(5000)` have a count; `float` and `flag` have sizes in brackets: `float[10]`.

    ```net
    network counted

    input x: float(3)
    output y = x -> dense(2)
    ```
    ```text
    error[unwanted-count]: `float` has no count
     --> example.net:3:16
      |
    3 | input x: float(3)
      |                ^
      = help: sizes stand in brackets: `float[3]`
    ```
    """
    return Message(f"`{kind}` has no count", (Label(at),), help=f"sizes stand in brackets: `{kind}[3]`")


@error
def bad_size(at: Span, what: str, found: str, least: int, most: int) -> Message:
    """A size or a count is no whole number, or is out of range.

    ```net
    network empty

    let half = 3 / 2

    input x: float[0, half]
    output x
    ```
    ```text
    error[bad-size]: a size must be a whole number from 1 to 2,147,483,648, and this is 0
     --> example.net:5:16
      |
    5 | input x: float[0, half]
      |                ^

    error[bad-size]: a size must be a whole number from 1 to 2,147,483,648, and this is 1.5
     --> example.net:5:19
      |
    5 | input x: float[0, half]
      |                   ^^^^
    ```
    """
    return Message(f"{what} must be a whole number from {least} to {most:,}, and this is {found}", (Label(at),))


@error
def symbolic_arithmetic(at: Span, name: str) -> Message:
    """A size that only the data knows is used as a number.

    `float[28, T]` leaves T open: batches may differ in it. It can be repeated in other shapes, and not computed with.

    ```net
    network sequence

    input x: float[28, T]
    output y = x -> dense(T)
    ```
    ```text
    error[symbolic-arithmetic]: the size `T` is known only with the data, and a constant is needed here
     --> example.net:4:23
      |
    4 | output y = x -> dense(T)
      |                       ^
      = help: fix it above with `let T = 10`, if it is always the same
    ```
    """
    return Message(
        f"the size `{name}` is known only with the data, and a constant is needed here",
        (Label(at),),
        help=f"fix it above with `let {name} = 10`, if it is always the same",
    )


@error
def symbolic_parameter(at: Span, name: str) -> Message:
    """A parameter has a size that only the data knows.

    Weights are made before any data is read, and stay the same for all of it.

    ```net
    network open

    input x: float[T]
    parameter g: float[T] = ones
    output y = x * g
    ```
    ```text
    error[symbolic-parameter]: a parameter has fixed sizes, and `T` is known only with the data
     --> example.net:4:20
      |
    4 | parameter g: float[T] = ones
      |                    ^
      = help: write a number, or fix the size above with `let T = 10`
    ```
    """
    return Message(
        f"a parameter has fixed sizes, and `{name}` is known only with the data",
        (Label(at),),
        help=f"write a number, or fix the size above with `let {name} = 10`",
    )


@error
def parameter_kind(at: Span, kind: str) -> Message:
    """A parameter that is no array of real values.

    Parameters are trained by gradients, and only real values have them.

    ```net
    network indices

    input x: float[3]
    parameter k: class(3)
    output y = x + k
    ```
    ```text
    error[parameter-kind]: a parameter is `float`, and this is `class`
     --> example.net:4:14
      |
    4 | parameter k: class(3)
      |              ^^^^^
      = help: write `float[…]`
    ```
    """
    return Message(f"a parameter is `float`, and this is `{kind}`", (Label(at),), help="write `float[…]`")


@warning
def perhaps_a_constant(at: Span, name: str, close: str) -> Message:
    """A new symbolic size is spelt almost like a constant.

    A free name in a shape is a size that the data decides. When there is a constant of nearly the same name, that
    was probably meant.

    ```net
    network digits

    let width = 16

    input x: float[widht]
    input y: float[width]
    output z = x
    output u = y
    ```
    ```text
    warning[perhaps-a-constant]: `widht` is no constant, so this is a size that the data decides
     --> example.net:5:16
      |
    5 | input x: float[widht]
      |                ^^^^^
      = help: did you mean `width`?
    ```
    """
    return Message(
        f"`{name}` is no constant, so this is a size that the data decides",
        (Label(at),),
        help=f"did you mean `{close}`?",
    )

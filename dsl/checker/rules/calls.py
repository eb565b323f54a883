"""Calls: which tensors and settings a layer, a loss, an optimizer or a section takes."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def unknown_setting(at: Span, owner: str, name: str, close: str | None, settings: str) -> Message:
    """A setting that the layer, function or section does not have.

    ```net
    network digits

    input image: float[1, 8, 8]
    output maps = image -> conv(16, kernal = 5)
    ```
    ```text
    error[unknown-setting]: `conv` has no setting `kernal`
     --> example.net:4:33
      |
    4 | output maps = image -> conv(16, kernal = 5)
      |                                 ^^^^^^
      = the settings of `conv` are `filters`, `kernel`, `padding` and `bias`
      = help: did you mean `kernel`?
    ```
    """
    note = f"the settings of `{owner}` are {settings}" if settings else f"`{owner}` has no settings"
    return Message(
        f"`{owner}` has no setting `{name}`",
        (Label(at),),
        (note,),
        f"did you mean `{close}`?" if close is not None else None,
    )


@error
def repeated_setting(at: Span, owner: str, name: str, first: Span) -> Message:
    """A setting is given twice.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense(10, units = 12)
    ```
    ```text
    error[repeated-setting]: `units` of `dense` is given twice
     --> example.net:4:36
      |
    4 | output logits = image -> dense(10, units = 12)
      |                                ^^  ^^^^^ again here
      |                                first here
      = help: keep one of them
    ```
    """
    return Message(
        f"`{name}` of `{owner}` is given twice",
        (Label(at, "again here"), Label(first, "first here")),
        help="keep one of them",
    )


@error
def too_many_arguments(at: Span, owner: str, takes: str) -> Message:
    """A call has more arguments than the layer or function takes.

    ```net
    network digits

    input image: float[64]
    output hidden = image -> relu(10)
    ```
    ```text
    error[too-many-arguments]: `relu` takes a tensor and no settings, and this is one more
     --> example.net:4:31
      |
    4 | output hidden = image -> relu(10)
      |                               ^^
    ```
    """
    return Message(f"`{owner}` takes {takes}, and this is one more", (Label(at),))


@error
def missing_setting(at: Span, owner: str, name: str, help: str) -> Message:
    """A setting that has no default is left out.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense
    ```
    ```text
    error[missing-setting]: `dense` needs `units`: features out
     --> example.net:4:26
      |
    4 | output logits = image -> dense
      |                          ^^^^^
      = help: write `units = …`
    ```
    """
    meaning = f": {help}" if help else ""
    return Message(f"`{owner}` needs `{name}`{meaning}", (Label(at),), help=f"write `{name} = …`")


@error
def missing_tensor(at: Span, owner: str, found: str, takes: str, usage: str) -> Message:
    """A layer, loss or metric is not given the tensors it works on.

    Tensors come first, before an arrow or as the first arguments: `x -> dense(10)` is `dense(x, 10)`.

    ```net
    network digits

    input image: float[64]
    output logits = dense(10)
    ```
    ```text
    error[missing-tensor]: `dense` works on a tensor, and this is 10
     --> example.net:4:23
      |
    4 | output logits = dense(10)
      |                       ^^
      = help: write it as `x -> dense(10)`
    ```
    """
    return Message(f"`{owner}` works on {takes}, and {found}", (Label(at),), help=f"write it as `{usage}`")


@error
def wrong_kind(at: Span, subject: str, expected: str, found: str, help: str | None) -> Message:
    """A setting gets a value of the wrong kind.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense("ten")
    ```
    ```text
    error[wrong-kind]: `units` of `dense` must be a whole number, and this is the string "ten"
     --> example.net:4:32
      |
    4 | output logits = image -> dense("ten")
      |                                ^^^^^
    ```
    """
    return Message(f"{subject} must be {expected}, and this is {found}", (Label(at),), help=help)


@error
def out_of_range(at: Span, subject: str, bounds: str, found: str) -> Message:
    """A number is outside of what a setting allows.

    ```net
    network digits

    input image: float[64]
    output hidden = image -> dropout(1.5)
    ```
    ```text
    error[out-of-range]: `rate` of `dropout` must be at least 0 and below 1, and this is 1.5
     --> example.net:4:34
      |
    4 | output hidden = image -> dropout(1.5)
      |                                  ^^^
    ```
    """
    return Message(f"{subject} must be {bounds}, and this is {found}", (Label(at),))


@error
def unknown_choice(at: Span, subject: str, choices: str, found: str, close: str | None) -> Message:
    """A setting has a few possible values, and this is none of them.

    ```net
    network digits

    input image: float[1, 8, 8]
    output maps = image -> conv(16, padding = "sane")
    ```
    ```text
    error[unknown-choice]: `padding` of `conv` must be "valid" or "same", and this is "sane"
     --> example.net:4:43
      |
    4 | output maps = image -> conv(16, padding = "sane")
      |                                           ^^^^^^
      = help: did you mean "same"?
    ```
    """
    return Message(
        f"{subject} must be {choices}, and this is {found}",
        (Label(at),),
        help=f"did you mean {close}?" if close is not None else None,
    )


@error
def wrong_tensor(at: Span, owner: str, which: str, expected: str, found: str) -> Message:
    """A tensor of the wrong kind: real values where classes are needed, or the other way.

    ```net
    network digits

    input  image: float[64]
    target digit: float[10]
    logits = image -> dense(10)
    loss cross_entropy(logits, digit)
    output logits
    ```
    ```text
    error[wrong-tensor]: `cross_entropy` takes `class` or `token` as its second tensor, and this is float[10]
     --> example.net:6:28
      |
    6 | loss cross_entropy(logits, digit)
      |                            ^^^^^
    ```
    """
    return Message(f"`{owner}` takes {expected}{which}, and this is {found}", (Label(at),))


@error
def not_a_matrix(at: Span, left: Span) -> Message:
    """`@` has no parameter on its left.

    `W @ x` is a matrix times the column vector of each sample, as it stands in the equations: the matrix is a
    `parameter` and comes first.

    ```net
    network turned

    input x: float[3]
    parameter W: float[3, 5]
    output y = x @ W
    ```
    ```text
    error[not-a-matrix]: `@` multiplies a parameter by a tensor, and its left side is no parameter
     --> example.net:5:12
      |
    5 | output y = x @ W
      |            ^
      = help: write the parameter on the left, with the features out as its rows: `W @ x`
    ```
    """
    return Message(
        "`@` multiplies a parameter by a tensor, and its left side is no parameter",
        (Label(left),),
        help="write the parameter on the left, with the features out as its rows: `W @ x`",
    )


@error
def not_for_tensors(at: Span, sign: str, help: str, *, on: str = "a tensor") -> Message:
    """An operator that exists for constants only is used on a tensor.

    ```net
    network squares

    input x: float[3]
    output y = 2 ^ x
    ```
    ```text
    error[not-for-tensors]: `^` does not work this way on a tensor
     --> example.net:4:12
      |
    4 | output y = 2 ^ x
      |            ^^^^^
      = help: the exponent is a constant; `2 ^ x` is `exp(c * x)`, where c is the logarithm of 2
    ```
    """
    return Message(f"`{sign}` does not work this way on {on}", (Label(at),), help=help)

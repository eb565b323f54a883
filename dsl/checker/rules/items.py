"""What a file must hold, and holds once: network, inputs, losses, outputs, sections."""

from __future__ import annotations

from dsl.codes import Message, error, warning
from dsl.diagnostics import Label
from dsl.source import Span


@error
def repeated_item(at: Span, what: str, first: Span) -> Message:
    """The network's name or a section stands twice.

    ```net
    network digits

    input x: float[3]
    output y = x -> dense(2)
    train { epochs = 3 }
    train { batch = 8 }
    ```
    ```text
    error[repeated-item]: a file has one `train`
     --> example.net:6:1
      |
    5 | train { epochs = 3 }
      | ^^^^^ first here
    6 | train { batch = 8 }
      | ^^^^^ again here
      = help: make one of the two
    ```
    """
    return Message(
        f"a file has one `{what}`", (Label(at, "again here"), Label(first, "first here")), help="make one of the two"
    )


@error
def constant_binding(at: Span, name: str) -> Message:
    """A constant is bound without `let`.

    `name = …` names a tensor, something that differs from sample to sample. Constants are known when the file is
    read.

    ```net
    network digits

    width = 16
    input image: float[64]
    output hidden = image -> dense(width)
    ```
    ```text
    error[constant-binding]: this is a constant, and a binding names a tensor
     --> example.net:3:9
      |
    3 | width = 16
      |         ^^
      = help: write `let width = …`
    ```
    """
    return Message("this is a constant, and a binding names a tensor", (Label(at),), help=f"write `let {name} = …`")


@error
def no_input(at: Span) -> Message:
    """A file declares no input, so there is nothing to compute.

    A file of `let` and `block` items is checked through a file that imports it.

    ```net
    network nothing
    let width = 16
    ```
    ```text
    error[no-input]: no `input` is declared, so there is nothing to compute
     --> example.net:1:1
      |
    1 | network nothing
      | ^^^^^^^^^^^^^^^
      = help: declare what goes in: `input x: float[3]`; a file of blocks is checked through one that imports it
    ```
    """
    return Message(
        "no `input` is declared, so there is nothing to compute",
        (Label(at),),
        help="declare what goes in: `input x: float[3]`; a file of blocks is checked through one that imports it",
    )


@warning
def no_output(at: Span) -> Message:
    """A file declares no output, so nothing can be predicted or exported.

    ```net
    network silent

    input  x: float[3]
    target t: float[2]
    y = x -> dense(2)
    loss mse(y, t)
    ```
    ```text
    warning[no-output]: no `output` is declared, so the network predicts nothing
     --> example.net:1:1
      |
    1 | network silent
      | ^^^^^^^^^^^^^^
      = help: add `output name`, or `output name = …`
    ```
    """
    return Message(
        "no `output` is declared, so the network predicts nothing",
        (Label(at),),
        help="add `output name`, or `output name = …`",
    )


@error
def no_loss(at: Span) -> Message:
    """A train section stands in a file without a loss.

    Training makes a loss smaller, so there must be one.

    ```net
    network aimless

    input x: float[3]
    output y = x -> dense(2)
    train { epochs = 3 }
    ```
    ```text
    error[no-loss]: there is nothing to train for: the file has no `loss`
     --> example.net:5:1
      |
    5 | train { epochs = 3 }
      | ^^^^^
      = help: add a `loss`, such as `loss mse(prediction, target)`
    ```
    """
    return Message(
        "there is nothing to train for: the file has no `loss`",
        (Label(at),),
        help="add a `loss`, such as `loss mse(prediction, target)`",
    )


@error
def not_an_objective(at: Span, kind: str, found: str, known: str) -> Message:
    """What stands behind `loss` or `metric` is no loss or metric.

    ```net
    network wrong

    input  x: float[3]
    target t: float[3]
    y = x -> dense(3)
    loss y - t
    output y
    ```
    ```text
    error[not-an-objective]: a loss of the language is needed here, and this is `y - t`
     --> example.net:6:6
      |
    6 | loss y - t
      |      ^^^^^
      = the losses are `binary_cross_entropy`, `cross_entropy`, `mae` and `mse`
      = help: write it as `loss name(prediction, target)`
    ```
    """
    plural = "losses" if kind == "loss" else f"{kind}s"
    return Message(
        f"a {kind} of the language is needed here, and this is {found}",
        (Label(at),),
        (f"the {plural} are {known}",),
        f"write it as `{kind} name(prediction, target)`",
    )


@error
def sum_of_losses(at: Span) -> Message:
    """Losses are added in one line.

    All `loss` lines of a file add up, each under its own name, so that training can report them one by one.

    ```net
    network two

    input  x: float[3]
    target t: float[3]
    y = x -> dense(3)
    loss mse(y, t) + 0.1 * mae(y, t)
    output y
    ```
    ```text
    error[sum-of-losses]: losses are not added by a sign
     --> example.net:6:6
      |
    6 | loss mse(y, t) + 0.1 * mae(y, t)
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write a `loss` line for each: they add up
    ```
    """
    return Message("losses are not added by a sign", (Label(at),), help="write a `loss` line for each: they add up")


@error
def bad_factor(at: Span, found: str) -> Message:
    """The factor before a loss is no finite number.

    ```net
    network weighed

    input  x: float[3]
    target t: float[3]
    y = x -> dense(3)
    loss "half" * mse(y, t)
    output y
    ```
    ```text
    error[bad-factor]: the factor of a loss is a number, and this is the string "half"
     --> example.net:6:6
      |
    6 | loss "half" * mse(y, t)
      |      ^^^^^^
    ```
    """
    return Message(f"the factor of a loss is a number, and this is {found}", (Label(at),))


@error
def not_an_output(at: Span, found: str) -> Message:
    """What cannot be predicted is declared as an output.

    An output is a tensor that is computed from the inputs.

    ```net
    network weights

    input x: float[3]
    parameter W: float[2, 3]
    y = W @ x
    output W
    ```
    ```text
    error[not-an-output]: an output is a tensor that the network computes, and this is a parameter [2, 3]
     --> example.net:6:8
      |
    6 | output W
      |        ^
    ```
    """
    return Message(f"an output is a tensor that the network computes, and this is {found}", (Label(at),))


@error
def repeated_output(at: Span, name: str, first: Span) -> Message:
    """An output is declared twice.

    ```net
    network twice

    input x: float[3]
    y = x -> dense(2)
    output y
    output y
    ```
    ```text
    error[repeated-output]: `y` is an output already
     --> example.net:6:8
      |
    5 | output y
      |        ^ first here
    6 | output y
      |        ^ again here
      = help: remove one of the two
    ```
    """
    return Message(
        f"`{name}` is an output already",
        (Label(at, "again here"), Label(first, "first here")),
        help="remove one of the two",
    )

"""Names: defined before use, once, and never shadowing."""

from __future__ import annotations

from dsl.codes import Message, error, warning
from dsl.diagnostics import Label
from dsl.source import Span


@error
def unknown_name(at: Span, sentence: str, close: str | None, more: tuple[int, ...], listing: str | None) -> Message:
    """A name that nothing has: no constant, tensor, block or layer of the file, and no entry of the language.

    The nearest name is suggested. When the same name is used again, the first place is shown and the other lines
    are listed.

    ```net
    network digits

    let width = 16

    input image: float[64]
    hidden = image -> dense(widht) -> rleu
    output logits = hidden -> dense(10)
    ```
    ```text
    error[unknown-name]: `widht` is not defined
     --> example.net:6:25
      |
    6 | hidden = image -> dense(widht) -> rleu
      |                         ^^^^^
      = help: did you mean `width`?

    error[unknown-name]: no layer or block is named `rleu`
     --> example.net:6:35
      |
    6 | hidden = image -> dense(widht) -> rleu
      |                                   ^^^^
      = help: did you mean `relu`?
    ```
    """
    notes = (f"used again on line{'s' if len(more) > 1 else ''} {', '.join(map(str, more))}",) if more else ()
    return Message(sentence, (Label(at),), notes, f"did you mean `{close}`?" if close is not None else listing)


@error
def used_before_definition(at: Span, name: str, later: Span) -> Message:
    """A name is used above the line that defines it.

    A file reads from top to bottom, like the forward pass: what a line uses stands above it.

    ```net
    network late

    input x: float[3]
    y = hidden -> dense(2)
    hidden = x -> dense(5)
    output y
    ```
    ```text
    error[used-before-definition]: `hidden` is defined later, on line 5
     --> example.net:4:5
      |
    4 | y = hidden -> dense(2)
      |     ^^^^^^ used here
    5 | hidden = x -> dense(5)
      | ^^^^^^ defined here
      = help: move line 5 above this one
    ```
    """
    return Message(
        f"`{name}` is defined later, on line {later.line}",
        (Label(at, "used here"), Label(later, "defined here")),
        help=f"move line {later.line} above this one",
    )


@error
def duplicate_name(at: Span, name: str, first: Span) -> Message:
    """A name is defined twice.

    A name stands for one thing in the whole file, also inside blocks, so that it can be looked up without reading
    everything in between. There is no assignment: give the second one a name of its own.

    ```net
    network twice

    input x: float[3]
    h = x -> dense(5)
    h = h -> relu
    output h
    ```
    ```text
    error[duplicate-name]: `h` is defined twice
     --> example.net:5:1
      |
    4 | h = x -> dense(5)
      | ^ defined first here
    5 | h = h -> relu
      | ^ defined again here
      = help: give it another name, such as `h2`
    ```
    """
    return Message(
        f"`{name}` is defined twice",
        (Label(at, "defined again here"), Label(first, "defined first here")),
        help=f"give it another name, such as `{name}2`",
    )


@error
def reserved_name(at: Span, name: str, meaning: str) -> Message:
    """A name of the language is defined anew.

    Layers have fixed names. If a file could define them anew, `x -> relu` would mean something else from file to
    file.

    ```net
    network shadow

    input x: float[3]
    relu = x -> dense(5)
    output relu
    ```
    ```text
    error[reserved-name]: `relu` is a layer of the language, and cannot be another name
     --> example.net:4:1
      |
    4 | relu = x -> dense(5)
      | ^^^^
      = help: choose another name, such as `my_relu`
    ```
    """
    return Message(
        f"`{name}` is {meaning}, and cannot be another name",
        (Label(at),),
        help=f"choose another name, such as `my_{name}`",
    )


@error
def not_a_value(at: Span, name: str, kind: str, use: str) -> Message:
    """A layer or block stands where a tensor or a constant is needed.

    A layer is applied: `x -> relu` or `relu(x)`.

    ```net
    network unapplied

    input x: float[3]
    y = x + relu
    output y
    ```
    ```text
    error[not-a-value]: `relu` is a layer, and a tensor or a constant is needed here
     --> example.net:4:9
      |
    4 | y = x + relu
      |         ^^^^
      = help: apply it: `x -> relu`
    ```
    """
    return Message(f"`{name}` is a {kind}, and a tensor or a constant is needed here", (Label(at),), help=use)


@error
def not_a_stage(at: Span, name: str, what: str) -> Message:
    """What stands behind an arrow or before parentheses is no layer and no block.

    Tensors and constants cannot be applied. To join two tensors write an operator: `x + y`.

    ```net
    network applied

    input x: float[3]
    input y: float[3]
    z = x -> y
    output z
    ```
    ```text
    error[not-a-stage]: `y` is a tensor [3], and cannot be applied
     --> example.net:5:10
      |
    5 | z = x -> y
      |          ^
      = help: apply a layer or a block, or combine tensors by an operator such as `+`
    ```
    """
    return Message(
        f"`{name}` is {what}, and cannot be applied",
        (Label(at),),
        help="apply a layer or a block, or combine tensors by an operator such as `+`",
    )


@error
def target_in_network(at: Span, name: str) -> Message:
    """A target is used in the network.

    Targets are known while the network learns and not when it predicts, so nothing that is predicted can depend on
    them. They stand in losses and metrics.

    ```net
    network cheat

    input  x: float[3]
    target t: float[3]
    y = dense(x, 3) + t
    loss mse(y, t)
    output y
    ```
    ```text
    error[target-in-network]: `t` is a target, and is not known when the network predicts
     --> example.net:5:19
      |
    5 | y = dense(x, 3) + t
      |                   ^
      = help: use it in `loss` and `metric` only, or declare it as an `input`
    ```
    """
    return Message(
        f"`{name}` is a target, and is not known when the network predicts",
        (Label(at),),
        help="use it in `loss` and `metric` only, or declare it as an `input`",
    )


@warning
def unused(at: Span, name: str, kind: str) -> Message:
    """Something is declared and never used.

    It may be left over, or another name was meant somewhere below.

    ```net
    network idle

    let width = 16

    input x: float[3]
    y = x -> dense(2)
    output y
    ```
    ```text
    warning[unused]: the constant `width` is never used
     --> example.net:3:5
      |
    3 | let width = 16
      |     ^^^^^
    ```
    """
    return Message(f"the {kind} `{name}` is never used", (Label(at),))


@warning
def unused_import(at: Span) -> Message:
    """Nothing of an imported file is used.

    ```net
    network alone
    import "blocks.net"

    input x: float[3]
    output y = x -> dense(2)
    ```
    ```net blocks.net
    block unit(x, n) { return x -> dense(n) -> relu }
    ```
    ```text
    warning[unused-import]: nothing of this file is used
     --> example.net:2:1
      |
    2 | import "blocks.net"
      | ^^^^^^^^^^^^^^^^^^^
    ```
    """
    return Message("nothing of this file is used", (Label(at),))

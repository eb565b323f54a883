"""Constants: exact arithmetic on numbers, and what is no constant."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def division_by_zero(at: Span) -> Message:
    """Something is divided by the constant zero.

    ```net
    let classes = 10
    let share = 1 / (classes - 10)
    ```
    ```text
    error[division-by-zero]: this divides by zero
     --> example.net:2:13
      |
    2 | let share = 1 / (classes - 10)
      |             ^^^^^^^^^^^^^^^^^^
    ```
    """
    return Message("this divides by zero", (Label(at),))


@error
def constant_too_large(at: Span) -> Message:
    """A constant is too large, or written with too many digits.

    Constants are computed exactly, so their size is bounded: to what a floating-point number can hold.

    ```net
    let huge = 10 ^ 10 ^ 10
    ```
    ```text
    error[constant-too-large]: this number has too many digits: constants go up to about 10^308, and down to 10^-308
     --> example.net:1:12
      |
    1 | let huge = 10 ^ 10 ^ 10
      |            ^^^^^^^^^^^^
    ```
    """
    return Message(
        "this number has too many digits: constants go up to about 10^308, and down to 10^-308", (Label(at),)
    )


@error
def inexact_power(at: Span, base: str, exponent: str) -> Message:
    """A power of constants is no fraction, so it cannot be computed exactly.

    `64 ^ 0.5` is 8; `2 ^ 0.5` is irrational. Write such a number as a decimal.

    ```net
    let diagonal = 2 ^ 0.5
    ```
    ```text
    error[inexact-power]: 2 ^ 0.5 is no exact number, and constants are exact
     --> example.net:1:16
      |
    1 | let diagonal = 2 ^ 0.5
      |                ^^^^^^^
      = help: write it as a decimal with the digits that you need
    ```
    """
    return Message(
        f"{base} ^ {exponent} is no exact number, and constants are exact",
        (Label(at),),
        help="write it as a decimal with the digits that you need",
    )


@error
def wrong_operand(sign: str, operand: Span, found: str, *, needed: str = "numbers") -> Message:
    """Arithmetic is done with something that is no number.

    ```net
    let name = "digits" + 1
    ```
    ```text
    error[wrong-operand]: `+` works on numbers, and this is the string "digits"
     --> example.net:1:12
      |
    1 | let name = "digits" + 1
      |            ^^^^^^^^
    ```
    """
    return Message(f"`{sign}` works on {needed}, and this is {found}", (Label(operand),))


@error
def not_constant(at: Span, found: str) -> Message:
    """A tensor stands where a constant is needed.

    Constants are known before the network runs: numbers, strings, `true`, `false`, lists of them, and arithmetic
    with `let` names. A tensor has other values for each sample.

    ```net
    network varying

    input x: float[3]
    let scale = x / 2
    output y = x -> dense(2)
    ```
    ```text
    error[not-constant]: a constant is needed here, and this is a tensor [3]
     --> example.net:4:13
      |
    4 | let scale = x / 2
      |             ^^^^^
      = help: write a number or a `let` name; a tensor is bound without `let`: `name = …`
    ```
    """
    return Message(
        f"a constant is needed here, and this is {found}",
        (Label(at),),
        help="write a number or a `let` name; a tensor is bound without `let`: `name = …`",
    )


@error
def misplaced_range(at: Span) -> Message:
    """`..` stands outside of a choice of columns.

    `"p0".."p63"` names all columns from one to the other, as an argument of `columns`.

    ```net
    let some = 1 .. 5
    ```
    ```text
    error[misplaced-range]: `..` names a range of columns, and none are chosen here
     --> example.net:1:12
      |
    1 | let some = 1 .. 5
      |            ^^^^^^
      = help: use it in `columns("first".."last")`
    ```
    """
    return Message(
        "`..` names a range of columns, and none are chosen here",
        (Label(at),),
        help='use it in `columns("first".."last")`',
    )


@error
def nested_list(at: Span) -> Message:
    """A list stands in a list.

    Lists hold numbers, strings, `true` and `false`: sizes, names of columns, weights of classes.

    ```net
    let sizes = [2, [3, 4]]
    ```
    ```text
    error[nested-list]: a list holds numbers or strings, and this is a list
     --> example.net:1:17
      |
    1 | let sizes = [2, [3, 4]]
      |                 ^^^^^^
      = help: leave out the inner brackets
    ```
    """
    return Message(
        "a list holds numbers or strings, and this is a list", (Label(at),), help="leave out the inner brackets"
    )

"""The sections `data`, `train` and `export`."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def missing_columns(at: Span, kind: str, names: tuple[str, ...]) -> Message:
    """The data section does not say how an input or a target is made of the data.

    ```net
    network digits

    input  image: float[64]
    target digit: class(10)
    logits = image -> dense(10)
    loss cross_entropy(logits, digit)
    output logits

    data {
      source = csv("digits.csv")
      image = columns("p0".."p63") / 16
    }
    ```
    ```text
    error[missing-columns]: the data section does not say where the target `digit` comes from
     --> example.net:9:1
      |
    9 | data {
      | ^^^^
      = help: add `digit = column("…")` or the like
    ```
    """
    shown = ", ".join(f"`{name}`" for name in names[:10]) + (", …" if len(names) > 10 else "")
    subject = f"{shown} come" if len(names) > 1 else f"the {kind} {shown} comes"
    return Message(
        f"the data section does not say where {subject} from",
        (Label(at),),
        help=f'add `{names[0]} = column("…")` or the like',
    )


@error
def not_data(at: Span, found: str) -> Message:
    """What an input or a target is made of is no column of the data.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense(10)

    data {
      source = csv("digits.csv")
      image = "p0"
    }
    ```
    ```text
    error[not-data]: something made of the data's columns is needed here, and this is the string "p0"
     --> example.net:8:11
      |
    8 |   image = "p0"
      |           ^^^^
      = help: name columns with `column("…")` or `columns("…", "…")`
    ```
    """
    return Message(
        f"something made of the data's columns is needed here, and this is {found}",
        (Label(at),),
        help='name columns with `column("…")` or `columns("…", "…")`',
    )


@error
def unknown_variable(at: Span, name: str, close: str | None, settings: str, variables: str) -> Message:
    """A line of the data section is neither a setting nor an input or target.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense(10)

    data {
      source = csv("digits.csv")
      imgae = columns("p0".."p63") / 16
    }
    ```
    ```text
    error[unknown-variable]: `imgae` is neither a setting of `data` nor an input or target
     --> example.net:8:3
      |
    8 |   imgae = columns("p0".."p63") / 16
      |   ^^^^^
      = the settings are `source` and `split`
      = the inputs and targets are `image`
      = help: did you mean `image`?
    ```
    """
    return Message(
        f"`{name}` is neither a setting of `data` nor an input or target",
        (Label(at),),
        (f"the settings are {settings}", f"the inputs and targets are {variables}"),
        f"did you mean `{close}`?" if close is not None else None,
    )

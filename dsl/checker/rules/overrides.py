"""Settings given on the command line: ``--set train.epochs=5``."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def bad_override(at: Span) -> Message:
    """What stands behind `--set` is no setting with a value.

    It is written `section.setting=value`, or `let.name=value` for a constant of the file; the value as in a file. The
    shell takes double quotes away, so a string stands in both kinds: `--set 'train.monitor="accuracy"'`.

    ```net --set train.epochs
    network digits
    input x: float[3]
    output y = x -> dense(2)
    ```
    ```text
    error[bad-override]: a setting and a value are needed here
     --> --set:1:1
      |
    1 | train.epochs
      | ^^^^^^^^^^^^
      = help: write it as `--set train.epochs=5` or `--set let.width=32`
    ```
    """
    return Message(
        "a setting and a value are needed here",
        (Label(at),),
        help="write it as `--set train.epochs=5` or `--set let.width=32`",
    )


@error
def unknown_override(at: Span, found: str, close: str | None, known: str) -> Message:
    """What `--set` names is not in the file.

    ```net --set tarin.epochs=5
    network digits
    input x: float[3]
    output y = x -> dense(2)
    ```
    ```text
    error[unknown-override]: there is no section `tarin`
     --> --set:1:1
      |
    1 | tarin.epochs=5
      | ^^^^^
      = settings stand in data, train, export or let
      = help: did you mean `train`?
    ```
    """
    return Message(
        found, (Label(at),), (known,) if known else (), f"did you mean `{close}`?" if close is not None else None
    )

"""Imports: a file beside this one, inside the project folder, that holds blocks and constants."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def import_unreadable(at: Span, reason: str, help: str | None = None) -> Message:
    """An imported file cannot be read.

    The path is relative to the file that imports it.

    ```net
    import "block.net"
    ```
    ```net blocks.net
    let width = 16
    ```
    ```text
    error[import-unreadable]: `block.net` does not exist
     --> example.net:1:8
      |
    1 | import "block.net"
      |        ^^^^^^^^^^^
      = help: did you mean `blocks.net`?
    ```
    """
    return Message(reason, (Label(at),), help=help)


@error
def import_outside(at: Span, reason: str) -> Message:
    """An import leads out of the project folder.

    A `.net` file may come from a stranger, so it reads only files in its own folder and below: no absolute paths,
    no way up, no links.

    ```net
    import "../secrets/blocks.net"
    ```
    ```text
    error[import-outside]: `../secrets/blocks.net` leads out of the project folder
     --> example.net:1:8
      |
    1 | import "../secrets/blocks.net"
      |        ^^^^^^^^^^^^^^^^^^^^^^^
      = help: copy the file into the folder of the network, or below it
    ```
    """
    return Message(reason, (Label(at),), help="copy the file into the folder of the network, or below it")


@error
def import_cycle(at: Span, names: tuple[str, ...]) -> Message:
    """Files import each other in a circle.

    ```net
    import "a.net"
    ```
    ```net a.net
    import "b.net"
    let one = 1
    ```
    ```net b.net
    import "a.net"
    let two = 2
    ```
    ```text
    error[import-cycle]: the imports form a circle: a.net -> b.net -> a.net
     --> b.net:1:8
      |
    1 | import "a.net"
      |        ^^^^^^^
      = help: move what both need into a third file
    ```
    """
    return Message(
        f"the imports form a circle: {' -> '.join(names)}", (Label(at),), help="move what both need into a third file"
    )


@error
def not_importable(at: Span, what: str, user: Span) -> Message:
    """An imported file holds more than constants and blocks.

    An import brings `let` and `block` items. Anything else, an input or a loss, belongs to the file of the network:
    a reader of that file should see all of it.

    ```net
    import "blocks.net"
    ```
    ```net blocks.net
    let width = 16
    input image: float[64]
    ```
    ```text
    error[not-importable]: an imported file holds `let` and `block` items, and this is `input`
     --> blocks.net:2:1
      |
    2 | input image: float[64]
      | ^^^^^^^^^^^^^^^^^^^^^^
     ::: example.net:1:8
      |
    1 | import "blocks.net"
      |        ^^^^^^^^^^^^ imported here
      = help: move it to the file of the network
    ```
    """
    return Message(
        f"an imported file holds `let` and `block` items, and this is `{what}`",
        (Label(at), Label(user, "imported here")),
        help="move it to the file of the network",
    )

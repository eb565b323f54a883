"""Files that ask for too much: said at once, before anything is allocated."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def too_many_mistakes(last: Span, most: int) -> Message:
    """The file has more mistakes than are worth reading.

    The first ones are shown. Often one of them, a missing bracket or a wrong file, is the cause of the others.
    """
    return Message(f"there are more than {most} mistakes: the others are not shown", (Label(last),))


@error
def too_deep(at: Span, limit: int) -> Message:
    """Expressions or blocks are nested too deep.

    Real networks nest a few levels: a block in a block, a few parentheses. What goes deeper is the work of a
    program, and is refused before it fills memory. Give parts of a long expression names of their own.

    ```net
    network deep

    input x: float[2]

    block inner(a) {
      return - - - - - - - - - - - - - - - - - - - - - - - - - -
             - - - - - - - - - - - - - - - - - - - - - - - - - - a
    }

    block outer(b) {
      return - - - - - - - - - - - - - - - - - - - - - - - - - -
             - - - - - - - - - - - - - - - - - - - - - - - - - - inner(b)
    }

    output y = outer(x)
    ```
    ```text
    error[too-deep]: this is nested more than 100 levels deep
      --> example.net:7:46
       |
     7 |          - - - - - - - - - - - - - - - - - - - - - - - - - - a
       |                                              ^^^^^^^^^^^^^^^^^
       ⋮
    15 | output y = outer(x)
       |            ^^^^^^^^ used here
       = help: name parts of it, and use the names
    ```
    """
    return Message(
        f"this is nested more than {limit} levels deep", (Label(at),), help="name parts of it, and use the names"
    )


@error
def too_many_nodes(at: Span, limit: int) -> Message:
    """The network has more nodes than can be meant.

    Blocks that use blocks multiply quickly. Counted are layers and operators after blocks and `repeat` are written
    out.

    ```net
    input x: float[2]

    block twice(x2) { return x2 -> repeat(200, relu) -> repeat(200, tanh) }

    y = x -> repeat(200, twice)
    output y
    ```
    ```text
    error[too-many-nodes]: the network grows beyond 20,000 nodes here
     --> example.net:5:22
      |
    5 | y = x -> repeat(200, twice)
      |                      ^^^^^
      = help: count how often the blocks and `repeat`s multiply each other
    ```
    """
    return Message(
        f"the network grows beyond {limit:,} nodes here",
        (Label(at),),
        help="count how often the blocks and `repeat`s multiply each other",
    )


@error
def too_large(at: Span, what: str, found: str, most: str) -> Message:
    """A tensor or the weights of a layer are larger than any memory.

    The sizes are known before anything is allocated, so such a network is refused at once. Usually a size was
    mistyped, or an image was flattened before it was made smaller.

    ```net
    input image: float[3, 1024, 1024]
    big = image -> flatten -> dense(2000000000)
    output big
    ```
    ```text
    error[too-large]: the network would have 6,291,458,000,000,000 weights, and at most 4,000,000,000 are possible
     --> example.net:2:27
      |
    2 | big = image -> flatten -> dense(2000000000)
      |                           ^^^^^
    ```
    """
    return Message(f"{what} would have {found}, and at most {most} are possible", (Label(at),))

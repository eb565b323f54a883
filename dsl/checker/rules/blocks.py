"""Blocks, shared layers and repetition."""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def recursive_block(at: Span, name: str) -> Message:
    """A block uses itself.

    A block is written out where it is used, so one that uses itself would never end. To chain a stage several times
    there is `repeat(n, stage)`.

    ```net
    block deep(x) { return x -> dense(4) -> deep }
    ```
    ```text
    error[recursive-block]: the block `deep` uses itself
     --> example.net:1:41
      |
    1 | block deep(x) { return x -> dense(4) -> deep }
      |                                         ^^^^
      = help: chain a stage with `repeat(n, stage)`
    ```
    """
    return Message(f"the block `{name}` uses itself", (Label(at),), help="chain a stage with `repeat(n, stage)`")


@error
def missing_argument(at: Span, block: str, name: str, place: Span) -> Message:
    """A block is used without one of its parameters that has no default.

    ```net
    network digits

    block unit(x, width) { return x -> dense(width) -> relu }

    input image: float[64]
    output hidden = image -> unit
    ```
    ```text
    error[missing-argument]: the block `unit` needs `width`
     --> example.net:6:26
      |
    3 | block unit(x, width) { return x -> dense(width) -> relu }
      |               ^^^^^ has no default
      ⋮
    6 | output hidden = image -> unit
      |                          ^^^^
      = help: write `unit(width = …)`
    ```
    """
    return Message(
        f"the block `{block}` needs `{name}`",
        (Label(at), Label(place, "has no default")),
        help=f"write `{block}({name} = …)`",
    )


@error
def unknown_parameter(at: Span, block: str, name: str, close: str | None, parameters: str) -> Message:
    """A block is given a parameter that it does not have.

    ```net
    network digits

    block unit(x, width) { return x -> dense(width) -> relu }

    input image: float[64]
    output hidden = image -> unit(wide = 12)
    ```
    ```text
    error[unknown-parameter]: the block `unit` has no parameter `wide`
     --> example.net:6:31
      |
    6 | output hidden = image -> unit(wide = 12)
      |                               ^^^^
      = its parameters are `x` and `width`
      = help: did you mean `width`?
    ```
    """
    return Message(
        f"the block `{block}` has no parameter `{name}`",
        (Label(at),),
        (f"its parameters are {parameters}",),
        f"did you mean `{close}`?" if close is not None else None,
    )


@error
def not_stages(at: Span, found: str) -> Message:
    """A `layer`, or what `repeat` repeats, is something else than stages.

    A stage is what can stand behind an arrow: a layer, a block, `repeat`, or several of them joined by arrows.

    ```net
    network siamese

    input left: float[20]
    layer encoder = 2 * left
    output a = left -> encoder
    ```
    ```text
    error[not-stages]: stages are needed here, and this is `2 * left`
     --> example.net:4:17
      |
    4 | layer encoder = 2 * left
      |                 ^^^^^^^^
      = help: write layers or blocks joined by arrows: `dense(8) -> relu`
    ```
    """
    return Message(
        f"stages are needed here, and this is {found}",
        (Label(at),),
        help="write layers or blocks joined by arrows: `dense(8) -> relu`",
    )


@error
def repeat_arguments(at: Span) -> Message:
    """`repeat` takes a number and a stage.

    `x -> repeat(3, dense(8) -> relu)` chains the stages three times, each time with new weights.

    ```net
    network deep

    input x: float[8]
    output y = x -> repeat(3)
    ```
    ```text
    error[repeat-arguments]: `repeat` takes how often, and a stage
     --> example.net:4:17
      |
    4 | output y = x -> repeat(3)
      |                 ^^^^^^^^^
      = help: write it as `x -> repeat(3, dense(8) -> relu)`
    ```
    """
    return Message(
        "`repeat` takes how often, and a stage", (Label(at),), help="write it as `x -> repeat(3, dense(8) -> relu)`"
    )

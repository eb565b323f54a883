"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dsl import Source
    from tensorflow_lite_bp.backend import Backend

STDIN = "-"

NetFile = Annotated[str, typer.Argument(metavar="FILE", help="A .net file.")]
NetFiles = Annotated[list[str], typer.Argument(metavar="FILE", help=".net files; - reads standard input.")]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run folder of `tflbp train`, or a checkpoint.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        default_factory=list,
        show_default=False,
        help="Override a setting of the file: train.epochs=5.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
"""Read by `tensorflow_lite_bp.cli.main`, which prints: a command only declares it."""

PrecisionName = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        show_default=False,
        help="float32, float64, mixed or mixed_bfloat16, in the place of the file's `train.precision`.",
    ),
]

BackendName = Annotated[
    str | None, typer.Option(metavar="numpy|cupy", show_default=False, help="What computes: numpy by default.")
]
Device = Annotated[int | None, typer.Option(metavar="N", min=0, help="Which GPU computes: 0, 1, …")]
MemoryLimit = Annotated[
    str | None, typer.Option(metavar="SIZE", help="How much of the GPU's memory to use: 4GiB or 80%.")
]
TF32 = Annotated[
    bool | None,
    typer.Option(
        "--tf32/--no-tf32",
        show_default=False,
        help="Let the GPU round the factors of float32 products to 10 bits: faster.",
    ),
]


def override_of(precision: str | None) -> tuple[str, ...]:
    """What ``--set`` would be given.

    Raises:
        BadParameter: for a name that is none of `PRECISIONS`.
    """
    from tensorflow_lite_bp.precision import PRECISIONS

    if precision is None:
        return ()
    if precision not in PRECISIONS:
        raise typer.BadParameter(f"--precision `{precision}` is unknown: expected {' or '.join(PRECISIONS)}")
    return (f'train.precision="{precision}"',)


def backend_of(name: str | None, *, device: int | None, memory_limit: str | None, tf32: bool | None) -> Backend:
    """The backend that these options ask for.

    Raises:
        InputError: for options that it does not have, and for wrong ones.
        EnvironmentFailure: when it cannot compute here.
    """
    from tensorflow_lite_bp.backend import get_backend

    asked = {"device": device, "memory_limit": memory_limit, "tf32": tf32 or None}
    given = {option: value for option, value in asked.items() if value is not None}
    return get_backend(name if name is not None else "numpy", **given)


def source_of(file: str) -> Source:
    """The text of a `.net` file, or of standard input for ``-``."""
    from dsl.source import decoded, read_source

    if file != STDIN:
        return read_source(file)
    return decoded("<stdin>", sys.stdin.buffer.read())

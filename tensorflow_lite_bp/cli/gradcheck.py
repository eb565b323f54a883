"""``tflbp gradcheck``: the gradients of a network against central differences."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import WIDTH, counted, size, table
from tensorflow_lite_bp.cli._options import Json, NetFile, Overrides
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from dsl.program import Program
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.proof.blame import Guilty
    from tensorflow_lite_bp.proof.gradcheck import Report, Row
    from tensorflow_lite_bp.proof.quotients import Entry


def gradcheck(
    file: NetFile,
    *,
    overrides: Overrides,
    data: Annotated[
        bool, typer.Option("--data", help="Take the first training rows of the file's data, not drawn ones.")
    ] = False,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Samples.")] = 4,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="First weights, drawn rows, dropout, which entries.")
    ] = None,
    entries: Annotated[
        str | None,
        typer.Option(
            metavar="N|all", help="Entries of each weight and input; 2 to 100 by default, by the network's work."
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option(metavar="X", help="The largest relative error of a right one.")] = 1e-5,
    json: Json = False,
) -> Answer:
    """Compare every gradient with central differences.

    The network is computed in float64 as in training: batch_norm takes the batch's statistics, dropout keeps its mask.
    One entry of a weight or float input is moved at a time, and what the loss does is compared with the gradient. The
    rows are drawn with the seed. Weights that start as constants (biases as zeros, gains as ones) are first moved by
    random numbers from -0.5 to 0.5: a factor of 0 or 1 would hide that it was forgotten.

    \b
    checked      entries that were compared
    kinks        entries left out: a kink (relu at 0, a tie in max_pool)
                 lies so near that a difference says nothing
    worst error  the largest |g - d| / max(|g|, |d|), where what rounding
                 alone can make of d does not count
    at           where that is; an input's first index is the sample

    An input that a loss holds its prediction against is not checked, as no gradient flows there.

    When a gradient is wrong, each layer and loss is checked by itself, from the loss back, and the first whose own
    backward is wrong is named, with its place in the file; the exit code is 1.

    \b
    Examples:
      tflbp gradcheck examples/digits.net
      tflbp gradcheck examples/digits.net --data --batch 16 --entries all
    """
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.proof.gradcheck import default_entries, drawn_rows, off_constants
    from tensorflow_lite_bp.proof.gradcheck import gradcheck as check
    from tensorflow_lite_bp.table import checked

    most = _entries(entries)
    if not 0 < tolerance < 1:
        raise typer.BadParameter(f"--tolerance takes a number between 0 and 1, such as 1e-5, not {tolerance:g}")
    program = checked(file, overrides=overrides)
    _refuse_too_large(program, batch)
    network = Network(program, seed=seed, precision="float64", threads=1)
    off_constants(network)
    rows = _first_rows(network, batch) if data else drawn_rows(network, batch)
    most = default_entries(network, rows) if entries is None else most
    with _progress() as progress:
        report = check(network, rows, entries=most, tolerance=tolerance, progress=progress)
    return Answer(
        _data(file, network, report, drawn=not data),
        text="\n\n".join([_heading(network, report, drawn=not data), _table(report), _sentence(report)]),
        exit_code=0 if report.right else 1,
    )


def _entries(typed: str | None) -> int | None:
    """How many entries; None for all."""
    if typed is None or typed == "all":
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10 and int(typed) > 0):
        raise typer.BadParameter(f"--entries takes a whole number from 1 to 999,999,999, or all, not `{typed}`")
    return int(typed)


def _refuse_too_large(program: Program, batch: int) -> None:
    """Say that memory lacks before any is taken: the system would rather end the process than refuse it."""
    from tensorflow_lite_bp.graph.graph import Graph
    from tensorflow_lite_bp.proof.gradcheck import bytes_needed

    needed, there = bytes_needed(Graph(program), batch), _memory_of_machine()
    if there is not None and needed > there:
        raise EnvironmentFailure(
            f"{counted(batch, 'sample')} of `{program.name}` in float64 need {size(needed)}, and this machine has "
            f"{size(there)}: fewer samples (--batch) or a smaller network need less"
        )


def _memory_of_machine() -> int | None:
    """Bytes; None where the system does not say."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    if not all(name in getattr(os, "sysconf_names", {}) for name in names):
        return None
    return os.sysconf(names[0]) * os.sysconf(names[1])


def _first_rows(network: Network, batch: int) -> dict[str, np.ndarray]:
    """The first training rows, with the weights that the train section gives to classes."""
    from tensorflow_lite_bp.data import load_data
    from tensorflow_lite_bp.training.class_weights import class_weights

    program = network.program
    found = load_data(program, folder=Path(program.source.name).parent, seed=network.seed)
    chosen = found.splits["train"][:batch]
    if not len(chosen):
        raise InputError("the data has no training rows: leave --data away to draw some")
    network.use_class_weights(class_weights(program, found))
    return {name: values[chosen] for name, values in found.rows.items()}


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """On a terminal a line that moves, once a second has passed; it is gone in the end."""
    start = drawn = time.monotonic()
    shown = False

    def progress(done: int, total: int) -> None:
        nonlocal drawn, shown
        now = time.monotonic()
        if sys.stderr.isatty() and now - start >= 1 and now - drawn >= 0.1:
            left = (now - start) / done * (total - done)
            sys.stderr.write(f"\r\x1b[K{done:,} of {total:,} entries, {left:.0f} s left")
            sys.stderr.flush()
            drawn, shown = now, True

    try:
        yield progress
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _heading(network: Network, report: Report, *, drawn: bool) -> str:
    rows = f"{counted(report.m, 'sample')} {'drawn' if drawn else 'of the data'}"
    return fill(
        f"{network.program.name}: {rows}, seed {network.seed}, float64; loss {report.loss:.6g}; "
        f"errors up to {report.tolerance:g} are tolerated",
        WIDTH,
    )


def _table(report: Report) -> str:
    lines = [("weight or input", "checked", "kinks", "worst error", "at", "verdict")]
    for row in report.rows:
        found = row.compared
        numbers = (f"{found.entries:,}", f"{found.kinks:,}") if found is not None else ("", "")
        worst = found.worst if found is not None else None
        error, at = (f"{worst.error:.1e}", _index(worst)) if worst is not None else ("", "")
        lines.append((row.name, *numbers, error, at, _verdict(row)))
    return table(lines, right={1, 2, 3})


def _verdict(row: Row) -> str:
    if row.compared is None:
        return "a loss's target"
    if row.wrong:
        return f"{row.compared.wrong:,} wrong"
    return "right" if row.compared.entries else "kinks only"


def _sentence(report: Report) -> str:
    if report.guilty is not None:
        return fill(_blame(report.guilty), WIDTH, break_long_words=False, break_on_hyphens=False)
    assert report.worst is not None
    row, entry = report.worst
    kinks = sum(each.compared.kinks for each in report.rows if each.compared is not None)
    entries = "1 entry at a kink was" if kinks == 1 else f"{kinks:,} entries at kinks were"
    left_out = f"; {entries} left out" if kinks else ""
    return fill(
        f"All gradients agree with central differences: the worst relative error is {entry.error:.1e}, in `{row.name}`"
        f"{left_out}.",
        WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _blame(guilty: Guilty) -> str:
    """Who is guilty, in one sentence."""
    node = f"`{guilty.name}` ({guilty.place})"
    if guilty.kind in ("layer", "loss"):
        assert guilty.entry is not None
        entry = guilty.entry
        return (
            f"The backward of `{guilty.op}` is wrong: {guilty.what} of {node} is {entry.gradient:.6g} at "
            f"{_index(entry)}, and central differences of this {guilty.kind} alone give {entry.difference:.6g}."
        )
    if guilty.kind == "sum":
        return (
            f"Every layer and loss is right by itself, and the plan is wrong: what {node} adds to the gradient of "
            f"`{guilty.what}` does not arrive there as it should."
        )
    if guilty.kind == "memory":
        return (
            f"Every layer and loss is right by itself, and the plan is wrong: {guilty.what} {node} is computed from "
            f"memory that was used again, so look at what `{guilty.op}` says that its backward reads."
        )
    return f"Every layer and loss is right by itself, and the plan is wrong: see the gradient of {node}."


def _index(entry: Entry) -> str:
    """The place of an entry: ``[3, 0]``; of a single number there is none to say."""
    return f"[{', '.join(map(str, entry.index))}]"


def _data(file: str, network: Network, report: Report, *, drawn: bool) -> dict[str, Any]:
    guilty = report.guilty
    return {
        "file": file,
        "network": network.program.name,
        "right": report.right,
        "batch": report.m,
        "rows": "drawn" if drawn else "data",
        "seed": network.seed,
        "loss": report.loss,
        "tolerance": report.tolerance,
        "gradients": [_row_data(row) for row in report.rows],
        "guilty": None
        if guilty is None
        else {
            "kind": guilty.kind,
            "name": guilty.name,
            "op": guilty.op,
            "place": guilty.place,
            "what": guilty.what,
            **_entry_data(guilty.entry),
        },
    }


def _row_data(row: Row) -> dict[str, Any]:
    found = row.compared
    return {
        "name": row.name,
        "kind": row.kind,
        "place": row.place,
        "shape": list(row.shape),
        "checked": found.entries if found is not None else 0,
        "kinks": found.kinks if found is not None else 0,
        "wrong": found.wrong if found is not None else 0,
        "held_as_truth": found is None,
        **_entry_data(found.worst if found is not None else None),
    }


def _entry_data(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return dict.fromkeys(("index", "gradient", "difference", "error"))
    return {
        "index": list(entry.index),
        "gradient": entry.gradient,
        "difference": entry.difference,
        "error": entry.error,
    }

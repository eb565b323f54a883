"""`python -m benchmarks`: run the ladder, or some of its rows, and print the table."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.contenders import CONTENDERS
from benchmarks.ladder import ROWS, Entrant, Row
from benchmarks.machine import BUSY, SLOWING, described, load, slowing_note
from benchmarks.measure import Effort, Result, family, measure
from benchmarks.processes import CHECKOUT
from benchmarks.report import as_json, line, markdown, write_between_marks

README = CHECKOUT / "benchmarks" / "README.md"
PEERS = sorted({entry.family for entry in CONTENDERS.values()} - {"ours"})


def main(
    *,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A row, or a pattern; repeatable.")] = None,
    peers: Annotated[str, typer.Option(metavar="A,B", help="Beside whom.")] = ",".join(PEERS),
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = Effort.rounds,
    seconds: Annotated[float, typer.Option(min=0.001, help="Of each turn.")] = Effort.seconds,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write FILE.json and FILE.md.")] = None,
    write_readme: Annotated[
        bool, typer.Option("--write-readme", help="Put the table into benchmarks/README.md.")
    ] = False,
    list_rows: Annotated[bool, typer.Option("--list", help="Print the names of the rows.")] = False,
) -> None:
    """Time this framework beside other libraries, alternately, in one run.

    Every contender lives in a process of its own, starts from the same weights, gets the same batches, and must come
    to the same loss. Ctrl-C ends the run and prints what there is.

    \b
    Examples:
      python -m benchmarks
      python -m benchmarks --only 'mlp-*' --peers torch,jax --rounds 3
      python -m benchmarks --save build/ladder --write-readme
    """
    rows = _chosen(only)
    if list_rows:
        print("\n".join(f"{row.name:<20} {row.what}" for row in rows))
        return
    families = _families(peers)
    if SLOWING in os.environ:
        _tell(f"note: {slowing_note()}")
    load_before = load()
    if load_before > BUSY:
        _tell(f"note: others are computing on this machine (load {load_before:.1f}): the figures will not be good")
    results: list[Result] = []
    stopped = False
    try:
        for row in rows:
            results.append(Result(row))
            measure(results[-1], Effort(rounds, seconds), _taking_part(row, families))
            _tell(line(results[-1]))
    except KeyboardInterrupt:
        stopped = True
        _tell("stopped; this is what was measured:")
    machine = described(_packages(), load_before=load_before)
    _write(results, machine, save, readme=write_readme and not stopped)
    if stopped:
        raise typer.Exit(130)
    if any(result.error for result in results):
        raise typer.Exit(1)


def _packages() -> list[str]:
    return list(dict.fromkeys(package for entry in CONTENDERS.values() for package in entry.packages))


def _write(results: Sequence[Result], machine: Mapping[str, str], save: Path | None, *, readme: bool) -> None:
    table = markdown(results, machine)
    print(table)
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.with_suffix(".md").write_text(table, encoding="utf-8")
        save.with_suffix(".json").write_text(json.dumps(as_json(results, machine), indent=1) + "\n", encoding="utf-8")
    if readme:
        write_between_marks(README, table)


def _chosen(patterns: Sequence[str] | None) -> list[Row]:
    rows = [row for row in ROWS if not patterns or any(fnmatchcase(row.name, pattern) for pattern in patterns)]
    for pattern in patterns or ():
        if not any(fnmatchcase(row.name, pattern) for row in ROWS):
            raise typer.BadParameter(f"no row is named `{pattern}`: there are {', '.join(row.name for row in ROWS)}")
    return rows


def _families(peers: str) -> set[str]:
    asked = {name.strip() for name in peers.split(",") if name.strip()}
    if unknown := sorted(asked - set(PEERS)):
        raise typer.BadParameter(f"no peer is named `{unknown[0]}`: there are {', '.join(PEERS)}")
    return {"ours", *asked}


def _taking_part(row: Row, families: set[str]) -> Mapping[str, Entrant]:
    return {label: entrant for label, entrant in row.entrants.items() if family(entrant) in families}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m benchmarks")

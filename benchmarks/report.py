"""Results as a table, as JSON, and in the README between its two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ladder import Quantity, Target
from benchmarks.measure import Result

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEAD = ("row", "ours", "fastest peer", "all peers", "target", "ratio", "best of rounds", "reached")


def markdown(results: Sequence[Result], machine: Mapping[str, str]) -> str:
    """The table, what was dropped or went wrong, and the machine: readable as it stands, and as Markdown."""
    lines = _aligned([HEAD, *(row for result in results for row in table_rows(result))])
    notes = [note for result in results for note in _notes(result)]
    facts = [f"- {what}: {fact}" for what, fact in machine.items()]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), *facts, ""])


def table_rows(result: Result) -> list[tuple[str, ...]]:
    """One line for each target of a row; the first one also holds the figures."""
    if not any(result.figures.values()):
        return []
    quantity = result.row.quantity
    shown = {label: _shown(median(figures), quantity) for label, figures in result.figures.items() if figures}
    ours, fastest = result.ours(), result.fastest_peer()
    peers = ", ".join(f"{label} {figure}" for label, figure in shown.items() if label != ours)
    own = shown.get(ours, "–") if ours == "ours" else f"{ours} {shown.get(ours, '–')}"
    first = (result.row.what, own, f"{fastest} {shown[fastest]}" if fastest else "–", peers or "–")
    return [
        (*(first if number == 0 else ("", "", "", "")), *_target_cells(result, target))
        for number, target in enumerate(result.row.targets)
    ]


def line(result: Result) -> str:
    """A row in one line, for when it is done."""
    if result.error:
        return f"{result.row.name}: error: {result.error}"
    cells = table_rows(result)
    if not cells:
        return f"{result.row.name}: nothing was measured"
    ratios = "; ".join(f"{target}: {ratio}, {reached}" for *_, target, ratio, _, reached in cells)
    return f"{result.row.name}: ours {cells[0][1]}, {cells[0][3]} | {ratios}"


def as_json(results: Sequence[Result], machine: Mapping[str, str]) -> dict[str, Any]:
    """Everything that was measured: every round, in seconds or bytes."""
    return {"machine": dict(machine), "rows": [_row_json(result) for result in results]}


def write_between_marks(file: Path, table: str) -> None:
    """Replace what stands between the two marks of a file.

    Raises:
        ValueError: when the marks are not there.
    """
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{file} has no lines `{BEGIN}` and `{END}` to put the table between")
    file.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")


def _target_cells(result: Result, target: Target) -> tuple[str, str, str, str]:
    ratio, best = result.ratio(target), result.ratio(target, min)
    if ratio is None or best is None:
        return str(target), "–", "–", "not measured"
    reached = "error" if result.error else "yes" if target.reached(ratio) else "**no**"
    return str(target), f"{ratio:.2f}", f"{best:.2f}", reached


def _row_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.row.name,
        "what": result.row.what,
        "unit": "s" if result.row.quantity in ("step", "process") else "bytes",
        "figures": result.figures,
        "losses": result.losses,
        "dropped": result.dropped,
        "error": result.error,
        "targets": [
            {**asdict(target), "ratio": result.ratio(target), "ratio_of_best": result.ratio(target, min)}
            for target in result.row.targets
        ],
    }


def _notes(result: Result) -> list[str]:
    notes = [f"- {result.row.name}: took no part: {reason}" for reason in result.dropped.values()]
    return [*notes, f"- {result.row.name}: error: {result.error}"] if result.error else notes


def _shown(figure: float, quantity: Quantity) -> str:
    if quantity in ("peak", "growth"):
        return f"{figure / 2**20:.0f} MiB"
    if figure >= 1:
        return f"{figure:.2f} s"
    return f"{figure * 1e3:.3g} ms" if figure >= 1e-3 else f"{figure * 1e6:.3g} µs"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [padded[0], rule, *padded[1:]]

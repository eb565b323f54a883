"""The table's arithmetic on figures that were made up, and how it is written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ladder import ROWS, Row
from benchmarks.measure import Result
from benchmarks.report import BEGIN, END, as_json, line, markdown, write_between_marks

BY_NAME = {row.name: row for row in ROWS}


def made_up(name: str = "mlp-small-adam", **figures: list[float]) -> Result:
    named = {label.replace("_compile", ".compile"): rounds for label, rounds in figures.items()}
    return Result(BY_NAME[name], figures=named)


@pytest.fixture
def small() -> Result:
    return made_up(ours=[2e-6, 4e-6, 3e-6], jax=[6e-6, 5e-6, 7e-6], torch=[4e-5] * 3, torch_compile=[27e-6] * 3)


def test_ratios_are_of_medians_and_of_the_best_round(small: Result) -> None:
    against_jax, against_torch = small.row.targets
    assert small.ratio(against_jax) == pytest.approx(6 / 3)
    assert small.ratio(against_jax, min) == pytest.approx(5 / 2)
    assert small.ratio(against_torch) == pytest.approx(27 / 3)  # the fastest of the family
    assert small.fastest_peer() == "jax"


def test_a_bound_may_be_from_below_or_from_above() -> None:
    memory = made_up("memory-resnet", ours=[60.0 * 2**20], torch=[100.0 * 2**20])
    (target,) = memory.row.targets
    ratio = memory.ratio(target)
    assert ratio == pytest.approx(0.6)
    assert target.reached(0.6)
    assert not target.reached(0.61)
    assert "60 MiB" in line(memory)


def test_we_are_compared_with_ourselves_by_the_labels_of_the_row() -> None:
    deep = Result(BY_NAME["depth-time"], {"8 layers": [1.0], "16 layers": [2.0]})
    (target,) = deep.row.targets
    assert deep.ratio(target) == pytest.approx(2.0)
    assert deep.fastest_peer() is None
    assert line(deep).startswith("depth-time: ours 8 layers 1.00 s, 16 layers 2.00 s |")


def test_the_table_says_what_was_reached_and_who_took_no_part(small: Result) -> None:
    small.dropped["sklearn"] = "sklearn: it is not installed"
    table = markdown([small], {"processor": "made up"})
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if row.startswith("|")]
    everyone = "jax 6 µs, torch 40 µs, torch.compile 27 µs"
    assert rows[2] == [
        *("mlp 64-32-10, batch 32, adam", "3 µs", "jax 6 µs", everyone),
        *("jax / ours ≥ 1", "2.00", "2.50", "yes"),
    ]
    assert rows[3] == ["", "", "", "", "torch / ours ≥ 8", "9.00", "13.50", "yes"]
    assert "- mlp-small-adam: took no part: sklearn: it is not installed" in table
    assert "- processor: made up" in table


def test_what_was_not_measured_is_said() -> None:
    alone = made_up(ours=[1e-3])
    assert alone.fastest_peer() is None
    assert "torch / ours ≥ 8: –, not measured" in line(alone)
    assert line(made_up()) == "mlp-small-adam: nothing was measured"
    assert "error: it went wrong" in markdown([Result(BY_NAME["rows"], error="it went wrong")], {})


def test_json_holds_every_round(small: Result) -> None:
    document = json.loads(json.dumps(as_json([small], {"commit": "abc"})))
    (row,) = document["rows"]
    assert row["figures"]["ours"] == [2e-6, 4e-6, 3e-6]
    assert row["targets"][0]["ratio"] == pytest.approx(2.0)
    assert (row["unit"], document["machine"]) == ("s", {"commit": "abc"})


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between_marks(file, "new\n")
    write_between_marks(file, "newer\n")
    assert file.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    file.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="has no lines"):
        write_between_marks(file, "new\n")


def test_every_row_can_be_shown() -> None:
    def some(row: Row) -> Result:
        return Result(row, {label: [0.5, 1.5] for label in row.entrants})

    assert markdown([some(row) for row in ROWS], {}).count("1.00") >= len(ROWS)

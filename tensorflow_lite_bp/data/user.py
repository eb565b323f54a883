"""Tables that a person names on the command line, for prediction and evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np

from dsl.program import Call, Program, Variable
from dsl.types import known
from tensorflow_lite_bp.data.files import file_typed
from tensorflow_lite_bp.data.preprocessing import Preprocessing
from tensorflow_lite_bp.data.sources.csv import Csv
from tensorflow_lite_bp.data.sources.npz import Npz
from tensorflow_lite_bp.data.tables import ArrayTable, Table
from tensorflow_lite_bp.declare import build
from tensorflow_lite_bp.errors import InputError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # how a zip archive starts: with a member, or empty


def read_user_table(path: str | Path, program: Program) -> Table:
    """The table in a csv or npz file, wherever it lies; a csv is read as the program's own csv is.

    Raises:
        InputError: for a file that is missing, or neither.
    """
    file = file_typed(path)
    with file.path.open("rb") as opened:
        is_npz = opened.read(4) in _ZIP or file.path.suffix == ".npz"
    if is_npz:
        return Npz(file.name).open([file])
    declared = build(program.data.settings["source"]) if program.data is not None else None
    return (declared if isinstance(declared, Csv) else Csv(file.name)).open([file])


def user_rows(
    program: Program, table: Table, names: Iterable[str], *, preprocessing: Preprocessing | None
) -> dict[str, np.ndarray]:
    """The rows of a table for these inputs and targets: ``(m, *shape)``, float32 or int64.

    Without preprocessing, because the program has no data section, an npz holds an array under each name; the columns
    of a csv fill the inputs, then the targets, in order, as many for each as its shape has values.

    Raises:
        InputError: with the first column that is missing, or the place of a value that does not belong there.
    """
    wanted = [each for each in (*program.inputs, *program.targets) if each.name in set(names)]
    if preprocessing is not None:
        return preprocessing.rows(table, [each.name for each in wanted])
    made = Preprocessing(program, _by_name(wanted) if isinstance(table, ArrayTable) else _by_position(wanted, table))
    made.bind(table)
    made.load(table)
    for each in wanted:
        made.expression(each.name).fit(table, np.arange(table.rows))
        if made.has_names(each.name):
            raise InputError(
                f"{table.name} has text for `{each.name}`, and nobody has said which {each.type.kind} it stands for: "
                f"give whole numbers, or write a data section and train with it"
            )
    return {each.name: made.filled(each.name, [table]) for each in wanted}


def _by_name(variables: Iterable[Variable]) -> dict[str, Call]:
    return {each.name: Call("transform", "array", {"array": each.name}) for each in variables}


def _by_position(variables: Iterable[Variable], table: Table) -> dict[str, Call]:
    counts = {each.name: _count(each, table) for each in variables}
    if sum(counts.values()) > len(table.names):
        raise InputError(
            f"{table.name} has {len(table.names)} column{'' if len(table.names) == 1 else 's'}, and "
            f"{' and '.join(f'`{name}`' for name in counts)} take {sum(counts.values())}, in this order"
        )
    calls, start = {}, 0
    for name, count in counts.items():
        columns = table.names[start : start + count]
        calls[name] = Call("transform", "columns", {"names": columns, "all_except": None})
        start += count
    return calls


def _count(variable: Variable, table: Table) -> int:
    """How many columns a variable takes."""
    shape = known(variable.type.shape)
    if shape is None:
        raise InputError(
            f"`{variable.name}` is {variable.type}, a size that columns cannot tell: give an npz, not {table.name}"
        )
    return prod(shape)

"""A program's data: its files read, its rows dealt out, its preprocessing fitted on the training rows and applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsl.program import DataSection, Program
from tensorflow_lite_bp.data.base import Source, Split
from tensorflow_lite_bp.data.expression import row_blocks
from tensorflow_lite_bp.data.files import DataFile, digest_of, file_inside
from tensorflow_lite_bp.data.preprocessing import Preprocessing
from tensorflow_lite_bp.data.shapes import sizes_in
from tensorflow_lite_bp.data.tables import Table
from tensorflow_lite_bp.data.words import listed
from tensorflow_lite_bp.declare import build
from tensorflow_lite_bp.errors import InputError


@dataclass(frozen=True)
class Data:
    """The samples of a program.

    Attributes:
        rows: for each input and target ``(m, *shape)``, float32 or int64, perhaps mapped from the file.
        splits: the row numbers, int64, ascending, of ``train`` and, where there are any, ``validation`` and ``test``.
        preprocessing: what made the rows, fitted on the training rows.
        digest: sha256 of the files' bytes, one file after the other.
        sizes: what the rows say about the symbolic sizes.
    """

    rows: Mapping[str, np.ndarray]
    splits: Mapping[str, np.ndarray]
    preprocessing: Preprocessing
    digest: str
    sizes: Mapping[str, int]


def load_data(program: Program, *, folder: Path, seed: int, preprocessing: Preprocessing | None = None) -> Data:
    """Read what the data section of a program says.

    Args:
        folder: of the `.net` file; its data lies there or below.
        seed: of the run, for a split that names none.
        preprocessing: fitted before; by default it is fitted on the training rows found here.

    Raises:
        InputError: when there is no data section, or with the file, row and column of what is wrong.
    """
    section = _section(program)
    source: Source = build(section.settings["source"])
    files = _files(source, folder)
    tables = {split: source.open(opened) for split, opened in files.items()}
    main = tables["train"]
    fitted = preprocessing if preprocessing is not None else Preprocessing(program, section.columns)
    if preprocessing is None:
        fitted.bind(main)
    variables = [variable.name for variable in (*program.inputs, *program.targets)]
    for table in tables.values():
        fitted.load(table, variables)
    splits = _dealt(program, fitted, tables, seed=seed)
    if preprocessing is None:
        fitted.fit(main, splits["train"])
    rows = {name: fitted.filled(name, list(tables.values())) for name in variables}
    digest = digest_of(file for opened in files.values() for file in opened)
    return Data(rows, splits, fitted, digest, bound_sizes(program, rows))


def training_table(program: Program, *, folder: Path) -> Table:
    """The table that holds the training rows, opened and not yet loaded; arguments and errors as for `load_data`."""
    source: Source = build(_section(program).settings["source"])
    return source.open(_files(source, folder)["train"])


def bound_sizes(program: Program, rows: Mapping[str, np.ndarray]) -> dict[str, int]:
    """What rows say about the symbolic sizes of a program.

    Raises:
        InputError: when two variables disagree.
    """
    variables = [each for each in (*program.inputs, *program.targets) if each.name in rows]
    try:
        sizes = sizes_in({each.name: (each.type.shape, rows[each.name].shape[1:]) for each in variables})
    except ValueError as error:
        name, one, size, other, other_size = error.args
        raise InputError(
            f"the size {name} is {size} in `{one}` and {other_size} in `{other}`; it must be the same everywhere"
        ) from error
    return {name: size for name, (size, _) in sizes.items()}


def _section(program: Program) -> DataSection:
    if program.data is None:
        raise InputError(
            f"`{program.name}` has no data section, so nothing says where its samples are: add `data {{ ... }}`"
        )
    return program.data


def _files(source: Source, folder: Path) -> dict[str, list[DataFile]]:
    """The files of each split, each of them inside the folder."""
    return {split: [file_inside(folder, path) for path in paths] for split, paths in source.files().items()}


def _dealt(program: Program, fitted: Preprocessing, tables: Mapping[str, Table], *, seed: int) -> dict[str, np.ndarray]:
    """The rows of every split: those that the split section deals out of the first table, and the tables behind it."""
    assert program.data is not None
    main = tables["train"]
    call = program.data.settings.get("split")
    if call is None:
        splits = {"train": np.arange(main.rows)}
    else:
        split: Split = build(call)
        target = split.target()
        classes = _class_numbers(program, fitted, main, target) if target is not None else None
        splits = split.deal(main.rows, seed=seed, classes=classes)
    start = main.rows
    for name, table in tables.items():
        if name == "train":
            continue
        if name in splits:
            raise InputError(
                f"the source names a file for `{name}`, and the split deals out rows for it too: keep one of the two"
            )
        splits[name] = np.arange(start, start + table.rows)
        start += table.rows
    return splits


def _class_numbers(program: Program, fitted: Preprocessing, table: Table, target: str) -> np.ndarray:
    """For each row of a table a number, the same for rows of the same class of a target (``""`` for the only one).

    A split is drawn before anything is fitted, so rows are of the same class when their columns hold the same.
    """
    single = [each.name for each in program.targets if each.type.kind in ("class", "flag") and not each.type.shape]
    if target not in single and (target or len(single) != 1):
        raise InputError(
            f"a stratified split goes by a target with one class for each row: "
            f"{f'`{target}`' if target else 'none'} is named, and the file has {listed(single) if single else 'none'}; "
            f"write `stratified(by = ...)` with one of them, or `random(...)`"
        )
    leaves = fitted.expression(target if target else single[0]).leaves()
    numbers: dict[Any, int] = {}
    found: list[int] = []
    for rows in row_blocks(table.rows, 1):
        blocks = [leaf.values(table, rows) for leaf in leaves]
        keys = zip(*(block.reshape(len(block), -1).tolist() for block in blocks), strict=True)
        found.extend(numbers.setdefault(tuple(map(tuple, key)), len(numbers)) for key in keys)
    return np.array(found)

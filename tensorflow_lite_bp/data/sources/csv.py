"""csv files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.data.base import Source
from tensorflow_lite_bp.data.words import quoted
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.files import DataFile
    from tensorflow_lite_bp.data.tables.csv import CsvTable

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "?")


@dataclass(frozen=True)
class Csv(Source, name="csv"):
    """A text file with a row for each sample: `column("label")`, `columns("p0".."p63")`.

    In UTF-8, with fields quoted where they need it. Without a header the columns are called ``c1``, ``c2``...
    """

    path: str = setting(help="the file, relative to the folder of the .net file; all rows, or those that train")
    test: str | None = setting(None, help="another file with the rows of the test split")
    validation: str | None = setting(None, help="another file with the rows of the validation split")
    header: bool | str = setting(
        "auto", kind="bool|string", help="whether the first row holds the columns' names; `auto` looks at it"
    )
    delimiter: str = setting(",", help="the sign between two fields")
    missing: tuple[str, ...] = setting(MISSING, help="the texts that stand for a missing value")

    def files(self) -> Mapping[str, tuple[str, ...]]:
        named = {"train": self.path, "validation": self.validation, "test": self.test}
        return {split: (path,) for split, path in named.items() if path is not None}

    def open(self, files: Sequence[DataFile]) -> CsvTable:
        from tensorflow_lite_bp.data.tables.csv import CsvTable

        if self.header not in (True, False, "auto"):
            raise InputError(f'`header` is {quoted(self.header)}; expected true, false or "auto"')
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n\0':
            raise InputError(f'`delimiter` is {quoted(self.delimiter)}; expected one sign, such as "," or ";"')
        header = self.header if isinstance(self.header, bool) else None
        return CsvTable(files[0], header=header, delimiter=self.delimiter, missing=self.missing)

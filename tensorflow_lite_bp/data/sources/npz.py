"""npz files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.data.base import Source
from tensorflow_lite_bp.declare import setting

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.files import DataFile
    from tensorflow_lite_bp.data.tables import ArrayTable


@dataclass(frozen=True)
class Npz(Source, name="npz"):
    """Arrays with a row for each sample, as `numpy.savez` writes them: `array("images")`.

    What is stored uncompressed is mapped into memory. An array without further axes is also a column.
    """

    path: str = setting(help="the file, relative to the folder of the .net file; all rows, or those that train")
    test: str | None = setting(None, help="another file with the rows of the test split")
    validation: str | None = setting(None, help="another file with the rows of the validation split")

    def files(self) -> Mapping[str, tuple[str, ...]]:
        named = {"train": self.path, "validation": self.validation, "test": self.test}
        return {split: (path,) for split, path in named.items() if path is not None}

    def open(self, files: Sequence[DataFile]) -> ArrayTable:
        from tensorflow_lite_bp.data.tables.npz import open_npz

        return open_npz(files[0])

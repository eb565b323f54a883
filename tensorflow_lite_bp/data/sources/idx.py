"""idx files, the format of MNIST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorflow_lite_bp.data.base import Source
from tensorflow_lite_bp.declare import setting
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.files import DataFile
    from tensorflow_lite_bp.data.tables import ArrayTable

_ARRAYS = ("images", "labels")


@dataclass(frozen=True)
class Idx(Source, name="idx"):
    """The files of MNIST, plain or compressed with gzip: `array("images")`, `array("labels")`.

    Images are ``(rows, height, width)``; they fill `float[1, height, width]`.
    """

    images: str = setting(help="the file of images, relative to the folder of the .net file")
    labels: str | None = setting(None, help="the file of labels")
    test_images: str | None = setting(None, help="the images of the test split")
    test_labels: str | None = setting(None, help="the labels of the test split")
    validation_images: str | None = setting(None, help="the images of the validation split")
    validation_labels: str | None = setting(None, help="the labels of the validation split")

    def files(self) -> Mapping[str, tuple[str, ...]]:
        named = {
            "train": (self.images, self.labels),
            "validation": (self.validation_images, self.validation_labels),
            "test": (self.test_images, self.test_labels),
        }
        for split, (images, labels) in named.items():
            if images is None and labels is not None:
                raise InputError(f"`{split}_labels` is given without `{split}_images`: name both files, or neither")
        return {split: tuple(filter(None, paths)) for split, paths in named.items() if any(paths)}

    def open(self, files: Sequence[DataFile]) -> ArrayTable:
        from tensorflow_lite_bp.data.tables.idx import open_idx

        return open_idx(dict(zip(_ARRAYS, files, strict=False)))

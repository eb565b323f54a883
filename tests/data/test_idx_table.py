"""idx files, against a transcription of the format and every message whole."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables import unpack
from tensorflow_lite_bp.data.tables.idx import open_idx, read_idx
from tensorflow_lite_bp.errors import InputError

TYPES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


def encoded(values: list[float], shape: tuple[int, ...], code: int = 0x08) -> bytes:
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)
    return header + struct.pack(f">{len(values)}{TYPES[code]}", *values)


def read(path: Path, content: bytes) -> np.ndarray:
    path.write_bytes(content)
    return read_idx(DataFile("t.idx", path))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("code", TYPES)
def test_every_type(tmp_path: Path, code: int, pack: Callable[[bytes], bytes]) -> None:
    values = [0, 1, 100, 2, 3, 127]
    found = read(tmp_path / "t", pack(encoded(values, (2, 3, 1), code)))
    assert found.shape == (2, 3, 1)
    assert found.ravel().tolist() == values


def test_plain_files_are_mapped(tmp_path: Path) -> None:
    found = read(tmp_path / "t", encoded([1, 2], (2,)))
    assert isinstance(found.base, np.memmap)
    assert not found.flags.writeable


def test_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "t", encoded([], (0, 28, 28))).shape == (0, 28, 28)


def test_a_table_of_images_and_labels(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(encoded(list(range(8)), (2, 2, 2)))
    (tmp_path / "l").write_bytes(gzip.compress(encoded([7, 3], (2,))))
    table = open_idx({"images": DataFile("i", tmp_path / "i"), "labels": DataFile("l", tmp_path / "l")})
    table.load(["images"], ["labels"])
    assert table.names == ("images", "labels")
    assert table.rows == 2
    assert table.array("images")[1].tolist() == [[4, 5], [6, 7]]
    assert table.categories(["labels"], slice(None)).ravel().tolist() == [7, 3]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it does not start as the format does (00 00, a type, a number of axes)"),
        (b"label,p0\n1,2\n", "it does not start as the format does (00 00, a type, a number of axes)"),
        (b"\0\0\x08\x00", "it does not start as the format does (00 00, a type, a number of axes)"),
        (b"\0\0\x07\x01\0\0\0\x01x", "it does not start as the format does (00 00, a type, a number of axes)"),
        (b"\0\0\x08\x03\0\0\0\x01", "it ends within its header"),
        (encoded([1, 2], (3,)), "its header declares 3 bytes of values, and 2 follow"),
        (encoded([1, 2], (1,)), "its header declares 1 bytes of values, and 2 follow"),
        (gzip.compress(encoded([1, 2], (3,))), "it declares 3 bytes of values, and 2 follow"),
        (gzip.compress(encoded([1, 2], (1,))), "it declares 1 bytes of values, and more follow"),
        (
            gzip.compress(encoded([1, 2], (2,)))[:-9],
            "Compressed file ended before the end-of-stream marker was reached",
        ),
        (b"\x1f\x8bnonsense and more", "Unknown compression method"),
        (
            gzip.compress(encoded([], (1 << 31, 1 << 31))),
            "it declares 4,611,686,018,427,387,904 bytes of compressed values, more than 4,294,967,296; store it "
            "uncompressed, then it is mapped into memory",
        ),
    ],
)
def test_mistakes(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / "t", content)
    assert str(caught.value) == f"t.idx is no idx file, or a damaged one: {expected}"


def test_what_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_UNPACKED", 10)
    with pytest.raises(InputError, match="more than 10;"):
        read(tmp_path / "t", gzip.compress(encoded([1] * 11, (11,))))

"""npz files: arrays as NumPy wrote them, mapped where they are plain, and every message whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables import ArrayTable, unpack
from tensorflow_lite_bp.data.tables import npz as npz_tables
from tensorflow_lite_bp.data.tables.npz import open_npz
from tensorflow_lite_bp.errors import InputError

EVERY = slice(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.npz"


def opened(path: Path) -> ArrayTable:
    return open_npz(DataFile("t.npz", path))


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def is_mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray) and base.base is not None:
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return isinstance(base, np.memmap) or type(base).__name__ == "mmap"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(path: Path, save: Callable[..., None]) -> None:
    arrays = {
        "x": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big_endian": np.array([1, 2], dtype=">i4"),
        "text": np.array(["a", "bcd"]),
        "none": np.empty((0, 3)),
    }
    save(path, **arrays)
    table = opened(path)
    assert table.names == tuple(arrays)
    for name, array in arrays.items():
        found = table.array(name)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_plain_arrays_are_mapped_and_cannot_be_written(path: Path) -> None:
    np.savez(path, x=np.ones((3, 2)))
    array = opened(path).array("x")
    assert is_mapped(array)
    assert not array.flags.writeable


def test_compressed_arrays_are_read(path: Path) -> None:
    np.savez_compressed(path, x=np.ones((3, 2)))
    assert not is_mapped(opened(path).array("x"))


def test_arrays_without_further_axes_are_columns(path: Path) -> None:
    np.savez(path, a=np.array([1, 2, 3]), b=np.array([0.5, 1.5, 2.5]), name=np.array(["x", "y", "x"]))
    table = opened(path)
    table.load(["a", "b"], ["name", "a"])
    assert table.rows == 3
    assert table.numbers(["b", "a"], slice(1, 3)).tolist() == [[1.5, 2], [2.5, 3]]
    assert table.numbers(["a"], EVERY).dtype == np.float32
    assert table.categories(["name"], EVERY).tolist() == [["x"], ["y"], ["x"]]
    assert table.categories(["a"], np.array([2])).tolist() == [[3]]
    assert table.categories(["name", "a"], np.array([2])).tolist() == [["x", "3"]]
    assert table.place(1) == "t.npz, row 2"


# Mistakes


def test_pickled_objects_are_refused(path: Path) -> None:
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    assert message(lambda: opened(path).array("x")) == (
        't.npz: array "x" cannot be read (it holds pickled Python objects, which are never read: save it as numbers or '
        "text)"
    )


def test_what_is_no_npz(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and then nothing")
    assert message(lambda: opened(path)) == "t.npz is no npz file, or a damaged one (File is not a zip file)"


def test_a_file_cut_short(path: Path) -> None:
    np.savez(path, x=np.ones(1000))
    path.write_bytes(path.read_bytes()[:4000])
    assert message(lambda: opened(path)) == "t.npz is no npz file, or a damaged one (File is not a zip file)"


def test_a_damaged_member(path: Path) -> None:
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=1000))
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)
    assert message(lambda: opened(path).array("x")).startswith('t.npz: array "x" cannot be read (')


def test_a_directory_that_lies(path: Path) -> None:
    np.savez(path, x=np.ones(1000))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 42 : place + 46] = (7).to_bytes(4, "little")  # the member starts elsewhere
    path.write_bytes(content)
    assert message(lambda: opened(path).array("x")) == (
        't.npz: array "x" cannot be read (Bad magic number for file header)'
    )


def write_member(path: Path, header: dict[str, object], content: bytes, *, compress: bool = False) -> None:
    """An npz whose array says one thing and holds another."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[arg-type]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        archive.writestr("x.npy", stream.getvalue() + content)


@pytest.mark.parametrize("compress", [False, True])
def test_a_shape_that_does_not_fit(path: Path, compress: bool) -> None:
    write_member(path, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}, b"12345678", compress=compress)
    assert message(lambda: opened(path).array("x")) == (
        't.npz: array "x" cannot be read (a shape of [1125899906842624] needs 9,007,199,254,740,992 bytes, not 8)'
    )


def test_a_compressed_array_that_is_too_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_UNPACKED", 1000)
    np.savez_compressed(path, x=np.zeros(1000))
    assert message(lambda: opened(path).array("x")) == (
        't.npz: array "x" cannot be read (it declares 8,000 bytes of compressed values, more than 1,000; store it '
        "uncompressed, then it is mapped into memory)"
    )


def test_too_many_arrays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_tables, "MOST_ARRAYS", 1)
    np.savez(path, a=np.ones(1), b=np.ones(1))
    assert message(lambda: opened(path)) == "t.npz holds 2 arrays; an npz may hold 1"


def test_arrays_of_different_lengths(path: Path) -> None:
    np.savez(path, x=np.ones((3, 2)), y=np.ones(4), z=np.ones(5))
    opened(path).load(["x"], [])
    assert message(lambda: opened(path).load(["x"], ["y"])) == (
        't.npz: array "x" has 3 rows and array "y" has 4; arrays that are used together need the same number'
    )


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.float32(3), 't.npz: array "x" is a single value; expected one for each row'),
        (np.ones(3, dtype=complex), 't.npz: array "x" holds complex128; expected numbers or text'),
        (np.empty((0, 2)), 't.npz: array "x" has no rows'),
    ],
)
def test_arrays_that_cannot_be_used(path: Path, array: np.ndarray, expected: str) -> None:
    np.savez(path, x=array)
    assert message(lambda: opened(path).load(["x"], [])) == expected


def test_arrays_that_are_no_columns(path: Path) -> None:
    np.savez(path, x=np.ones((3, 2, 2)), name=np.array(["a", "b", "c"]))
    table = opened(path)
    table.load(["x", "name"], [])
    assert message(lambda: table.numbers(["x"], EVERY)) == (
        't.npz: "x" holds arrays of [2, 2], not single values: write array("x") for it'
    )
    assert message(lambda: table.numbers(["name"], EVERY)) == 't.npz: array "name" holds text; expected numbers'
    assert message(lambda: table.array("imgaes")) == 't.npz has no array "imgaes"; it has "x", "name"'
    assert message(lambda: table.array("nam")) == 't.npz has no array "nam"; did you mean "name"?'

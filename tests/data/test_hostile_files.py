"""Files with bytes changed, cut off or made up: read, or refused in a sentence, and never anything else."""

from __future__ import annotations

import gzip
import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables.csv import CsvTable
from tensorflow_lite_bp.data.tables.idx import read_idx
from tensorflow_lite_bp.data.tables.npz import open_npz
from tensorflow_lite_bp.errors import InputError

CSV = b'a,b,"c d"\r\n1,2.5e-3,x\r\n-3,NA,"y, ""z"""\r\n5,,caf\xc3\xa9\r\n'
IDX = struct.pack(">BBBBII", 0, 0, 8, 2, 3, 2) + bytes(6)


def npz(*, compressed: bool) -> bytes:
    stream = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(stream, x=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "c"]))
    return stream.getvalue()


def read_csv(file: DataFile) -> None:
    table = CsvTable(file, header=None, delimiter=",", missing=("", "NA"))
    table.load([], table.names)
    table.categories(table.names, slice(None))
    table.load(table.names, [])
    table.place(table.rows - 1)


def read_npz(file: DataFile) -> None:
    table = open_npz(file)
    for name in table.names:
        table.load([name], [])
        np.asarray(table.array(name)).tolist()


CASES = {
    "csv": (CSV, read_csv),
    "idx": (IDX, read_idx),
    "idx.gz": (gzip.compress(IDX, mtime=0), read_idx),
    "npz": (npz(compressed=False), read_npz),
    "compressed npz": (npz(compressed=True), read_npz),
}


@pytest.mark.parametrize("case", CASES)
def test_the_whole_file_is_read(tmp_path: Path, case: str) -> None:
    content, read = CASES[case]
    if case == "csv":
        content = content.replace(b"x", b"7").replace(b'"y, ""z"""', b'"8"').replace(b"caf\xc3\xa9", b"9")
    (tmp_path / "t").write_bytes(content)
    read(DataFile("t", tmp_path / "t"))


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the zip module's own, for a name that became another's
@pytest.mark.parametrize("case", CASES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(tmp_path: Path, case: str, data: st.DataObject) -> None:
    content, read = CASES[case]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(0, len(changed)) | st.just(len(changed)))]
    (tmp_path / "t").write_bytes(changed)
    with suppress(InputError):
        read(DataFile("t", tmp_path / "t"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text('0123456789.,"\n\r\t eE-+NA', max_size=60).map(str.encode))
def test_made_up_text_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with suppress(InputError):
        read_csv(DataFile("t", tmp_path / "t"))

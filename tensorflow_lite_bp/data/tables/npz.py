"""Tables of arrays from an npz file. What is stored uncompressed is mapped into memory, never read as a whole."""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from tokenize import TokenError
from typing import IO

import numpy as np
from numpy.lib import format as npy

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables.base import ArrayTable
from tensorflow_lite_bp.data.tables.unpack import read_exactly
from tensorflow_lite_bp.data.words import quoted
from tensorflow_lite_bp.errors import InputError

MOST_ARRAYS = 10_000
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a version of zip that is not known
    OSError,  # a place before the beginning of the file
    RuntimeError,  # an archive with a password
    SyntaxError,  # a header that is no Python, and
    TokenError,  # one that looked like Python 2
    ValueError,
)
"""What reading a damaged archive, or one that nobody has written with NumPy, can raise."""
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, lengths of its name and of its extra field


def open_npz(file: DataFile) -> ArrayTable:
    """The arrays of an npz file, by name; each is opened when it is first asked for.

    Raises:
        InputError: for a file that is no npz.
    """
    return ArrayTable(file.name, _Members(file))


class _Members(Mapping[str, np.ndarray]):
    """The arrays in an npz file. Nothing is ever unpickled."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._arrays: dict[str, np.ndarray] = {}
        try:
            with zipfile.ZipFile(file.path) as archive:
                members = archive.infolist()
        except _DAMAGE as error:
            raise InputError(f"{file.name} is no npz file, or a damaged one ({error})") from error
        if len(members) > MOST_ARRAYS:
            raise InputError(f"{file.name} holds {len(members):,} arrays; an npz may hold {MOST_ARRAYS:,}")
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            try:
                self._arrays[name] = self._opened(self._members[name])
            except _DAMAGE as error:
                raise InputError(f"{self._file.name}: array {quoted(name)} cannot be read ({error})") from error
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def _opened(self, member: zipfile.ZipInfo) -> np.ndarray:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is compressed in another way than NumPy's")
        with zipfile.ZipFile(self._file.path) as archive, archive.open(member) as stream:
            shape, fortran, dtype = _read_header(stream)
            header = stream.tell()
            size = math.prod(shape) * dtype.itemsize
            if header + size != member.file_size:
                raise ValueError(f"a shape of {list(shape)} needs {size:,} bytes, not {member.file_size - header:,}")
            if member.compress_type == zipfile.ZIP_STORED and size:
                at = self._offset(member) + header
                return np.asarray(np.memmap(self._file.path, dtype, "r", at, shape, "F" if fortran else "C"))
            values = read_exactly(stream, size).view(dtype)
        return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)

    def _offset(self, member: zipfile.ZipInfo) -> int:
        """Where the bytes of an uncompressed member start."""
        with self._file.path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(_LOCAL_HEADER.size)
            end = file.seek(0, 2)
        if len(local) < _LOCAL_HEADER.size:
            raise ValueError("the file is cut short")
        signature, name, extra = _LOCAL_HEADER.unpack(local)
        at = member.header_offset + _LOCAL_HEADER.size + name + extra
        if signature != b"PK\x03\x04" or at + member.file_size > end:
            raise ValueError("the archive's directory does not fit its content")
        return int(at)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape, whether it is in Fortran's order, and the dtype, which must hold plain values."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]} of the npy format is not read")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings(action="ignore"):  # that Python 2 has written it
        shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which are never read: save it as numbers or text")
    if any(size < 0 for size in shape) or dtype.itemsize == 0:
        raise ValueError(f"its shape {list(shape)} of {dtype} cannot be")
    return shape, fortran, dtype

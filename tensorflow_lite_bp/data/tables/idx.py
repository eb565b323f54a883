"""Arrays in the idx format of the MNIST database, plain or compressed with gzip.

The format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"): two zero bytes, a byte for the
type, a byte for the number of axes, the size of each axis as a 32-bit integer, then the values; all big-endian.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from typing import IO, cast

import numpy as np

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables.base import ArrayTable
from tensorflow_lite_bp.data.tables.unpack import read_exactly
from tensorflow_lite_bp.errors import InputError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_idx(files: Mapping[str, DataFile]) -> ArrayTable:
    """The arrays of idx files, by the names they are to have; uncompressed ones are mapped into memory.

    Raises:
        InputError: for a file that is no idx file, is cut short or goes on behind its values.
    """
    return ArrayTable(next(iter(files.values())).name, {name: read_idx(file) for name, file in files.items()})


def read_idx(file: DataFile) -> np.ndarray:
    """The array of one idx file, ``(rows, *shape)``."""
    with file.path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        # GzipFile takes the file from where it is and reads on as it is read
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if packed else plain
        try:
            shape, dtype = _read_header(stream)
            size = math.prod(shape) * dtype.itemsize
            if packed:
                return read_exactly(stream, size).view(dtype).reshape(shape)
            header, end = stream.tell(), stream.seek(0, 2)
            if end - header != size:
                raise ValueError(f"its header declares {size:,} bytes of values, and {end - header:,} follow")
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{file.name} is no idx file, or a damaged one: {error}") from error
    return np.asarray(np.memmap(file.path, dtype, "r", header, shape)) if size else np.empty(shape, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or start[3] == 0:
        raise ValueError("it does not start as the format does (00 00, a type, a number of axes)")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError("it ends within its header")
    return tuple(np.frombuffer(sizes, dtype=">u4").tolist()), np.dtype(_TYPES[start[2]])

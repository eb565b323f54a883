"""Compressed values, with a bound on what they may unpack to."""

from __future__ import annotations

from typing import IO

import numpy as np

MOST_UNPACKED = 4 << 30
"""Bytes that one compressed array may unpack to."""
_PIECE = 1 << 24


def read_exactly(stream: IO[bytes], size: int) -> np.ndarray:
    """The bytes that a header declares, uint8, and not one more, whatever follows it.

    Raises:
        ValueError: when more or fewer bytes follow, or they would be too many.
    """
    if size > MOST_UNPACKED:
        raise ValueError(
            f"it declares {size:,} bytes of compressed values, more than {MOST_UNPACKED:,}; "
            f"store it uncompressed, then it is mapped into memory"
        )
    values = np.empty(size, dtype=np.uint8)
    at = 0
    while at < size and (piece := stream.read(min(size - at, _PIECE))):
        values[at : at + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
        at += len(piece)
    more = stream.read(1)
    if at < size or more:
        raise ValueError(f"it declares {size:,} bytes of values, and {'more' if more else f'{at:,}'} follow")
    return values

"""Batches of rows, in an order that is a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.data.dataset import Data
from tensorflow_lite_bp.errors import InputError


def batches(
    data: Data, split: str, *, batch: int, seed: int, epoch: int, shuffle: bool, start: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """The rows of a split, ``batch`` at a time; the last batch may be smaller.

    Args:
        shuffle: in an order drawn for this seed and epoch; otherwise in the file's order.
        start: how many batches to pass over, when a run goes on in the middle of an epoch.

    Yields:
        For each input and target a new array ``(b, *shape)``.

    Raises:
        InputError: when there is no such split.
    """
    if split not in data.splits:
        raise InputError(
            f"there is no `{split}` split: the data section gives {' and '.join(data.splits)}; "
            f"add `split = random({split} = 0.1)`, or name a file for it in the source"
        )
    rows = data.splits[split]
    if shuffle:
        rows = Draw(seed, "shuffle", step=epoch).generator().permutation(rows)
    for first in range(start * batch, len(rows), batch):
        chosen = rows[first : first + batch]
        yield {name: values[chosen] for name, values in data.rows.items()}

"""The samples on which a written model is compared with its network: a batch of one, of two, and a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.exchange.builder import Tensor
from tensorflow_lite_bp.exchange.invented import invented_table
from tensorflow_lite_bp.exchange.parity import Batch
from tensorflow_lite_bp.graph.rows import drawn

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Table
    from tensorflow_lite_bp.network import Network

_DRAWN = 64  # samples in the largest batch when there is no data to take them from
_TAKEN = 256  # and at most so many of the data

Arrays = Mapping[str, np.ndarray]


def sample_batches(
    network: Network,
    inputs: Sequence[Tensor],
    *,
    raw: bool = False,
    sample: Mapping[str, Any] | Table | None = None,
) -> tuple[Batch, ...]:
    """Batches of 1, of 2 and of many samples.

    Args:
        inputs: of the model.
        raw: whether the model leaves the preprocessing out.
        sample: a table that the preprocessing reads, of which up to 256 rows are taken; for a network without
            preprocessing arrays ``(m, *shape)`` by the names of its inputs. Without it, numbers are drawn from the
            network's seed.

    Raises:
        InputError: when the sample does not fit the network, or none can be drawn that the preprocessing takes.
    """
    if isinstance(sample, Mapping):
        if network.preprocessing is not None and not raw:
            raise InputError("the model starts with the preprocessing: give a table of raw columns as the sample")
        return _cut(network.accepted(sample, targets=False), None, inputs)
    if network.preprocessing is not None and not (raw and sample is None):
        rows, feed = _of_table(network, sample) if sample is not None else _made_up(network)
        return _cut(rows, None if raw else feed, inputs)
    if sample is not None:
        raise InputError("the network has no preprocessing that reads a table: give arrays as the sample")
    drawn = (drawn_rows(network, m, stretch=stretch) for stretch, m in enumerate((1, 2, _DRAWN)))
    return tuple(_batch(rows, None, inputs) for rows in drawn)


def drawn_rows(network: Network, m: int, *, stretch: int = 0) -> dict[str, np.ndarray]:
    """Rows of every input of a network, as `graph.rows.drawn` makes them.

    Args:
        stretch: added to the symbolic sizes, so that a size that is written into a model cannot fit every batch.
    """
    sizes = {name: 5 + 2 * index + stretch for index, name in enumerate(network.program.sizes)}
    return {
        variable.name: drawn(variable, m, sizes, Draw(network.seed, "parity", index))
        for index, variable in enumerate(network.program.inputs)
    }


def _of_table(network: Network, table: Table) -> tuple[Arrays, Arrays]:
    """What the network and what a model with preprocessing is fed for rows from all over a table."""
    assert network.preprocessing is not None
    inputs = network.program.inputs
    rows = network.preprocessing.rows(table, [variable.name for variable in inputs])
    chosen = np.unique(np.linspace(0, table.rows - 1, _TAKEN).astype(np.int64))
    feed: dict[str, np.ndarray] = {}
    for variable in inputs:
        feed |= network.preprocessing.raw_rows(table, variable, chosen)
    return {name: array[chosen] for name, array in rows.items()}, feed


def _made_up(network: Network) -> tuple[Arrays, Arrays]:
    """The same without a table."""
    assert network.preprocessing is not None
    generator = Draw(network.seed, "parity").generator()
    table = invented_table(network.preprocessing, network.program.inputs, m=_DRAWN, generator=generator)
    try:
        return _of_table(network, table)
    except InputError as error:
        raise InputError(
            "there is no data to compare the model on, and made-up rows do not pass the preprocessing "
            f"({error}): give a table of the data as the sample, or leave the preprocessing out (`raw`)"
        ) from error


def _cut(rows: Arrays, feed: Arrays | None, inputs: Sequence[Tensor]) -> tuple[Batch, ...]:
    """The first sample, the first two, and all; where there are not so many, some come again."""
    m = len(next(iter(rows.values())))
    if m == 0:
        raise InputError("the sample has no rows to compare the model on")
    batches = []
    for size in (1, 2, m):
        chosen = np.arange(size) % m
        fed = {name: array[chosen] for name, array in feed.items()} if feed is not None else None
        batches.append(_batch({name: array[chosen] for name, array in rows.items()}, fed, inputs))
    return tuple(batches)


def _batch(rows: Arrays, feed: Arrays | None, inputs: Sequence[Tensor]) -> Batch:
    """A batch; without a feed the model gets the rows, and the network what is left of them in the model's dtypes."""
    source = feed if feed is not None else rows
    dtypes = {tensor.name: object if tensor.dtype == "string" else tensor.dtype for tensor in inputs}
    given = {name: source[name].astype(dtype) for name, dtype in dtypes.items()}
    return Batch(given, rows if feed is not None else {**rows, **given})

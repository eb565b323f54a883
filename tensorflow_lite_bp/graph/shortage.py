"""What to say when a plan does not fit into memory: what it needs, what there was, and the batch that would fit."""

from __future__ import annotations

from collections.abc import Callable

from tensorflow_lite_bp.errors import EnvironmentFailure
from tensorflow_lite_bp.graph.layout import Layout
from tensorflow_lite_bp.units import size

_MODES = {"train": "a training step", "evaluate": "evaluating", "infer": "predicting"}


def shortage(mode: str, m: int, layout: Callable[[int], Layout], *, left: int | None, said: str) -> EnvironmentFailure:
    """The failure of a plan for ``m`` samples.

    Args:
        layout: of a plan for so many samples in one shard.
        left: bytes that could be allocated; None when nobody knows.
        said: what the library said.
    """
    found = f"not enough memory: {_MODES[mode]} with {_samples(m)} needs {size(needed(layout(m)))}"
    if left is None:
        return EnvironmentFailure(f"{found} ({said}): a smaller batch needs less")
    fitting = largest(lambda samples: needed(layout(samples)) <= left, below=m)
    if fitting == 0:
        help = "not even one sample fits: take a smaller network, or --backend numpy"
    elif mode == "train":
        help = f"a batch of {fitting:,} would fit (--set train.batch={fitting})"
    else:
        help = f"{_samples(fitting)} at once would fit"
    return EnvironmentFailure(f"{found}, and {size(left)} were left: {help}")


def needed(layout: Layout) -> int:
    """Bytes that steps of this layout take: its memory, what layers keep for themselves, what is fed, and the buffers
    by which that comes to a device."""
    return layout.memory.peak + layout.own_bytes + layout.fed_bytes + layout.staged_bytes


def largest(fits: Callable[[int], bool], *, below: int) -> int:
    """The largest number under ``below`` that fits, if every smaller one does too; 0 when 1 does not.

    >>> largest(lambda number: number <= 37, below=1000), largest(lambda number: False, below=1000)
    (37, 0)
    """
    low, high = 0, below  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def _samples(m: int) -> str:
    return f"{m:,} sample{'' if m == 1 else 's'}"

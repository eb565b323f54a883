"""How host arrays reach a GPU while it computes: through pinned memory, by a stream of their own.

A copy from ordinary memory stops the host, and one on the stream of the computation waits for all that is queued there.
So values are first copied to pinned memory, from there to a device buffer by a second stream, and only the copy from
that buffer to its place is queued behind the computation. Each place has buffers for two batches: while a step computes
with one, the next is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import numpy as np

DEPTH = 2
"""Pairs of buffers of a place: from one a step takes its batch, in the other the next is on its way."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """A pinned host buffer, its counterpart on the device, and when each may be written to again."""

    host: np.ndarray
    device: Any
    sent: Any
    """Comes when the host buffer has been read."""
    used: Any
    """Comes when the device buffer has been read."""


class Staging:
    """The way to one device.

    Args:
        cupy: the module.
        pinned: makes an array of a shape and dtype in pinned memory: ``cupyx.empty_pinned``.
    """

    def __init__(self, cupy: Any, pinned: Callable[[Any, Any], np.ndarray]) -> None:
        self.cupy, self._pinned = cupy, pinned
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self._kept: list[tuple[np.ndarray, Any]] = []

    def pair(self, out: Any) -> _Pair:
        """New buffers for a place."""
        cuda = self.cupy.cuda
        sent, used = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)
        used.record(cuda.get_current_stream())  # what is queued may still read memory that the new buffer gets
        return _Pair(self._pinned(out.shape, out.dtype), self.cupy.empty(out.shape, out.dtype), sent, used)

    def keep(self, buffers: Sequence[tuple[np.ndarray, Any]]) -> None:
        """Keep pinned memory, each with the event that comes when it has been read, at least until then. Memory of the
        device may be freed at any time: who gets it next is queued behind those who read it."""
        self._kept = [(host, sent) for host, sent in (*self._kept, *buffers) if not sent.done]


class Place:
    """Copies host arrays to an array on the device, in the order of the calls, without waiting for the device.

    The host waits only when it is `DEPTH` batches ahead of the device, which then has these to compute. The buffers are
    taken at once and given up with the place.

    Args:
        out: the array.

    Attributes:
        held_back: how often the host was that far ahead.
    """

    def __init__(self, staging: Staging, out: Any) -> None:
        self._staging, self._out = staging, out
        self._pairs = [staging.pair(out) for _ in range(DEPTH)]  # the one that was used longest ago first
        self.held_back = 0
        finalize(self, staging.keep, [(pair.host, pair.sent) for pair in self._pairs]).atexit = False

    def copy(self, array: np.ndarray) -> None:
        """Queue the copy of host values of the same shape; the dtype is converted by the host. The host array may be
        written to afterwards."""
        pair, staging = self._free_pair(), self._staging
        np.copyto(pair.host, array, casting="same_kind")
        computation = staging.cupy.cuda.get_current_stream()
        staging.stream.wait_event(pair.used)
        pair.device.set(pair.host, stream=staging.stream)
        pair.sent.record(staging.stream)
        computation.wait_event(pair.sent)
        staging.cupy.copyto(self._out, pair.device)
        pair.used.record(computation)

    def _free_pair(self) -> _Pair:
        """The buffers that were used longest ago, as soon as the host's has been read."""
        pair = self._pairs.pop(0)
        self._pairs.append(pair)
        if not pair.sent.done:
            self.held_back += 1
            pair.sent.synchronize()
        return pair

"""How host arrays reach a GPU while it computes: through pinned memory, by a stream of their own.

A copy from ordinary memory stops the host, and one on the stream of the computation waits for all that is queued there.
So values are first copied to pinned memory, from there to a device buffer by a second stream, and only the copy from
that buffer to its place is queued behind the computation. Each place has buffers for two batches: while a step computes
with one, the next is on its way.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

DEPTH = 2
"""Pairs of buffers that a place may have: from one a step takes its batch, in the other the next is on its way."""
PLACES = 64
"""Places that keep their buffers; the one that was used longest ago gives up its own."""


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
    """Copies into places on the device in the order of the calls, without waiting for the device.

    The host waits only when it is `DEPTH` batches ahead of the device, which then has these to compute.

    Args:
        cupy: the module.
        pinned: makes an array of a shape and dtype in pinned memory: ``cupyx.empty_pinned``.

    Attributes:
        held_back: how often the host was that far ahead.
    """

    def __init__(self, cupy: Any, pinned: Any) -> None:
        self._cupy, self._pinned = cupy, pinned
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._places: OrderedDict[tuple[Any, ...], list[_Pair]] = OrderedDict()
        self.held_back = 0

    def copy(self, array: np.ndarray, *, out: Any) -> None:
        """Queue the copy of host values to an array on the device, which has the same shape; the dtype is converted by
        the host. The host array may be written to afterwards."""
        pair = self._free_pair(out)
        np.copyto(pair.host, array, casting="same_kind")
        computation = self._cupy.cuda.get_current_stream()
        self._stream.wait_event(pair.used)
        pair.device.set(pair.host, stream=self._stream)
        pair.sent.record(self._stream)
        computation.wait_event(pair.sent)
        self._cupy.copyto(out, pair.device)
        pair.used.record(computation)

    def release(self) -> None:
        """Give up all buffers: the places that are still used get new ones."""
        while self._places:
            self._give_up_oldest()

    def _free_pair(self, out: Any) -> _Pair:
        """The buffers that were used longest ago, if the host's has been read; else new ones, or wait."""
        pairs = self._pairs(out)
        read = [pair.sent.done for pair in pairs]
        if not any(read) and len(pairs) < DEPTH:
            pair = self._new_pair(out)
        else:
            pair = pairs[read.index(True) if any(read) else 0]
            pairs.remove(pair)
            if not any(read):
                self.held_back += 1
                pair.sent.synchronize()
        pairs.append(pair)
        return pair

    def _pairs(self, out: Any) -> list[_Pair]:
        """The buffers of a place."""
        place = (out.data.ptr, out.shape, out.dtype)
        pairs = self._places.setdefault(place, [])
        self._places.move_to_end(place)
        if len(self._places) > PLACES:
            self._give_up_oldest()
        return pairs

    def _give_up_oldest(self) -> None:
        _, pairs = self._places.popitem(last=False)
        for pair in pairs:
            pair.used.synchronize()  # nobody may read memory that is freed

    def _new_pair(self, out: Any) -> _Pair:
        cuda = self._cupy.cuda
        events = (cuda.Event(disable_timing=True), cuda.Event(disable_timing=True))
        for event in events:  # what is queued may still read memory that the new buffer gets
            event.record(cuda.get_current_stream())
        return _Pair(self._pinned(out.shape, out.dtype), self._cupy.empty(out.shape, out.dtype), *events)

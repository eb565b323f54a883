"""The machine that the double stands for: memory, streams, and what is counted.

Everything is computed at once, and yet work on a stream counts as pending until somebody waits for it. Each stream
keeps a vector clock (Lamport 1978, Mattern 1989): how far of every other stream's work is done before its next. What
touches memory that another stream wrote, or writes what another reads, must come after it by that clock; if not, it is
a race, whatever the numbers were this time. The host has a clock too, which only synchronisations move.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import local
from typing import Any

import numpy as np

ALIGNMENT = 512  # bytes, CuPy's
DEVICES = 2
TOTAL_MEMORY = 8 << 30


class StrictError(AssertionError):
    """What CuPy would let pass or do silently, and a correct program never does."""


@dataclass
class Counters:
    """What happened since the last `reset`.

    Attributes:
        launches: kernels, products and memory sets, as CuPy launches them.
        synchronisations: how often the host waited for the device.
        uploads, downloads: copies from and to the host.
        by_name: launches by what was called.
    """

    launches: int = 0
    synchronisations: int = 0
    uploads: int = 0
    downloads: int = 0
    by_name: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        self.launches = self.synchronisations = self.uploads = self.downloads = 0
        self.by_name.clear()


COUNTERS = Counters()
Clock = dict[int, int]
"""Number of a stream → how many of its works are done."""


@dataclass(eq=False)
class Memory:
    """An allocation. ``accesses``: stream → (first byte, end, written) → the last such work's time."""

    octets: np.ndarray
    device_id: int
    accesses: dict[int, dict[tuple[int, int, bool], int]] = field(default_factory=dict)

    @property
    def ptr(self) -> int:
        address: int = self.octets.__array_interface__["data"][0]
        return address

    @property
    def size(self) -> int:
        return self.octets.size


@dataclass
class Pending:
    """A copy that the host must not interfere with until it has waited for it."""

    stream: int
    time: int
    finish: Callable[[], None]


class Machine:
    """Devices, streams' clocks and the copies that are pending."""

    def __init__(self) -> None:
        self.used = [0] * DEVICES
        self.reserved = [0] * DEVICES
        self.limit: list[int] = [0] * DEVICES
        self.memories: weakref.WeakSet[Memory] = weakref.WeakSet()
        self.host: Clock = {}
        self.pending: list[Pending] = []
        self.all: Clock = {}
        self.blocking: Clock = {}
        """How far the streams are that wait for the null stream, and it for them."""
        self.current = _Current()

    # Memory

    def allocate(self, size: int) -> Memory:
        """Memory that holds what no correct result comes from: every byte 255, which makes floats NaN."""
        device, rounded = self.current.device, -(-size // ALIGNMENT) * ALIGNMENT
        limit = self.limit[device] or TOTAL_MEMORY
        if self.used[device] + rounded > limit:
            from cupy.cuda.memory import OutOfMemoryError

            raise OutOfMemoryError(rounded, self.used[device], self.limit[device])
        raw = np.full(size + ALIGNMENT, 0xFF, dtype=np.uint8)
        start = -raw.__array_interface__["data"][0] % ALIGNMENT
        memory = Memory(raw[start : start + size], device)
        self.used[device] += rounded
        self.reserved[device] = max(self.reserved[device], self.used[device])
        self.memories.add(memory)
        weakref.finalize(memory, self._free, device, rounded)
        return memory

    def memory_at(self, address: int) -> Memory:
        """The allocation in which an address lies."""
        for memory in self.memories:
            if memory.ptr <= address < memory.ptr + memory.size:
                return memory
        raise StrictError(f"address {address:#x} lies in no memory of the device")

    def _free(self, device: int, size: int) -> None:
        self.used[device] -= size

    # Work

    def work(
        self, name: str, reads: Iterable[Any], writes: Iterable[Any], *, stream: Any = None, launches: int = 1
    ) -> tuple[int, int]:
        """Note a piece of work on a stream (the current one): who touches what, after what; returns stream and time."""
        stream = stream if stream is not None else self.current.stream
        if launches:
            COUNTERS.launches += launches
            COUNTERS.by_name[name] += launches
        clock = stream.clock
        _join(clock, self.host)
        if not stream.non_blocking:
            _join(clock, self.blocking if stream.is_null else stream.null.clock)
        clock[stream.number] = time = clock.get(stream.number, 0) + 1
        for known in (self.all, *([] if stream.non_blocking else [self.blocking])):
            known[stream.number] = time
        for array, written in (*((read, False) for read in reads), *((write, True) for write in writes)):
            self._order(name, array, written, stream)
            array.memory.accesses.setdefault(stream.number, {})[*array.extent(), written] = time
        return stream.number, time

    def _order(self, name: str, array: Any, written: bool, stream: Any) -> None:
        """See that this access comes after those of other streams that it must not meet."""
        memory = array.memory
        if memory.device_id != self.current.device:
            raise StrictError(f"{name}: an array of device {memory.device_id}, and device {self.current.device} works")
        first, end = array.extent()
        for other, accesses in memory.accesses.items():
            if other == stream.number:
                continue
            for (start, stop, was_written), when in accesses.items():
                if (written or was_written) and start < end and first < stop and when > stream.clock.get(other, 0):
                    raise StrictError(
                        f"{name} {'writes' if written else 'reads'} memory that stream {other} "
                        f"{'writes' if was_written else 'reads'}, and does not wait for it: record an event there, and "
                        f"let stream {stream.number} wait for the event"
                    )

    # The host

    def wait(self, clock: Clock, *, counted: bool = True) -> None:
        """The host waits for what this clock says; copies that are then done are finished."""
        if counted:
            COUNTERS.synchronisations += 1
        _join(self.host, clock)
        done = [copy for copy in self.pending if copy.time <= self.host.get(copy.stream, 0)]
        self.pending = [copy for copy in self.pending if copy.time > self.host.get(copy.stream, 0)]
        for copy in done:
            copy.finish()

    def wait_for_all(self) -> None:
        self.wait(self.all)


class _Current(local):
    """The device and the stream that this thread works on."""

    def __init__(self) -> None:
        self.device = 0
        self._stream: Any = None

    @property
    def stream(self) -> Any:
        from cupy.cuda.stream import Stream

        return self._stream if self._stream is not None else Stream.null

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._stream = stream


def _join(clock: Clock, other: Clock) -> None:
    for stream, time in other.items():
        if time > clock.get(stream, 0):
            clock[stream] = time


MACHINE = Machine()

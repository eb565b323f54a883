"""Streams and events."""

from __future__ import annotations

from itertools import count
from time import perf_counter
from typing import Any, ClassVar

from cupy._machine import MACHINE, Clock, _join

_NUMBERS = count()


class Stream:
    """``clock`` says what is done before the stream's next work."""

    null: ClassVar[Stream]
    ptds: ClassVar[Stream]

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None
    ) -> None:
        self.number = next(_NUMBERS)
        self.clock: Clock = {}
        self.is_null, self.non_blocking, self.priority = null, non_blocking, priority or 0
        self._outer: list[Stream] = []

    @property
    def ptr(self) -> int:
        return 0 if self.is_null else 4096 + self.number

    @property
    def done(self) -> bool:
        """Nobody knows before they wait: not done, unless the host has seen all of it."""
        return self.clock.get(self.number, 0) <= MACHINE.host.get(self.number, 0)

    def synchronize(self) -> None:
        MACHINE.wait(self.clock)

    def record(self, event: Event | None = None) -> Event:
        event = event if event is not None else Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        _join(self.clock, event.clock)

    def use(self) -> Stream:
        MACHINE.current.stream = self
        return self

    def launch_host_func(self, callback: Any, arg: Any) -> None:
        callback(arg)

    def __enter__(self) -> Stream:
        self._outer.append(MACHINE.current.stream)
        return self.use()

    def __exit__(self, *raised: object) -> None:
        self._outer.pop().use()


Stream.null = Stream(null=True)
Stream.ptds = Stream(null=True)


class Event:
    """A moment of a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.clock: Clock = {}
        self._asked = False
        self._time = 0.0
        self.timing = not disable_timing

    def record(self, stream: Stream | None = None) -> None:
        stream = stream if stream is not None else MACHINE.current.stream
        self.clock, self._asked, self._time = dict(stream.clock), False, perf_counter()

    def synchronize(self) -> None:
        MACHINE.wait(self.clock)

    @property
    def done(self) -> bool:
        """Asked for the first time it is not; the next time it is, and the host knows."""
        known = all(time <= MACHINE.host.get(stream, 0) for stream, time in self.clock.items())
        if not known and self._asked:
            MACHINE.wait(self.clock, counted=False)
            known = True
        self._asked = True
        return known


def get_current_stream(device_id: int = -1) -> Stream:
    stream: Stream = MACHINE.current.stream
    return stream


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds; CUDA refuses events that are not done."""
    for event in (start_event, end_event):
        assert event.timing, "an event that measures no time"
        assert all(time <= MACHINE.host.get(stream, 0) for stream, time in event.clock.items()), "not synchronised"
    return 1000 * (end_event._time - start_event._time)

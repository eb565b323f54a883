"""Staging: what arrives is what was sent, however the device and its two streams take their time.

The device below does the work of each stream in order, and of the two streams in any order that the events allow; what
is copied is looked at when the copy is made, so that a buffer that is overwritten too early arrives as something else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import finalize

import numpy as np
import pytest

from tensorflow_lite_bp.backend.staging import DEPTH, Place, Staging


class Moment:
    """Comes when the work before it is done."""

    come = False


class Event:
    def __init__(self, device: Device) -> None:
        self._device, self.moment = device, Moment()
        self.moment.come = True  # before it is recorded

    def record(self, stream: Stream) -> None:
        moment = self.moment = Moment()
        stream.work.append((None, lambda: setattr(moment, "come", True)))

    @property
    def done(self) -> bool:
        return self.moment.come

    def synchronize(self) -> None:
        moment = self.moment
        while not moment.come:
            self._device.go_on()


class Stream:
    """``work``: what to wait for, and what to do."""

    def __init__(self) -> None:
        self.work: deque[tuple[Moment | None, Callable[[], None]]] = deque()

    def wait_event(self, event: Event) -> None:
        self.work.append((event.moment, lambda: None))


class Array(np.ndarray):
    @property
    def data(self) -> Any:  # type: ignore[override]  # as CuPy's
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])

    def set(self, host: np.ndarray, stream: Stream) -> None:
        stream.work.append((None, lambda: np.copyto(self, host, casting="no")))


class Device:
    """Stands for the module ``cupy``."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.computation = Stream()
        self.streams = [self.computation]
        self.cuda = SimpleNamespace(
            Stream=self._stream, Event=lambda disable_timing: Event(self), get_current_stream=lambda: self.computation
        )

    def _stream(self, non_blocking: bool) -> Stream:
        self.streams.append(Stream())
        return self.streams[-1]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.full(shape, 99, dtype).view(Array)

    def copyto(self, out: Array, source: Array) -> None:
        self.computation.work.append((None, lambda: np.copyto(out, source)))

    def go_on(self) -> bool:
        """One piece of work of some stream that need not wait."""
        ready = [s for s in self.streams if s.work and (s.work[0][0] is None or s.work[0][0].come)]
        if ready:
            ready[self._random.integers(len(ready))].work.popleft()[1]()
        return bool(ready)


@pytest.mark.parametrize("often", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(20))
def test_what_arrives_is_what_was_sent(seed: int, often: float) -> None:
    device, random = Device(seed), np.random.default_rng(seed)
    staging = Staging(device, np.empty)
    arrays = [device.empty((3, 2), np.float32), device.empty((2, 3), np.float32).T]
    places = [(array, Place(staging, array)) for array in arrays]
    seen: list[np.ndarray] = []
    host, sent = np.empty((3, 2)), []
    for step in range(40):
        array, place = places[random.integers(2)]
        host[:] = np.arange(6).reshape(3, 2) + 10 * step
        sent.append(host.copy())
        place.copy(host)
        host[:] = -1  # the caller's array is the caller's again
        device.computation.work.append((None, lambda array=array: seen.append(np.array(array))))
        while random.random() < often and device.go_on():
            pass
    while device.go_on():
        pass
    np.testing.assert_array_equal(seen, sent)


def test_the_host_is_held_back_only_when_it_is_all_buffers_ahead() -> None:
    device = Device(0)
    device.computation.work.append((None, lambda: None))  # a new place does not wait for what is queued
    place = Place(Staging(device, np.empty), device.empty((2,), np.float32))
    for _ in range(DEPTH):
        place.copy(np.zeros(2))
    assert place.held_back == 0
    place.copy(np.zeros(2))
    assert place.held_back == 1
    while device.go_on():
        pass
    for _ in range(DEPTH):
        place.copy(np.zeros(2))
    assert place.held_back == 1


def test_buffers_are_taken_with_the_place_and_given_up_with_it_once_they_are_sent() -> None:
    device, there, seen = Device(3), [], []

    def pinned(shape: Any, dtype: Any) -> np.ndarray:
        host = np.empty(shape, dtype)
        there.append(1)
        finalize(host, there.pop)
        return host

    staging, array = Staging(device, pinned), device.empty((4,), np.float64)
    place = Place(staging, array)
    assert len(there) == DEPTH
    for number in range(DEPTH):
        place.copy(np.full(4, number))
        device.computation.work.append((None, lambda: seen.append(array[0])))
    del place
    assert len(there) == DEPTH
    while device.go_on():
        pass
    assert seen == [*range(DEPTH)]
    del (unused := [Place(staging, array)])[:]
    assert not there
    assert not unused

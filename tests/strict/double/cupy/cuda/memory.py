"""Device memory and its pool, and pinned host memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cupy._machine import COUNTERS, MACHINE, TOTAL_MEMORY, Memory, Pending, StrictError


class OutOfMemoryError(MemoryError):
    """As CuPy words it."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))
        self._size, self._total, self._limit = size, total, limit


class MemoryPointer:
    """A place in device memory."""

    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem, self.offset = mem, offset

    @property
    def ptr(self) -> int:
        return self.mem.ptr + self.offset

    @property
    def device_id(self) -> int:
        return self.mem.device_id

    @property
    def device(self) -> Any:
        from cupy.cuda import Device

        return Device(self.device_id)

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.offset + offset)

    def memset(self, value: int, size: int) -> None:
        self.memset_async(value, size)

    def memset_async(self, value: int, size: int, stream: Any = None) -> None:
        MACHINE.work("memset", (), (_Stretch(self, size),), stream=stream)
        self._octets(size)[...] = value

    def copy_from_device(self, src: MemoryPointer, size: int) -> None:
        self.copy_from_device_async(src, size)

    def copy_from_device_async(self, src: MemoryPointer, size: int, stream: Any = None) -> None:
        MACHINE.work("memcpy", (_Stretch(src, size),), (_Stretch(self, size),), stream=stream)
        self._octets(size)[...] = src._octets(size)

    def copy_from_host(self, mem: int, size: int) -> None:
        upload(self, _host(mem, size), stream=None, asynchronous=False)

    def copy_from_host_async(self, mem: int, size: int, stream: Any = None) -> None:
        upload(self, _host(mem, size), stream=stream, asynchronous=True)

    def copy_to_host(self, mem: int, size: int) -> None:
        download(self, _host(mem, size), stream=None, asynchronous=False)

    def copy_to_host_async(self, mem: int, size: int, stream: Any = None) -> None:
        download(self, _host(mem, size), stream=stream, asynchronous=True)

    def copy_from(self, mem: Any, size: int) -> None:
        (self.copy_from_device if isinstance(mem, MemoryPointer) else self.copy_from_host)(mem, size)

    def copy_from_async(self, mem: Any, size: int, stream: Any = None) -> None:
        way = self.copy_from_device_async if isinstance(mem, MemoryPointer) else self.copy_from_host_async
        way(mem, size, stream)

    def _octets(self, size: int) -> np.ndarray:
        assert self.offset + size <= self.mem.size, "beyond the end of the allocation"
        return self.mem.octets[self.offset : self.offset + size]


class _Stretch:
    """Bytes of memory, as `Machine.work` looks at them."""

    def __init__(self, pointer: MemoryPointer, size: int) -> None:
        self.memory, self._first, self._size = pointer.mem, pointer.offset, size

    def extent(self) -> tuple[int, int]:
        return self._first, self._first + self._size


def upload(pointer: MemoryPointer, octets: np.ndarray, *, stream: Any, asynchronous: bool) -> None:
    """Copy host bytes to the device. From pinned memory it is pending until the host has waited for it: the bytes must
    not change until then. From other memory CUDA may wait for the stream, and so the double does."""
    COUNTERS.uploads += 1
    number, time = MACHINE.work("upload", (), (_Stretch(pointer, octets.size),), stream=stream, launches=0)
    pointer._octets(octets.size)[...] = octets
    if not (asynchronous and is_pinned(octets)):
        MACHINE.wait({number: time} | (stream or MACHINE.current.stream).clock)
        return
    sent = octets.copy()

    def finish() -> None:
        if not np.array_equal(sent, octets):
            raise StrictError("the host changed a buffer before its copy to the device was done: wait for it first")

    MACHINE.pending.append(Pending(number, time, finish))


def download(pointer: MemoryPointer, octets: np.ndarray, *, stream: Any, asynchronous: bool) -> None:
    """Copy device bytes to the host. Into pinned memory it is pending: until the host has waited for it, the buffer
    holds poison, and it is found when the host has written there."""
    COUNTERS.downloads += 1
    number, time = MACHINE.work("download", (_Stretch(pointer, octets.size),), (), stream=stream, launches=0)
    values = pointer._octets(octets.size).copy()
    if not (asynchronous and is_pinned(octets)):
        octets[...] = values
        MACHINE.wait({number: time} | (stream or MACHINE.current.stream).clock)
        return
    octets[...] = 0xFF

    def finish() -> None:
        if not (octets == 0xFF).all():
            raise StrictError("the host wrote to a buffer before a copy from the device to it was done")
        octets[...] = values

    MACHINE.pending.append(Pending(number, time, finish))


# Pinned host memory


class PinnedMemoryPointer(bytearray):
    """Page-locked memory; `np.frombuffer` makes arrays of it."""

    @property
    def ptr(self) -> int:
        address: int = np.frombuffer(self, dtype=np.uint8).__array_interface__["data"][0]
        return address

    @property
    def mem(self) -> PinnedMemoryPointer:
        return self

    def size(self) -> int:
        return len(self)


_PINNED: dict[int, int] = {}
"""Address → size of what is pinned. It is never moved nor freed: tests are short."""
_KEPT: list[PinnedMemoryPointer] = []


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    made = PinnedMemoryPointer(b"\xff" * size)
    _KEPT.append(made)
    if size:
        _PINNED[made.ptr] = size
    return made


class PinnedMemoryPool:
    def malloc(self, size: int) -> PinnedMemoryPointer:
        return alloc_pinned_memory(size)

    def free_all_blocks(self) -> None:
        """Nothing is kept here."""

    def n_free_blocks(self) -> int:
        return 0


def is_pinned(array: np.ndarray) -> bool:
    address = array.__array_interface__["data"][0]
    return any(start <= address < start + size for start, size in _PINNED.items())


def _host(address: Any, size: int) -> np.ndarray:
    """Host bytes by their address, an int or a ``ctypes.c_void_p``."""
    value = getattr(address, "value", address)
    return np.frombuffer((ctypes.c_char * size).from_address(value), dtype=np.uint8)


# The pool


class MemoryPool:
    """CuPy's default pool: blocks stay reserved until `free_all_blocks`."""

    def malloc(self, size: int) -> MemoryPointer:
        return MemoryPointer(MACHINE.allocate(size), 0)

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        if (size is None) == (fraction is None):
            raise ValueError("size and fraction cannot be specified at one time")
        MACHINE.limit[MACHINE.current.device] = size if size is not None else int(fraction * TOTAL_MEMORY)

    def get_limit(self) -> int:
        return MACHINE.limit[MACHINE.current.device]

    def used_bytes(self) -> int:
        return MACHINE.used[MACHINE.current.device]

    def total_bytes(self) -> int:
        return MACHINE.reserved[MACHINE.current.device]

    def free_bytes(self) -> int:
        return self.total_bytes() - self.used_bytes()

    def n_free_blocks(self) -> int:
        return int(self.free_bytes() > 0)

    def free_all_blocks(self, stream: Any = None) -> None:
        MACHINE.reserved[MACHINE.current.device] = self.used_bytes()


_allocator: Callable[[int], MemoryPointer] = MemoryPool().malloc


def alloc(size: int) -> MemoryPointer:
    return _allocator(size)


def get_allocator() -> Callable[[int], MemoryPointer]:
    return _allocator


def set_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> None:
    global _allocator  # noqa: PLW0603  # as CuPy's, one for the process
    _allocator = allocator if allocator is not None else MemoryPool().malloc


@contextmanager
def using_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> Iterator[None]:
    before = _allocator
    set_allocator(allocator)
    try:
        yield
    finally:
        set_allocator(before)

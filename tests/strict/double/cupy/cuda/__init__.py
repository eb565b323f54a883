"""``cupy.cuda`` of the double: devices, streams, memory."""

from __future__ import annotations

from typing import Any

from cupy._machine import MACHINE
from cupy.cuda import device, memory, runtime, stream
from cupy.cuda.memory import (
    MemoryPointer,
    MemoryPool,
    PinnedMemoryPointer,
    PinnedMemoryPool,
    alloc,
    alloc_pinned_memory,
    get_allocator,
    set_allocator,
    using_allocator,
)
from cupy.cuda.stream import Event, Stream, get_current_stream, get_elapsed_time


class Device:
    """One of the machine's devices; the current one by default."""

    def __init__(self, number: int | None = None, /) -> None:
        self.id = MACHINE.current.device if number is None else int(number)
        self._outer: list[int] = []

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def use(self) -> None:
        runtime.setDevice(self.id)

    def synchronize(self) -> None:
        MACHINE.wait_for_all()

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        return runtime.memGetInfo()

    @property
    def pci_bus_id(self) -> str:
        return f"0000:00:{self.id:02x}.0"

    @property
    def attributes(self) -> dict[str, Any]:
        return {}

    def __enter__(self) -> Device:
        self._outer.append(MACHINE.current.device)
        self.use()
        return self

    def __exit__(self, *raised: object) -> None:
        runtime.setDevice(self._outer.pop())


def is_available() -> bool:
    return True


def get_device_id() -> int:
    return MACHINE.current.device


__all__ = [
    "Device",
    "Event",
    "MemoryPointer",
    "MemoryPool",
    "PinnedMemoryPointer",
    "PinnedMemoryPool",
    "Stream",
    "alloc",
    "alloc_pinned_memory",
    "device",
    "get_allocator",
    "get_current_stream",
    "get_device_id",
    "get_elapsed_time",
    "is_available",
    "memory",
    "runtime",
    "set_allocator",
    "stream",
    "using_allocator",
]

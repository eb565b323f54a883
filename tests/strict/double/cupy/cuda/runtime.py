"""The few functions of CUDA's runtime that the package asks."""

from __future__ import annotations

from typing import Any

from cupy._machine import DEVICES, MACHINE, TOTAL_MEMORY

is_hip = False


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError {status}")
        self.status = status


def getDeviceCount() -> int:
    return DEVICES


def getDevice() -> int:
    return MACHINE.current.device


def setDevice(device: int) -> None:
    if not 0 <= device < DEVICES:
        raise CUDARuntimeError(101)  # cudaErrorInvalidDevice
    MACHINE.current.device = device


def deviceSynchronize() -> None:
    MACHINE.wait_for_all()


def runtimeGetVersion() -> int:
    return 12090


def driverGetVersion() -> int:
    return 12090


def getDeviceProperties(device: int) -> dict[str, Any]:
    return {
        "name": b"the strict double, which is no GPU",
        "major": 9,
        "minor": 0,
        "totalGlobalMem": TOTAL_MEMORY,
        "multiProcessorCount": 1,
    }


def memGetInfo() -> tuple[int, int]:
    return TOTAL_MEMORY - MACHINE.reserved[MACHINE.current.device], TOTAL_MEMORY

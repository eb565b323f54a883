"""What CUDA has on this machine, and in one sentence why there is nothing to compute on.

The functions take the module ``cupy``, which only `backend.cupy` imports. CUDA versions are numbers as CUDA counts
them: 12090 is 12.9.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_lite_bp.errors import EnvironmentFailure, InputError, TflbpError

_EXTRAS = (12, 13)
"""Versions of CUDA for which the package has an extra."""
_NO_DEVICE, _INSUFFICIENT_DRIVER = 100, 35  # cudaErrorNoDevice, cudaErrorInsufficientDriver
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(%|[kKMGT]?i?B)", re.ASCII)


class NoGpu(EnvironmentFailure):
    """The backend cupy cannot be used; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"--backend cupy: {reason}; --backend numpy needs none of it")
        self.reason = reason


@dataclass(frozen=True)
class Device:
    """One GPU; ``capability`` is the compute capability (9.0), ``memory`` its bytes."""

    number: int
    name: str
    capability: str
    memory: int


@dataclass(frozen=True)
class Cuda:
    """What there is: versions, devices, and what speaks against computing on them.

    Attributes:
        cupy: CuPy's version.
        runtime: the CUDA version that this CuPy was built for.
        supported: the newest CUDA version that the driver supports; 0 without a driver.
        driver: the driver's own version; None where the system does not tell.
        devices: the GPUs that the driver shows.
        reason: why nothing can be computed, for the end of a sentence; None when it can.
    """

    cupy: str
    runtime: int
    supported: int
    driver: str | None
    devices: tuple[Device, ...]
    reason: str | None


def examine(cupy: Any) -> Cuda:
    """Look at versions and devices, and compute: that a module can be imported proves nothing."""
    runtime = cupy.cuda.runtime
    devices: tuple[Device, ...] = ()
    reason = None
    try:
        devices = tuple(_device(cupy, number) for number in range(runtime.getDeviceCount()))
        _probe(cupy)
    except Exception as error:
        reason = _reason(error, cupy)
    return Cuda(cupy.__version__, _built_for(cupy), _supported(cupy), _driver(), devices, reason)


def use(cupy: Any, number: int | None) -> None:
    """Compute on the device of that number from now on (None: where CuPy computes anyway), and see that it can.

    Raises:
        InputError: when there is no such device.
        NoGpu: when nothing can be computed.
    """
    try:
        if number is not None:
            _select(cupy, number)
        _probe(cupy)
    except TflbpError:
        raise
    except Exception as error:  # CuPy raises many kinds, one for each thing that can be missing
        raise NoGpu(_reason(error, cupy)) from error


def comes_from_gpu(error: BaseException) -> bool:
    """Whether an exception is one of CuPy's own kinds: CUDA, cuBLAS or the compiler of kernels has failed."""
    return type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends", "cupyx")


def shown(version: int) -> str:
    """A CUDA version for people.

    >>> shown(12090), shown(11040)
    ('12.9', '11.4')
    """
    return f"{version // 1000}.{version % 1000 // 10}"


def limited(text: str) -> dict[str, Any]:
    """What `cupy.cuda.MemoryPool.set_limit` is to be given for a typed size or share of the GPU's memory.

    >>> limited("4GiB"), limited("1.5 GB"), limited("80%")
    ({'size': 4294967296}, {'size': 1500000000}, {'fraction': 0.8})

    Raises:
        InputError: for anything else.
    """
    found = _SIZE.fullmatch(text.strip())
    number, unit = (float(found[1]), found[2]) if found is not None else (0.0, "")
    if unit == "%" and 0 < number <= 100:
        return {"fraction": number / 100}
    if number * _UNITS.get(unit, 0) >= 1:
        return {"size": int(number * _UNITS[unit])}
    raise InputError(f"--memory-limit takes a size such as 4GiB or 500MB, or a share from 1% to 100%, not `{text}`")


def current(cupy: Any) -> int:
    """The number of the device that computes."""
    return int(cupy.cuda.runtime.getDevice())


def memory_in_use(pool: Any) -> tuple[int, int]:
    """Bytes that arrays hold in CuPy's pool, and bytes that it has taken from the device."""
    return int(pool.used_bytes()), int(pool.total_bytes())


def memory_left(cupy: Any) -> int:
    """Bytes that can still be allocated on the current device: what is free there or in the pool, within its limit."""
    pool = cupy.get_default_memory_pool()
    free, _ = cupy.cuda.runtime.memGetInfo()
    used, taken = memory_in_use(pool)
    left = int(free) + taken - used
    limit = pool.get_limit()
    return max(0, min(left, limit - used)) if limit else left


def _probe(cupy: Any) -> None:
    float((cupy.arange(1) + 1).sum())


def _select(cupy: Any, number: int) -> None:
    count = cupy.cuda.runtime.getDeviceCount()
    if not 0 <= number < count:
        known = "GPU 0" if count == 1 else f"GPUs 0 to {count - 1}"
        raise InputError(f"--device {number} is not there: this machine has {known}")
    cupy.cuda.Device(number).use()


def _device(cupy: Any, number: int) -> Device:
    facts = cupy.cuda.runtime.getDeviceProperties(number)
    capability = f"{facts['major']}.{facts['minor']}"  # none of this starts the device, which takes a while
    return Device(number, facts["name"].decode(), capability, int(facts["totalGlobalMem"]))


def _built_for(cupy: Any) -> int:
    return int(cupy.cuda.runtime.runtimeGetVersion())


def _supported(cupy: Any) -> int:
    return int(cupy.cuda.runtime.driverGetVersion())  # 0 without a driver


def _driver() -> str | None:
    """The version of the loaded driver, as Linux shows it."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found is not None else None


# Why not


def _reason(error: Exception, cupy: Any) -> str:
    status = getattr(error, "status", None)
    if status == _NO_DEVICE:
        return _no_device()
    if status == _INSUFFICIENT_DRIVER:  # also what CUDA says without any driver
        supported = _supported(cupy)
        return _too_old(_built_for(cupy), supported) if supported else _NO_DRIVER
    text = str(error).strip()
    return f"CuPy could not compute on the GPU ({text.splitlines()[0] if text else type(error).__name__})"


_NO_DRIVER = "this machine has no NVIDIA driver: install one (https://www.nvidia.com/drivers)"


def _no_device() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    why = f": CUDA_VISIBLE_DEVICES is `{hidden}`" if hidden is not None else ""
    return f"the driver shows no NVIDIA GPU{why}"


def _too_old(built_for: int, supported: int) -> str:
    major = built_for // 1000
    older = supported // 1000
    instead = (
        f", or install the CuPy for CUDA {older} (pip uninstall cupy-cuda{major}x; "
        f"pip install 'tensorflow_lite_bp[cuda{older}]')"
        if older in _EXTRAS and older < major
        else ""
    )
    return (
        f"the NVIDIA driver supports CUDA {shown(supported)} and this CuPy is built for CUDA {shown(built_for)}: "
        f"update the driver to one that supports CUDA {major}{instead}"
    )

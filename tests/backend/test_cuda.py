"""Why there is no GPU in one sentence each, and the options of the CuPy backend, on stand-ins for the module ``cupy``.

What the stand-ins raise and report is what CuPy 14.2 does: without a driver it says `cudaErrorInsufficientDriver`, as
for one that is too old, and the driver supports version 0.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import backend
from tensorflow_lite_bp.backend import cuda, get_backend
from tensorflow_lite_bp.backend.cupy import opened
from tensorflow_lite_bp.cli import main
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

TOO_OLD, NO_DEVICE, BUSY = 35, 100, 46
GIB = 1 << 30


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        names = {TOO_OLD: "cudaErrorInsufficientDriver", NO_DEVICE: "cudaErrorNoDevice"}
        super().__init__(f"{names.get(status, 'cudaErrorDevicesUnavailable')}: as CUDA describes it\nand more lines")
        self.status = status


class Pool:
    def __init__(self) -> None:
        self.used, self.taken, self.limit = 3 * GIB, 4 * GIB, 0

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self.limit = size if size is not None else int((fraction or 0) * 80 * GIB)

    def get_limit(self) -> int:
        return self.limit

    def used_bytes(self) -> int:
        return self.used

    def total_bytes(self) -> int:
        return self.taken


class Cupy(ModuleType):
    """A machine with two GPUs, unless told otherwise."""

    __version__ = "14.2.0"

    def __init__(self, *, status: int | None = None, supported: int = 12020, built_for: int = 12090) -> None:
        super().__init__("cupy")
        self.status, self.current, self.pool = status, 0, Pool()
        self.cuda = SimpleNamespace(Device=self.device)
        self.cuda.runtime = SimpleNamespace(
            runtimeGetVersion=lambda: built_for,
            driverGetVersion=lambda: supported,
            getDeviceCount=self.count,
            memGetInfo=lambda: (70 * GIB, 80 * GIB),
            getDeviceProperties=lambda number: {
                "name": b"NVIDIA H100",
                "major": 9,
                "minor": 0,
                "totalGlobalMem": 80 * GIB,
            },
        )

    def count(self) -> int:
        self.fail()
        return 2

    def fail(self) -> None:
        if self.status is not None:
            raise CUDARuntimeError(self.status)

    def arange(self, stop: int) -> np.ndarray:
        self.fail()
        return np.arange(stop)

    def get_default_memory_pool(self) -> Pool:
        return self.pool

    def device(self, number: int | None = None) -> Any:
        machine = self

        class Device:
            compute_capability = "75" if number is None and machine.current == 0 else "90"

            def use(self) -> None:
                machine.current = number

        return Device()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Put a stand-in (or None for nothing) where `import cupy` finds it."""

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(backend, "get_backend", get_backend.__wrapped__)  # no backend is kept from one test to another
    return lambda cupy: monkeypatch.setitem(sys.modules, "cupy", cupy)


WITHOUT = "; --backend numpy needs none of it"
SENTENCES = {
    "not installed": (
        None,
        "--backend cupy: CuPy is not installed: pip install 'tensorflow_lite_bp[cuda12]' for a CUDA 12 driver or "
        "'tensorflow_lite_bp[cuda13]' for a CUDA 13 driver" + WITHOUT,
    ),
    "no driver": (
        Cupy(status=TOO_OLD, supported=0),
        "--backend cupy: this machine has no NVIDIA driver: install one (https://www.nvidia.com/drivers)" + WITHOUT,
    ),
    "an old driver": (
        Cupy(status=TOO_OLD, supported=11040),
        "--backend cupy: the NVIDIA driver supports CUDA 11.4 and this CuPy is built for CUDA 12.9: update the driver "
        "to one that supports CUDA 12" + WITHOUT,
    ),
    "a driver that is too old though of the same CUDA": (
        Cupy(status=TOO_OLD, supported=12000),
        "--backend cupy: the NVIDIA driver supports CUDA 12.0 and this CuPy is built for CUDA 12.9: update the driver "
        "to one that supports CUDA 12" + WITHOUT,
    ),
    "a driver that is too old for this CuPy only": (
        Cupy(status=TOO_OLD, supported=12020, built_for=13000),
        "--backend cupy: the NVIDIA driver supports CUDA 12.2 and this CuPy is built for CUDA 13.0: update the driver "
        "to one that supports CUDA 13, or install the CuPy for CUDA 12 (pip uninstall cupy-cuda13x; pip install "
        "'tensorflow_lite_bp[cuda12]')" + WITHOUT,
    ),
    "no device": (
        Cupy(status=NO_DEVICE),
        "--backend cupy: the driver shows no NVIDIA GPU" + WITHOUT,
    ),
    "a device that cannot compute": (
        Cupy(status=BUSY),
        "--backend cupy: CuPy could not compute on the GPU (cudaErrorDevicesUnavailable: as CUDA describes it)"
        + WITHOUT,
    ),
}
each_sentence = pytest.mark.parametrize(("cupy", "sentence"), SENTENCES.values(), ids=SENTENCES)


@each_sentence
def test_a_machine_without_a_gpu_is_one_sentence(cupy: Any, sentence: str, install) -> None:
    install(cupy)
    with pytest.raises(EnvironmentFailure) as error:
        opened()
    assert str(error.value) == sentence


@each_sentence
def test_a_command_ends_with_it_and_code_3(
    cupy: Any, sentence: str, install, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    install(cupy)
    net = tmp_path / "a.net"
    net.write_text("network a\ninput x: float[2]\ny = x -> dense(1)\noutput y\n")
    for args in (["profile", str(net)], ["train", str(net)], ["doctor"]):
        assert main([*args, "--backend", "cupy"]) == 3
        streams = capsys.readouterr()
        assert (streams.out, streams.err) == ("", f"error: {sentence}\n")


def test_a_hidden_gpu_is_said_to_be_hidden(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert cuda.examine(Cupy(status=NO_DEVICE)).reason == (
        "the driver shows no NVIDIA GPU: CUDA_VISIBLE_DEVICES is `-1`"
    )


def test_a_cupy_that_cannot_be_imported_says_why(install, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "\n====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libfoo.so: cannot open\n====\n"
    (tmp_path / "cupy.py").write_text(f"raise ImportError({advice!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(EnvironmentFailure) as error:
        opened()
    assert str(error.value) == (
        "--backend cupy: CuPy is installed and cannot be imported (ImportError: libfoo.so: cannot open): "
        "install it again" + WITHOUT
    )


def test_what_there_is(install) -> None:
    found = cuda.examine(Cupy())
    gpus = tuple(cuda.Device(number, "NVIDIA H100", "9.0", 80 * GIB) for number in (0, 1))
    assert (found.cupy, found.runtime, found.supported, found.devices) == ("14.2.0", 12090, 12020, gpus)
    assert found.reason is None


def test_a_device_is_used_from_then_on(install) -> None:
    machine = Cupy()
    install(machine)
    opened(device=1)
    assert machine.current == 1
    with pytest.raises(InputError) as error:
        opened(device=2)
    assert str(error.value) == "--device 2 is not there: this machine has GPUs 0 to 1"


@pytest.mark.parametrize(
    ("typed", "octets"),
    [
        *(("4GiB", 4 * GIB), ("500 MB", 500_000_000), ("0.5KiB", 512), ("25%", 20 * GIB), ("3MiB", 3 << 20)),
        *(("2TiB", 2 << 40), ("7B", 7), ("6kB", 6000), ("5GB", 5 * 10**9), ("1.5TB", 15 * 10**11)),
    ],
)
def test_memory_is_limited(typed: str, octets: int, install) -> None:
    machine = Cupy()
    install(machine)
    opened(memory_limit=typed)
    assert machine.pool.limit == octets


@pytest.mark.parametrize("typed", ["", "4", "GiB", "-1GiB", "4gib", "0%", "101%", "0.1B", "1e3MB", "٤GiB", "nan%"])
def test_a_limit_that_is_none(typed: str, install) -> None:
    install(Cupy())
    with pytest.raises(InputError) as error:
        opened(memory_limit=typed)
    assert str(error.value) == (
        f"--memory-limit takes a size such as 4GiB or 500MB, or a share from 1% to 100%, not `{typed}`"
    )


def test_memory_that_is_left() -> None:
    machine = Cupy()
    assert cuda.memory_in_use(machine.pool) == (3 * GIB, 4 * GIB)
    assert cuda.memory_left(machine) == 71 * GIB  # what the device has, and what the pool keeps unused
    machine.pool.limit = 5 * GIB
    assert cuda.memory_left(machine) == 2 * GIB
    machine.pool.limit = GIB
    assert cuda.memory_left(machine) == 0


def test_tf32_is_asked_of_cupy_where_the_gpu_has_it(install, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    products = SimpleNamespace(set_compute_type=lambda *args: asked.append(args), COMPUTE_TYPE_TF32=7)
    core = ModuleType("cupy._core")
    core._routines_linalg = products
    monkeypatch.setitem(sys.modules, "cupy._core", core)
    install(Cupy())
    opened(device=1)
    assert asked == []
    opened(device=1, tf32=True)
    assert asked == [(np.dtype("float32"), 7)]
    with pytest.raises(EnvironmentFailure) as error:
        opened(device=0, tf32=True)
    assert str(error.value) == (
        "--tf32 needs a GPU of compute capability 8.0 or later, and this one has 7.5: leave it away"
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--device", "0"], "--device"),
        (["--memory-limit", "80%"], "--memory-limit"),
        (["--memory-limit", "1GiB", "--tf32"], "--memory-limit and --tf32"),
    ],
)
def test_numpy_refuses_what_is_for_a_gpu(options: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["train", "a.net"], ["evaluate", "run"], ["predict", "run", "a.csv"], ["profile", "a.net"]):
        assert main([*command, *options]) == 1
        assert capsys.readouterr().err == (
            f"error: {named}: --backend numpy uses no GPU, so leave it away, or use --backend cupy\n"
        )


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _is_installed() -> bool:
    """Whether CuPy itself is, not a stand-in of its name."""
    found = find_spec("cupy")
    return found is not None and (Path(str(found.origin)).parent / ".data" / "_wheel.json").is_file()


REAL_CUPY = pytest.mark.skipif(not _is_installed(), reason="needs the real CuPy")
NO_DRIVER = pytest.mark.skipif(_has_driver(), reason="needs a machine without a driver")


def _said(environment: Mapping[str, str]) -> str:
    """The last line that a process writes which asks for the backend."""
    code = "from tensorflow_lite_bp.backend import get_backend; get_backend('cupy')"
    given = {**os.environ, **environment}
    ran = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    return ran.stderr.splitlines()[-1].partition(": ")[2]


@REAL_CUPY
@NO_DRIVER
def test_the_real_cupy_without_a_driver() -> None:
    assert _said({}) == SENTENCES["no driver"][1]


@REAL_CUPY
@NO_DRIVER
@pytest.mark.skipif(which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize(("supported", "why"), [("11040", "an old driver"), ("12020", "no device")])
def test_the_real_cupy_with_a_driver_of_a_version(supported: str, why: str, tmp_path: Path) -> None:
    source = Path(__file__).parent / "driver.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", source], check=True)
    assert _said({"LD_LIBRARY_PATH": str(tmp_path), "STUB_VERSION": supported}) == SENTENCES[why][1]


@REAL_CUPY
def test_the_real_cupy_is_what_the_stand_in_says() -> None:
    import cupy

    error = cupy.cuda.runtime.CUDARuntimeError
    names = {TOO_OLD: "cudaErrorInsufficientDriver", NO_DEVICE: "cudaErrorNoDevice"}
    for status, name in names.items():
        assert error(status).status == status
        assert str(error(status)).startswith(name)
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    from cupy._core import _routines_linalg as products

    assert products.COMPUTE_TYPE_TF32 != products.COMPUTE_TYPE_DEFAULT
    assert callable(products.set_compute_type)

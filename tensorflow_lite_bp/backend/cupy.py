"""CuPy: the same code on an NVIDIA GPU. Importing this file imports no cupy; making a `CupyBackend` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend.base import Backend, Call, Draw, MemoryUse, Program
from tensorflow_lite_bp.backend.cuda import NoGpu, limited, memory_in_use, memory_left, use
from tensorflow_lite_bp.backend.staging import DEPTH, Place, Staging
from tensorflow_lite_bp.errors import EnvironmentFailure

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.fusion.kernels import Kernels, Products
    from tensorflow_lite_bp.backend.fusion.program import Step


class CupyBackend(Backend):
    name = "cupy"
    queued = True
    staged = DEPTH

    def __init__(self, **options: Any) -> None:
        cupy = opened(**options)
        from cupyx import empty_pinned
        from cupyx.scipy.special import erf

        self.options = options
        self.module = cupy
        self._erf = erf
        self._staging = Staging(cupy, empty_pinned)
        self._squares = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = a", "0", "sum_of_squares")
        self.waits = 0

    def to_host(self, array: Any) -> np.ndarray:
        self.waits += 1
        host: np.ndarray = self.module.asnumpy(array)
        return host

    def read(self, array: Any, /) -> float:
        self.waits += 1
        return float(array)

    def from_host(self, array: np.ndarray) -> Any:
        return self.module.asarray(array)

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        # one C-ordered transfer; the device turns the axes when it copies
        self.module.copyto(out, self.module.asarray(np.asarray(array, dtype=out.dtype)))

    def stager(self, out: Any) -> Callable[[np.ndarray], None]:
        return Place(self._staging, out).copy

    def uniform(self, draw: Draw, *, out: Any) -> None:
        _draw(draw, np.empty(out.shape, out.dtype), partial(self.copy_from_host, out=out))

    def erf(self, x: Any, *, out: Any) -> Any:
        return self._erf(x, out)

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        return self.module.take(array, indices, out=out)

    def squares(self, array: Any, *, out: Any) -> Any:
        return self._squares(array, out=out)  # `dot` makes an array of all squares

    def address(self, array: Any) -> int:
        address: int = array.data.ptr
        return address

    def memory(self, size: int) -> Any:
        return self.module.empty(size, dtype=self.module.uint8)  # CuPy aligns to 512 bytes

    def memory_use(self) -> MemoryUse:
        return MemoryUse(*memory_in_use(self.module.get_default_memory_pool()))

    def memory_left(self) -> int:
        return memory_left(self.module)

    def release_memory(self) -> None:
        self.module.get_default_memory_pool().free_all_blocks()

    # Few launches: see backend.fusion

    def factor(self, dtype: Any) -> Any:
        from tensorflow_lite_bp.backend.fusion.work import Number

        return Number(dtype)

    def program(self, calls: Sequence[Call], *, private: Sequence[Any] = (), constants: Sequence[Any] = ()) -> Program:
        from tensorflow_lite_bp.backend.fusion.count import launched
        from tensorflow_lite_bp.backend.fusion.program import program

        steps = program(calls, self, private=private, constants=constants)
        return Program([call for step in steps for call in self._bound(step)], launched(steps, self))

    def _bound(self, step: Step) -> list[Callable[[], Any]]:
        from tensorflow_lite_bp.backend.fusion.products import gemms
        from tensorflow_lite_bp.backend.fusion.program import Single

        if not isinstance(step.launch, Single):
            assert step.source is not None
            return [self._kernels.bound(step.source)]
        call = step.launch.call
        if call.function == self.matmul and self._products is not None:
            arrays = (*call.args, call.kwargs["out"])
            found = gemms(*arrays)
            if found is not None:
                return [self._products.bound(gemm, *arrays) for gemm in found]
        return [self.bind(call.function, call.args, call.kwargs)]

    @cached_property
    def _kernels(self) -> Kernels:
        from tensorflow_lite_bp.backend.fusion.kernels import Kernels

        return Kernels(self.module)

    @cached_property
    def _products(self) -> Products | None:
        """CuPy's way to cuBLAS, none of which is public; without it, its `matmul`, which copies more."""
        from tensorflow_lite_bp.backend.fusion.kernels import Products

        try:
            from cupy._core import _routines_linalg as linalg
            from cupy_backends.cuda.libs import cublas
        except ImportError:
            return None

        def single() -> int:
            fast = linalg.get_compute_type(np.dtype(np.float32)) == linalg.COMPUTE_TYPE_TF32
            return 77 if fast else 68  # CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F

        return Products(cublas, self.module.cuda.device.get_cublas_handle, single)

    def synchronize(self) -> None:
        self.waits += 1
        self.module.cuda.get_current_stream().synchronize()

    def bind(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
        if function == self.uniform:
            (draw,), out = args, kwargs["out"]
            return partial(_draw, draw, np.empty(out.shape, out.dtype), self.stager(out))
        if "where" in kwargs and function is not self.module.copyto:  # which alone takes it
            return partial(self._write_if, kwargs["where"], function, args, kwargs["out"])
        return super().bind(function, args, kwargs)

    def _write_if(self, flag: Any, function: Callable[..., Any], args: tuple[Any, ...], out: Any) -> None:
        self.module.copyto(out, function(*args), where=flag)

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        return nullcontext()


def _draw(draw: Draw, host: np.ndarray, send: Callable[[np.ndarray], None]) -> None:
    draw.generator().random(out=host, dtype=host.dtype)
    send(host)


def opened(*, device: int | None = None, memory_limit: str | None = None, tf32: bool = False) -> Any:
    """The module ``cupy``, which computes as `backend.get_backend` says of these options.

    Raises:
        InputError: for an option that is wrong here.
        EnvironmentFailure: when there is no GPU to compute on, or it has no TF32.
    """
    cupy = import_cupy()
    use(cupy, device)
    if memory_limit is not None:
        cupy.get_default_memory_pool().set_limit(**limited(memory_limit))
    if tf32:
        _allow_tf32(cupy)
    return cupy


def import_cupy() -> Any:
    """The module ``cupy``, whether or not there is a GPU.

    Raises:
        NoGpu: when it is not installed, or cannot be imported.
    """
    try:
        import cupy
    except ImportError as error:
        raise NoGpu(_not_imported(error)) from error
    return cupy


def _not_imported(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return (
            "CuPy is not installed: pip install 'tensorflow_lite_bp[cuda12]' for a CUDA 12 driver or "
            "'tensorflow_lite_bp[cuda13]' for a CUDA 13 driver"
        )
    # CuPy frames its advice in lines of = and puts the error that stopped it last
    lines = [line.strip() for line in str(error).splitlines() if line.strip("= ")]
    return (
        f"CuPy is installed and cannot be imported ({lines[-1] if lines else type(error).__name__}): install it again"
    )


def _allow_tf32(cupy: Any) -> None:
    """Let products of float32 matrices round their factors to TF32, 10 bits after the point, in this process.

    CuPy's public way is the variable CUPY_TF32, which it reads once, at the first product; this is what it calls then.

    Raises:
        EnvironmentFailure: for a GPU without TF32.
    """
    capability: str = cupy.cuda.Device().compute_capability  # "86" is 8.6
    if int(capability) < 80:
        raise EnvironmentFailure(
            f"--tf32 needs a GPU of compute capability 8.0 or later, and this one has {capability[:-1]}."
            f"{capability[-1]}: leave it away"
        )
    from cupy._core import _routines_linalg as products

    products.set_compute_type(np.dtype("float32"), products.COMPUTE_TYPE_TF32)

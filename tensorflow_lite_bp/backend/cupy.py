"""CuPy: the same code on an NVIDIA GPU. Importing this file imports no cupy; making a `CupyBackend` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.backend.base import Backend, Draw, Program
from tensorflow_lite_bp.errors import EnvironmentFailure

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.fusion.kernels import Kernels, Products
    from tensorflow_lite_bp.backend.fusion.program import Step
    from tensorflow_lite_bp.graph.recorder import Call


class CupyBackend(Backend):
    name = "cupy"

    def __init__(self) -> None:
        try:
            import cupy
            import cupyx.scipy.special
        except ImportError as error:
            raise EnvironmentFailure(
                "--backend cupy needs CuPy, which is not installed: pip install 'tensorflow_lite_bp[cuda12]' for a "
                "CUDA 12 driver or 'tensorflow_lite_bp[cuda13]' for a CUDA 13 driver, or use --backend numpy"
            ) from error
        try:
            float((cupy.arange(1) + 1).sum())  # importing proves nothing: compute
        except Exception as error:  # CuPy raises many kinds, one for each thing that can be missing
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EnvironmentFailure(
                f"--backend cupy needs an NVIDIA GPU with its driver, and CuPy could not use one ({reason}): "
                "use --backend numpy on this machine"
            ) from error
        self.module = cupy
        self._erf = cupyx.scipy.special.erf

    def to_host(self, array: Any) -> np.ndarray:
        host: np.ndarray = self.module.asnumpy(array)
        return host

    def from_host(self, array: np.ndarray) -> Any:
        return self.module.asarray(array)

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        # one C-ordered transfer; the device turns the axes when it copies
        self.module.copyto(out, self.module.asarray(np.asarray(array, dtype=out.dtype)))

    def uniform(self, draw: Draw, *, out: Any) -> None:
        out.set(draw.generator().random(out.shape, dtype=out.dtype.type))

    def erf(self, x: Any, *, out: Any) -> Any:
        return self._erf(x, out)

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        return self.module.take(array, indices, out=out)

    def address(self, array: Any) -> int:
        address: int = array.data.ptr
        return address

    def memory(self, size: int) -> Any:
        return self.module.empty(size, dtype=self.module.uint8)  # CuPy aligns to 512 bytes

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
        self.module.cuda.get_current_stream().synchronize()

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        return nullcontext()

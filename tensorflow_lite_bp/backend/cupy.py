"""CuPy: the same code on an NVIDIA GPU. Importing this file imports no cupy; making a `CupyBackend` does."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.errors import EnvironmentFailure


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

    def synchronize(self) -> None:
        self.module.cuda.get_current_stream().synchronize()

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        return nullcontext()

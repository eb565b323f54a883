"""NumPy: the reference, and the one that runs everywhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.backend.erf import erf


class NumpyBackend(Backend):
    name = "numpy"
    module = np

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(array)

    def from_host(self, array: np.ndarray) -> Any:
        return np.array(array)

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        np.copyto(out, array, casting="same_kind")

    def uniform(self, draw: Draw, *, out: Any) -> None:
        draw.generator().random(out=out, dtype=out.dtype)

    def erf(self, x: Any, *, out: Any) -> Any:
        return erf(x, out=out)

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        return np.take(array, indices, out=out, mode="clip")  # the default mode works in a copy of out

    def synchronize(self) -> None:
        pass

    def computing(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        if count is None:
            return nullcontext()
        from threadpoolctl import threadpool_limits

        limits: AbstractContextManager[Any] = threadpool_limits(count, user_api="blas")
        return limits

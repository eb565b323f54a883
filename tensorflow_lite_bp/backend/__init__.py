"""The array module, for which two libraries stand: NumPy and, when asked for, CuPy. No other package imports cupy."""

from __future__ import annotations

from functools import cache

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.errors import InputError

BACKENDS = ("numpy", "cupy")


@cache
def get_backend(name: str) -> Backend:
    """The backend of that name, the same one at every call.

    Raises:
        InputError: for a name that is none of `BACKENDS`.
        EnvironmentFailure: when the library is not installed, or there is no GPU to compute on.
    """
    if name == "numpy":
        from tensorflow_lite_bp.backend.numpy import NumpyBackend

        return NumpyBackend()
    if name == "cupy":
        from tensorflow_lite_bp.backend.cupy import CupyBackend

        return CupyBackend()
    raise InputError(f"backend `{name}` is unknown: expected {' or '.join(BACKENDS)}")


__all__ = ["BACKENDS", "Backend", "Draw", "get_backend"]

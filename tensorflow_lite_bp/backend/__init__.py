"""The array module, for which three libraries stand: NumPy; when asked for, CuPy; and SymPy, for proofs.

No other package imports cupy. The exact backend computes with symbols, not with data: it is none of `BACKENDS`.
"""

from __future__ import annotations

from functools import cache

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

BACKENDS = ("numpy", "cupy")


@cache
def get_backend(name: str) -> Backend:
    """The backend of that name (one of `BACKENDS`, or ``exact``), the same one at every call.

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
    if name == "exact":
        try:
            from tensorflow_lite_bp.backend.exact import ExactBackend
        except ImportError as error:
            raise EnvironmentFailure(
                "a proof needs SymPy, which is not installed: pip install 'tensorflow_lite_bp[proof]'"
            ) from error
        return ExactBackend()
    raise InputError(f"backend `{name}` is unknown: expected {' or '.join(BACKENDS)}")


__all__ = ["BACKENDS", "Backend", "Draw", "get_backend"]

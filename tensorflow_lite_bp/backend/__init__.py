"""The array module, for which three libraries stand: NumPy; when asked for, CuPy; and SymPy, for proofs.

No other package imports cupy. The exact backend computes with symbols, not with data: it is none of `BACKENDS`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

BACKENDS = ("numpy", "cupy")


@cache
def get_backend(name: str, **options: Any) -> Backend:
    """The backend of that name (one of `BACKENDS`, or ``exact``), the same one at every call.

    Args:
        options: of ``cupy``, and of the whole process, so that the last backend made decides: ``device``, the number
            of the GPU; ``memory_limit``, how much of its memory may be used (``"4GiB"``, ``"80%"``); ``tf32``, whether
            products of float32 matrices may round their factors to 10 bits after the point, to be faster.

    Raises:
        InputError: for a name that is none of `BACKENDS`, an option that it does not have, or a wrong one.
        EnvironmentFailure: when the library is not installed, or there is no GPU to compute on.
    """
    if options and name != "cupy":
        typed = " and ".join(f"--{option.replace('_', '-')}" for option in options)
        raise InputError(f"{typed}: --backend {name} uses no GPU, so leave it away, or use --backend cupy")
    if name == "numpy":
        from tensorflow_lite_bp.backend.numpy import NumpyBackend

        return NumpyBackend()
    if name == "cupy":
        from tensorflow_lite_bp.backend.cupy import CupyBackend

        return CupyBackend(**options)
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

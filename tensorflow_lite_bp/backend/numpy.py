"""NumPy: the reference, and the one that runs everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.base import Backend, Draw
from tensorflow_lite_bp.backend.erf import erf
from tensorflow_lite_bp.backend.reals import is_half, is_real, together

_LINE = 64  # bytes of a cache line
_REDUCTIONS = (np.add.reduce, np.maximum.reduce)
_WITHOUT_SCALARS = (np.maximum, np.minimum)
"""Functions whose loop for an array and a number is several times slower than that for two arrays."""
_LARGEST_CONSTANT = 1 << 17  # elements of an array that stands for a number


class NumpyBackend(Backend):
    name = "numpy"
    module = np
    threaded = True
    cache: int | None = 1 << 20
    sum, max = _REDUCTIONS  # what NumPy's functions of these names call in the end, after more time than a small sum

    def __init__(self) -> None:
        self._constants: dict[tuple[bytes, np.dtype[Any]], np.ndarray] = {}

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(array)

    read = staticmethod(float)

    def from_host(self, array: np.ndarray) -> Any:
        return np.array(array)

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        np.copyto(out, array, casting="same_kind")

    def uniform(self, draw: Draw, *, out: Any) -> None:
        draw.generator().random(out=out, dtype=out.dtype)

    def erf(self, x: Any, *, out: Any) -> Any:
        return erf(x, out=out)

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        return array.take(indices, out=out, mode="clip")  # the default mode works in a copy of out

    def address(self, array: Any) -> int:
        address: int = array.__array_interface__["data"][0]
        return address

    def memory(self, size: int) -> np.ndarray:
        raw = np.empty(size + _LINE, dtype=np.uint8)
        start = -self.address(raw) % _LINE
        return raw[start : start + size]

    def synchronize(self) -> None:
        pass

    def computing(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        return nullcontext() if count is None else _Limit(self._blas, count)

    @cached_property
    def _blas(self) -> list[Any]:
        """The matrix libraries of this process: looking for them takes a thousand times longer than limiting them."""
        from threadpoolctl import ThreadpoolController

        return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]

    # Binding: the same call with less of Python and NumPy around it

    def bind(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
        if function == self.take:
            array, indices = args
            return partial(array.take, indices, None, kwargs["out"], "clip")
        if function is np.put:
            array, indices, values = args
            return partial(array.put, indices, values)
        if function in _REDUCTIONS and kwargs.keys() <= {"axis", "keepdims", "out"}:
            return self._bound_reduction(function, *args, **kwargs)
        if not isinstance(function, np.ufunc) or set(kwargs) != {"out"}:
            return partial(function, *args, **kwargs)
        out = kwargs["out"]
        if function is np.matmul:
            A, B = args
            return _bound_product(A, B, out)
        args = tuple(self._bound_number(function, arg, args, out) for arg in args)
        return partial(function, *args, out=out) if function in _WITHOUT_SCALARS else partial(function, *args, out)

    def _bound_reduction(
        self,
        function: Callable[..., Any],
        array: np.ndarray,
        *,
        axis: int | None,
        out: np.ndarray,
        keepdims: bool = False,
    ) -> Callable[[], Any]:
        """The sum of rows or columns of a matrix is a product with ones, which the matrix library is quicker at.

        That has no numbers of 16 bits: they are added up in float32 and rounded once, as CuPy does.
        """
        if function == self.sum and is_half(array.dtype):
            return partial(function, array, axis, np.float32, out, keepdims)
        matrix = array.ndim == 2 and array.flags.c_contiguous and array.dtype == out.dtype and out.flags.c_contiguous
        ones = array.ndim == 2 and axis in (0, 1) and is_real(array.dtype) and array.shape[axis] <= _LARGEST_CONSTANT
        if function == self.sum and matrix and ones:
            if axis == 1:
                return partial(
                    np.dot, array, self._constant(np.array(1.0, array.dtype), array.shape[1]), out.reshape(-1)
                )
            if axis == 0:
                return partial(np.dot, self._constant(np.array(1.0, array.dtype), len(array)), array, out.reshape(-1))
        return partial(function, array, axis, None, out, keepdims)

    def _bound_number(self, function: np.ufunc, arg: Any, args: tuple[Any, ...], out: np.ndarray) -> Any:
        """A Python number as an array of the dtype that it would be given at every call."""
        arrays = [other for other in args if isinstance(other, np.ndarray)]
        if type(arg) not in (bool, int, float) or not is_real(out.dtype):
            return arg
        if not arrays or {array.dtype for array in arrays} != {out.dtype}:
            return arg
        number = np.array(arg, together(arg, out.dtype))
        if function not in _WITHOUT_SCALARS or out.size > _LARGEST_CONSTANT:
            return number
        return self._constant(number, out.size).reshape(out.shape)

    def _constant(self, number: np.ndarray, size: int) -> np.ndarray:
        """That many times the same number."""
        key = (number.tobytes(), number.dtype)
        found = self._constants.get(key)
        if found is None or found.size < size:
            found = self._constants[key] = np.full(size, number)
        return found[:size]


class _Limit:
    """So many threads for the matrix libraries inside; when the last limit ends, as many as before the first."""

    _lock = Lock()
    _limits = 0
    _before: list[int] = []

    def __init__(self, libraries: list[Any], count: int) -> None:
        self._libraries, self._count = libraries, count

    def __enter__(self) -> None:
        with self._lock:
            self._outside = [library.get_num_threads() for library in self._libraries]
            if _Limit._limits == 0:
                _Limit._before = self._outside
            _Limit._limits += 1
            self._set([self._count] * len(self._libraries))

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            _Limit._limits -= 1
            self._set(_Limit._before if _Limit._limits == 0 else self._outside)

    def _set(self, counts: list[int]) -> None:
        for library, count in zip(self._libraries, counts, strict=True):
            if library.get_num_threads() != count:
                library.set_num_threads(count)


def _bound_product(A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Callable[[], Any]:
    """``dot`` comes to the same library by a shorter way, where it may write straight into ``out``.

    The library has no numbers of 16 bits: they are multiplied in float32 and rounded once, as a GPU does.
    """
    if is_half(A.dtype):
        return partial(np.matmul, A, B, out, dtype=np.float32, casting="same_kind")
    if A.ndim == B.ndim == 2 and out.flags.c_contiguous and A.dtype == B.dtype == out.dtype:
        return partial(np.dot, A, B, out)
    return partial(np.matmul, A, B, out)

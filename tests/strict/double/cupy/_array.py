"""The array: a wrapper around device memory, no subclass of NumPy's, so that host and device cannot mix unseen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes  # noqa: F401  # CuPy imports it too: from then on NumPy knows bfloat16 by its name
import numpy as np

from cupy._binding import bind
from cupy._machine import MACHINE, Memory, StrictError
from cupy.cuda.memory import MemoryPointer, alloc, download, upload

_KINDS = "?bhilqBHILQeEfdFD"


class ndarray:
    """CuPy's array of the double. Reading a value waits for the device, and is counted."""

    __slots__ = ("__weakref__", "_values", "base", "memory")
    __array_priority__ = 100
    __array_ufunc__ = None  # an operator with a host array is ours to refuse

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        dtype = checked_dtype(dtype)
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        pointer = memptr if memptr is not None else alloc(size)
        self.memory: Memory = pointer.mem
        self.base: ndarray | None = None
        octets, offset = (self.memory.octets, pointer.offset) if size else (np.empty(dtype.itemsize, np.uint8), 0)
        self._values: np.ndarray = np.ndarray(shape, dtype, octets, offset, strides, order)

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._values.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        return self._values.strides

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def size(self) -> int:
        return self._values.size

    @property
    def itemsize(self) -> int:
        return self._values.itemsize

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    @property
    def flags(self) -> Flags:
        return Flags(self._values, self.base is None)

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self.memory, self._first() if self.size else 0)

    @property
    def device(self) -> Any:
        return self.data.device

    @property
    def T(self) -> ndarray:
        return view_of(self, self._values.T)

    def extent(self) -> tuple[int, int]:
        """First byte and end of what the array can reach in its memory."""
        if self.size == 0:
            return 0, 0
        first, end = np.lib.array_utils.byte_bounds(self._values)
        return first - self.memory.ptr, end - self.memory.ptr

    def _first(self) -> int:
        address: int = self._values.__array_interface__["data"][0]
        return address - self.memory.ptr

    # To and from the host

    def get(self, *args: Any, **kwargs: Any) -> np.ndarray:
        given = bind("method", "get", args, kwargs)
        stream, out, blocking = given.get("stream"), given.get("out"), given.get("blocking", True)
        if out is None:
            out = np.empty(self.shape, self.dtype, order="C")
        elif not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        elif out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        elif out.shape != self.shape or not out.flags.c_contiguous:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        if self.size:
            source = self if self._values.flags.c_contiguous else computed("contiguous", self._values.copy("C"), [self])
            download(source.data, _octets(out), stream=stream, asynchronous=not blocking)
        return out

    def set(self, *args: Any, **kwargs: Any) -> None:
        given = bind("method", "set", args, kwargs)
        array, stream = given["arr"], given.get("stream")
        if not isinstance(array, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != array.dtype:
            raise TypeError(f"{array.dtype} array cannot be set to {self.dtype} array")
        if self.shape != array.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {array.shape}")
        if not self._values.flags.c_contiguous:
            raise RuntimeError("Cannot set to non-contiguous array")
        asynchronous = stream is not None or not MACHINE.current.stream.is_null
        if self.size:
            upload(self.data, _octets(np.ascontiguousarray(array)), stream=stream, asynchronous=asynchronous)

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of a device array: call the backend's function")

    # Entries

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[place] for place in range(len(self)))

    __hash__ = None

    def __getitem__(self, key: Any) -> ndarray:
        parts, advanced, masked = _key(key)
        if not advanced:
            return view_of(self, self._values[(*parts, *([] if Ellipsis in _plain(parts) else [...]))])
        if masked:  # how many are true?
            MACHINE.wait(MACHINE.current.stream.clock)
        return computed("getitem", self._values[_wrapped(parts, self.shape)], [self, *advanced])

    def __setitem__(self, key: Any, value: Any) -> None:
        parts, advanced, _ = _key(key)
        if not is_operand(value):
            raise TypeError(f"Unsupported type {type(value)}: it lies on the host")
        arrays = [value] if isinstance(value, ndarray) else []
        MACHINE.work("setitem", [*arrays, *advanced], [self])
        with np.errstate(all="ignore"):
            if not advanced:
                self._values[tuple(parts)] = raw(value)
                return
            places = _wrapped(parts, self.shape)
            self._values[places] = raw(value)
            poison(self._values, np.arange(self.size).reshape(self.shape)[places])

    # Views and copies

    def reshape(self, *args: Any, **kwargs: Any) -> ndarray:
        bind("method", "reshape", args, kwargs)
        return same_or_copy("reshape", self, self._values.reshape(*args, **kwargs))

    def transpose(self, *args: Any, **kwargs: Any) -> ndarray:
        bind("method", "transpose", args, kwargs)
        return view_of(self, self._values.transpose(*args))

    def swapaxes(self, *args: Any, **kwargs: Any) -> ndarray:
        given = bind("method", "swapaxes", args, kwargs)
        return view_of(self, self._values.swapaxes(given["axis1"], given["axis2"]))

    def squeeze(self, *args: Any, **kwargs: Any) -> ndarray:
        given = bind("method", "squeeze", args, kwargs)
        return view_of(self, self._values.squeeze(given.get("axis")))

    def view(self, *args: Any, **kwargs: Any) -> ndarray:
        given = bind("method", "view", args, kwargs)
        return view_of(self, self._values.view(checked_dtype(given.get("dtype", self.dtype))))

    def ravel(self, *args: Any, **kwargs: Any) -> ndarray:
        bind("method", "ravel", args, kwargs)
        return same_or_copy("ravel", self, self._values.ravel(*args, **kwargs))

    def flatten(self, *args: Any, **kwargs: Any) -> ndarray:
        bind("method", "flatten", args, kwargs)
        return computed("flatten", self._values.flatten(*args, **kwargs), [self])

    def copy(self, *args: Any, **kwargs: Any) -> ndarray:
        bind("method", "copy", args, kwargs)
        return computed("copy", self._values.copy(*args, **kwargs), [self])

    def astype(self, *args: Any, **kwargs: Any) -> ndarray:
        given = bind("method", "astype", args, kwargs)
        dtype = checked_dtype(given["dtype"])
        if not given.get("copy", True) and dtype == self.dtype:
            return self
        with np.errstate(all="ignore"):
            return computed("astype", self._values.astype(dtype, order=given.get("order", "K")), [self])

    def fill(self, *args: Any, **kwargs: Any) -> None:
        value = bind("method", "fill", args, kwargs)["value"]
        if not is_operand(value) or (isinstance(value, ndarray) and value.ndim):
            raise TypeError(f"fill takes a number, not {type(value)}")
        MACHINE.work("fill", [value] if isinstance(value, ndarray) else [], [self])
        self._values.fill(raw(value))


class Flags:
    def __init__(self, values: np.ndarray, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous = values.flags.c_contiguous, values.flags.f_contiguous
        self.owndata = owndata

    def __getitem__(self, name: str) -> bool:
        found: bool = vars(self)[name.lower()]
        return found


# How arrays are made


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """A dtype that CUDA has."""
    found = np.dtype(dtype)
    if found.char not in _KINDS:
        raise ValueError(f"Unsupported dtype {found}")
    return found


def raw(operand: Any) -> Any:
    """What NumPy computes with in an operand's place."""
    return operand._values if isinstance(operand, ndarray) else operand


def is_operand(value: Any) -> bool:
    """Arrays and numbers; no host arrays, lists or None."""
    return isinstance(value, (ndarray, bool, int, float, complex, np.number, np.bool_))


def view_of(array: ndarray, values: np.ndarray) -> ndarray:
    """Other shape, strides or dtype of the same memory."""
    made = ndarray.__new__(ndarray)
    made.memory, made.base, made._values = array.memory, array.base if array.base is not None else array, values
    return made


def placed(values: Any) -> ndarray:
    """A new array with these values."""
    values = np.asarray(values)
    made = ndarray(values.shape, values.dtype)
    strides = np.empty_like(values).strides  # as NumPy lays it out, and CuPy too
    if values.size and strides != made.strides:
        made = ndarray(values.shape, values.dtype, made.data, strides)
    made._values[...] = values
    return made


def computed(name: str, values: Any, reads: list[Any], *, launches: int = 1) -> ndarray:
    """A new array that a launch makes of others."""
    made = placed(values)
    MACHINE.work(name, reads, [made], launches=launches)
    return made


def same_or_copy(name: str, array: ndarray, values: np.ndarray) -> ndarray:
    """A view where NumPy makes one, else a copy and its launch."""
    if values.size == 0 or np.may_share_memory(values, array.memory.octets):
        return view_of(array, values)
    return computed(name, values, [array])


def poison(values: np.ndarray, places: np.ndarray) -> None:
    """Spoil entries that several assignments raced for: which one stays is undefined on a GPU."""
    found, counts = np.unique(np.ravel(places), return_counts=True)
    several = found[counts > 1]
    if several.size:
        spoil = np.nan if values.dtype.kind in "fc" else np.frombuffer(b"\xff" * 16, values.dtype, 1)[0]
        values.flat[several] = spoil


# Indices


def _key(key: Any) -> tuple[list[Any], list[ndarray], bool]:
    """An index in parts, the arrays in it, and whether one is a mask.

    Raises:
        TypeError: for host arrays and lists, which CuPy would copy to the device at every use.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    for part in parts:
        if isinstance(part, (np.ndarray, list)):
            raise TypeError(f"an index of {type(part)} is a hidden copy to the device: make an array of it once")
    arrays = [part for part in parts if isinstance(part, ndarray)]
    return parts, arrays, any(array.dtype == bool for array in arrays)


def _plain(parts: list[Any]) -> list[Any]:
    return [part for part in parts if part is Ellipsis]


def _wrapped(parts: list[Any], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index for NumPy, places outside of an axis brought into it as CuPy does."""
    taken = sum(part.ndim if isinstance(part, ndarray) and part.dtype == bool else part is not None for part in parts)
    axis, found = 0, []
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - (taken - 1)
        elif isinstance(part, ndarray) and part.dtype != bool:
            found.append(part._values % shape[axis])
            axis += 1
            continue
        elif part is not None:
            axis += part.ndim if isinstance(part, ndarray) else 1
        found.append(raw(part))
    return tuple(found)


def _octets(array: np.ndarray) -> np.ndarray:
    """The bytes of a contiguous host array, the same memory."""
    return array.reshape(-1).view(np.uint8)


__all__ = ["StrictError", "ndarray"]

"""The functions of the module: each call is bound to CuPy's signature, computed by NumPy, and noted as work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cupy._array import (
    checked_dtype,
    computed,
    is_operand,
    ndarray,
    placed,
    poison,
    raw,
    same_or_copy,
    view_of,
)
from cupy._binding import TABLE, bind, refuse_host, signature
from cupy._machine import COUNTERS, MACHINE
from cupy.cuda.memory import is_pinned, upload

HALVES = "eE"
"""Types of 16 bits, float16 and bfloat16: they are added up in float32, and rounded once."""
_ADDED = frozenset({"sum", "mean", "prod"})
_VIEWS = frozenset({"diagonal", "expand_dims", "moveaxis", "ravel", "reshape", "rollaxis", "squeeze"})
_VIEWS |= {"swapaxes", "transpose", "atleast_1d", "atleast_2d", "flip", "array_split", "split", "permute_dims"}
_WAITING = {"bincount": 2, "nonzero": 1, "flatnonzero": 1, "argwhere": 1, "unique": 1, "count_nonzero": 0}
"""Functions whose result's shape depends on values: CuPy waits for the device so often."""


class Function:
    """A function of the module, by its name."""

    def __init__(self, name: str, module: str = "cupy") -> None:
        self.__name__ = self.name = name
        self.module = module

    def __repr__(self) -> str:
        return f"<the double's {self.module}.{self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = bind("function", self.name, args, kwargs, self.module)
        if self.name in _SPECIAL:
            return _SPECIAL[self.name](**given)
        refuse_host(self.name, given)
        if self.name in _VIEWS:
            return self._view(given)
        for _ in range(_WAITING.get(self.name, 0)):
            MACHINE.wait(MACHINE.current.stream.clock)
        return self._computed(given)

    def _view(self, given: dict[str, Any]) -> Any:
        array = next(value for value in given.values() if isinstance(value, ndarray))
        result = self._numpy(given)
        if isinstance(result, list):
            return [view_of(array, values) for values in result]
        return same_or_copy(self.name, array, result)

    def _computed(self, given: dict[str, Any]) -> Any:
        out = given.get("out")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError(f"{self.name}: out is {type(out)}, no array of the device")
        reads = arrays_in([value for key, value in given.items() if key != "out"])
        if out is not None:
            MACHINE.work(self.name, reads, [out])
            self._numpy(given)
            return out
        result = self._numpy(given)
        if isinstance(result, (tuple, list)):
            return tuple(computed(self.name, values, reads) for values in result)
        return computed(self.name, result, reads) if isinstance(result, (np.ndarray, np.generic)) else result

    def _numpy(self, given: dict[str, Any]) -> Any:
        """NumPy's function with the same arguments, by position as far as they go."""
        bound = signature("function", self.name, self.module).bind_partial()
        bound.arguments = {name: _unwrapped(value) for name, value in given.items()}
        function = getattr(np, self.name, None)
        if function is None:
            raise NotImplementedError(f"the double does not compute {self.module}.{self.name}: see {__file__}")
        with np.errstate(all="ignore"):
            if self.name in _ADDED and given["a"].dtype.char in HALVES and given.get("dtype") is None:
                bound.arguments["dtype"] = np.float32
                return np.asarray(function(*bound.args, **bound.kwargs), given["a"].dtype)
            return function(*bound.args, **bound.kwargs)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_unwrapped(item) for item in value)
    return raw(value)


def arrays_in(values: Any) -> list[ndarray]:
    """All device arrays among arguments."""
    if isinstance(values, ndarray):
        return [values]
    if isinstance(values, (list, tuple)):
        return [array for value in values for array in arrays_in(value)]
    return []


class Ufunc:
    """An elementwise function."""

    def __init__(self, name: str, function: Any, module: str = "cupy") -> None:
        self.__name__ = self.name = name
        self._function, self._module = function, module
        self.nin, self.nout = TABLE["ufuncs"][module][name]

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = bind("ufunc", self.name, args, kwargs, self._module)
        operands, outs = args[: self.nin], [out for out in args[self.nin :] if out is not None]
        if given.get("out") is not None:
            outs += given["out"] if isinstance(given["out"], tuple) else [given["out"]]
        for operand in operands:
            if not is_operand(operand):
                raise TypeError(f"{self.name}: Unsupported type {type(operand)}")
        for out in outs:
            if not isinstance(out, ndarray):
                raise TypeError(f"{self.name}: Unsupported type {type(out)} of out")
        return self._launched(operands, outs, {k: given[k] for k in ("dtype", "casting") if given.get(k) is not None})

    def _launched(self, operands: Sequence[Any], outs: list[ndarray], options: dict[str, Any]) -> Any:
        reads = [operand for operand in operands if isinstance(operand, ndarray)]
        with np.errstate(all="ignore"):
            if outs:
                MACHINE.work(self.name, reads, outs)
                self._function(*map(raw, operands), out=tuple(map(raw, outs)), **options)
                return outs[0] if len(outs) == 1 else tuple(outs)
            result = self._function(*map(raw, operands), **options)
        if isinstance(result, tuple):
            return tuple(computed(self.name, values, reads) for values in result)
        return computed(self.name, result, reads)

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("reduce", args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("accumulate", args, kwargs)

    def _method(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = bind("ufunc method", name, args, kwargs)
        refuse_host(f"{self.name}.{name}", given)
        array, out = given.pop("array"), given.pop("out", None)
        function = getattr(self._function, name)
        with np.errstate(all="ignore"):
            if out is not None:
                MACHINE.work(f"{self.name}.{name}", [array], [out])
                function(raw(array), out=raw(out), **given)
                return out
            return computed(f"{self.name}.{name}", function(raw(array), **given), [array])

    def at(self, *args: Any, **kwargs: Any) -> None:
        """CuPy's own for add, maximum and minimum: atomic, of the dtypes that CUDA has atomics for."""
        given = bind("ufunc method", "at", args, kwargs)
        scatter(self.name, given["a"], given["indices"], given.get("b"))


_ATOMIC = {"int32", "float16", "float32", "float64", "uint32", "uint64"}


def scatter(name: str, array: ndarray, key: Any, value: Any) -> None:
    """``add``, ``maximum`` or ``minimum`` of entries with values, duplicates included; places outside wrap."""
    if name not in ("add", "maximum", "minimum"):
        raise NotImplementedError(f"cupy.{name}.at")
    if array.dtype.name not in (_ATOMIC if name == "add" else _ATOMIC - {"float16"}):
        raise TypeError(f"scatter_{name} only supports {', '.join(sorted(_ATOMIC))}, as data type, not {array.dtype}")
    if not is_operand(value) or not isinstance(key, (ndarray, tuple)):
        raise TypeError(f"{name}.at: Unsupported type {type(value)} or {type(key)}: it lies on the host")
    from cupy._array import _key, _wrapped

    parts, advanced, _ = _key(key)
    MACHINE.work(f"scatter_{name}", [*advanced, *arrays_in(value)], [array])
    getattr(np, name).at(raw(array), _wrapped(parts, array.shape), raw(value))


# What is more than NumPy's function


def _array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if isinstance(obj, ndarray):
        kept = not copy and (dtype is None or checked_dtype(dtype) == obj.dtype)
        return obj if kept else obj.astype(dtype if dtype is not None else obj.dtype)
    if arrays_in(obj):
        stacked: ndarray = Function("stack")(list(obj))
        return stacked
    host = np.array(obj, dtype=dtype, order="C", ndmin=ndmin)
    made = ndarray(host.shape, host.dtype)
    if host.size:  # CuPy copies into pinned memory of its own first, unless the array is pinned
        if isinstance(obj, np.ndarray) and is_pinned(obj) and obj.dtype == host.dtype and obj.flags.c_contiguous:
            upload(made.data, obj.reshape(-1).view(np.uint8), stream=None, asynchronous=not blocking)
            return made
        COUNTERS.uploads += 1
        MACHINE.work("upload", [], [made], launches=0)
        made._values[...] = host
        if blocking:
            MACHINE.wait(MACHINE.current.stream.clock)
    return made


def _asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return _array(a, dtype, copy, blocking=blocking)


def _asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    if isinstance(a, ndarray):
        return a.get(stream=stream, order=order, out=out, blocking=blocking)
    return np.asarray(a)


def _ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    array = _asarray(a, dtype)
    return array if array.flags.c_contiguous else array.copy(order="C")


def _filled(name: str, shape: Any, dtype: Any, order: str, value: Any) -> ndarray:
    made = ndarray(shape, float if dtype is None else dtype, order=order)
    if value is not None:
        MACHINE.work(name, arrays_in(value), [made])
        made._values[...] = raw(value)
    return made


def _empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled("empty", shape, dtype, order, None)


def _zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled("zeros", shape, dtype, order, 0)


def _ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled("ones", shape, dtype, order, 1)


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    if not is_operand(fill_value):
        raise TypeError(f"full: Unsupported type {type(fill_value)}")
    return _filled("full", shape, np.asarray(raw(fill_value)).dtype if dtype is None else dtype, order, fill_value)


def _like(name: str, value: Any = None) -> Callable[..., ndarray]:
    def make(a: Any, *given: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
        if not isinstance(a, ndarray):
            raise TypeError(f"{name}: Unsupported type {type(a)}")
        return _filled(name, a.shape if shape is None else shape, a.dtype if dtype is None else dtype, "C", value)

    return make


def _full_like(a: Any, fill_value: Any, dtype: Any = None, **options: Any) -> ndarray:
    return _like("full_like", fill_value)(a, dtype=dtype, **options)


def _arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    values = np.arange(start, dtype=dtype) if stop is None else np.arange(start, stop, step, dtype)
    return computed("arange", values, [])


def _copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    if not isinstance(dst, ndarray) or not is_operand(src) or (where is not None and not isinstance(where, ndarray)):
        raise TypeError(f"copyto: Unsupported type {type(dst)}, {type(src)} or {type(where)}")
    MACHINE.work("copyto", arrays_in([src, where]), [dst])
    with np.errstate(all="ignore"):
        np.copyto(raw(dst), raw(src), casting=casting, where=True if where is None else raw(where))


def _take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    """Places outside wrap; ``out`` must have the array's dtype and the result's shape."""
    for operand in (a, indices, *([out] if out is not None else [])):
        if not isinstance(operand, ndarray) and operand is not indices:
            raise TypeError(f"take: Unsupported type {type(operand)}")
    if not isinstance(indices, (ndarray, int, np.integer)):
        raise TypeError(f"take: indices of {type(indices)} are a hidden copy to the device")
    values = np.take(raw(a), raw(indices), axis=axis, mode="wrap")
    if out is None:
        return computed("take", values, arrays_in([a, indices]))
    if out.dtype != a.dtype:
        raise TypeError("Output dtype mismatch")
    if out.shape != np.shape(values):
        raise ValueError("Output shape mismatch")
    MACHINE.work("take", arrays_in([a, indices]), [out])
    raw(out)[...] = values
    return out


def _put(a: ndarray, ind: Any, v: Any, mode: str = "wrap") -> None:
    """Places outside wrap; a place that is given twice holds what nobody can tell."""
    if not all(isinstance(operand, ndarray) for operand in (a, ind)) or not is_operand(v):
        raise TypeError(f"put: Unsupported type {type(ind)} or {type(v)}")
    if mode == "raise":
        MACHINE.wait(MACHINE.current.stream.clock)
    MACHINE.work("put", arrays_in([ind, v]), [a])
    places = raw(ind).ravel() % a.size if mode == "wrap" else raw(ind).ravel()
    np.put(raw(a), places, raw(v), mode=mode)
    poison(raw(a), places)


def _einsum(operands: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> ndarray:
    unknown = (kwargs or {}).keys() - {"dtype", "optimize"}
    if unknown:
        raise TypeError(f"einsum: did not understand the following kwargs: {', '.join(sorted(unknown))}")
    return computed("einsum", np.einsum(*map(raw, operands), **(kwargs or {})), arrays_in(list(operands)))


def _matmul(*, args: tuple[Any, ...], out: Any = None, **options: Any) -> ndarray:
    """CuPy's products work on contiguous matrices: what is not is copied before or after, a launch each. Many matrices
    of bfloat16 are more than it can: it takes the way of whole numbers with them, which has no kernel."""
    a, b = args[:2]
    out = args[2] if len(args) > 2 else out
    if not all(isinstance(operand, ndarray) for operand in (a, b, *([out] if out is not None else []))):
        raise TypeError(f"matmul: Unsupported type {type(a)}, {type(b)} or {type(out)}")
    batched = max(a.ndim, b.ndim) > 2
    if batched and "E" in (a.dtype.char, b.dtype.char):
        raise TypeError("matmul: no product of many matrices of bfloat16 in CuPy 14")
    left, right = (raw(x).astype(np.float32) if x.dtype.char in HALVES else raw(x) for x in (a, b))
    with np.errstate(all="ignore"):
        values = np.matmul(left, right, **{k: v for k, v in options.items() if v is not None})
        if a.dtype == b.dtype and a.dtype.char in HALVES:
            values = values.astype(a.dtype)
    launches = 1
    if batched:
        launches += sum(not operand.flags.c_contiguous for operand in (a, b))
    if batched and a.shape[:-2] != b.shape[:-2]:  # addresses of all matrices, axis by axis
        launches += 3 * (max(a.ndim, b.ndim) - 2)
    if out is None:
        return computed("matmul", values, [a, b], launches=launches)
    if out.shape != values.shape:
        raise ValueError(f"Output operand 0 has invalid shape {out.shape} expected {values.shape}")
    MACHINE.work("matmul", [a, b], [out], launches=launches + (not out.flags.c_contiguous or out.dtype != values.dtype))
    np.copyto(raw(out), values, casting=options.get("casting", "same_kind"))
    return out


def _dot(a: ndarray, b: ndarray, out: Any = None) -> ndarray:
    if not all(isinstance(operand, ndarray) for operand in (a, b)):
        raise TypeError(f"dot: Unsupported type {type(a)} or {type(b)}")
    with np.errstate(all="ignore"):
        values = np.dot(raw(a), raw(b))
    if out is None:
        return computed("dot", values, [a, b])
    assert out.flags.c_contiguous, "CuPy's dot writes to C-contiguous arrays alone"
    assert out.dtype == values.dtype, "CuPy's dot writes to arrays of its result's dtype alone"
    MACHINE.work("dot", [a, b], [out])
    raw(out)[...] = values
    return out


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None:
        MACHINE.wait(MACHINE.current.stream.clock)
        return tuple(computed("where", values, [condition]) for values in np.nonzero(raw(condition)))
    if not all(map(is_operand, (condition, x, y))):
        raise TypeError(f"where: Unsupported type {type(condition)}, {type(x)} or {type(y)}")
    return computed("where", np.where(raw(condition), raw(x), raw(y)), arrays_in([condition, x, y]))


def _may_share_memory(a: ndarray, b: ndarray, max_work: Any = None) -> bool:
    return bool(np.may_share_memory(raw(a), raw(b)))


def _as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    return view_of(x, np.lib.stride_tricks.as_strided(raw(x), shape, strides))


def _broadcast_to(array: ndarray, shape: Any) -> ndarray:
    """As CuPy's, it can be written to."""
    if not isinstance(array, ndarray):
        raise TypeError(f"broadcast_to: Unsupported type {type(array)}")
    spread = np.broadcast_to(raw(array), shape)
    return view_of(array, np.lib.stride_tricks.as_strided(raw(array), spread.shape, spread.strides))


_SPECIAL: dict[str, Callable[..., Any]] = {
    "arange": _arange,
    "array": _array,
    "as_strided": _as_strided,
    "asanyarray": _asarray,
    "asarray": _asarray,
    "ascontiguousarray": _ascontiguousarray,
    "asnumpy": _asnumpy,
    "broadcast_to": _broadcast_to,
    "copyto": _copyto,
    "dot": _dot,
    "einsum": _einsum,
    "empty": _empty,
    "empty_like": _like("empty_like"),
    "full": _full,
    "full_like": _full_like,
    "isscalar": np.isscalar,
    "matmul": _matmul,
    "may_share_memory": _may_share_memory,
    "ones": _ones,
    "ones_like": _like("ones_like", 1),
    "put": _put,
    "take": _take,
    "where": _where,
    "zeros": _zeros,
    "zeros_like": _like("zeros_like", 0),
}


def erf(x: Any, *args: Any, **options: Any) -> Any:
    """By the C library, in double precision."""
    values = np.vectorize(math.erf, otypes=[np.float64])(x) if np.size(x) else np.empty(np.shape(x))
    out = options.get("out", args)
    if out:
        out[0][...] = values
        return out[0]
    return np.asarray(values, np.asarray(x).dtype)


# Methods and operators of arrays that are these functions

_METHODS = ("all", "any", "argmax", "argmin", "argsort", "clip", "cumprod", "cumsum", "diagonal", "dot", "max", "mean")
_METHODS += ("min", "nonzero", "prod", "ptp", "put", "repeat", "round", "std", "sum", "take", "trace", "var")
_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift",
}  # fmt: skip
_COMPARISONS = {
    "lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip
_UNARY = {"neg": "negative", "abs": "absolute", "invert": "invert"}


def complete() -> None:
    """Give the array its methods and operators."""
    for name in _METHODS:
        setattr(ndarray, name, _method(name))
    for sign, name in _OPERATORS.items():
        ufunc = ufunc_of(name)
        setattr(ndarray, f"__{sign}__", lambda self, other, f=ufunc: f(self, other))
        setattr(ndarray, f"__r{sign}__", lambda self, other, f=ufunc: f(other, self))
        setattr(ndarray, f"__i{sign}__", lambda self, other, f=ufunc: f(self, other, out=self))
    for sign, name in _COMPARISONS.items():
        ufunc = ufunc_of(name)
        setattr(ndarray, f"__{sign}__", lambda self, other, f=ufunc: f(self, other))
    for sign, name in _UNARY.items():
        ufunc = ufunc_of(name)
        setattr(ndarray, f"__{sign}__", lambda self, f=ufunc: f(self))
    product = Function("matmul")
    ndarray.__matmul__ = lambda self, other, f=product: f(self, other)
    ndarray.__hash__ = None


def _method(name: str) -> Callable[..., Any]:
    def call(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        given = bind("method", name, args, kwargs)
        if name == "clip":
            return Function(name)(self, given.get("min"), given.get("max"), given.get("out"))
        return Function(name)(self, *given.values()) if name == "put" else Function(name)(self, **given)

    return call


def ufunc_of(name: str, module: str = "cupy") -> Ufunc:
    return Ufunc(name, erf if name == "erf" else getattr(np, name), module)


complete()
__all__ = ["Function", "Ufunc", "placed", "scatter", "ufunc_of"]

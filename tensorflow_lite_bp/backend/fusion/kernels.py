"""Texts as kernels of CuPy's own classes, and products as calls of cuBLAS. The array module is handed in.

Every array is handed over as a view of its first element: the text knows the rest, and so a kernel is compiled once
whatever the axes of its arrays are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.fusion.products import Gemm
from tensorflow_lite_bp.backend.fusion.source import Parameter, Source

OPTIONS = ("--fmad=false",)
"""A product is rounded before it is added, as it is where each is a call of its own."""

_NUMBERS = """
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
"""
"""NVRTC has no headers of C, where these are."""
_HEADERS = {"float16": '#include "cupy/float16.cuh"', "bfloat16": '#include "cupy/bfloat16.cuh"'}


class Kernels:
    """The kernels of a process, by their texts.

    Args:
        module: ``cupy``, or what stands for it.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._made: dict[Any, Any] = {}

    def bound(self, source: Source) -> Callable[[], Any]:
        """The launch of a kernel on its arrays, with the numbers of the moment."""
        if source.key not in self._made:
            self._made[source.key] = self.kernel(source)
        kernel = self._made[source.key]
        arrays, numbers, written = ordered(source.parameters)
        if source.rounds:
            given = [_first(p.value) for p in (*arrays, *written)]
            like = self._spread(given[0], (source.rounds, source.threads))
            result = self._spread(given[-1], (source.threads,))
            call = partial(kernel, like, *given)
            return partial(_with_numbers, call, numbers, (result,), {"axis": 0})
        call = partial(kernel, *(_first(p.value) for p in arrays))
        outs = tuple(_first(p.value) for p in written)
        if not numbers:
            return partial(call, *outs, size=source.threads)
        return partial(_with_numbers, call, numbers, outs, {"size": source.threads})

    def kernel(self, source: Source) -> Any:
        """The kernel, compiled when it is first launched."""
        arrays, numbers, written = ordered(source.parameters)
        plain = [f"{p.dtype} {p.name}" for p in numbers]
        if source.rounds:
            return self._module.ReductionKernel(
                ", ".join([f"{(*arrays, *written)[0].dtype} like", *map(_raw, (*arrays, *written)), *plain]),
                f"{written[-1].dtype} result",
                source.body,
                source.joins,
                source.after,
                source.identity,
                "tflbp_rows",
                source.kind,
                preamble=preamble(source),
                options=OPTIONS,
            )
        return self._module.ElementwiseKernel(
            ", ".join([*map(_raw, arrays), *plain]),
            ", ".join(map(_raw, written)),
            source.body,
            "tflbp_elements",
            no_return=True,
            preamble=preamble(source),
            options=OPTIONS,
        )

    def _spread(self, first: Any, shape: tuple[int, ...]) -> Any:
        """One element in a shape that says how much a reduction reduces, and to what."""
        return self._module.broadcast_to(first.reshape((1,) * len(shape)), shape)


def preamble(source: Source) -> str:
    """What stands before a kernel. CuPy includes the headers for the types of its arrays, and in between it may round
    to others."""
    names = set(re.findall(r"\w+", source.body + source.after))
    return "\n".join([*(header for name, header in _HEADERS.items() if name in names), _NUMBERS])


def ordered(parameters: Sequence[Parameter]) -> tuple[list[Parameter], list[Parameter], list[Parameter]]:
    """Arrays that are read, numbers, arrays that are written: the order in which a kernel takes them."""
    arrays = [p for p in parameters if not p.is_number and not p.written]
    return arrays, [p for p in parameters if p.is_number], [p for p in parameters if p.written]


class Products:
    """Products of matrices by cuBLAS.

    Args:
        cublas: CuPy's module of that name.
        handle: gives cuBLAS's handle for the current stream.
        single: in which way float32 is computed: cuBLAS's number for float32 or TF32.
    """

    def __init__(self, cublas: Any, handle: Callable[[], int], single: Callable[[], int]) -> None:
        self._cublas, self._handle, self._single = cublas, handle, single

    def bound(self, gemm: Gemm, A: Any, B: Any, C: Any) -> Callable[[], Any]:
        return partial(self._call, gemm, A.data.ptr, B.data.ptr, C.data.ptr, C.dtype)

    def _call(self, gemm: Gemm, A: int, B: int, C: int, dtype: np.dtype[Any]) -> None:
        kind, compute = {  # CUDA_R_…, CUBLAS_COMPUTE_…
            "float16": (2, 68),
            "bfloat16": (14, 68),
            "float32": (0, self._single()),
            "float64": (1, 70),
        }[dtype.name]
        one, zero = (np.array(value, np.float32 if compute != 70 else np.float64) for value in (1, 0))
        turned_a, turned_b = gemm.turned
        (at_a, at_b, at_c), (lead_a, lead_b, lead_c), (next_a, next_b, next_c) = (
            tuple(offset * dtype.itemsize for offset in gemm.offsets),
            gemm.leading,
            gemm.strides,
        )
        self._cublas.gemmStridedBatchedEx(
            self._handle(),
            int(turned_b),
            int(turned_a),
            gemm.n,
            gemm.m,
            gemm.k,
            one.ctypes.data,
            B + at_b,
            kind,
            lead_b,
            next_b,
            A + at_a,
            kind,
            lead_a,
            next_a,
            zero.ctypes.data,
            C + at_c,
            kind,
            lead_c,
            next_c,
            gemm.batch,
            compute,
            -1,  # CUBLAS_GEMM_DEFAULT
        )


def _with_numbers(
    call: Callable[..., Any], numbers: Sequence[Parameter], outs: tuple[Any, ...], more: dict[str, Any]
) -> None:
    call(*(number.value.value for number in numbers), *outs, **more)


def _raw(parameter: Parameter) -> str:
    return f"raw {parameter.dtype} {parameter.name}"


def _first(array: Any) -> Any:
    """The first element as an array of one, the same memory."""
    return (array[(slice(0, 1),) * array.ndim] if array.ndim else array).reshape(1)

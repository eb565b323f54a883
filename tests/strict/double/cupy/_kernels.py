"""Kernels of one's own: the operands are checked and the launch counted here; what computes is a `runner`.

``cupy.set_runner`` is the seam: tests/strict/kernels.py gives the double one that compiles a kernel's text with g++.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cupy._array import is_operand, ndarray, raw
from cupy._machine import MACHINE

Runner = Callable[["_Kernel", list[Any], list[np.ndarray], int | None], None]
"""Computes a kernel: gets it, its inputs (host arrays or numbers), the arrays it writes to, and the size if given."""

_RUNNER: list[Runner] = []


def set_runner(runner: Runner) -> None:
    """Let this compute all kernels from now on."""
    _RUNNER[:] = [runner]


class _Kernel:
    """What both kinds share. ``inputs`` and ``outputs`` are the parameters, ``("raw T x", "S y")`` as declared."""

    def __init__(self, in_params: str, out_params: str, name: str, options: dict[str, Any]) -> None:
        self.in_params, self.out_params, self.name, self.options = in_params, out_params, name, options
        self.inputs = [p.strip() for p in in_params.split(",") if p.strip()]
        self.outputs = [p.strip() for p in out_params.split(",") if p.strip()]

    def _run(self, inputs: list[Any], outputs: list[Any], size: int | None, stream: Any) -> None:
        for operand in (*inputs, *outputs):
            if not is_operand(operand):
                raise TypeError(f"{self.name}: Unsupported type {type(operand)}")
        for output in outputs:
            if not isinstance(output, ndarray):
                raise TypeError(f"{self.name}: Unsupported type {type(output)} of an output")
        if not _RUNNER:
            raise NotImplementedError(f"nothing computes the kernel `{self.name}` here: see tests/strict/kernels.py")
        MACHINE.work(self.name, [x for x in inputs if isinstance(x, ndarray)], outputs, stream=stream)
        _RUNNER[0](self, [raw(operand) for operand in inputs], [raw(output) for output in outputs], size)


class ElementwiseKernel(_Kernel):
    def __init__(
        self,
        in_params: str,
        out_params: str,
        operation: str,
        name: str = "kernel",
        reduce_dims: bool = True,
        preamble: str = "",
        no_return: bool = False,
        return_tuple: bool = False,
        **kwargs: Any,
    ) -> None:
        unknown = kwargs.keys() - {"options", "loop_prep", "after_loop"}
        if unknown:
            raise TypeError(f"ElementwiseKernel: unknown {', '.join(sorted(unknown))}")
        super().__init__(in_params, out_params, name, {"preamble": preamble, **kwargs})
        self.operation, self.no_return, self.return_tuple = operation, no_return, return_tuple

    def __call__(self, *args: Any, size: int | None = None, block_size: int = 128, stream: Any = None) -> Any:
        count = len(self.inputs)
        if len(args) not in (count, count + len(self.outputs)):
            raise TypeError(f"Wrong number of arguments for kernel '{self.name}': {len(args)}")
        inputs, outputs = list(args[:count]), list(args[count:])
        if not outputs:
            raise NotImplementedError(f"{self.name}: give it the arrays to write to")
        self._run(inputs, outputs, size, stream)
        if self.no_return:
            return None
        return outputs[0] if len(outputs) == 1 and not self.return_tuple else tuple(outputs)


class ReductionKernel(_Kernel):
    def __init__(
        self,
        in_params: str,
        out_params: str,
        map_expr: str,
        reduce_expr: str,
        post_map_expr: str,
        identity: str,
        name: str = "reduce_kernel",
        reduce_type: str | None = None,
        reduce_dims: bool = True,
        preamble: str = "",
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(in_params, out_params, name, {"preamble": preamble, "options": options})
        self.map_expr, self.reduce_expr, self.post_map_expr = map_expr, reduce_expr, post_map_expr
        self.identity, self.reduce_type = identity, reduce_type
        self.axis: Any = None
        self.keepdims = False

    def __call__(
        self, *args: Any, out: Any = None, axis: Any = None, keepdims: bool = False, stream: Any = None
    ) -> Any:
        count = len(self.inputs)
        outputs = list(args[count:]) or ([out] if out is not None else [])
        if not outputs:
            raise NotImplementedError(f"{self.name}: give it the array to write to")
        self.axis, self.keepdims = axis, keepdims
        self._run(list(args[:count]), outputs, None, stream)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class RawKernel:
    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **kwargs: Any):
        self.code, self.name, self.options = code, name, options

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
        raise NotImplementedError(f"the double runs no raw kernel, and `{self.name}` is one")


class RawModule:
    def __init__(self, **kwargs: Any) -> None:
        raise NotImplementedError("the double runs no raw module")

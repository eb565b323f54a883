"""Kernels of one's own: operands are checked, the launch is counted, and g++ computes what the text says."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from cupy import _compiled
from cupy._array import is_operand, ndarray, raw
from cupy._compiled import COMPILER, Text
from cupy._machine import MACHINE


class _Whole:
    """All memory of a raw parameter's array: where the text goes in it nobody knows."""

    def __init__(self, array: ndarray) -> None:
        self.memory = array.memory

    def extent(self) -> tuple[int, int]:
        return 0, self.memory.size


class _Kernel:
    """What both kinds share."""

    text: Text

    def __init__(self, in_params: str, out_params: str, name: str, options: dict[str, Any]) -> None:
        self.in_params, self.out_params, self.name, self.options = in_params, out_params, name, options

    def _split(self, args: tuple[Any, ...], outs: list[Any]) -> tuple[list[Any], list[ndarray]]:
        """Inputs and outputs, all there and of the device."""
        count = len(self.text.inputs)
        inputs, outputs = list(args[:count]), [*args[count:], *outs]
        if len(inputs) != count or len(outputs) not in (0, len(self.text.outputs)):
            raise TypeError(f"Wrong number of arguments for kernel '{self.name}': {len(args)}")
        if not outputs:
            raise NotImplementedError(f"{self.name}: the double's kernels need the arrays that they write to")
        for operand in (*inputs, *outputs):
            if not is_operand(operand):
                raise TypeError(f"{self.name}: Unsupported type {type(operand)}")
        if not all(isinstance(output, ndarray) for output in outputs):
            raise TypeError(f"{self.name}: an output is no array of the device")
        return inputs, outputs

    def _note(self, inputs: list[Any], outputs: list[ndarray], stream: Any) -> None:
        pairs = zip((*self.text.inputs, *self.text.outputs), (*inputs, *outputs), strict=True)
        touched = [_Whole(x) if p.raw else x for p, x in pairs if isinstance(x, ndarray)]
        MACHINE.work(self.name, touched[: -len(outputs)], touched[-len(outputs) :], stream=stream)

    def _launch(
        self, inputs: list[Any], outputs: list[ndarray], shapes: tuple[Any, Any], counts: tuple[int, int], turn: Any
    ) -> None:
        """Hand the operands over in C order, and take back what was written; ``shapes`` is what inputs and outputs that
        are not raw are spread to, ``turn`` brings the items of a result to the end of an input."""
        values = [raw(operand) for operand in (*inputs, *outputs)]
        types = _compiled.resolved(self.text, values)
        handed = []
        for place, (parameter, value) in enumerate(zip((*self.text.inputs, *self.text.outputs), values, strict=True)):
            array = np.asarray(value, _compiled.dtype_of(parameter, types))
            if parameter.raw and not array.flags.c_contiguous:
                raise NotImplementedError(f"{self.name}: the raw parameter `{parameter.name}` is not contiguous")
            if not parameter.raw and place < len(inputs):
                array = np.ascontiguousarray(turn(np.broadcast_to(array, shapes[0])))
            elif not parameter.raw:
                array = np.ascontiguousarray(np.broadcast_to(array, shapes[1]))
            handed.append(array)
        before = [array.tobytes() for array in handed[len(inputs) :]]
        _compiled.launch(self.text, values, handed, counts)
        for output, array, start in zip(outputs, handed[len(inputs) :], before, strict=True):
            if not np.may_share_memory(array, raw(output)) and array.tobytes() != start:
                raw(output)[...] = array


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
        self.text = _compiled.elementwise(self)
        COMPILER.know(self.text)

    def __call__(self, *args: Any, size: int | None = None, block_size: int = 128, stream: Any = None) -> Any:
        inputs, outputs = self._split(args, [])
        self._note(inputs, outputs, stream)
        pairs = zip((*self.text.inputs, *self.text.outputs), (*inputs, *outputs), strict=True)
        spread = [np.shape(raw(operand)) for parameter, operand in pairs if not parameter.raw]
        if size is None and not spread:
            raise ValueError("Loop size is undecided.")
        shape = (size,) if size is not None else np.broadcast_shapes(*spread)
        self._launch(inputs, outputs, (shape, shape), (prod(shape), 1), lambda array: array)
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
        self.text = _compiled.reduction(self)
        COMPILER.know(self.text)

    def __call__(
        self, *args: Any, out: Any = None, axis: Any = None, keepdims: bool = False, stream: Any = None
    ) -> Any:
        inputs, outputs = self._split(args, [out] if out is not None else [])
        self._note(inputs, outputs, stream)
        pairs = zip(self.text.inputs, inputs, strict=True)
        shape = np.broadcast_shapes(*(np.shape(raw(x)) for parameter, x in pairs if not parameter.raw))
        axes = tuple(range(len(shape))) if axis is None else tuple(np.atleast_1d(axis) % len(shape))
        kept = [place for place in range(len(shape)) if place not in axes]
        results = tuple(shape[place] for place in kept)
        expected = tuple(1 if place in axes else size for place, size in enumerate(shape)) if keepdims else results
        if outputs[0].shape != expected:
            raise ValueError(f"{self.name}: the output has the shape {outputs[0].shape}, and the result {expected}")
        counts = prod(results), prod(shape[place] for place in axes)
        self._launch(inputs, outputs, (shape, expected), counts, lambda array: array.transpose(*kept, *axes))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class RawKernel:
    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **kwargs: Any):
        self.code, self.name, self.options = code, name, options

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
        raise NotImplementedError(f"the double runs no raw kernel, and `{self.name}` is one")


class RawModule:
    def __init__(self, **kwargs: Any) -> None:
        raise NotImplementedError("the double runs no raw module")

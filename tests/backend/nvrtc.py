"""Compile generated kernels with NVIDIA's compiler, without a driver: all private names of CuPy that this takes.

They are those of CuPy 14.2.0, which is pinned where this is run; it is imported when something is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.fusion.kernels import OPTIONS, Kernels, ordered
from tensorflow_lite_bp.backend.fusion.source import Source

_ARRAY, _INDEXER, _SCALAR = 1, 2, 3  # kinds of arguments
_BLOCK = 512  # threads of a block of a reduction


def cubin(sources: Sequence[Source], architecture: int) -> bytes:
    """Kernels as machine code for an architecture (80, 90), all from one compilation.

    Raises:
        cupy.cuda.compiler.CompileException: with the compiler's words.
    """
    import nvidia
    from cupy._core import core
    from cupy.cuda import compiler

    headers = "".join(f"#include <{header}>\n" for header in core._cupy_header_list)
    folders = [core._get_header_dir_path(), *(str(path) for path in Path(nvidia.__path__[0]).glob("*/include"))]
    includes = (*(f"-I{folder}" for folder in folders), *core._get_cccl_include_options())
    options = (*OPTIONS, "-ftz=true", "--std=c++17", f"-arch=sm_{architecture}", *includes)
    texts = [_alone(full_text(source), number) for number, source in enumerate(sources)]
    program = compiler._NVRTCProgram(headers + "\n".join(texts), "kernels.cu", method="cubin")
    machine, _ = program.compile(options)
    return bytes(machine)


def full_text(source: Source) -> str:
    """What CuPy makes of a kernel."""
    import cupy

    kernel = Kernels(cupy).kernel(source)
    return _reduction_text(kernel, source) if source.rounds else _elementwise_text(kernel, source)


def _alone(text: str, number: int) -> str:
    """A text beside others: with a name, types and macros of its own."""
    included = "\n".join(re.findall(r"#include .*", text))
    named = re.sub(r"\btflbp_(rows|elements)\b", rf"tflbp_\1_{number}", re.sub(r"#include .*", "", text))
    return f"{included}\nnamespace kernel_{number} {{\n{named}\n}}\n#undef REDUCE\n#undef POST_MAP\n#undef _REDUCE\n"


def _elementwise_text(kernel: Any, source: Source) -> str:
    from cupy._core import _kernel

    arrays, numbers, written = ordered(source.parameters)
    infos = (*map(_array, arrays), *(_number(p.dtype) for p in numbers), *map(_array, written), _indexer(1))
    text: str = _kernel._get_elementwise_kernel_code(
        infos, _kernel._TypeMap(()), kernel.params, kernel.operation, kernel.name, kernel.preamble
    )
    return text


def _reduction_text(kernel: Any, source: Source) -> str:
    from cupy._core import _kernel, _reduction

    arrays, numbers, written = ordered(source.parameters)
    given = (*arrays, *written)
    like, result = _spread(given[0].dtype, 2), _spread(written[-1].dtype, 1)
    infos = (like, *map(_array, given), *(_number(p.dtype) for p in numbers), result, _indexer(2), _indexer(1))
    text: str = _reduction._ReductionKernel_get_cached_function_code(
        kernel.nin,
        kernel.nout,
        kernel._params,
        (*infos, _number("int32")),
        _kernel._TypeMap((("IndexT", np.int32),)),
        kernel.name,
        _BLOCK,
        kernel.reduce_type,
        kernel.identity,
        kernel.map_expr,
        kernel.reduce_expr,
        kernel.post_map_expr,
        kernel.preamble,
        kernel.options,
    )
    return text


def _array(parameter: Any) -> Any:
    import cupy

    return _argument(_ARRAY, cupy.ndarray, parameter.dtype, 1, True)


def _spread(dtype: str, axes: int) -> Any:
    import cupy

    return _argument(_ARRAY, cupy.ndarray, dtype, axes, False)


def _number(dtype: str) -> Any:
    from cupy._core import _scalar

    return _argument(_SCALAR, _scalar.CScalar, dtype, 0, True)


def _indexer(axes: int) -> Any:
    from cupy._core import _carray

    return _argument(_INDEXER, _carray.Indexer, None, axes, True)


def _argument(kind: int, type_: Any, dtype: str | None, axes: int, contiguous: bool) -> Any:
    """What CuPy knows of an argument when it makes the text; places are counted in 32 bits."""
    from cupy._core import _kernel

    return _kernel._ArgInfo(kind, type_, np.dtype(dtype) if dtype is not None else None, axes, contiguous, True)

"""The text of elementwise and reduction kernels, compiled with g++ and run on the arrays, one thread after the other.

It shows what the text computes; of threads that meet in memory it shows nothing. Kernels whose types are all written
out are compiled together when the first of them is launched, since starting the compiler takes longest.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

_SHIM = "".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("shim.hpp", "halves.hpp"))
_C_TYPES = {"float64": "double", "float32": "float", "float16": "float16", "bfloat16": "bfloat16"}
_C_TYPES |= {"bool": "bool", "int64": "long long", "uint64": "unsigned long long"}
_C_TYPES |= {"int32": "int", "uint32": "unsigned int", "int16": "short"}
_C_TYPES |= {"uint16": "unsigned short", "int8": "signed char", "uint8": "unsigned char"}


class Parameter(NamedTuple):
    """``raw T x``: a parameter as a kernel declares it; ``kind`` is a dtype's name, or a letter for any."""

    name: str
    kind: str
    raw: bool

    @classmethod
    def of(cls, text: str) -> Parameter:
        *before, kind, name = text.split()
        return cls(name, kind, "raw" in before)

    @property
    def generic(self) -> bool:
        return self.kind not in _C_TYPES


def parameters(text: str) -> list[Parameter]:
    return [Parameter.of(part.strip()) for part in text.split(",") if part.strip()]


class Text(NamedTuple):
    """What a kernel is made of, whatever its class."""

    inputs: list[Parameter]
    outputs: list[Parameter]
    loop: str
    preamble: str

    def source(self, types: Mapping[str, str]) -> tuple[str, str]:
        """The C++ function of the addresses of all operands, and its name; ``types`` says what the letters are."""
        declared = "".join(f"typedef {_C_TYPES[dtype]} {letter};\n" for letter, dtype in sorted(types.items()))
        before, body = f"{self.preamble}\n{declared}", f"{self._raw_arrays()}{self.loop}"
        name = "kernel_" + hashlib.sha256((before + body).encode()).hexdigest()[:20]
        signature = f'extern "C" void {name}(void** _p, const long long* _n)'
        return f"namespace in_{name} {{\n{before}{signature} {{\n{body}\n}}\n}}\n", name

    def _raw_arrays(self) -> str:
        every = enumerate((*self.inputs, *self.outputs))
        kinds = [(place, p, _C_TYPES.get(p.kind, p.kind)) for place, p in every if p.raw]
        return "".join(f"const Raw<{kind}> {p.name}(_p[{place}], _n[{place} + 2]);\n" for place, p, kind in kinds)


def element(place: int, parameter: Parameter, index: str, *, written: bool) -> str:
    """The declaration of one element of an operand that is handed over as an array in C order."""
    kind = _C_TYPES.get(parameter.kind, parameter.kind)
    left = f"{kind}& {parameter.name}" if written else f"const {kind} {parameter.name}"
    return "" if parameter.raw else f"{left} = (({kind}*)_p[{place}])[{index}];\n"


def _preamble(kernel: Any) -> str:
    """Without CuPy's headers, whose types the shim has."""
    return re.sub(r'#include "cupy/b?float16.cuh"', "", kernel.options.get("preamble", ""))


def elementwise(kernel: Any) -> Text:
    inputs, outputs = parameters(kernel.in_params), parameters(kernel.out_params)
    declared = "".join(
        element(place, p, "i", written=place >= len(inputs)) for place, p in enumerate((*inputs, *outputs))
    )
    before, after = (kernel.options.get(name, "") for name in ("loop_prep", "after_loop"))
    every = f"for (ptrdiff_t i = 0; i < n; ++i) {{\n{declared}{kernel.operation};\n}}"
    loop = f"const long long n = _n[0];\n{before};\n{every}\n{after};"
    return Text(inputs, outputs, loop, _preamble(kernel))


def reduction(kernel: Any) -> Text:
    """``_i`` counts results, ``_J`` the items of one."""
    inputs, outputs = parameters(kernel.in_params), parameters(kernel.out_params)
    kind = kernel.reduce_type or _C_TYPES.get(outputs[0].kind, outputs[0].kind)
    items = "".join(element(place, p, "_i * _n[1] + _J", written=False) for place, p in enumerate(inputs))
    results = "".join(element(len(inputs) + k, p, "_i", written=True) for k, p in enumerate(outputs))
    loop = f"""typedef {kind} _type_reduce;
for (ptrdiff_t _i = 0; _i < _n[0]; ++_i) {{
  _type_reduce _total = _type_reduce({kernel.identity or 0});
  for (ptrdiff_t _J = 0; _J < _n[1]; ++_J) {{
{items}    const _type_reduce a = _total, b = static_cast<_type_reduce>({kernel.map_expr});
    _total = {kernel.reduce_expr};
  }}
{results}  const _type_reduce a = _total;
  {kernel.post_map_expr};
}}"""
    return Text(inputs, outputs, loop, _preamble(kernel))


class Compiler:
    """Compiled functions by their names; texts that are known and not compiled yet."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._known: dict[str, str] = {}

    def know(self, text: Text) -> None:
        """Compile this one too when the compiler is started, if its types are written out."""
        if not any(parameter.generic for parameter in (*text.inputs, *text.outputs)):
            source, name = text.source({})
            if name not in self._found:
                self._known[name] = source

    def function(self, text: Text, types: Mapping[str, str]) -> Any:
        source, name = text.source(types)
        if name not in self._found:
            self._known[name] = source
            self._compile()
        return self._found[name]

    def _compile(self) -> None:
        texts, self._known = self._known, {}
        loaded = _built(_SHIM + "".join(texts.values()))
        self._found |= {name: getattr(loaded, name) for name in texts}


def _built(source: str) -> ctypes.CDLL:
    """The library that g++ makes of a source.

    Raises:
        SyntaxError: with the compiler's words.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise NotImplementedError("the double needs g++ to run kernels")
    with TemporaryDirectory() as folder:
        Path(folder, "kernels.cpp").write_text(source, "utf-8")
        # one rounding for each operation
        flags = ["-O0", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
        command = [compiler, *flags, "-o", "kernels.so", "kernels.cpp", "-lm"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SyntaxError(f"a kernel does not compile:\n{done.stderr[:4000]}")
        return ctypes.CDLL(str(Path(folder, "kernels.so")))


COMPILER = Compiler()


def resolved(text: Text, operands: Sequence[Any]) -> dict[str, str]:
    """The dtypes that the letters stand for: those of arrays, and of numbers where no array says it."""
    types: dict[str, str] = {}
    pairs = list(zip((*text.inputs, *text.outputs), operands, strict=True))
    for parameter, operand in sorted(pairs, key=lambda pair: not isinstance(pair[1], np.ndarray)):
        dtype = np.asarray(operand).dtype.name
        known = types.setdefault(parameter.kind, dtype) if parameter.generic else parameter.kind
        if isinstance(operand, np.ndarray) and dtype != known:
            raise TypeError(f"`{parameter.name}` is {dtype}, and its type {parameter.kind} is {known}")
    return types


def launch(text: Text, operands: Sequence[Any], arrays: Sequence[np.ndarray], counts: tuple[int, int]) -> None:
    """Call the compiled text.

    Args:
        operands: as they were given.
        arrays: what is handed over, contiguous: the elements in order, or raw the array itself.
        counts: results and items of each.
    """
    function = COMPILER.function(text, resolved(text, operands))
    pointers = (ctypes.c_void_p * len(arrays))(*(array.__array_interface__["data"][0] for array in arrays))
    function(pointers, (ctypes.c_longlong * (2 + len(arrays)))(*counts, *(array.size for array in arrays)))


def dtype_of(parameter: Parameter, types: Mapping[str, str]) -> np.dtype[Any]:
    return np.dtype(types.get(parameter.kind, parameter.kind))

"""Run the text of generated kernels on the CPU: a shim makes C++ of it, g++ compiles it, NumPy's arrays go in.

What is shown so is the mathematics and the addresses, for each thread. The threads run one after the other here: that
they do not meet in memory is the claim of `fusion.access`, which has tests of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.fusion.functions import C_TYPES
from tensorflow_lite_bp.backend.fusion.grouping import Single
from tensorflow_lite_bp.backend.fusion.program import Step
from tensorflow_lite_bp.backend.fusion.source import Source
from tensorflow_lite_bp.graph.recorder import Call

COMPILER = shutil.which("g++")

SHIM = """
#include <cmath>
#include <cstddef>
using namespace std;
typedef _Float16 half;
struct float16 {  // as CuPy's: computed in float, rounded to half
  half data;
  float16() {}
  template <class T> explicit float16(T value) : data((half)(float)value) {}
  operator float() const { return (float)data; }
};
template <class T> struct Raw {  // a raw parameter, by its first element
  T* first;
  const T& operator[](ptrdiff_t place) const { return first[place]; }
};
"""


def c_source(name: str, source: Source) -> str:
    """A function of the addresses of all parameters that does what the kernel does."""
    lines = [f'extern "C" void {name}(void** p) {{']
    for place, parameter in enumerate(source.parameters):
        kind = C_TYPES[parameter.dtype]
        if parameter.is_number:
            lines.append(f"  const {kind} {parameter.name} = *({kind}*)p[{place}];")
        else:
            lines.append(f"  const Raw<{kind}> {parameter.name} = {{({kind}*)p[{place}]}};")
    if source.rounds:
        lines += [
            f"  for (ptrdiff_t _i = 0; _i < {source.threads}; ++_i) {{",
            f"    {source.kind} total = {source.identity};",
            f"    for (int _J = 0; _J < {source.rounds}; ++_J) {{",
            f"      const {source.kind} a = total, b = static_cast<{source.kind}>({source.body});",
            f"      total = {source.joins};",
            f"    }}\n    const {source.kind} a = total;\n    {source.after};\n  }}",
        ]
    else:
        lines.append(f"  for (ptrdiff_t i = 0; i < {source.threads}; ++i) {{\n{source.body}\n  }}")
    return "\n".join([*lines, "}"])


@cache
def _library(text: str) -> ctypes.CDLL:
    folder = Path(mkdtemp())
    (folder / "kernels.cpp").write_text(text)
    target = folder / "kernels.so"
    # one rounding for each operation, as CuPy is told too
    flags = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
    subprocess.run([str(COMPILER), *flags, "-o", target, folder / "kernels.cpp"], check=True, capture_output=True)
    return ctypes.CDLL(str(target))


def compiled(sources: Sequence[Source]) -> dict[Any, Any]:
    """The functions of many kernels, by their keys, from one compilation."""
    unique = {source.key: source for source in sources}
    names = {key: "k" + hashlib.sha256(repr(key).encode()).hexdigest()[:16] for key in unique}
    # equal texts for other numbers of threads are the same kernel on the device, where that is no part of the text
    whole = {(key, s.threads, s.rounds): s for s in sources for key in [s.key]}
    texts = [c_source(f"{names[key]}_{threads}_{rounds}", s) for (key, threads, rounds), s in whole.items()]
    library = _library(SHIM + "\n".join(texts))
    return {place: getattr(library, f"{names[place[0]]}_{place[1]}_{place[2]}") for place in whole}


def call(function: Any, source: Source) -> None:
    """Launch a compiled kernel on its arrays, with the numbers of the moment."""
    values = [np.array(p.value.value) if p.is_number else p.value for p in source.parameters]
    addresses = [value.__array_interface__["data"][0] for value in values]
    function((ctypes.c_void_p * len(addresses))(*addresses))


def plain(call: Call) -> None:
    call.function(*call.args, **call.kwargs)


def run(steps: Sequence[Step], functions: Any, library: Callable[[Call], None] = plain) -> None:
    """All launches in order: our kernels as `compiled` made them, what is left to the library by that function."""
    for step in steps:
        if step.source is None:
            assert isinstance(step.launch, Single)
            library(step.launch.call)
        else:
            call(functions[step.source.key, step.source.threads, step.source.rounds], step.source)

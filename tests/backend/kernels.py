"""Run the text of generated kernels on the CPU: a shim makes C++ of it, g++ compiles it, NumPy's arrays go in.

What is shown so is the mathematics and the addresses, for each thread. The threads run one after the other here: that
they do not meet in memory is the claim of `fusion.access`, which has tests of its own.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.backend.fusion.functions import C_TYPES
from tensorflow_lite_bp.backend.fusion.grouping import Single
from tensorflow_lite_bp.backend.fusion.program import Step
from tensorflow_lite_bp.backend.fusion.source import Source
from tensorflow_lite_bp.backend.numpy import NumpyBackend

COMPILER = shutil.which("g++")

_HALVES = Path(__file__).parents[1] / "strict" / "double" / "cupy" / "halves.hpp"
_FUNCTIONS = ("erf", "exp", "log", "log1p", "sqrt", "tanh", "fabs")
_OF_TWO = ("pow", "fmax")
SHIM = "".join(
    [
        "typedef long ptrdiff_t;\n",
        '#define INFINITY __builtin_inff()\n#define NAN __builtin_nanf("")\n',
        *(f"inline float {f}(float x) {{ return __builtin_{f}f(x); }}\n" for f in _FUNCTIONS),
        *(f"inline double {f}(double x) {{ return __builtin_{f}(x); }}\n" for f in _FUNCTIONS),
        *(f"inline float {f}(float x, float y) {{ return __builtin_{f}f(x, y); }}\n" for f in _OF_TWO),
        *(f"inline double {f}(double x, double y) {{ return __builtin_{f}(x, y); }}\n" for f in _OF_TWO),
        _HALVES.read_text("utf-8"),
        """
template <class T> struct Raw {  // a raw parameter, by its first element
  T* first;
  const T& operator[](ptrdiff_t place) const { return first[place]; }
};
""",
    ]
)
"""What of CUDA's C the texts use. No header of C++ is read: most of a compilation's time would go there."""


@dataclass(frozen=True)
class Text:
    """A kernel as CuPy's classes are given it: its parameters, which of them are numbers, its expressions."""

    parameters: tuple[tuple[str, str], ...]
    numbers: frozenset[str]
    body: str
    joins: str = ""
    identity: str = ""
    kind: str = ""
    after: str = ""

    @staticmethod
    def of(source: Source) -> Text:
        return Text(
            tuple((p.name, p.dtype) for p in source.parameters),
            frozenset(p.name for p in source.parameters if p.is_number),
            *(source.body, source.joins, source.identity, source.kind, source.after),
        )

    def function(self, name: str) -> str:
        """C++: a function of the addresses of all parameters that does what the kernel does."""
        lines = [f'extern "C" void {name}(void** p, ptrdiff_t threads, ptrdiff_t rounds) {{']
        for place, (parameter, dtype) in enumerate(self.parameters):
            kind = C_TYPES[dtype]
            if parameter in self.numbers:
                lines.append(f"  const {kind} {parameter} = *({kind}*)p[{place}];")
            else:
                lines.append(f"  const Raw<{kind}> {parameter} = {{({kind}*)p[{place}]}};")
        return "\n".join([*lines, *(self._rows() if self.joins else self._elements()), "}"])

    def _elements(self) -> list[str]:
        return [f"  for (ptrdiff_t i = 0; i < threads; ++i) {{\n{self.body};\n  }}"]

    def _rows(self) -> list[str]:
        return [
            "  for (ptrdiff_t _i = 0; _i < threads; ++_i) {",
            f"    {self.kind} total = {self.identity};",
            "    for (int _J = 0; _J < rounds; ++_J) {",
            f"      const {self.kind} a = total, b = static_cast<{self.kind}>({self.body});",
            f"      total = {self.joins};",
            f"    }}\n    const {self.kind} a = total;\n    {self.after};\n  }}",
            # threads of CuPy's last block that have no result go through items too; nothing may come of it
            "  for (ptrdiff_t _i = threads; _i < threads + 3; ++_i)",
            f"    for (int _J = 0; _J * threads + _i < threads * rounds; ++_J) {self.body};",
        ]


_KNOWN: dict[Text, Any] = {}


def functions(texts: Iterable[Text]) -> dict[Text, Any]:
    """The compiled functions of kernels: of those that are new, from one compilation."""
    wanted = list(dict.fromkeys(texts))
    new = {text: f"k{number}" for number, text in enumerate(wanted) if text not in _KNOWN}
    if new:
        library = _library(SHIM + "\n".join(text.function(name) for text, name in new.items()))
        _KNOWN.update({text: getattr(library, name) for text, name in new.items()})
    return {text: _KNOWN[text] for text in wanted}


def _library(text: str) -> ctypes.CDLL:
    # one rounding for each operation, as CuPy is told too
    flags = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
    with TemporaryDirectory() as folder:
        (Path(folder) / "kernels.cpp").write_text(text)
        target = Path(folder) / "kernels.so"
        command = [str(COMPILER), *flags, "-o", target, Path(folder) / "kernels.cpp", "-lm"]
        subprocess.run(command, check=True, capture_output=True)
        return ctypes.CDLL(str(target))


def compiled(sources: Sequence[Source]) -> dict[Text, Any]:
    """The functions of many kernels, from one compilation."""
    return functions(map(Text.of, sources))


def launch(function: Any, addresses: Sequence[int], threads: int, rounds: int) -> None:
    """Run a compiled kernel on what lies at these addresses."""
    function((ctypes.c_void_p * len(addresses))(*addresses), ctypes.c_long(threads), ctypes.c_long(rounds))


def call(function: Any, source: Source) -> None:
    """Launch a compiled kernel on its arrays, with the numbers of the moment."""
    values = [np.array(p.value.value) if p.is_number else p.value for p in source.parameters]
    launch(function, [v.__array_interface__["data"][0] for v in values], source.threads, source.rounds)


def plain(call: Call) -> None:
    """By NumPy, as it is bound: numbers of 16 bits are multiplied and added up in float32 then."""
    NumpyBackend().bind(call.function, call.args, call.kwargs)()


def run(steps: Sequence[Step], functions: Any, library: Callable[[Call], None] = plain) -> None:
    """All launches in order: our kernels as `compiled` made them, what is left to the library by that function."""
    for step in steps:
        if step.source is None:
            assert isinstance(step.launch, Single)
            library(step.launch.call)
        else:
            call(functions[Text.of(step.source)], step.source)

"""Which line of a layer's code computes an equation: found by recording the layer once, without computing.

Every array that a layer writes is written by a call of the backend. The first call that writes an array and the last
one tell the file, the line and the text: of ``W X + b`` the product and the sum.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow_lite_bp.explain.derivation import Derivation

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class CodeLine:
    """A line of this package: ``layers/dense.py``, 31, and its text."""

    file: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def code_of(derivation: Derivation, name: str, letter: str) -> tuple[CodeLine, ...]:
    """The lines in which a node or a loss begins and ends to write the array of a letter (``Y``, ``E``, ``dX``)."""
    graph = derivation.graph
    sizes = dict.fromkeys(graph.program.sizes, 3)
    node = graph.nodes.get(name)
    if node is not None:
        shapes = tuple(
            graph.sample_shape(tensor, sizes) + (() if tensor in graph.parameters else (2,)) for tensor in node.inputs
        )
        found = _lines(graph.layers[name], shapes, (*graph.sample_shape(name, sizes), 2))
    else:
        item, loss = next(pair for pair in graph.losses if pair[0].name == name)
        shapes = tuple((*graph.sample_shape(tensor, sizes), 2) for tensor in item.inputs)
        found = _lines(loss, shapes, ())
    lines = found.get(letter, [])
    return tuple(dict.fromkeys([*lines[:1], *lines[-1:]]))


@cache
def _lines(layer: Any, shapes: tuple[tuple[int, ...], ...], result: tuple[int, ...]) -> Mapping[str, list[CodeLine]]:
    """The lines that write each array of the layer or loss, by its letter."""
    import numpy as np

    from tensorflow_lite_bp.backend import Draw, get_backend
    from tensorflow_lite_bp.graph.layout import buffer_dtype
    from tensorflow_lite_bp.graph.workspace import Workspace
    from tensorflow_lite_bp.layers.base import Layer

    def made(shape: tuple[int, ...], dtype: str = "float32") -> Any:
        return np.zeros(shape, dtype)

    inputs = {port: made(shape) for port, shape in zip(layer.ports, shapes, strict=True)}
    space = {role: made(b.shape, buffer_dtype(b, "float32")) for role, b in layer.buffers(*shapes).items()}
    if isinstance(layer, Layer):
        weights = {letter: made(_known(w.shape)) for letter, w in layer.weights(*(s[:-1] for s in shapes)).items()}
        written = {"Y": made(result), **{f"d{role}": made(array.shape) for role, array in (inputs | weights).items()}}
        extra: dict[str, Any] = {**weights, "dY": made(result), "draw": Draw(0, "explain")}
    else:
        written = {"E": made(()), "dY": made(shapes[0])}
        if shapes[1] != shapes[0]:
            inputs["T"] = made(shapes[1], "int64")
        extra = {}
    tracer = _Tracer(get_backend("numpy"), written)
    workspace = Workspace(m=2, **inputs, **space, **extra | written)
    layer.forward(tracer, workspace)
    layer.backward(tracer, workspace)
    return tracer.found


def _known(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 3 for size in shape)


class _Tracer:
    """Stands for the backend: notes who writes what, and computes nothing."""

    def __init__(self, backend: Any, written: Mapping[str, Any]) -> None:
        self._backend, self._written = backend, written
        self.found: dict[str, list[CodeLine]] = {}

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._backend, name)
        if not callable(function) or isinstance(function, type) or name in ("broadcast_to", "reshape"):
            return function

        def note(*args: Any, **kwargs: Any) -> Any:
            out = kwargs.get("out", args[0] if args else None)
            self._note(out)
            return out

        return note

    def _note(self, out: Any) -> None:
        import numpy as np

        for letter, array in self._written.items():
            if isinstance(out, np.ndarray) and np.shares_memory(out, array):
                self.found.setdefault(letter, []).append(_calling_line())


def _calling_line() -> CodeLine:
    """The innermost line of a layer or a loss."""
    frame = sys._getframe(1)
    here = __file__
    while frame.f_code.co_filename == here and frame.f_back is not None:
        frame = frame.f_back
    path = frame.f_code.co_filename
    text = linecache.getline(path, frame.f_lineno).strip()
    inside = Path(path).is_relative_to(_PACKAGE)
    return CodeLine(Path(path).relative_to(_PACKAGE).as_posix() if inside else Path(path).name, frame.f_lineno, text)

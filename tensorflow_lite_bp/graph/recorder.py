"""Record what layer code calls, and replay it: a step without Python's overhead for each layer.

Layers call functions of ``xp`` that write into given arrays. The recorder does not compute: it keeps each call, bound
to its arrays. Because the arrays of a plan never move, the kept calls compute any batch. What cannot be replayed is
refused while it is recorded: a function that makes a new array, unless it is a view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tensorflow_lite_bp.backend import Backend

_VIEWS = frozenset({"broadcast_to", "expand_dims", "moveaxis", "reshape", "squeeze", "swapaxes", "transpose"})
_WRITERS = frozenset({"copyto", "put"})


class Recorder:
    """Stands for the backend while a plan is made; ``calls`` is the recorded program."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.calls: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.backend, name)
        if not callable(function) or isinstance(function, type) or name in _VIEWS:
            return function

        def record(*args: Any, **kwargs: Any) -> Any:
            out = kwargs.get("out")
            assert out is not None or name in _WRITERS, f"xp.{name} without out= makes a new array: give it a buffer"
            self.calls.append(partial(function, *args, **kwargs))
            return out

        return record

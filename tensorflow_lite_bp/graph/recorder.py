"""Record what layer code calls, and replay it: a step without Python's overhead for each layer.

Layers call functions of ``xp`` that write into given arrays. The recorder does not compute: it keeps each call with
its arrays. Because the arrays of a plan never move, the kept calls compute any batch. What cannot be replayed is
refused while it is recorded: a function that makes a new array, unless it is a view.
"""

from __future__ import annotations

from threading import Barrier
from typing import Any

from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.backend.base import Call
from tensorflow_lite_bp.graph.team import Meeting

_VIEWS = frozenset({"broadcast_to", "expand_dims", "moveaxis", "reshape", "squeeze", "swapaxes", "transpose"})
_WRITERS = frozenset({"copyto", "put"})


class Meetings:
    """The sums over shards of one plan: the n-th of each shard is the same one."""

    def __init__(self, backend: Backend, shards: int) -> None:
        self.backend = backend
        self.barrier = Barrier(shards)
        self._meetings: list[Meeting] = []

    def meeting(self, number: int, part: Any) -> Meeting:
        if number == len(self._meetings):
            self._meetings.append(Meeting(self.backend, self.barrier, part))
        return self._meetings[number]


class Recorder:
    """Stands for the backend while a plan is made; ``calls`` is the recorded program of one shard."""

    def __init__(self, backend: Backend, *, shard: int = 0, meetings: Meetings | None = None) -> None:
        self.backend = backend
        self.shard = shard
        self.calls: list[Call] = []
        self._meetings = meetings
        self._met = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.backend, name)
        if not callable(function) or isinstance(function, type) or name in _VIEWS:
            return function

        def record(*args: Any, **kwargs: Any) -> Any:
            out = kwargs.get("out")
            assert out is not None or name in _WRITERS, f"xp.{name} without out= makes a new array: give it a buffer"
            self.calls.append(Call(function, args, kwargs))
            return out

        return record

    def copyto(self, target: Any, source: Any) -> None:
        """Nothing where both are the same memory, as after a function that is computed in place."""
        if not self._same(target, source):
            self.calls.append(Call(self.backend.copyto, (target, source), {}))

    def sum_shards(self, part: Any, *, out: Any) -> Any:
        if self._meetings is None or self._meetings.barrier.parties == 1:
            self.copyto(out, part)
        else:
            meeting = self._meetings.meeting(self._met, part)
            self._met += 1
            self.calls.append(Call(meeting.join, (self.shard, part, out), {}))
        return out

    def _same(self, A: Any, B: Any) -> bool:
        layouts = [(array.shape, array.strides, array.dtype) for array in (A, B) if hasattr(array, "strides")]
        return len(layouts) == 2 and layouts[0] == layouts[1] and self.backend.address(A) == self.backend.address(B)


def only_if(flag: Any, calls: list[Call]) -> list[Call]:
    """The same calls of elementwise functions, which write nothing unless the flag is true.

    Args:
        flag: a truth value of the backend's without axes, looked at when the call is made; None for always.
    """
    if flag is None:
        return calls
    return [Call(call.function, call.args, {**call.kwargs, "where": flag}) for call in calls]

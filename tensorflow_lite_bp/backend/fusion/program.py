"""Recorded calls as a program of launches, each with its text where it is a kernel of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.backend.fusion.access import Access
from tensorflow_lite_bp.backend.fusion.grouping import Kernel, Launch, Rows, Single, launches
from tensorflow_lite_bp.backend.fusion.source import Source, source

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.base import Backend, Call

Stretch = tuple[int, int]
"""Bytes from an address up to another one."""


@dataclass(frozen=True, eq=False)
class Step:
    """A launch and, where it is a kernel of ours, its text."""

    launch: Launch
    source: Source | None


def program(
    calls: Sequence[Call], backend: Backend, *, private: Sequence[Any] = (), constants: Sequence[Any] = ()
) -> list[Step]:
    """The launches of recorded calls.

    Args:
        private: flat arrays in whose memory nobody looks when the calls are done: what no later call reads is not
            stored there.
        constants: arrays whose values never change.
    """
    steps: list[Step] = []
    hidden = [(backend.address(array), backend.address(array) + array.nbytes) for array in private]
    live: list[Stretch] = []  # of the private memory, what the launches behind read before it is written again
    for launch in reversed(launches(calls, backend, constants)):
        if isinstance(launch, Single):
            steps.append(Step(launch, None))
            live = _before(live, launch.reads, launch.writes)
            continue
        text = source(launch, _Needs(hidden, live).needed)
        steps.append(Step(launch, text))
        live = _before(live, text.loads, text.stores)
    return steps[::-1]


@dataclass(frozen=True)
class _Needs:
    private: Sequence[Stretch]
    live: Sequence[Stretch]

    def needed(self, access: Access, later: Sequence[Access]) -> bool:
        low, high = access.span
        if not any(start <= low and high <= stop for start, stop in self.private):
            return True
        return any(_meet((low, high), stretch) for stretch in (*self.live, *(other.span for other in later)))


def _before(live: list[Stretch], loads: Sequence[Access], stores: Sequence[Access]) -> list[Stretch]:
    """What is live before a launch, from what is live behind it."""
    for access in stores:
        if access.dense:
            live = [part for stretch in live for part in _without(stretch, access.span)]
    return _joined([*live, *(access.span for access in loads)])


def _meet(A: Stretch, B: Stretch) -> bool:
    return A[0] < B[1] and B[0] < A[1]


def _without(stretch: Stretch, gone: Stretch) -> list[Stretch]:
    if not _meet(stretch, gone):
        return [stretch]
    return [part for part in ((stretch[0], gone[0]), (gone[1], stretch[1])) if part[0] < part[1]]


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for start, stop in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


__all__ = ["Kernel", "Launch", "Rows", "Single", "Step", "program"]

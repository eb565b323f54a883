"""CuPy's plan without CuPy: the launches that it would be asked for, computed by NumPy in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow_lite_bp.backend.base import Call, Program
from tensorflow_lite_bp.backend.fusion.count import launched
from tensorflow_lite_bp.backend.fusion.program import Single, Step, program
from tensorflow_lite_bp.backend.numpy import NumpyBackend


class PlannedBackend(NumpyBackend):
    """Plans as the CuPy backend does, with arrays of NumPy. It is there to count and to test, on any machine."""

    name = "planned"
    threaded = False
    cache = None
    queued = True

    def program(self, calls: Sequence[Call], *, private: Sequence[Any] = (), constants: Sequence[Any] = ()) -> Program:
        steps = self.steps(calls, private=private, constants=constants)
        ordered = [call for step in steps for call in _calls_of(step)]
        return Program([self.bind(call.function, call.args, call.kwargs) for call in ordered], launched(steps, self))

    def steps(self, calls: Sequence[Call], *, private: Sequence[Any] = (), constants: Sequence[Any] = ()) -> list[Step]:
        """The launches, in order."""
        return program(calls, self, private=private, constants=constants)


def _calls_of(step: Step) -> list[Call]:
    """The recorded calls that a launch stands for, in an order in which they give the same."""
    if isinstance(step.launch, Single):
        return [step.launch.call]
    return [work.call for work in step.launch.works if work.call is not None]

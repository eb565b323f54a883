"""How many launches a program is: our kernels one each, and what CuPy makes of the calls that are left to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tensorflow_lite_bp.backend.fusion.products import copies, gemms
from tensorflow_lite_bp.backend.fusion.program import Single, Step

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.base import Backend


def launched(steps: Sequence[Step], backend: Backend) -> int:
    """Launches of all steps; a copy, a fill and a transfer from the host count as one each."""
    return sum(_of_library(step.launch, backend) if isinstance(step.launch, Single) else 1 for step in steps)


def _of_library(launch: Single, backend: Backend) -> int:
    call = launch.call
    if call.function != backend.matmul:
        return 1
    arrays = (*call.args, call.kwargs["out"])
    found = gemms(*arrays)
    return len(found) if found is not None else copies(*arrays)

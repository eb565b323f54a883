"""The acceptance: whether a backend computes what NumPy does, within the memory and launches that the plan says.

``tflbp doctor --backend cupy`` and ``pytest -m gpu`` run the same checks. They are given the backend, so what they find
wrong is tested with backends that are wrong on purpose, without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorflow_lite_bp.acceptance import derivations, memory, steps, throughput, training
from tensorflow_lite_bp.acceptance.check import Check, Failed, NotHere, Outcome
from tensorflow_lite_bp.acceptance.report import facts, report
from tensorflow_lite_bp.backend import Backend

__all__ = ["Check", "Failed", "NotHere", "Outcome", "checks", "facts", "report", "run"]


def checks() -> list[Check]:
    """Every check, in order."""
    return [check for part in (derivations, training, memory, steps, throughput) for check in part.checks()]


def run(backend: Backend, *, heard: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Make every check; ``heard`` is told of each when it is done."""
    outcomes = []
    for check in checks():
        outcomes.append(check.outcome(backend))
        heard(outcomes[-1])
    return outcomes

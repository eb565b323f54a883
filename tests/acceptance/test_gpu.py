"""The acceptance on a real GPU, check by check: ``pytest -m gpu``. Without one that computes it says why not."""

from __future__ import annotations

import pytest

from tensorflow_lite_bp.acceptance import Check, checks
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.errors import EnvironmentFailure

pytestmark = pytest.mark.gpu


def _gpu() -> Backend | str:
    """The backend cupy, or why it cannot compute here."""
    try:
        return get_backend("cupy")
    except EnvironmentFailure as error:
        return str(error)


GPU = _gpu()
WITHOUT = pytest.param(None, id="all", marks=pytest.mark.skip(reason=f"no GPU code was run: {GPU}"))


@pytest.mark.parametrize("check", [WITHOUT] if isinstance(GPU, str) else checks(), ids=str)
def test_as_numpy(check: Check) -> None:
    assert isinstance(GPU, Backend)
    outcome = check.outcome(GPU)
    if outcome.state == "skipped":
        pytest.skip(outcome.found)
    assert outcome.state == "passed", outcome.found

"""The text of every kernel, compiled with g++ and run against the calls of NumPy that it replaces.

This shows what the text computes, not that a GPU runs it: no GPU is used here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.backend.fusion import functions
from tensorflow_lite_bp.graph.recorder import Recorder
from tests.backend import kernels
from tests.backend.recordings import HALVES, XP, Recording, recordings

pytestmark = pytest.mark.skipif(kernels.COMPILER is None, reason="there is no g++ to compile the kernels with")
TOLERANCE = {"float16": 2e-3, "bfloat16": 8e-3, "float32": 3e-6, "float64": 1e-13}


def disagreements(made: Iterable[Recording], dtype: str) -> list[str]:
    """Where the kernels' results are not those of the recorded calls."""
    every = [(recording, recording.steps) for recording in made]
    library = kernels.compiled([step.source for _, steps in every for step in steps if step.source is not None])
    return [found for recording, steps in every for found in _compare(recording, steps, library, TOLERANCE[dtype])]


def _compare(recording: Recording, steps: list[Any], library: Any, tolerance: float) -> list[str]:
    start = recording.values()
    recording.replay()
    expected = recording.values()
    recording.restore(start)
    with np.errstate(all="ignore"):
        kernels.run(steps, library)
    found = recording.values()
    recording.restore(start)
    return [
        f"{recording.name}: {role}"
        for role, array in expected.items()
        if not np.allclose(found[role], array, rtol=tolerance, atol=tolerance, equal_nan=True)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", *HALVES])
def test_every_kernel_computes_what_it_replaces(dtype: str) -> None:
    assert not disagreements(recordings(dtype), dtype)


@pytest.mark.parametrize("dtype", ["float32", *HALVES])
def test_nothing_is_computed_in_double_that_is_not_kept_in_it(dtype: str) -> None:
    """A GPU may take sixty times as long for it."""
    sources = [step.source for recording in recordings(dtype) for step in recording.steps if step.source is not None]
    assert not [source for source in sources if "double" in source.body + source.after]


def test_a_value_that_a_loop_has_changed_is_loaded_again() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=shape) for name, shape in (("X", (4, 30)), ("row", (30,)), ("Y", (30,)), ("Z", (30,)))
    }
    X, row, Y, Z = arrays.values()
    recorder = Recorder(XP)
    recorder.max(X, axis=0, out=row)
    recorder.add(X[0], 1.0, out=Y)
    recorder.subtract(X, row, out=X)
    recorder.add(X[0], 1.0, out=Z)
    made = Recording("a row before and after", recorder.calls, arrays)
    assert len(made.steps) == 1
    assert not disagreements([made], "float64")


def test_each_function_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With any expression of the table turned to its opposite, something disagrees, and not only that function."""
    for name, text in functions.FUNCTIONS.items():
        monkeypatch.setitem(functions.FUNCTIONS, name, f"!({text})")
    found = disagreements([made for made in recordings("float32") if made.name.startswith("the function")], "float32")
    assert found == [f"the function {name}: out" for name in functions.FUNCTIONS]


def test_a_wrong_expression_is_found_in_what_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(functions.FUNCTIONS, "log1p", "log(x)")
    losses = [made for made in recordings("float32") if made.name.startswith("binary_cross_entropy")]
    assert {found.split(":")[0] for found in disagreements(losses, "float32")} == {made.name for made in losses}

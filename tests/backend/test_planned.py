"""Whole networks as the CuPy backend plans them: trained by compiled kernels as by NumPy, in so many launches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.launches import NETWORKS, counted
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.backend.base import Program
from tensorflow_lite_bp.backend.fusion.count import launched
from tensorflow_lite_bp.backend.fusion.program import program
from tensorflow_lite_bp.backend.planned import PlannedBackend
from tests.backend import kernels

IMAGES = """network n
input x: float[2, 7, 6]
target y: class(3)
a = x -> conv(4, kernel = 3, padding = 1) -> batch_norm -> relu
b = a + (a -> conv(4, kernel = 3, padding = 1, bias = false) -> batch_norm)
c = b -> relu -> conv(6, kernel = 3, stride = 2) -> max_pool(2, stride = 1) -> dropout(0.3)
d = c -> flatten -> layer_norm -> dense(5) -> gelu -> dense(3)
loss cross_entropy(d, y)
output p = softmax(d)
train { optimizer = sgd(0.01, momentum = 0.9) }
"""


class CompiledBackend(PlannedBackend):
    """Computes a plan's kernels as g++ compiled them, and all else by NumPy."""

    def program(self, calls: Sequence[Any], *, private: Sequence[Any] = (), constants: Sequence[Any] = ()) -> Program:
        steps = program(calls, self, private=private, constants=constants)
        functions = kernels.compiled([step.source for step in steps if step.source is not None])
        return Program([lambda: kernels.run(steps, functions)], launched(steps, self))


def losses(backend: Backend, precision: str) -> list[float]:
    network = Network.from_text(IMAGES, backend=backend, precision=precision)
    network.use_threads(1)
    rng, trainer = np.random.default_rng(0), network.trainer()
    batches = [{"x": rng.normal(size=(9, 2, 7, 6)), "y": rng.integers(0, 3, 9)} for _ in range(5)]
    found = [trainer.step(rows) for rows in batches]
    evaluated = network.evaluate([batches[0]])["loss"]
    return [*found, evaluated]


@pytest.mark.skipif(kernels.COMPILER is None, reason="there is no g++ to compile the kernels with")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed", 1e-3), ("mixed_bfloat16", 1e-2)])
def test_a_network_learns_by_compiled_kernels_as_by_numpy(precision: str, tolerance: float) -> None:
    expected = losses(get_backend("numpy"), precision)
    np.testing.assert_allclose(losses(CompiledBackend(), precision), expected, rtol=tolerance)
    np.testing.assert_allclose(losses(PlannedBackend(), precision), expected, rtol=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_launches_of_a_training_step(name: str) -> None:
    found = counted(name)
    assert found.step <= NETWORKS[name].most
    assert found.recorded > 2 * found.step

"""A plan that does not fit: its size, what was left, and the largest batch that would really fit."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.errors import EnvironmentFailure
from tensorflow_lite_bp.units import size

NET = """
network wide
input x: float[50]
target t: class(3)
logits = x -> dense(200) -> tanh -> dense(3)
loss cross_entropy(logits, t)
output logits
train { optimizer = sgd(0.1) }
"""


CONV = """
network pictures
input x: float[2, 12, 12]
target t: class(3)
logits = x -> conv(4) -> relu -> flatten -> dense(3)
loss cross_entropy(logits, t)
output logits
"""


class Small(NumpyBackend):
    """Has so many bytes for the arrays that plans allocate and that batches wait in; the weights are on the house."""

    threaded = False
    staged = 2
    tells = True

    def __init__(self, octets: int) -> None:
        super().__init__()
        self.octets, self.held = octets, 0
        self.counting = False

    def _take(self, array: np.ndarray) -> np.ndarray:
        """Count an array until nobody has it or a view of it any more."""
        if self.counting:
            if self.held + array.nbytes > self.octets:
                raise MemoryError(f"out of memory allocating {array.nbytes} bytes")
            self.held += array.nbytes
            weakref.finalize(array, self._give, array.nbytes)
        return array

    def _give(self, octets: int) -> None:
        self.held -= octets

    def memory(self, size: int) -> Any:
        return self._take(np.empty(size, np.uint8))

    def zeros(self, shape: Any, dtype: Any) -> Any:
        return self._take(np.zeros(shape, dtype))

    def from_host(self, array: np.ndarray) -> Any:
        return self._take(np.array(array))

    def stager(self, out: Any) -> Callable[[np.ndarray], None]:
        waiting = [self._take(np.empty(out.shape, out.dtype)) for _ in range(self.staged)]
        return lambda array: self.copy_from_host(array, out=out) if waiting else None

    def memory_left(self) -> int | None:
        return self.octets - self.held if self.tells else None


def network(octets: int) -> tuple[Network, Small]:
    backend = Small(octets)
    made = Network.from_text(NET, backend=backend)
    backend.counting = True
    return made, backend


def rows(m: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((m, 50)), "t": np.zeros(m, int)}


def taken(m: int) -> str:
    """What a training step of so many samples really allocates, for people."""
    made, backend = network(1 << 40)
    made.gradients(rows(m))
    return size(backend.held)


def test_the_batch_that_is_named_fits_and_a_slightly_larger_one_does_not() -> None:
    made, backend = network(1_000_000)
    with pytest.raises(EnvironmentFailure) as error:
        made.gradients(rows(4096))
    text = str(error.value)
    named = int(text.rpartition("train.batch=")[2].rstrip(")"))
    assert text == (
        f"not enough memory: a training step with 4,096 samples needs {taken(4096)}, and 976.6 KiB were left: "
        f"a batch of {named} would fit (--set train.batch={named})"
    )
    made.gradients(rows(named))
    with pytest.raises(EnvironmentFailure):
        made.gradients(rows(named + named // 50))
    made.use_threads(3)  # forgets the plans
    gc.collect()
    assert backend.held == 0  # of plans that are gone


def test_the_size_is_that_of_the_backend_that_computes() -> None:
    """Without blocks for a cache a convolution unrolls all of its images."""

    def step(octets: int, cache: int | None = None) -> Small:
        backend = Small(octets)
        backend.cache = cache
        pictures = Network.from_text(CONV, backend=backend)
        backend.counting = True
        pictures.gradients({"x": np.ones((4000, 2, 12, 12)), "t": np.zeros(4000, int)})
        return backend

    held = step(1 << 40).held
    with pytest.raises(EnvironmentFailure, match=f"with 4,000 samples needs {re.escape(size(held))}, and"):
        step(1_000_000)
    assert held > 1.2 * step(1 << 40, NumpyBackend.cache).held, "what is tested makes no difference"


def test_earlier_plans_make_room() -> None:
    made, backend = network(1_000_000)
    made.gradients(rows(200))
    before = backend.held
    for m in (300, 310, 200):
        assert backend.held + before > 500_000  # not two of them fit
        made.gradients(rows(m))


def test_what_does_not_fit_at_all() -> None:
    made, _ = network(100)
    with pytest.raises(EnvironmentFailure) as error:
        made.predict({"x": np.ones((1, 50))})
    assert str(error.value) == (
        "not enough memory: predicting with 1 sample needs 2.2 KiB, and 100 B were left: not even one sample fits: "
        "take a smaller network, or --backend numpy"
    )


def test_predicting_names_no_setting() -> None:
    made, _ = network(100_000)
    with pytest.raises(
        EnvironmentFailure,
        match=r"^not enough memory: predicting with 1,000 samples needs [\d.]+ MiB, and "
        r"97\.7 KiB were left: \d+ samples at once would fit$",
    ):
        made.predict({"x": np.ones((1000, 50))})


def test_where_nobody_knows_what_is_left_the_library_has_its_say() -> None:
    made, backend = network(1_000_000)
    backend.tells = False
    with pytest.raises(EnvironmentFailure) as error:
        made.gradients(rows(4096))
    said = r"\(out of memory allocating \d+ bytes\): a smaller batch needs less"
    found = f"not enough memory: a training step with 4,096 samples needs {taken(4096)} "
    assert re.fullmatch(re.escape(found) + said, str(error.value))

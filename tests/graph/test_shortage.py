"""A plan that does not fit: its size, what was left, and the largest batch that would really fit."""

from __future__ import annotations

import re
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


class Small(NumpyBackend):
    """Has so many bytes for the arrays that plans allocate; the weights are on the house."""

    threaded = False
    tells = True

    def __init__(self, octets: int) -> None:
        super().__init__()
        self.octets, self.held = octets, 0
        self.counting = False

    def _take(self, octets: int) -> None:
        if self.counting and self.held + octets > self.octets:
            raise MemoryError(f"out of memory allocating {octets} bytes")
        self.held += octets if self.counting else 0

    def memory(self, size: int) -> Any:
        self._take(size)
        return super().memory(size)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        self._take(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.zeros(shape, dtype)

    def from_host(self, array: np.ndarray) -> Any:
        self._take(array.nbytes)
        return super().from_host(array)

    def memory_left(self) -> int | None:
        return self.octets if self.tells else None


def rows(m: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((m, 50)), "t": np.zeros(m, int)}


def network(octets: int) -> tuple[Network, Small]:
    backend = Small(octets)
    made = Network.from_text(NET, backend=backend)
    backend.counting = True
    return made, backend


def taken(m: int) -> str:
    """What a training step of so many samples really allocates, for people."""
    made, backend = network(1 << 40)
    made.gradients(rows(m))
    return size(backend.held)


def test_the_batch_that_is_named_fits_and_the_next_does_not() -> None:
    made, backend = network(1_000_000)
    with pytest.raises(EnvironmentFailure) as error:
        made.gradients(rows(4096))
    text = str(error.value)
    named = int(text.rpartition("train.batch=")[2].rstrip(")"))
    assert text == (
        f"not enough memory: a training step with 4,096 samples needs {taken(4096)}, and 976.6 KiB were left: "
        f"a batch of {named} would fit (--set train.batch={named})"
    )
    for m, fits in ((named, True), (named + 1, False)):
        backend.held = 0
        if fits:
            made.gradients(rows(m))
        else:
            with pytest.raises(EnvironmentFailure):
                made.gradients(rows(m))


def test_what_does_not_fit_at_all() -> None:
    made, _ = network(100)
    with pytest.raises(EnvironmentFailure) as error:
        made.predict({"x": np.ones((1, 50))})
    assert str(error.value) == (
        "not enough memory: predicting with 1 sample needs 1.8 KiB, and 100 B were left: not even one sample fits: "
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

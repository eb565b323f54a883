"""Made-up rows: what the declared types say, and the same from the same address."""

from __future__ import annotations

import numpy as np
import pytest

from dsl.program import Variable
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Draw
from tensorflow_lite_bp.graph.rows import drawn

TEXT = "network a\ninput x: float[2, T]\ninput w: token(5)[3]\ninput f: flag\noutput y = x\n"
X, W, F = Network.from_text(TEXT).program.inputs


def made(variable: Variable, *, step: int = 0, as_pixels: bool = False) -> np.ndarray:
    return drawn(variable, 400, {"T": 3}, Draw(1, "test", step=step), as_pixels=as_pixels)


def test_numbers() -> None:
    x, pixels = made(X), made(X, as_pixels=True)
    assert (x.shape, x.dtype, pixels.shape, pixels.dtype) == ((400, 2, 3), np.float64, (400, 2, 3), np.float32)
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=0.05)
    assert (pixels.mean(), pixels.std()) == pytest.approx((0.5, 12**-0.5), abs=0.02)
    assert (pixels.min() >= 0, pixels.max() < 1) == (True, True)


@pytest.mark.parametrize("as_pixels", [False, True])
def test_indices_and_flags(as_pixels: bool) -> None:
    w, f = made(W, as_pixels=as_pixels), made(F, as_pixels=as_pixels)
    assert (w.shape, w.dtype, set(w.ravel())) == ((400, 3), np.int64, set(range(5)))
    assert (f.shape, f.dtype, set(f)) == ((400,), np.float32, {0.0, 1.0})


def test_an_address_has_its_numbers() -> None:
    np.testing.assert_array_equal(made(X), made(X))
    assert not np.array_equal(made(X), made(X, step=1))

"""Products as cuBLAS is asked for them, computed on flat memory as cuBLAS's reference says, against NumPy's matmul."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from tensorflow_lite_bp.backend.fusion.products import copies, gemms


def computed(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray | None:
    """C as `gemms` describes it. Matrices are as cuBLAS has them, columns first: element (i, j) lies at i + j·ld."""
    found = gemms(A, B, C)
    if found is None:
        return None
    for g in found:
        for step in range(g.batch):
            a, b, c = (
                as_strided(_from(X, offset + step * stride), (ld, count), (X.itemsize, ld * X.itemsize))
                for X, offset, stride, ld, count in zip(
                    (A, B, C),
                    g.offsets,
                    g.strides,
                    g.leading,
                    (g.k if g.turned[0] else g.m, g.n if g.turned[1] else g.k, g.m),
                    strict=True,
                )
            )
            left = b[: g.k].T if g.turned[1] else b[: g.n]  # Bᵀ, n × k
            right = a[: g.m].T if g.turned[0] else a[: g.k]  # Aᵀ, k × m
            c[: g.n] = left @ right
    return C


def _from(X: np.ndarray, offset: int) -> Any:
    """The memory from an element on; nothing of it is looked at that does not belong to a matrix."""
    return as_strided(X[(0,) * X.ndim + (None,)], (1,), (X.itemsize,)) if offset == 0 else _moved(X, offset)


def _moved(X: np.ndarray, offset: int) -> np.ndarray:
    address = X.__array_interface__["data"][0] + offset * X.itemsize
    holder = type("Memory", (), {"__array_interface__": {**_interface(X), "data": (address, False)}})()
    return np.asarray(holder)


def _interface(X: np.ndarray) -> dict[str, Any]:
    return {"version": 3, "shape": (1,), "strides": (X.itemsize,), "typestr": X.dtype.str}


def matrices(rng: Any, batch: tuple[int, ...], rows: int, columns: int, layout: str) -> np.ndarray:
    """Random matrices: in rows, turned, with gaps between rows, or one for all of the batch."""
    if layout == "spread":
        batch = (1,) * len(batch)
    if layout == "turned":
        return np.asarray(rng.normal(size=(*batch, columns, rows))).swapaxes(-1, -2)
    if layout == "gaps":
        return np.asarray(rng.normal(size=(*batch, rows, columns + 3)))[..., :columns]
    return np.asarray(rng.normal(size=(*batch, rows, columns)))


LAYOUTS = st.sampled_from(["rows", "turned", "gaps", "spread"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.tuples(LAYOUTS, LAYOUTS),
    st.integers(0, 99),
)
def test_products_are_those_of_numpy(
    batch: tuple[int, ...], sizes: tuple[int, int, int], layouts: tuple[str, str], seed: int
) -> None:
    (m, n, k), (first, second) = sizes, layouts
    rng = np.random.default_rng(seed)
    A, B = matrices(rng, batch, m, k, first), matrices(rng, batch, k, n, second)
    room = np.zeros((*batch, m + 1, n + 2))
    C = room[..., :m, :n]
    found = computed(A, B, C)
    assert found is not None
    np.testing.assert_allclose(found, np.broadcast_to(A @ B, C.shape), rtol=1e-12)
    assert not room[..., m:, :].any()
    assert not room[..., n:].any()


def test_an_unrolled_image_is_one_call() -> None:
    """Windows that overlap in memory, one kernel for all of them, results that lie apart: as `conv` asks for them."""
    rng = np.random.default_rng(0)
    lines, W = rng.normal(size=(6, 2 * 3, 20)), rng.normal(size=(1, 1, 1, 5, 18))
    size = lines.itemsize
    U = as_strided(lines, (1, 4, 1, 18, 20), (0, 120 * size, 0, 20 * size, size))
    C = np.zeros((5, 4, 20)).reshape(1, 5, 4, 1, 20).transpose(0, 2, 3, 1, 4)
    found = gemms(W, U, C)
    assert found is not None
    assert [(g.batch, g.strides) for g in found] == [(4, (0, 120, 20))]
    np.testing.assert_allclose(computed(W, U, C), W @ U)
    assert (
        copies(W, U, C) == 1 + 2 + 9
    )  # what CuPy's matmul takes: U and C are copied, three times addresses of three axes


@pytest.mark.parametrize(("dtype", "turned_result"), [("int64", False), ("float64", True)])
def test_what_is_left_to_the_library(dtype: str, turned_result: bool) -> None:
    A, B, C = np.ones((2, 3), dtype), np.ones((3, 4), dtype), np.ones((2, 4), dtype)
    assert gemms(A, B, np.asfortranarray(C) if turned_result else C) is None
    assert copies(A, B, C) == 1

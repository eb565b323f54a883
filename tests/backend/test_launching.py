"""How kernels are launched: CuPy's classes get what they declare, in its order. A stand-in computes with g++."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tensorflow_lite_bp.backend.fusion.kernels import Kernels, Products
from tensorflow_lite_bp.backend.fusion.products import gemms
from tests.backend import kernels
from tests.backend.recordings import Recording, recordings


class StandIn:
    """A module with CuPy's two classes of kernels and `broadcast_to`.

    Args:
        sources: whose texts it knows how to compute.
    """

    broadcast_to = staticmethod(np.broadcast_to)

    def __init__(self, sources: list[Any]) -> None:
        self.launches = 0
        functions = kernels.compiled(sources)
        self._known = {(s.body, s.after, s.threads, s.rounds): (functions[kernels.Text.of(s)], s) for s in sources}

    def ElementwiseKernel(self, ins: str, outs: str, body: str, name: str, **options: Any) -> Any:
        declared = [*ins.split(", "), *outs.split(", ")]
        return lambda *args, size: self._launch(declared, args, (body, "", size, 0))

    def ReductionKernel(self, ins: str, outs: str, body: str, *texts: str, **options: Any) -> Any:
        declared, (_, after, *_) = [*ins.split(", "), outs], texts

        def call(*args: Any, axis: int) -> None:
            like, *given, result = args
            assert (declared[0].split()[-1], declared[-1].split()[-1], axis) == ("like", "result", 0)
            rounds, threads = like.shape
            assert result.shape == (threads,)
            self._launch(declared[1:-1], given, (body, after, threads, rounds))

        return call

    def _launch(self, declared: list[str], args: Any, key: Any) -> None:
        self.launches += 1
        function, source = self._known[key]
        places: dict[str, int] = {}
        kept = []
        for declaration, arg in zip([d for d in declared if d], args, strict=True):
            *raw, dtype, name = declaration.split()
            assert str(arg.dtype) == dtype
            if raw:
                assert arg.shape == (1,)
                places[name] = arg.__array_interface__["data"][0]
            else:  # by value
                kept.append(np.array(arg))
                places[name] = kept[-1].ctypes.data
        assert places.keys() == {p.name for p in source.parameters}
        kernels.launch(function, [places[p.name] for p in source.parameters], source.threads, source.rounds)


@pytest.mark.skipif(kernels.COMPILER is None, reason="there is no g++ to compile the kernels with")
def test_kernels_are_handed_what_they_declare() -> None:
    every = [(recording, recording.steps) for recording in recordings("float32")]
    module = StandIn([step.source for _, steps in every for step in steps if step.source is not None])
    made, count = Kernels(module), 0
    for recording, steps in every:
        expected, start = _expected(recording)
        for step in steps:
            if step.source is None:
                kernels.plain(step.launch.call)
            else:
                made.bound(step.source)()
                count += 1
        for role, array in recording.arrays.items():
            np.testing.assert_allclose(array, expected[role], rtol=3e-6, atol=3e-6, err_msg=recording.name)
        recording.restore(start)
    assert module.launches == count


def _expected(recording: Recording) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    start = recording.values()
    recording.replay()
    expected = recording.values()
    recording.restore(start)
    return expected, start


class CuBlas:
    """`gemmStridedBatchedEx` as cuBLAS's reference describes it, on memory of the host. Matrices lie by columns."""

    def gemmStridedBatchedEx(
        self,
        *args: Any,
    ) -> None:
        (
            handle,
            turn_a,
            turn_b,
            m,
            n,
            k,
            one,
            A,
            kind,
            lda,
            next_a,
            B,
            _,
            ldb,
            next_b,
            zero,
            C,
            _,
            ldc,
            next_c,
            *rest,
        ) = args
        batch, compute, algorithm = rest
        assert (handle, kind, compute, algorithm) == (7, 1, 70, -1)  # CUDA_R_64F, CUBLAS_COMPUTE_64F, the default
        assert [ctypes.c_double.from_address(at).value for at in (one, zero)] == [1.0, 0.0]
        for step in range(batch):
            a = _columns(A + 8 * step * next_a, lda, *((k, m) if turn_a else (m, k)))
            b = _columns(B + 8 * step * next_b, ldb, *((n, k) if turn_b else (k, n)))
            _columns(C + 8 * step * next_c, ldc, m, n)[...] = (a.T if turn_a else a) @ (b.T if turn_b else b)


def _columns(address: int, ld: int, rows: int, columns: int) -> np.ndarray:
    first = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (1,))
    assert ld >= rows
    return as_strided(first, (rows, columns), (8, 8 * ld))


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_cublas_is_handed_a_product(turned: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3, 2, 4)), rng.normal(size=(3, 4, 5))
    A, B = (
        np.ascontiguousarray(X.swapaxes(1, 2)).swapaxes(1, 2) if t else X for X, t in zip((A, B), turned, strict=True)
    )
    C = np.zeros((3, 2, 5))
    found = gemms(A, B, C)
    assert found is not None
    products = Products(CuBlas(), lambda: 7, lambda: 68)
    for gemm in found:
        products.bound(
            gemm, *(SimpleNamespace(data=SimpleNamespace(ptr=X.ctypes.data), dtype=X.dtype) for X in (A, B, C))
        )()
    np.testing.assert_allclose(C, A @ B)

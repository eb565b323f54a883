"""What the acceptance asks of PyTorch: its profiler's rows, and the same network in it. PyTorch has no GPU here."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tensorflow_lite_bp.acceptance import steps, throughput  # noqa: E402
from tensorflow_lite_bp.backend import get_backend  # noqa: E402


@pytest.mark.filterwarnings("ignore")  # PyTorch warns that it has no CUDA
def test_the_profiler_lists_what_is_looked_at() -> None:
    listed: list[Any] = []

    class Listening(torch.profiler.profile):
        def key_averages(self, **options: Any) -> Any:
            listed.extend(super().key_averages(**options))
            return listed

    module = SimpleNamespace(
        profiler=SimpleNamespace(profile=Listening, ProfilerActivity=torch.profiler.ProfilerActivity)
    )
    A = torch.ones(3, 3)
    assert steps._profiled(module, lambda: A @ A) == steps.Heard(0, Counter())
    assert {(event.key, event.count, str(event.device_type)) for event in listed} >= {
        ("aten::matmul", steps.STEPS, "DeviceType.CPU")
    }


def test_kernels_and_waits_are_told_from_the_rest() -> None:
    cuda, cpu = torch.autograd.DeviceType.CUDA, torch.autograd.DeviceType.CPU
    rows = [
        ("ampere_sgemm_32x32_sliced1x4_nn", 160, cuda),
        ("cupy_add__float32", 40, cuda),
        ("Memcpy HtoD (Pinned -> Device)", 40, cuda),
        ("Memset (Device)", 20, cuda),
        ("cudaLaunchKernel", 160, cpu),
        ("cudaStreamSynchronize", 3, cpu),
        ("cudaMemcpyAsync", 40, cpu),
    ]
    events = [SimpleNamespace(key=key, count=count, device_type=place) for key, count, place in rows]
    assert steps.heard_in(events) == steps.Heard(200, Counter(cudaStreamSynchronize=3))


def test_without_a_gpu_pytorch_hears_nothing() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert steps.listened(lambda: None) is None


def test_the_same_network_in_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "SECONDS", 0.0)
    check = next(check for check in throughput.checks() if str(check) == "throughput: mlp, batch 256, PyTorch")
    outcome = check.outcome(get_backend("numpy"))
    assert outcome.state == "passed", outcome.found
    assert f"samples/s (PyTorch {torch.__version__}, eager, on cpu, its batch already there)" in outcome.found

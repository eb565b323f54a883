"""The report file: what it was run on, the verdict, what failed and why, the figures, and every check."""

from __future__ import annotations

import pytest

from tensorflow_lite_bp.acceptance import Outcome, facts, report
from tensorflow_lite_bp.acceptance.report import VARIABLES
from tensorflow_lite_bp.backend import cuda, get_backend
from tensorflow_lite_bp.backend.numpy import NumpyBackend

OUTCOMES = [
    Outcome("layers", "tanh, example 1, float32", "passed", "largest difference 6.0e-08"),
    Outcome("layers", "gelu, example 1, float32", "failed", "Y: 3 of 4 entries | differ"),
    Outcome("steps", "the host never waits", "skipped", "it needs a GPU"),
    Outcome("throughput", "mlp, batch 256", "passed", "1,000 samples/s"),
]
FACTS = {"backend": "cupy", "device": "NVIDIA H100, 79.6 GiB, compute capability 9.0", "date": "2030-01-01 00:00 UTC"}

EXPECTED = """# The backend cupy against NumPy

**1 of 3 checks failed** on NVIDIA H100; 1 could not be made there.

|  |  |
|---|---|
| backend | cupy |
| device | NVIDIA H100, 79.6 GiB, compute capability 9.0 |
| date | 2030-01-01 00:00 UTC |

## By group

| group | checks | passed | failed | not checked here |
|---|---|---|---|---|
| layers | 2 | 1 | 1 | 0 |
| steps | 1 | 0 | 0 | 1 |
| throughput | 1 | 1 | 0 | 0 |

## What failed

| group | check | why |
|---|---|---|
| layers | gelu, example 1, float32 | Y: 3 of 4 entries \\| differ |

## What could not be checked here

| group | check | why |
|---|---|---|
| steps | the host never waits | it needs a GPU |

## Figures

| of | found |
|---|---|
| mlp, batch 256 | 1,000 samples/s |

## Every check

| group | check | state | found |
|---|---|---|---|
| layers | tanh, example 1, float32 | passed | largest difference 6.0e-08 |
| layers | gelu, example 1, float32 | failed | Y: 3 of 4 entries \\| differ |
| steps | the host never waits | skipped | it needs a GPU |
| throughput | mlp, batch 256 | passed | 1,000 samples/s |
"""


def test_the_whole_report() -> None:
    assert report(FACTS, OUTCOMES) == EXPECTED


def test_the_verdict_when_all_is_well() -> None:
    assert "\nAll of 1 checks passed on NVIDIA H100.\n" in report(FACTS, OUTCOMES[:1])


def test_facts_say_what_figures_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUPY_TF32", "1")
    found = facts(get_backend("numpy"), options={"memory limit": "80%", "nothing": None})
    assert list(found)[:3] == ["date", "backend", "device"]
    assert found["device"] == "no GPU, so this run says nothing of one"
    assert (found["options"], found["environment"]) == ("memory limit 80%", "CUPY_TF32=1")
    assert found["versions"].startswith("numpy ")


def test_the_gpu_that_computes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = (cuda.Device(0, "NVIDIA H100", "9.0", 80 << 30), cuda.Device(1, "NVIDIA L4", "8.9", 22 << 30))
    there = cuda.Cuda("14.2.0", 12090, 13000, "580.65.06", gpus, None)
    monkeypatch.setattr(cuda, "examine", lambda cupy: there)
    monkeypatch.setattr(cuda, "current", lambda cupy: 1)
    backend = NumpyBackend()
    backend.name = "cupy"
    found = facts(backend, options={})
    assert [found[name] for name in ("device", "driver", "CuPy")] == [
        "NVIDIA L4, 22.0 GiB, compute capability 8.9",
        "580.65.06, up to CUDA 13.0",
        "14.2.0, built for CUDA 12.9",
    ]

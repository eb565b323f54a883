"""The text of every kernel goes through NVIDIA's compiler, for two architectures; nothing is run.

It needs CuPy 14.2.0, whose private names it uses, and NVIDIA's compiler, and no GPU: ``pip install cupy-cuda12x==14.2.0
nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.launches import NETWORKS, planned
from tensorflow_lite_bp.backend.fusion.program import program
from tensorflow_lite_bp.backend.reals import real
from tensorflow_lite_bp.graph.recorder import Recorder
from tests.backend.recordings import HALVES, XP, recordings

VERSION = "14.2.0"

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: no kernel is compiled for a GPU")
pytest.importorskip("nvidia.cuda_nvrtc", reason="NVIDIA's compiler is not installed: no kernel is compiled for a GPU")
if cupy.__version__ != VERSION:
    pytest.skip(f"CuPy is {cupy.__version__}, and this takes private names of {VERSION}", allow_module_level=True)


def distinct(sources: list[Any]) -> list[Any]:
    return list({source.key: source for source in sources}.values())


@pytest.mark.parametrize("architecture", [80, 90])
@pytest.mark.parametrize("dtype", ["float32", "float64", *HALVES])
def test_every_kernel_compiles(dtype: str, architecture: int) -> None:
    from tests.backend.nvrtc import cubin

    steps = [step for recording in recordings(dtype) for step in recording.steps]
    sources = distinct([step.source for step in steps if step.source is not None])
    assert cubin(sources, architecture)[:4] == b"\x7fELF"


@pytest.mark.parametrize("dtype", HALVES)
def test_a_type_that_no_array_of_the_kernel_has_compiles(dtype: str) -> None:
    """Numbers that are rounded to 16 bits on the way from float32 to float32, where nobody looks."""
    from tests.backend.nvrtc import cubin

    X, between, Y = np.ones(9, np.float32), np.empty(9, real(dtype)), np.empty(9, np.float32)
    recorder = Recorder(XP)
    recorder.copyto(between, X)
    recorder.copyto(Y, between)
    (step,) = program(recorder.calls, XP, private=[between])
    assert step.source is not None
    assert {parameter.dtype for parameter in step.source.parameters} == {"float32"}
    assert cubin([step.source], 80)[:4] == b"\x7fELF"


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "float32") for name in NETWORKS), ("resnet", "mixed"), ("cnn", "mixed_bfloat16")]
)
def test_the_kernels_of_whole_networks_compile(name: str, precision: str) -> None:
    from tests.backend.nvrtc import cubin

    sources = [step.source for step in planned(name, precision) if step.source is not None]
    assert cubin(distinct(sources), 90)[:4] == b"\x7fELF"


def test_a_wrong_text_is_refused() -> None:
    from dataclasses import replace

    from cupy.cuda import compiler

    from tests.backend.nvrtc import cubin

    source = next(step.source for step in planned("mlp") if step.source is not None)
    with pytest.raises(compiler.CompileException, match="undefined_name"):
        cubin([replace(source, body=source.body + " undefined_name;")], 80)

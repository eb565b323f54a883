"""``tflbp doctor``: what it lists, and the run of the acceptance from the command line."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp import __version__, acceptance, machine
from tensorflow_lite_bp.acceptance import Check, Failed, NotHere
from tensorflow_lite_bp.backend.cuda import Cuda, Device

GPU = Cuda("14.2.0", 12090, 13000, "580.65.06", (Device(0, "NVIDIA H100", "9.0", 80 << 30),), None)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    """Has the machine have this for a GPU."""
    return lambda found: monkeypatch.setattr(machine, "gpu", lambda: found)


def test_what_is_listed(tflbp, gpu) -> None:
    gpu(machine.Gpu(GPU, None))
    ran = tflbp("doctor")
    lines = ran.stdout.splitlines()
    assert ran.exit_code == 0
    assert max(map(len, lines)) <= 80
    assert {line[13] for line in lines if line} == {" "}  # what is said stands in one column
    assert lines[0].startswith(f"tflbp         {__version__}")
    assert f"numpy         {np.__version__}" in lines
    assert f"onnxruntime   {version('onnxruntime')}" in lines
    assert lines[-5:] == [
        "numpy         can be used",
        "cupy          can be used",
        "              CuPy 14.2.0, built for CUDA 12.9",
        "              driver: 580.65.06, up to CUDA 13.0",
        "              GPU 0: NVIDIA H100, 80.0 GiB, compute capability 9.0",
    ]


def test_why_there_is_no_gpu(tflbp, gpu) -> None:
    gpu(machine.Gpu(None, "CuPy is not installed: pip install 'tensorflow_lite_bp[cuda12]' for a CUDA 12 driver"))
    ran = tflbp("doctor")
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-2:] == [
        "cupy          cannot be used: CuPy is not installed: pip install",
        "              'tensorflow_lite_bp[cuda12]' for a CUDA 12 driver",
    ]


def test_what_is_missing_says_how_to_get_it(tflbp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed", lambda package: None if package == "sympy" else "1.0")
    lines = tflbp("doctor").stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("sympy"))
    assert lines[place : place + 2] == [
        "sympy         not installed: pip install 'tensorflow_lite_bp[proof]' for tflbp",
        "              prove",
    ]


def test_the_same_for_programs(tflbp, gpu) -> None:
    gpu(machine.Gpu(GPU, None))
    found = tflbp("doctor", "--json").json
    assert found["tflbp"] == __version__
    assert found["packages"]["numpy"] == np.__version__
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {line.partition(">")[0].replace("_", "-") for line in declared}
    assert found["packages"].keys() == names | {"matplotlib", "sympy"}
    assert found["blas"][0]["threads"] >= 1
    assert found["usable_processors"] <= found["processors"]
    assert found["backends"]["numpy"] == {"usable": True, "reason": None}
    cupy = found["backends"]["cupy"]
    assert (cupy["usable"], cupy["reason"], cupy["runtime"]) == (True, None, 12090)
    assert cupy["devices"] == [{"number": 0, "name": "NVIDIA H100", "capability": "9.0", "memory": 80 << 30}]


def test_nothing_slow_is_imported(tmp_path: Path) -> None:
    code = "import sys; from tensorflow_lite_bp.cli import main; main(['doctor']); print('|', *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not {"onnx", "onnxruntime", "matplotlib", "sympy", "rich", "torch"} & set(
        ran.stdout.rpartition("|")[2].split()
    )


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (
            ["--out", "a.md"],
            2,
            "invalid value: there is a report only with --backend: leave --out away, or add --backend cupy",
        ),
        (["--device", "0"], 1, "--device: --backend numpy uses no GPU, so leave it away, or use --backend cupy"),
        (["--backend", "cuda"], 1, "backend `cuda` is unknown: expected numpy or cupy"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], exit_code: int, message: str, tflbp) -> None:
    ran = tflbp("doctor", *options)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert ran.stderr.splitlines()[0] == f"error: {message}"


# The acceptance


@pytest.fixture
def few_checks(monkeypatch: pytest.MonkeyPatch):
    """The acceptance with these checks alone."""

    def passes(backend: object) -> str:
        return "as it must be"

    def fails(backend: object) -> str:
        raise Failed("Y is wrong")

    def is_not_here(backend: object) -> str:
        raise NotHere("it needs PyTorch")

    known = {"passes": passes, "fails": fails, "is not here": is_not_here}
    return lambda *names: monkeypatch.setattr(
        acceptance, "checks", lambda: [Check("layers", name, known[name]) for name in names]
    )


def test_a_backend_that_passes(few_checks, tflbp, here: Path) -> None:
    few_checks("passes", "is not here")
    ran = tflbp("doctor", "--backend", "numpy")
    assert (ran.exit_code, ran.stderr) == (0, "layers …\n")
    assert ran.stdout == ("2 checks, 1 passed, 0 failed, 1 could not be made here; the report is in numpy-report.md\n")
    text = (here / "numpy-report.md").read_text()
    assert "| layers | passes | passed | as it must be |" in text
    assert "| backend | numpy |" in text


def test_a_backend_that_fails(few_checks, tflbp, here: Path) -> None:
    few_checks("passes", "fails")
    ran = tflbp("doctor", "--backend", "numpy", "--out", "found.md", "--json")
    assert ran.exit_code == 3
    assert ran.stderr == "layers …\n  failed: fails: Y is wrong\n"
    assert ran.json["report"] == "found.md"
    assert ran.json["facts"]["backend"] == "numpy"
    assert ran.json["checks"][1] == {"group": "layers", "name": "fails", "state": "failed", "found": "Y is wrong"}
    assert "| layers | fails | Y is wrong |" in (here / "found.md").read_text()


def test_a_report_that_cannot_be_written_is_known_before_it_is_computed(few_checks, tflbp, here: Path) -> None:
    few_checks("passes")
    ran = tflbp("doctor", "--backend", "numpy", "--out", "nowhere/found.md")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "nowhere" in ran.stderr

"""What the command line imports: nothing heavy before it is needed; and the rules that every command keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tensorflow_lite_bp import __version__
from tensorflow_lite_bp.cli import commands

HEAVY = {"numpy", "onnx", "onnxruntime", "matplotlib", "cupy", "rich", "sympy", "lark", "safetensors"}
EXPECTED = [
    "check",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "fmt",
    "gradcheck",
    "predict",
    "profile",
    "prove",
    "reference",
    "summary",
    "train",
]


def _imported(args: list[str], folder: Path) -> set[str]:
    """The top-level modules in memory after a command line has run in a fresh process."""
    code = f"import sys; from tensorflow_lite_bp.cli import main; main({args!r}); print('|', *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ran.stdout.rpartition("|")[2].split()}


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(args: list[str], tmp_path: Path) -> None:
    assert not _imported(args, tmp_path) & (HEAVY | {"dsl"})


def test_check_imports_nothing_heavy(project: Path) -> None:
    assert not _imported(["check", "points.net"], project) & HEAVY


def test_commands_are_found_by_themselves() -> None:
    assert set(EXPECTED) <= set(commands())


def test_version(tflbp) -> None:
    assert tflbp("--version").stdout == f"tflbp {__version__}\n"


def test_no_arguments_is_help(tflbp) -> None:
    ran = tflbp()
    assert ran.exit_code == 0
    assert ran.stdout == tflbp("--help").stdout


@pytest.mark.parametrize("command", EXPECTED)
def test_every_command_explains_itself(command: str, tflbp) -> None:
    ran = tflbp(command, "--help")
    assert ran.exit_code == 0
    assert f"\n    tflbp {command}" in ran.stdout or f"\n  tflbp {command}" in ran.stdout, "an example"
    assert "--json" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert f"  {command} " in tflbp("--help").stdout

"""What tflbp runs on: versions, processors, the matrix library, the GPU or why there is none, the commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from tensorflow_lite_bp.backend.cuda import Cuda, NoGpu, examine
from tensorflow_lite_bp.backend.cupy import import_cupy
from tensorflow_lite_bp.graph.threads import available

OPTIONAL = {
    "matplotlib": "pip install 'tensorflow_lite_bp[plots]' for the curves of a run",
    "sympy": "pip install 'tensorflow_lite_bp[proof]' for tflbp prove",
}
"""Packages that some commands need, and how to get them."""


@dataclass(frozen=True)
class Blas:
    """A matrix library of this process; ``kernels`` names the processor that it computes for."""

    name: str
    version: str | None
    kernels: str | None
    threads: int


@dataclass(frozen=True)
class Gpu:
    """``cuda`` is None when CuPy itself is what is missing; ``reason`` is None when the backend cupy can compute."""

    cuda: Cuda | None
    reason: str | None


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def system() -> str:
    return f"{platform.system()} {platform.release()}, {platform.machine()}"


def processors() -> tuple[int, int]:
    """How many the machine has, and how many of them this process may use."""
    usable = available()
    return os.cpu_count() or usable, usable


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def needed() -> list[str]:
    """The packages that this one requires, without those of its extras."""
    lines = requires("tensorflow_lite_bp") or []
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line]


def installed(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def blas() -> list[Blas]:
    """What NumPy multiplies matrices with."""
    import numpy as np  # noqa: F401  # threadpoolctl sees what is loaded
    from threadpoolctl import threadpool_info

    return [
        Blas(found["internal_api"], found["version"], found.get("architecture"), found["num_threads"])
        for found in threadpool_info()
        if found["user_api"] == "blas"
    ]


def gpu() -> Gpu:
    """What there is for ``--backend cupy``."""
    try:
        cuda = examine(import_cupy())
    except NoGpu as error:
        return Gpu(None, error.reason)
    return Gpu(cuda, cuda.reason)


def commit() -> str | None:
    """The commit of the checkout that this package is in, with a word when files differ; None outside of one."""
    root = Path(__file__).parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()

    if not (root / ".git").exists():  # installed, perhaps inside somebody else's checkout
        return None
    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def to_json() -> dict[str, Any]:
    """All of it, as plain values."""
    from dataclasses import asdict

    there, usable = processors()
    found = gpu()
    return {
        "tflbp": installed("tensorflow_lite_bp"),
        "commit": commit(),
        "python": python(),
        "system": system(),
        "processor": processor(),
        "processors": there,
        "usable_processors": usable,
        "blas": [asdict(library) for library in blas()],
        "packages": {name: installed(name) for name in (*needed(), *OPTIONAL)},
        "backends": {
            "numpy": {"usable": True, "reason": None},
            "cupy": {
                "usable": found.reason is None,
                "reason": found.reason,
                **(asdict(found.cuda) | {"reason": found.reason} if found.cuda is not None else {}),
            },
        },
    }

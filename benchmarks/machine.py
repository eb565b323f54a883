"""Where the figures come from: processor, threads, BLAS, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.processes import CHECKOUT

SLOWING = "OPENBLAS_CORETYPE"
"""The variable that makes OpenBLAS compute for another processor than the one it runs on."""

BUSY = 0.5
"""A load from which on figures are those of a busy machine."""


def load() -> float:
    """How many processes wanted a core in the last minute, on average. Before a run it should be near 0."""
    return os.getloadavg()[0]


def described(packages: Iterable[str], *, load_before: float) -> dict[str, str]:
    """What a figure depends on besides the code, by what it is."""
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": f"{_processor()}, {_cores()} cores",
        "load before the run": f"{load_before:.1f}"
        + (" (others were computing: measure again)" if load_before > BUSY else ""),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "NumPy's BLAS": _blas(),
        "versions": ", ".join(f"{name} {found}" for name in packages if (found := _version(name)) is not None),
    }
    if SLOWING in os.environ:
        facts["note"] = slowing_note()
    return facts


def slowing_note() -> str:
    return (
        f"{SLOWING}={os.environ[SLOWING]} is set: NumPy's BLAS computes for that processor, perhaps slower than it "
        f"could. Measure with `env -u {SLOWING} python -m benchmarks`"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blas() -> str:
    """The library that NumPy multiplies with, its kernel for this processor and its threads."""
    import numpy as np  # noqa: F401 (threadpoolctl sees libraries that are loaded)
    from threadpoolctl import threadpool_info

    libraries = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return "; ".join(
        f"{each['internal_api']} {each['version']}, kernel {each.get('architecture', 'unknown')}, "
        f"{each['num_threads']} threads"
        for each in libraries
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """The commit of the checkout, with a word when the files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

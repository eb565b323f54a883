"""The one file that a run of the acceptance leaves: on what it ran, what came out, and every check."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tensorflow_lite_bp import machine
from tensorflow_lite_bp.acceptance.check import Outcome
from tensorflow_lite_bp.backend import Backend
from tensorflow_lite_bp.units import size

VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUPY_TF32", "CUPY_ACCELERATORS", "CUPY_GPU_MEMORY_LIMIT",
    "NVIDIA_TF32_OVERRIDE", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
)  # fmt: skip
"""Of the environment, what changes what is computed, or how fast."""
_MEASURED = ("memory", "steps", "throughput")
"""Groups whose findings are figures that are read one by one."""


def facts(backend: Backend, *, options: Mapping[str, str | None]) -> dict[str, str]:
    """What a figure depends on, by what it is.

    Args:
        options: that the backend was made with; None for those that were not given.
    """
    commit = machine.commit()
    there, usable = machine.processors()
    libraries = [f"{found.name} {found.version or ''}, {found.threads} threads" for found in machine.blas()]
    variables = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    packages = ("numpy", "cupy-cuda12x", "cupy-cuda13x", "torch")
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "backend": backend.name,
        **_device(backend),
        "tflbp": f"{machine.installed('tensorflow_lite_bp')}, {f'commit {commit}' if commit else 'as a package'}",
        "versions": ", ".join(f"{name} {v}" for name in packages if (v := machine.installed(name)) is not None),
        "Python": machine.python(),
        "system": machine.system(),
        "processor": f"{machine.processor()}, {there} processors, {usable} for this process",
        "BLAS": "; ".join(libraries),
        "options": ", ".join(f"{name} {value}" for name, value in options.items() if value is not None),
        "environment": " ".join(variables),
    }
    return {name: value for name, value in found.items() if value}


def report(facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """The report as Markdown."""
    parts = [
        f"# The backend {facts['backend']} against NumPy",
        _verdict(facts, outcomes),
        _table([("", ""), *facts.items()]),
        "## By group",
        _table([("group", "checks", "passed", "failed", "not checked here"), *_by_group(outcomes)]),
    ]
    for state, heading in (("failed", "## What failed"), ("skipped", "## What could not be checked here")):
        found = [(outcome.group, outcome.name, outcome.found) for outcome in outcomes if outcome.state == state]
        if found:
            parts += [heading, _table([("group", "check", "why"), *found])]
    measured = [(each.name, each.found) for each in outcomes if each.group in _MEASURED and each.state == "passed"]
    if measured:
        parts += ["## Figures", _table([("of", "found"), *measured])]
    every = [(each.group, each.name, each.state, each.found) for each in outcomes]
    parts += ["## Every check", _table([("group", "check", "state", "found"), *every])]
    return "\n\n".join(parts) + "\n"


def _device(backend: Backend) -> dict[str, str]:
    """The GPU and its software, where the backend has one."""
    if backend.name != "cupy":
        return {"device": "no GPU, so this run says nothing of one"}
    from tensorflow_lite_bp.backend.cuda import current, examine, shown

    cuda = examine(backend.module)
    device = cuda.devices[current(backend.module)]
    return {
        "device": f"{device.name}, {size(device.memory)}, compute capability {device.capability}",
        "driver": f"{cuda.driver or 'version unknown'}, up to CUDA {shown(cuda.supported)}",
        "CuPy": f"{cuda.cupy}, built for CUDA {shown(cuda.runtime)}",
    }


def _verdict(facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    skipped = sum(outcome.state == "skipped" for outcome in outcomes)
    made = len(outcomes) - skipped
    said = f"All of {made} checks passed" if not failed else f"**{failed} of {made} checks failed**"
    return f"{said} on {facts['device'].partition(',')[0]}" + (
        f"; {skipped} could not be made there." if skipped else "."
    )


def _by_group(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    states = ("passed", "failed", "skipped")
    groups = dict.fromkeys(outcome.group for outcome in outcomes)
    rows = []
    for group in groups:
        of = [outcome.state for outcome in outcomes if outcome.group == group]
        rows.append((group, str(len(of)), *(str(of.count(state)) for state in states)))
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of Markdown, the first one a heading."""
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())

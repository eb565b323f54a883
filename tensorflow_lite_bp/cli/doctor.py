"""``tflbp doctor``: what this machine has for tflbp; with ``--backend``, whether that backend computes as NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer, say
from tensorflow_lite_bp.cli._layout import WIDTH, counted, size
from tensorflow_lite_bp.cli._options import Device, Json, MemoryLimit, backend_of

if TYPE_CHECKING:
    from tensorflow_lite_bp.acceptance import Outcome

Lines = Iterator[tuple[str, str]]
_INDENT = 14


def doctor(
    *,
    backend: Annotated[
        str | None, typer.Option(metavar="cupy|numpy", help="Hold this backend against NumPy, and write a report.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The report; gpu-report.md by default.", show_default=False)
    ] = None,
    device: Device = None,
    memory_limit: MemoryLimit = None,
    json: Json = False,
) -> Answer:
    """Say what this machine has: versions, processors, matrix library, GPU.

    With --backend cupy, on a machine with an NVIDIA GPU, run the acceptance: every layer, loss and optimizer against
    NumPy, forward and back; training runs against NumPy's; memory, launches and waits of a step; throughput. It takes
    some minutes, most of them to compile kernels, writes one report file, and ends with code 3 when a check fails.
    (--backend numpy holds NumPy against itself, which tests the acceptance alone.)

    \b
    Examples:
      tflbp doctor
      tflbp doctor --backend cupy
      tflbp doctor --backend cupy --device 1 --out gpu-1.md
    """
    if backend is None:
        if out is not None:
            raise typer.BadParameter("there is a report only with --backend: leave --out away, or add --backend cupy")
        backend_of(None, device=device, memory_limit=memory_limit, tf32=False)  # refuses what is for a GPU
        return _machine()
    from tensorflow_lite_bp import acceptance
    from tensorflow_lite_bp.files import atomic_write

    computing = backend_of(backend, device=device, memory_limit=memory_limit, tf32=False)
    path = out if out is not None else _DEFAULT_REPORTS[backend]
    with atomic_write(path) as file:  # first: what cannot be written need not be computed
        outcomes = acceptance.run(computing, heard=_Progress())
        facts = acceptance.facts(computing, options={"memory limit": memory_limit})
        file.write(acceptance.report(facts, outcomes).encode())
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    data = {"report": path, "facts": facts, "checks": [outcome.to_json() for outcome in outcomes]}
    return Answer(data, text=_summary(outcomes, path), exit_code=3 if failed else 0)


_DEFAULT_REPORTS = {"cupy": "gpu-report.md", "numpy": "numpy-report.md"}


class _Progress:
    """A line on stderr at the first check of each group, and for each that fails."""

    def __init__(self) -> None:
        self._group = ""

    def __call__(self, outcome: Outcome) -> None:
        if outcome.group != self._group:
            self._group = outcome.group
            say(f"{outcome.group} …")
        if outcome.state == "failed":
            say(f"  failed: {outcome.name}: {outcome.found}")


def _summary(outcomes: list[Outcome], path: str) -> str:
    states = [outcome.state for outcome in outcomes]
    counts = [counted(len(states), "check"), f"{states.count('passed')} passed", f"{states.count('failed')} failed"]
    if "skipped" in states:
        counts.append(f"{states.count('skipped')} could not be made here")
    return f"{', '.join(counts)}; the report is in {path}"


# The machine


def _machine() -> Answer:
    from tensorflow_lite_bp.machine import to_json

    facts = to_json()
    sections = [_base(facts), _packages(facts), _backends(facts)]
    return Answer(facts, text="\n\n".join("\n".join(map(_line, section)) for section in map(list, sections)))


def _line(line: tuple[str, str]) -> str:
    """A name and what there is to say, in the columns of a terminal."""
    name, text = line
    first, rest = name.ljust(_INDENT), " " * _INDENT
    return "\n".join(wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False))


def _base(facts: Mapping[str, Any]) -> Lines:
    commit = f", commit {facts['commit']}" if facts["commit"] is not None else ""
    yield "tflbp", f"{facts['tflbp']}{commit}"
    yield "Python", facts["python"]
    yield "system", facts["system"]
    yield "processor", facts["processor"]
    yield "", f"{counted(facts['processors'], 'processor')}, {facts['usable_processors']} for this process"
    for library in facts["blas"]:
        kernels = f", kernels for {library['kernels']}" if library["kernels"] else ""
        threads = counted(library["threads"], "thread")
        yield "BLAS", f"{library['name']} {library['version'] or ''}{kernels}, {threads}"


def _packages(facts: Mapping[str, Any]) -> Lines:
    from tensorflow_lite_bp.machine import OPTIONAL

    for name, version in facts["packages"].items():
        how = OPTIONAL.get(name, f"pip install {name}")
        yield name, version if version is not None else f"not installed: {how}"


def _backends(facts: Mapping[str, Any]) -> Lines:
    yield "numpy", "can be used"
    found = facts["backends"]["cupy"]
    yield "cupy", "can be used" if found["usable"] else f"cannot be used: {found['reason']}"
    if "cupy" not in found:
        return
    from tensorflow_lite_bp.backend.cuda import shown

    yield "", f"CuPy {found['cupy']}, built for CUDA {shown(found['runtime'])}"
    if found["supported"]:
        driver = f"{found['driver']}, " if found["driver"] is not None else ""
        yield "", f"driver: {driver}up to CUDA {shown(found['supported'])}"
    for device in found["devices"]:
        capability = f"compute capability {device['capability']}"
        yield "", f"GPU {device['number']}: {device['name']}, {size(device['memory'])}, {capability}"

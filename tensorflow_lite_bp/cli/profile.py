"""``tflbp profile``: where the time and the memory of a training step go."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import WIDTH, counted, short, size, table
from tensorflow_lite_bp.cli._options import (
    TF32,
    BackendName,
    Device,
    Json,
    MemoryLimit,
    NetFile,
    Overrides,
    PrecisionName,
    backend_of,
    override_of,
)
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.graph.profile import Profile, Row
    from tensorflow_lite_bp.graph.threads import Division
    from tensorflow_lite_bp.network import Network


def profile(
    file: NetFile,
    *,
    overrides: Overrides,
    sizes: Annotated[
        list[str],
        typer.Option(
            "--size", metavar="NAME=N", default_factory=list, show_default=False, help="A symbolic size: T=28."
        ),
    ],
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Repetitions; as many as take 2 s by default.")
    ] = None,
    precision: PrecisionName = None,
    backend: BackendName = None,
    device: Device = None,
    memory_limit: MemoryLimit = None,
    tf32: TF32 = None,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads that compute the step.")] = None,
    json: Json = False,
) -> Answer:
    """Measure where the time and memory of a training step go.

    The step is taken on random rows, so no data is read. Each line is a layer or loss, forward (>) or back (<), in the
    order of computation, then the rest of the step; times are medians over the repetitions, and add up to the step.

    \b
    bytes    of the arrays that are first needed there; less in all where
             dead memory is used again
    MACs     multiplications (with an addition each) of matrix products
    of peak  the rate against that of products of large matrices, measured
             in as many threads and in the same precision

    The pieces are timed one by one, and `everything else` is the step without them. It may be negative, as chains of
    layers are quicker in one go. `disturbances` is what other processes take of a long step and not of its short
    pieces: next to nothing on a quiet machine. The step has an update whatever train.accumulate is, and no metrics.

    \b
    Examples:
      tflbp profile examples/digits.net
      tflbp profile examples/digits.net --set train.batch=256 --threads 2
      tflbp profile sequence.net --size T=28 --json
    """
    from tensorflow_lite_bp.graph.profile import profile, random_rows
    from tensorflow_lite_bp.network import Network

    computing = backend_of(backend, device=device, memory_limit=memory_limit, tf32=tf32)
    network = Network.from_file(file, backend=computing, overrides=[*overrides, *override_of(precision)])
    network.use_threads(threads)
    bound = _sizes(network, sizes)
    found = profile(network, random_rows(network, bound), repetitions=steps)
    data = {
        "file": file,
        "network": network.program.name,
        "backend": network.backend.name,
        "precision": network.precision,
        "batch": found.m,
        "sizes": bound,
        "shards": found.division.shards,
        "blas_threads": found.division.blas,
        "repetitions": found.repetitions,
        "matrix_gflops": found.matrix_gflops,
        "launches": found.launches,
        "parts_seconds": found.parts_seconds,
        "plan_seconds": found.plan_seconds,
        "start_seconds": found.start_seconds,
        "plan_bytes": found.plan_bytes,
        "waits": found.waits,
        "parts": [_data(row, found) for row in found.rows],
        "step": _data(found.total, found),
    }
    return Answer(data, text="\n\n".join([_heading(network, found), _table(found), _remarks(network, found)]))


def _sizes(network: Network, given: Sequence[str]) -> dict[str, int]:
    """The symbolic sizes of the command line: all that the network has, and no others."""
    found: dict[str, int] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (sign and value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0):
            raise typer.BadParameter(
                f"--size takes a name and a whole number from 1 to 999,999,999, such as T=28, not `{text}`"
            )
        if name not in network.program.sizes:
            known = f"it has {', '.join(network.program.sizes)}" if network.program.sizes else "it has none"
            raise InputError(f"`{network.program.name}` has no symbolic size `{name}`: {known}")
        found[name] = int(value)
    missing = [name for name in network.program.sizes if name not in found]
    if missing:
        typed = " ".join(f"--size {name}=28" for name in missing)
        raise InputError(f"the step depends on {' and '.join(missing)}, which only the data binds: say it with {typed}")
    return found


def _data(row: Row, found: Profile) -> dict[str, Any]:
    gflops = found.gflops(row)
    return {
        "kind": row.kind,
        "name": row.name,
        "direction": row.direction,
        "seconds": row.seconds,
        "share": row.seconds / found.seconds,
        "bytes": row.bytes,
        "multiplications": row.multiplications,
        "gflops": gflops,
        "of_matrix_gflops": gflops / found.matrix_gflops if gflops is not None else None,
    }


def _heading(network: Network, found: Profile) -> str:
    samples = counted(found.m, "sample")
    facts = [
        f"{network.precision} on {network.backend.name}",
        _division(found.division, found.m),
        f"medians of {counted(found.repetitions, 'repetition')}",
        f"products of large matrices peak at {found.matrix_gflops:.1f} GFLOP/s",
        *([f"{found.launches} launches in a step"] if network.backend.name != "numpy" else []),
    ]
    heading = f"{network.program.name}: a training step of {samples} takes {_time(found.seconds)}"
    return f"{fill(heading, WIDTH)}\n{fill('; '.join(facts), WIDTH)}"


def _division(division: Division, m: int) -> str:
    """How the step is divided over threads, for people.

    >>> from tensorflow_lite_bp.graph.threads import Division
    >>> _division(Division(2, 1), 65), _division(Division(1, 2), 65), _division(Division(1, 1), 65)
    ('2 shards of up to 33 samples, a thread each', '2 threads in each product', 'one thread')
    """
    if division.shards > 1:
        return f"{division.shards} shards of up to {counted(-(-m // division.shards), 'sample')}, a thread each"
    return f"{division.blas} threads in each product" if (division.blas or 1) > 1 else "one thread"


def _table(found: Profile) -> str:
    unit, scale, digits = ("ms", 1e3, 2) if found.seconds >= 1e-2 else ("µs", 1e6, 1)
    lines = [("part", unit, "share", "bytes", "MACs", "GFLOP/s", "of peak")]
    for row in (*found.rows, found.total):
        sign = {"forward": "> ", "back": "< ", None: ""}[row.direction]
        gflops = found.gflops(row)
        rate = (f"{gflops:.1f}", f"{gflops / found.matrix_gflops:.0%}") if gflops is not None else ("", "")
        products = short(row.multiplications) if row.multiplications else ""
        share = f"{row.seconds / found.seconds:.1%}"
        octets = size(row.bytes) if row.bytes else ""
        lines.append((f"{sign}{row.name}", f"{row.seconds * scale:,.{digits}f}", share, octets, products, *rate))
    return table(lines, right=range(1, 7))


def _remarks(network: Network, found: Profile) -> str:
    """What the lines do not say: that layers are quicker in one go, that they share memory, and who waits for whom."""
    octets = sum(row.bytes for row in found.rows if row.direction is not None)
    waiting = (
        f" The host waits for the device {counted(found.waits, 'time')} in a step." if network.backend.queued else ""
    )
    return fill(
        f"Layers and losses take {_time(found.parts_seconds)} one by one and {_time(found.plan_seconds)} in one go, "
        f"as in the step. Their arrays, {size(octets)}, lie in {size(found.plan_bytes)}.{waiting}",
        WIDTH,
    )


def _time(seconds: float) -> str:
    """A time for people.

    >>> _time(0.25), _time(0.0003125)
    ('250.0 ms', '312.5 µs')
    """
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 1e-2 else f"{seconds * 1e6:,.1f} µs"

"""``tflbp train``: train a network as its file says, into a run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from tensorflow_lite_bp.cli._answer import Answer
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


def train(
    file: NetFile,
    *,
    overrides: Overrides,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="First weights, order of samples, dropout.")
    ] = None,
    precision: PrecisionName = None,
    backend: BackendName = None,
    device: Device = None,
    memory_limit: MemoryLimit = None,
    tf32: TF32 = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Threads that compute a step; by default a rule on its work says how many."
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run folder; runs/NAME-001 by default.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Json = False,
) -> Answer:
    """Train a network as its data and train sections say.

    Progress goes to standard error, the name of the run folder to standard output. Ctrl-C finishes the batch, saves,
    and says how to go on.

    \b
    Examples:
      tflbp train examples/digits.net
      tflbp train examples/digits.net --set train.epochs=5 --out runs/short
      tflbp train examples/digits.net --resume runs/digits-001
    """
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.training.loop import fit
    from tensorflow_lite_bp.training.progress import reporter_for
    from tensorflow_lite_bp.training.run import Run

    if resume is not None and out is not None:
        raise typer.BadParameter("a run that is resumed has its folder already: leave --out or --resume away")
    given = (*overrides, *override_of(precision))
    begun = Run.open(resume) if resume is not None else None
    if begun is not None:  # what it was begun with stays, unless it is given anew
        given = (*begun.info.overrides, *given)
        seed = seed if seed is not None else begun.info.seed
        options = begun.info.options if backend in (None, begun.info.backend) else {}
        device = device if device is not None else options.get("device")
        memory_limit = memory_limit if memory_limit is not None else options.get("memory_limit")
        tf32 = tf32 if tf32 is not None else options.get("tf32")
        backend = backend if backend is not None else begun.info.backend
    computing = backend_of(backend, device=device, memory_limit=memory_limit, tf32=tf32)
    network = Network.from_file(file, seed=seed, backend=computing, overrides=given)
    run = begun if begun is not None else Run.create(network.program.name, out=out)
    result = fit(network, run=run, reporter=reporter_for(quiet=quiet), resume=begun is not None, threads=threads)
    return Answer(result.to_json(), text=str(run.folder))

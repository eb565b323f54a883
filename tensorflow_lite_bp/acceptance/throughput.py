"""How many samples a second a training step takes in, beside NumPy and, where it is installed, PyTorch.

There is nothing to pass here: figures stand in the report, and a failure to compute is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from tensorflow_lite_bp.acceptance.check import Check, NotHere
from tensorflow_lite_bp.acceptance.networks import mlp, step_of
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.graph.trainer import Trainer

BATCHES = (256, 2048)
SECONDS = 0.5
"""How long each is measured, once it has run some steps."""
STEPS = 10  # between two looks at the clock
_WARMING, _FEWEST = 3, 2


def checks() -> Iterator[Check]:
    for batch in BATCHES:
        yield Check("throughput", f"mlp, batch {batch}", partial(_ours, batch))
        for precision in ("mixed", "mixed_bfloat16"):
            yield Check("throughput", f"mlp, batch {batch}, {precision}", partial(_mixed, batch, precision))
        yield Check("throughput", f"mlp, batch {batch}, NumPy", partial(_numpys, batch))
        yield Check("throughput", f"mlp, batch {batch}, PyTorch", partial(_pytorchs, batch))


def rate(step: Callable[[], Any], wait: Callable[[], Any], batch: int) -> float:
    """Samples a second: the median over stretches of `STEPS` steps, each with one wait at its end."""
    found: list[float] = []
    for _ in range(_WARMING):
        step()
    wait()
    end = perf_counter() + SECONDS
    while len(found) < _FEWEST or perf_counter() < end:
        start = perf_counter()
        for _ in range(STEPS):
            step()
        wait()
        found.append(STEPS * batch / (perf_counter() - start))
    return median(found)


def _ours(batch: int, backend: Backend, *, precision: str = "float32") -> str:
    network, rows = mlp(backend, batch=batch, precision=precision)
    return _words(rate(step_of(Trainer(network), rows), backend.synchronize, batch))


def _mixed(batch: int, precision: str, backend: Backend) -> str:
    if not backend.queued:
        raise NotHere(f"the backend {backend.name} gains nothing by 16 bits")
    return _ours(batch, backend, precision=precision)


def _numpys(batch: int, backend: Backend) -> str:
    return _ours(batch, get_backend("numpy"))


def _pytorchs(batch: int, backend: Backend) -> str:
    try:
        import torch
    except ImportError:
        raise NotHere("PyTorch is not installed") from None
    where = "cuda" if backend.name == "cupy" and torch.cuda.is_available() else "cpu"
    _, rows = mlp(get_backend("numpy"), batch=batch)
    x, t = (torch.from_numpy(rows[name]).to(where) for name in ("image", "digit"))
    model: Any = torch.nn.Sequential(
        torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    ).to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), t).backward()
        optimizer.step()

    def wait() -> None:
        if where == "cuda":
            torch.cuda.synchronize()

    return (
        f"{_words(rate(step, wait, batch))} (PyTorch {torch.__version__}, eager, on {where}, its batch already there)"
    )


def _words(samples: float) -> str:
    return f"{samples:,.0f} samples/s"

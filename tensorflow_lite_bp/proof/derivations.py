"""Proofs of one layer or loss on one of its examples, on each branch of a function with kinks.

A layer is held against the derivative of any E by way of its result: ``∂E/∂y`` are free symbols. A loss is held against
its own derivative.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from time import monotonic
from typing import Any

import numpy as np

from dsl.types import TensorType
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.backend.exact import DECISIONS, NoBranch, symbol
from tensorflow_lite_bp.declare import Declared, settings_of
from tensorflow_lite_bp.graph.workspace import Workspace
from tensorflow_lite_bp.layers.base import Buffer, Layer
from tensorflow_lite_bp.losses.base import Loss
from tensorflow_lite_bp.proof.ledger import Entry, Ledger, count

SAMPLES = 2
"""Columns of a proof: enough to see a sum over the batch, and a sample in another's place."""
_TRIES = 5  # to find a sample point that lies on a branch


@dataclass(frozen=True)
class Proof:
    """What was found of one subject on one branch."""

    subject: str
    settings: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    branch: str
    comparisons: int
    drawn: int
    """Random numbers, which are what they are in the whole proof: a dropout's mask."""
    constants: Mapping[float, Any]
    """Floats of layer code that were read as numbers that are not rational, whose rounding they are."""
    entries: tuple[Entry, ...]
    seconds: float = field(compare=False)

    @property
    def counts(self) -> dict[str, int]:
        return count(self.entries)


Sampler = Callable[[str, tuple[int, ...], float, float], np.ndarray]
"""Sample values for an array of that letter and shape, from low to high."""
_Proving = Callable[[Ledger, Sampler], None]


@dataclass(frozen=True)
class Case:
    """What is proved: one example of something, and where its function has kinks."""

    subject: str
    settings: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    kinks: tuple[float, ...] = ()


def layer_proofs(cls: Any, example: Any, *, seconds: float = 10.0, deadline: float = float("inf")) -> Iterator[Proof]:
    """A layer's or operator's gradients on an example, branch by branch."""

    def prove(ledger: Ledger, sampler: Sampler) -> None:
        prove_layer(ledger, cls.from_settings(all_settings(cls, example.settings)), example, sampler)

    case = Case(cls.name, example.settings, example.shapes, example.kinks)
    yield from _on_branches(case, prove, Ledger(deadline=deadline, seconds=seconds))


def loss_proofs(cls: Any, example: Any, *, seconds: float = 10.0, deadline: float = float("inf")) -> Iterator[Proof]:
    """A loss's gradient on an example, branch by branch."""

    def prove(ledger: Ledger, sampler: Sampler) -> None:
        prove_loss(ledger, cls.from_settings(all_settings(cls, example.settings)), example, sampler)

    shapes = (example.prediction.shape, example.target.shape)
    yield from _on_branches(Case(cls.name, example.settings, shapes), prove, Ledger(deadline=deadline, seconds=seconds))


def prove_layer(ledger: Ledger, layer: Layer, example: Any, sampler: Sampler) -> None:
    """Run forward and backward on symbols, and check the gradient of each input and trainable weight."""
    xp = get_backend("exact")
    inputs = _inputs(ledger, layer, example, sampler)
    weights = _weights(ledger, layer, example, sampler)
    arrays = {**inputs, **weights}
    types = (
        TensorType("float", shape, per_sample=port not in example.parameters)
        for port, shape in zip(layer.ports, example.shapes, strict=True)
    )
    Y = unwritten("Y", (*_known(layer.result(*types).shape), SAMPLES))
    buffers = _buffers(xp, layer.buffers(*(X.shape for X in inputs.values())))
    gradients: dict[str, Any] = {f"d{role}": unwritten(f"d{role}", A.shape) for role, A in arrays.items()}
    ws: Any = Workspace(m=SAMPLES, draw=Draw(1, "proof"), Y=Y, **arrays, **buffers, **gradients)
    layer.forward(xp, ws)
    ledger.define(_letter("Y"), Y)
    ws.dY = ledger.arriving(Y)
    layer.backward(xp, ws)
    trainable = {letter for letter, weight in layer.weights(*example.shapes).items() if weight.trainable}
    for role in (*inputs, *(letter for letter in weights if letter in trainable)):
        ledger.check(role, arrays[role], gradients[f"d{role}"])


def _inputs(ledger: Ledger, layer: Layer, example: Any, sampler: Sampler) -> dict[str, Any]:
    made = {}
    for port, shape in zip(layer.ports, example.shapes, strict=True):
        per_sample = port not in example.parameters
        samples = sampler(port, (*shape, SAMPLES) if per_sample else shape, example.low, example.high)
        made[port] = ledger.free(_letter(port), samples, per_sample=per_sample)
    return made


def _weights(ledger: Ledger, layer: Layer, example: Any, sampler: Sampler) -> dict[str, Any]:
    made = {}
    for letter, weight in layer.weights(*example.shapes).items():
        low = -1.0 if weight.trainable else 0.5  # variances are positive
        made[letter] = ledger.free(_letter(letter), sampler(letter, _known(weight.shape), low, 1.0), per_sample=False)
    return made


def prove_loss(ledger: Ledger, loss: Loss, example: Any, sampler: Sampler) -> None:
    """Run a loss on symbols, and check its gradient by the prediction. Class targets are numbers, others symbols, and
    so is the scale s that the reduction and the file put before the sum."""
    xp, m = get_backend("exact"), SAMPLES
    prediction, target = example.prediction, example.target
    Y = ledger.free(_letter("Y"), sampler("Y", (*prediction.shape, m), example.low, example.high), per_sample=True)
    T = targets(ledger, _letter("T"), target, (*_known(target.shape), m), sampler, low=example.low, high=example.high)
    E, dY = unwritten("E", ()), unwritten("dY", Y.shape)
    scale: Any = ledger.free("s", np.array(Fraction(3, 5), dtype=object), per_sample=False)[()]
    ws: Any = Workspace(m=m, scale=scale, Y=Y, T=T, E=E, dY=dY, **_buffers(xp, loss.buffers(Y.shape, T.shape)))
    loss.forward(xp, ws)
    ledger.objective("E", E[()])
    loss.backward(xp, ws)
    ledger.check("Y", Y, dY)


def targets(
    ledger: Ledger,
    name: str,
    type_: TensorType,
    shape: tuple[int, ...],
    sampler: Sampler,
    *,
    low: float = -1.0,
    high: float = 1.0,
) -> Any:
    """An array of targets, the sample axis last: indices are numbers, each in turn; others are symbols."""
    if type_.count is not None:
        return (np.arange(np.prod(shape, dtype=int)) % type_.count).reshape(shape).astype(object)
    if type_.kind == "flag":
        low, high = 0.1, 0.9  # any value between no and yes: the formulas hold for all
    return ledger.free(name, sampler(name, shape, low, high), per_sample=True)


def all_settings(cls: type[Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the checker gives them: every one, defaults filled in."""
    return {item.name: item.default for item in settings_of(cls)} | dict(given)


# Branches


def sampler_of(seed: int, *, kinks: tuple[float, ...] = (), turn: int = 0, mirrored: bool = False) -> Sampler:
    """Drawn sample values, no two alike.

    Args:
        kinks: they part the range into intervals, and entry after entry lies in the next one.
        turn: in which interval the first entry lies.
        mirrored: the same values, the last first in size: what was larger is smaller.
    """

    def sample(letter: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        rng = np.random.default_rng([seed, zlib.crc32(letter.encode())])
        inside = [kink for kink in kinks if low < kink < high]
        ends = [low, *inside, high]
        made = np.empty(shape, dtype=object)
        for number, place in enumerate(np.ndindex(shape)):
            interval = (number + turn) % (len(ends) - 1)
            share = (1 + Fraction(int(rng.integers(1, 10**6)), 10**6)) / 3  # not near the ends
            share = 1 - share if mirrored else share
            start, stop = (Fraction(end).limit_denominator(1000) for end in ends[interval : interval + 2])
            if not inside:
                share = 3 * share - 1  # the whole range
            made[place] = start + (stop - start) * share
        return made

    return sample


def _on_branches(case: Case, prove: _Proving, ledger: Ledger) -> Iterator[Proof]:
    """A proof for each turn of the intervals between kinks; where samples decided comparisons, one of a mirror too."""
    if case.kinks:
        ways = [{"kinks": case.kinks, "turn": turn} for turn in range(len(case.kinks) + 1)]
    else:
        ways = [{}, {"mirrored": True}]
    for way in ways:
        proof = _on_branch(case, prove, way, ledger)
        yield proof
        if not proof.comparisons:
            return  # it holds everywhere


def _on_branch(case: Case, prove: _Proving, way: Mapping[str, Any], ledger: Ledger) -> Proof:
    started = monotonic()
    for seed in range(_TRIES):
        ledger.start()
        try:
            prove(ledger, sampler_of(seed, **way))
        except NoBranch:
            if seed == _TRIES - 1:
                raise
            continue
        break
    return proof_of(case, branch_of(way), ledger, monotonic() - started)


def proof_of(case: Case, branch: str, ledger: Ledger, seconds: float) -> Proof:
    """What a ledger holds, with what the exact backend decided meanwhile."""
    return Proof(
        case.subject,
        case.settings,
        case.shapes,
        branch if DECISIONS.comparisons else "everywhere",
        DECISIONS.comparisons,
        DECISIONS.drawn,
        dict(DECISIONS.read),
        tuple(ledger.entries),
        seconds,
    )


def branch_of(way: Mapping[str, Any]) -> str:
    """Which branch samples are on, in words."""
    if "kinks" in way:
        ends = ["", *(f"{kink:g}" for kink in way["kinks"]), ""]
        parts = [" < ".join(filter(None, (low, "x", high))) for low, high in pairwise(ends)]
        return ", ".join(parts[way["turn"] :] + parts[: way["turn"]]) + " in turn"
    return "the samples mirrored" if "mirrored" in way else "the samples as drawn"


# Arrays


def unwritten(role: str, shape: tuple[int, ...]) -> Any:
    """Memory in which every entry says that nobody has written it: read too early, it is seen in the result."""
    made = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        made[place] = symbol(f"unwritten {role}{list(place)}", Fraction(1, 3))
    return made


def _buffers(xp: Any, wanted: Mapping[str, Buffer]) -> dict[str, Any]:
    made = {}
    for role, buffer in wanted.items():
        if buffer.constant is not None:
            made[role] = xp.from_host(np.asarray(buffer.constant()).reshape(buffer.shape))
        else:
            made[role] = xp.zeros(buffer.shape) if buffer.zeroed else unwritten(role, buffer.shape)
    return made


def _letter(role: str) -> str:
    """Entries of a matrix W are called w."""
    return role.lower() if len(role) == 1 else role


def _known(shape: Any) -> tuple[int, ...]:
    assert all(isinstance(size, int) for size in shape)
    return tuple(shape)

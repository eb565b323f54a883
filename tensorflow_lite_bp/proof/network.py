"""Proof of a whole network: the plan itself runs on symbols, step by step, with its order, its memory and its sums.

After each step forward its result gets names; before each step back the gradient that has arrived is held against the
chain rule, and gets names too (see `ledger`). What only puts values into another shape shares names with what it views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import numpy as np

from dsl.program import Program
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.backend.exact import NoBranch
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.layout import Step
from tensorflow_lite_bp.graph.plan import Plan, Shard
from tensorflow_lite_bp.graph.weights import Weights
from tensorflow_lite_bp.layers.base import Layer
from tensorflow_lite_bp.proof.derivations import SAMPLES, Case, Proof, proof_of, sampler_of, targets
from tensorflow_lite_bp.proof.ledger import Ledger

_SYMBOLIC = 3  # steps for a size that the data binds
_BRANCHES = 2
_TRIES = 6


def network_proofs(
    program: Program, *, seconds: float = 10.0, deadline: float = float("inf"), of_inputs: bool = False
) -> list[Proof]:
    """The gradient of every weight and of every tensor on the way, on one branch or more.

    One is enough where nothing is compared. Otherwise there are two, and further ones as long as an array has had no
    gradient but zero: behind rectifiers that let nothing through there is little to prove.

    Args:
        seconds: that algebra may take for the entries of one array.
        deadline: the time (`time.monotonic`) after which entries are left out.
        of_inputs: look at the gradient of every float input too, which training has no need of.

    Raises:
        InputError: for a network without a loss or weights, or one that no sample point was found for.
    """
    if not program.losses:
        raise InputError(f"network {program.name} has no loss: there is nothing to differentiate")
    found: list[Proof] = []
    reason = ""
    for seed in range(_TRIES):
        try:
            found.append(_proof(program, seed, Ledger(deadline=deadline, seconds=seconds), of_inputs=of_inputs))
        except NoBranch as error:
            reason = str(error)
            continue
        if _enough(found) or monotonic() > deadline:
            break
    if not found:
        raise InputError(f"no sample point was found on which network {program.name} can be differentiated: {reason}")
    return found


def _enough(proofs: list[Proof]) -> bool:
    if not proofs[0].comparisons:
        return True
    entries = [entry for proof in proofs for entry in proof.entries]
    silent = {entry.of for entry in entries} - {entry.of for entry in entries if entry.derivative not in (0, None)}
    return len(proofs) >= _BRANCHES and not silent


def _proof(program: Program, seed: int, ledger: Ledger, *, of_inputs: bool) -> Proof:
    started = monotonic()
    inputs = [variable.name for variable in program.inputs if of_inputs and variable.type.kind == "float"]
    run = _Run(program, ledger, seed, inputs)
    run.steps()
    run.ends()
    shapes = tuple(run.graph.sample_shape(variable.name, run.sizes) for variable in program.inputs)
    case = Case(program.name, {}, shapes)
    return proof_of(case, f"samples of seed {seed}", ledger, monotonic() - started)


class _Run:
    """One plan on symbols."""

    def __init__(self, program: Program, ledger: Ledger, seed: int, inputs: Sequence[str]) -> None:
        self.program, self.ledger, self.inputs = program, ledger, inputs
        self.sampler = sampler_of(seed)
        self.graph = Graph(program)
        self.sizes = dict.fromkeys(program.sizes, _SYMBOLIC)
        xp = get_backend("exact")
        self.weights = Weights(xp, self.graph.weights, np.dtype(object))
        for spec in self.graph.weights:
            samples = self.sampler(spec.name, spec.shape, -1.0 if spec.trainable else 0.5, 1.0)
            self.weights.arrays[spec.name][...] = ledger.free(spec.name, samples, per_sample=False)
        options: dict[str, Any] = {"sizes": self.sizes, "dtype": "object", "seed": seed, "gradient_of": inputs}
        self.plan = Plan(self.graph, self.weights, xp, mode="train", m=SAMPLES, **options)
        self.plan.feed(self._rows())
        self.named: dict[str, np.ndarray] = {}  # tensor -> the names of its entries

    @property
    def shard(self) -> Shard:
        return self.plan.shards[0]

    def steps(self) -> None:
        for (part,), programs in self.plan.by_parts():
            if monotonic() > self.ledger.deadline:
                return  # what has not been computed is not looked at either
            names = self.named.get(part.step.name)
            if part.back and names is not None:
                arrived = self.shard.gradients[part.step.name]
                self.ledger.check(self._title(part.step), names, arrived, name_them=True)
            self.plan.compute(programs)
            if not part.back:
                self._name_results(part.step)

    def ends(self) -> None:
        """The gradients that nothing behind them reads: of the weights, and of inputs."""
        for name in self.graph.trainable:
            self.ledger.check(name, self.weights.arrays[name], self.weights.gradients.views[name])
        for name in self.inputs:
            if name in self.shard.gradients:  # a loss depends on it
                self.ledger.check(name, self.shard.arrays[name], self.shard.gradients[name])

    def _name_results(self, step: Step) -> None:
        if step.loss is not None:
            self.ledger.objective(step.name, self.shard.losses[step.loss])
        elif isinstance(step.derivation, Layer) and not step.derivation.view:
            Y = self.shard.arrays[step.name]
            self.ledger.define(self._title(step), Y)
            self.named[step.name] = Y.copy()

    def _title(self, step: Step) -> str:
        """What people call a step's result: its binding where it has one."""
        return self.graph.nodes[step.name].binding or step.name

    def _rows(self) -> Mapping[str, np.ndarray]:
        """Symbols for inputs and targets, the sample axis first; indices are numbers."""
        rows = {}
        for variable in (*self.program.inputs, *self.program.targets):
            shape = (*self.graph.sample_shape(variable.name, self.sizes), SAMPLES)
            drawn = targets(self.ledger, variable.name, variable.type, shape, self.sampler)
            rows[variable.name] = np.moveaxis(drawn, -1, 0)
        return rows

"""One training step: forward and backward by the plan, clipping, and the optimizer's update of the flat weights.

`Trainer.step` looks at the loss and the gradient before it changes the weights. Where work is queued that would keep
the device waiting for the host, and `Trainer.advance` does not: the device decides whether a step counts, and the first
one that is not finite stops all after it. `Trainer.look` says which one it was, and the trainer is as before that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.graph.measures import HostMeasures, QueuedMeasures
from tensorflow_lite_bp.graph.mixed import LossScale
from tensorflow_lite_bp.graph.plan import Calls, Plan
from tensorflow_lite_bp.graph.recorder import Recorder, only_if
from tensorflow_lite_bp.graph.update import Gathering, Update
from tensorflow_lite_bp.optimizers.base import Optimizer

if TYPE_CHECKING:
    from tensorflow_lite_bp.graph.evaluation import Totals
    from tensorflow_lite_bp.network import Network


Measures = HostMeasures | QueuedMeasures
Counters = tuple[int, int, int, int, int, tuple[float, int, int]]
"""Steps, updates, batches and samples in the sum of gradients, samples in the totals, the scale of the loss."""


class Trainer:
    """Changes the weights of a network by its train section's optimizer, clipping and accumulation.

    Args:
        optimizer, accumulate: in the place of those of the train section.

    Attributes:
        steps: batches that were computed.
        updates: times that the weights were changed; the same number unless batches are accumulated.
        scale: of the loss; it moves where steps are computed in float16.
        totals: where losses and metrics of the batches are added up, when somebody wants them.
        unseen: what was counted before each step that `look` has not looked at.
    """

    def __init__(self, network: Network, optimizer: Optimizer | None = None, *, accumulate: int | None = None) -> None:
        train = network.program.train
        self.network = network
        self.optimizer: Optimizer = optimizer if optimizer is not None else network.setting("optimizer")
        self.clip_norm: float | None = train["clip_norm"]
        self.clip_value: float | None = train["clip_value"]
        self.accumulate: int = accumulate if accumulate is not None else train["accumulate"]
        self.steps = 0
        self.updates = 0
        self.totals: Totals | None = None
        self.scale = LossScale(moves=network.mixed is not None and network.mixed.half.dtype == "float16")
        backend, arrays = network.backend, network.arrays
        zeros = backend.zeros_like
        self._slots = {name: zeros(arrays.trainable.flat) for name in self.optimizer.used_slots()}
        self._gradient = arrays.gradients.flat
        self._update = Update(
            backend,
            self.optimizer,
            arrays.trainable.flat,
            self._gradient,
            self._slots,
            threads=network.most_threads,
            sound=arrays.sound,
        )
        self._seen = HostMeasures(backend, self.clip_norm)
        self._queued = (
            QueuedMeasures(backend, arrays, self.clip_norm, batches=self.accumulate) if backend.queued else None
        )
        self.unseen: list[Counters] = []
        self._gatherings: dict[int, Gathering] = {}
        self._sum: Any = None  # of the gradients of batches that have not led to an update
        self._batches = 0  # whose gradients lie in it
        self._samples = 0  # in these batches
        self._mean = False
        if self.accumulate > 1:
            self._sum, self._mean = zeros(arrays.trainable.flat), _averages(network)
            self._adding, self._clearing = self._sum_calls()

    def step(self, rows: Mapping[str, Any], *, rate: float | None = None) -> float:
        """Forward, backward and (with every `accumulate`-th batch) update; returns the loss of the batch.

        A mixed step whose gradient overflows leaves the weights as they are, and lowers the scale of the loss.

        Args:
            rows: rows-first arrays for every input and target.
            rate: the learning rate η of this step; the optimizer's own by default.

        Raises:
            NumericalFailure: when the loss or a gradient is not finite; the weights are then as before.
        """
        assert not self.unseen, "look at what was queued first"
        plan = self.feed(rows)
        plan.run(self.steps)
        loss = plan.loss()
        with self.network.backend.computing():
            square = self.gather(plan)
            finite = isfinite(square) or self._finite_gradient()
            if not isfinite(loss) or not (finite or self.scale.may_fall):
                raise NumericalFailure(self._not_finite(plan, loss))
            self._take(plan, rate, square if finite else None, self._seen)
        return loss

    def advance(self, rows: Mapping[str, Any], *, rate: float | None = None) -> None:
        """`step` that waits for nothing where work is queued, and fails at the next `look`; elsewhere the same.

        From a step that is not finite on, nothing that a trainer keeps is changed.
        """
        if self._queued is None:
            self.step(rows, rate=rate)
            return
        plan = self.feed(rows)
        plan.run(self.steps)
        with self.network.backend.computing():
            square = self._queued.judge(plan)
            self.unseen.append(self._counters())
            self._take(plan, rate, square, self._queued)

    def look(self) -> int:
        """How many of the last steps did not count, as the first of them was not finite; 0 when all is well.

        The trainer is as before that step: `step` says what was not finite, or goes on, if it was only the square of
        the gradient that is too large a number, or a scale of the loss that was.
        """
        if self._queued is None or not self.unseen:
            return 0
        good = self._queued.look()
        missed = self.unseen[good:]
        self.unseen = []
        if missed:
            self._set_counters(missed[0])
        return len(missed)

    @property
    def doubtful(self) -> bool:
        """Whether the last step was the first one with a new scale of the loss: it may well have overflowed."""
        return self.scale.moves and self.scale.since == 1

    def flush(self, *, rate: float | None = None) -> None:
        """Update with the batches collected so far (the last ones of an epoch); without any, do nothing."""
        if self._sum is not None and self._batches:
            assert not self.unseen, "look at what was queued first"
            with self.network.backend.computing():
                self._flush(rate, self._seen)

    @property
    def update(self) -> Update:
        """The passes over all weights that end a step."""
        return self._update

    # The pieces of a step

    def feed(self, rows: Mapping[str, Any]) -> Plan:
        """The plan for these rows, after a check, and with the rows in it."""
        accepted = self.network.accepted(rows)
        tensors = self.totals.tensors if self.totals is not None else ()
        plan = self.network.plan("train", accepted, tensors=tensors, mixed=True)
        plan.feed(accepted)
        if self.network.mixed is not None:
            self.network.mixed.use_scale(self.scale.value)
        return plan

    def gather(self, plan: Plan) -> float:
        """Add up the gradients of a plan's shards; returns the sum of the squares."""
        shards = len(plan.shards)
        if shards not in self._gatherings:
            weights, threads = self.network.arrays, self.network.most_threads
            gradients = [weights.shard_gradients(shard).flat for shard in range(shards)]
            self._gatherings[shards] = Gathering(self.network.backend, gradients, threads=threads)
        return self._gatherings[shards].run()

    def change(self, rate: float | None, square: Any, measures: Measures | None = None) -> None:
        """Clip the gradient, the sum of whose squares is given, and let the optimizer change the weights."""
        gradient, measures = self._gradient, measures if measures is not None else self._seen
        self.updates += 1
        if self.clip_value is not None:
            self.network.backend.clip(gradient, -self.clip_value, self.clip_value, out=gradient)
            square = measures.square(gradient)
        measures.clip(gradient, square)
        self._update.apply(rate=rate if rate is not None else self.optimizer.rate, step=self.updates)

    def _take(self, plan: Plan, rate: float | None, square: Any, measures: Measures) -> None:
        """What follows a step that is finite, or that the device will find to be; without a square its gradient is not,
        and the step is left out."""
        self.steps += 1
        if self.totals is not None:
            self.totals.add(plan)
        plan.advance()  # last: its scratch may lie where a tensor lay that was asked for
        if square is None:
            self.scale.fell_short()
            return
        self.scale.held()
        if self._sum is None:
            self.change(rate, square, measures)
            return
        self._collect(plan.m)
        if self._batches == self.accumulate:
            self._flush(rate, measures)

    def _flush(self, rate: float | None, measures: Measures) -> None:
        xp, gradient = self.network.backend, self._gradient
        xp.multiply(self._sum, 1.0 / self._samples if self._mean else 1.0, out=gradient)
        self.change(rate, measures.square(gradient), measures)
        for call in self._clearing:
            call()
        self._batches = self._samples = 0

    def _sum_calls(self) -> tuple[Calls, Calls]:
        """What adds the gradient of a batch to the sum, and what empties the sum."""
        backend, sound = self.network.backend, self.network.arrays.sound
        adding, clearing = Recorder(backend), Recorder(backend)
        adding.add(self._sum, self._gradient, out=self._sum)
        clearing.copyto(self._sum, 0.0)
        return backend.program(only_if(sound, adding.calls)), backend.program(only_if(sound, clearing.calls))

    # Its state

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on besides the weights, as host arrays by name."""
        assert not self.unseen, "look at what was queued first"
        to_host = self.network.backend.to_host
        arrays = {name: np.array(to_host(slot)) for name, slot in self._slots.items()}
        if self._sum is not None:
            arrays["accumulated"] = np.array(to_host(self._sum))
        counters = [self.steps, self.updates, self._batches, self._samples]
        arrays["counters"] = np.array(counters, dtype=np.int64)
        if self.scale.moves:
            arrays["loss_scale"] = np.array(self.scale.state, dtype=np.float64)
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a `state`.

        Raises:
            InputError: when it is the state of another optimizer or network, or none that `state` gives.
        """
        own = self.state()
        if {name: array.shape for name, array in own.items()} != {name: a.shape for name, a in state.items()}:
            raise InputError(
                f"the saved optimizer state ({', '.join(sorted(state))}) is not that of this network with "
                f"{self.optimizer.name} ({', '.join(sorted(own))})"
            )
        copy = self.network.backend.copy_from_host
        for name, slot in self._slots.items():
            copy(state[name], out=slot)
        if self._sum is not None:
            copy(state["accumulated"], out=self._sum)
        self.steps, self.updates, self._batches, self._samples = (int(value) for value in state["counters"])
        if self.scale.moves:
            self.scale.restore(state["loss_scale"].tolist())

    def _collect(self, m: int) -> None:
        """Add this batch's gradient so that unequal batches count as one large one: means weighed by their samples."""
        xp, gradient = self.network.backend, self.network.arrays.gradients.flat
        if self._mean:
            xp.multiply(gradient, float(m), out=gradient)
        for call in self._adding:
            call()
        self._batches += 1
        self._samples += m

    def _counters(self) -> Counters:
        samples = self.totals.samples if self.totals is not None else 0
        return self.steps, self.updates, self._batches, self._samples, samples, self.scale.state

    def _set_counters(self, counters: Counters) -> None:
        self.steps, self.updates, self._batches, self._samples, samples, self.scale.state = counters
        if self.totals is not None:
            self.totals.samples = samples

    def _finite_gradient(self) -> bool:
        """Whether every entry is finite, when the sum of squares is too large a number."""
        xp = self.network.backend
        return bool(xp.read(xp.isfinite(self._gradient).all()))

    def _not_finite(self, plan: Plan, loss: float) -> str:
        where = plan.first_not_finite() or "the loss"
        instead = '`precision = "mixed_bfloat16"`, whose range is that of float32, ' if self.scale.moves else ""
        return (
            f"step {self.steps + 1}: {where} is not finite (the loss is {loss}): training stopped and the weights are "
            f"those before this step. Try {instead}a smaller learning rate or `clip_norm = 1` in the train section, or "
            "look at the data"
        )


def _averages(network: Network) -> bool:
    """Whether the losses are means over the samples, not sums.

    Raises:
        InputError: when some are and some are not: their gradients arrive as one and cannot be weighed apart.
    """
    reductions = {loss.reduction for _, loss in network.graph.losses}
    if len(reductions) > 1:
        raise InputError(
            f"`accumulate = {network.program.train['accumulate']}` needs losses of one reduction, and "
            f'`{network.program.name}` has "mean" and "sum": give them the same'
        )
    return reductions == {"mean"}

"""All that the next step of a training depends on, and how it is put into a checkpoint and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.evaluation import Totals
from tensorflow_lite_bp.training.checkpoint import Arrays, Contents, Layout
from tensorflow_lite_bp.training.header import Header
from tensorflow_lite_bp.training.history import History

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

_HISTORY = "history"


@dataclass(frozen=True)
class Best:
    """The best epoch so far (from 1) and its weights. ``value`` is the monitored one, lower being better."""

    epoch: int
    value: float
    weights: Arrays = field(repr=False)


class State:
    """Where a training stands: so many epochs are finished, and so many batches of the next one.

    Attributes:
        network, trainer: hold the weights, the optimizer's arrays and the count of steps.
        epoch, batch: what is finished.
        rate: the learning rate of the last step.
        totals: losses and metrics of the unfinished epoch.
        history: of the finished epochs.
        monitored: one value for each finished epoch, turned so that lower is better.
        best: None before the first epoch is finished.
    """

    def __init__(self, network: Network, *, validates: bool) -> None:
        self.network = network
        self.trainer = network.trainer()
        self.measures = ("loss", *(item.name for item, _ in network.graph.metrics))
        self.epoch = self.batch = 0
        self.rate = 0.0
        self.history = History(self.measures, validates=validates)
        self.monitored: list[float] = []
        self.best: Best | None = None
        self._monitor, self._sign = self._find_monitor(validates)
        self._begin_epoch()

    def _find_monitor(self, validates: bool) -> tuple[str, float]:
        """The column of the history that the setting `monitor` means, and the sign that makes lower better."""
        name = self.network.program.train["monitor"]
        if name not in self.measures:
            raise InputError(f'`monitor = "{name}"` in the train section: expected {" or ".join(self.measures)}')
        higher = any(item.name == name and metric.higher_is_better for item, metric in self.network.graph.metrics)
        return f"{'validation' if validates else 'train'}_{name}", -1.0 if higher else 1.0

    def _begin_epoch(self) -> None:
        self.batch = 0
        self.totals = self.trainer.totals = Totals(self.network, sound=self.network.arrays.sound)

    def close_epoch(self, train: Mapping[str, float], validation: Mapping[str, float] | None) -> bool:
        """Note what an epoch came to; True when no earlier one was as good, and its weights are kept."""
        self.epoch += 1
        self.history.add(self.rate, *(report for report in (train, validation) if report is not None))
        self._begin_epoch()
        value = self._sign * self.history.column(self._monitor)[-1]
        self.monitored.append(value)
        better = self.best is None or value < self.best.value or (isnan(self.best.value) and not isnan(value))
        if better:
            self.best = Best(self.epoch, value, dict(self.network.weights))
        return better

    # In a checkpoint

    def position(self) -> dict[str, Any]:
        """The small part, as JSON holds it without loss."""
        return {"epoch": self.epoch, "batch": self.batch, "rate": self.rate, "totals": self.totals.state()}

    def slots(self) -> dict[str, np.ndarray]:
        """The arrays besides the weights."""
        return {**self.trainer.state(), _HISTORY: self.history.to_array()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the weights."""
        return {spec.name: spec.shape for spec in self.network.graph.weights}

    def slot_layouts(self, header: Header) -> dict[str, Layout]:
        """What the slots of a checkpoint with this header must be."""
        layouts: dict[str, Layout] = {name: (a.dtype, a.shape) for name, a in self.trainer.state().items()}
        layouts[_HISTORY] = (np.dtype(np.float64), (int(header.position["epoch"]), len(self.history.columns)))
        return layouts

    def restore(self, header: Header, contents: Contents) -> None:
        """Take over a checkpoint's state, all but the best weights. Raises ValueError, KeyError or TypeError for a
        position that `position` never gives."""
        position = header.position
        self.epoch, self.batch, self.rate = int(position["epoch"]), int(position["batch"]), float(position["rate"])
        self.totals.restore(position["totals"])
        slots = dict(contents.slots)
        self.history.restore(slots.pop(_HISTORY))
        self.trainer.restore(slots)
        for name, array in contents.weights.items():
            self.network.weights[name] = array
        self.monitored = [self._sign * value for value in self.history.column(self._monitor)]

"""The numbers of one step: every value and gradient as the running plan leaves it, and the weights after the update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.explain.derivation import Quantity, gradient
from tensorflow_lite_bp.explain.expression import Key
from tensorflow_lite_bp.layers.elementwise import SLOPE

if TYPE_CHECKING:
    from tensorflow_lite_bp.explain.translate import Translation
    from tensorflow_lite_bp.graph.plan import Part, Shard
    from tensorflow_lite_bp.network import Network

_ROWS, _COLUMNS = 8, 8  # of a matrix that is printed whole


class Numbers:
    """What a training step on a batch computes.

    Args:
        network: its weights are changed by one update.
        rows: rows-first arrays for every input and target.

    Attributes:
        values: arrays in the framework's orientation, features × samples.
        updated: the weights after the update.
        m: the number of samples.
    """

    def __init__(self, network: Network, rows: Mapping[str, Any]) -> None:
        self.values: dict[Quantity, np.ndarray] = {}
        self._network = network
        accepted = network.accepted(rows)
        self.m = len(next(iter(accepted.values())))
        self._run(accepted)
        trainer = network.trainer()
        for weight in network.graph.weights:
            self.values[Quantity("weight", weight.name)] = _matrix(network.weights[weight.name])
        trainer.step(accepted)
        self.updated = {name: _matrix(network.weights[name]) for name in network.graph.trainable}

    def _run(self, rows: Mapping[str, np.ndarray]) -> None:
        """Forward and back, part by part: a gradient may lie in memory that is used again."""
        network = self._network
        floats = [item.name for item in network.program.inputs if item.type.kind == "float"]
        plan = network.plan("train", rows, tensors=tuple(network.graph.nodes), gradient_of=floats)
        plan.feed(rows)
        shard = plan.shards[0]
        for parts, programs in plan.by_parts():
            plan.compute(programs)
            part = parts[0]
            if not part.back and part.step.loss is None:
                self._note(Quantity("tensor", part.step.name), shard.arrays[part.step.name])
            self._note_helpers(shard, part)
            for going in part.step.gradients if part.back else ():
                if going.tensor is not None:
                    self._note(gradient(Quantity("tensor", going.tensor)), shard.gradients[going.tensor])
        for variable in (*network.program.inputs, *network.program.targets):
            kind, count = variable.type.kind, variable.type.count
            array = shard.arrays[variable.name]
            columns = _one_hot(array, count) if kind in ("class", "token") and count is not None else array
            self._note(Quantity("tensor", variable.name), columns)
        losses = network.backend.to_host(plan.losses())
        for index, (item, _) in enumerate(network.graph.losses):
            self.values[Quantity("loss", item.name, str(index))] = np.array(losses[index]).reshape(1, 1)
        for name, view in network.arrays.gradients.views.items():
            self._note(gradient(Quantity("weight", name)), view)

    def _note_helpers(self, shard: Shard, part: Part) -> None:
        """What a layer's formulas name and its buffers hold: a mean while it is computed, a slope on the way back."""
        step = part.step
        roles = step.backward_buffers if part.back else step.buffers | step.own
        letters = {role: letter for letter, role in step.derivation.letters.items()}
        for role in roles:
            if (role == SLOPE) == part.back:
                self._note(Quantity("local", step.name, letters.get(role, role)), shard.buffer(part, role))

    def _note(self, of: Quantity, array: Any) -> None:
        made = _matrix(np.array(self._network.backend.to_host(array)))
        single = "tensor" in (of.kind, of.of) and np.ndim(array) == 1  # one number for each sample: a row
        self.values[of] = made.T if single else made

    def beside(self, translation: Translation, kind: str, of: Key) -> np.ndarray | None:
        """The numbers of an equation's left side; None where there are none, and for the update."""
        return self.shown(translation, of) if kind != "update" and isinstance(of, Quantity) else None

    def shown(self, translation: Translation, of: Quantity) -> np.ndarray | None:
        """A quantity's numbers as the notation's symbol has them: turned, and by its multiple; None if unknown."""
        array = self._augmented(translation, of) if of.letter == "augmented" else self.values.get(_plain(of))
        if array is None:
            return None
        sign, by_m = translation.multiple(of)
        scaled = np.multiply(array, sign * (self.m if by_m else 1))
        return np.transpose(scaled) if translation.turned(of) else scaled

    def after(self, translation: Translation, weight: Quantity) -> np.ndarray | None:
        """A weight after the update, as the notation has it."""
        array: np.ndarray | None = self.updated.get(weight.name)
        return np.transpose(array) if array is not None and translation.turned(weight) else array

    def _augmented(self, translation: Translation, of: Quantity) -> np.ndarray:
        """``W̃`` and its gradient, with the bias as column 0; ``z̃``, whose row 0 is 1."""
        assert translation.augmented is not None
        plain = _plain(of)
        inner = self.values[plain]
        if of.kind == "tensor":
            return np.vstack([np.ones((1, inner.shape[1]), inner.dtype), inner])
        bias = replace(plain, name=translation.augmented.found[of.name].b.name)
        return np.hstack([self.values[bias], inner])


def _plain(of: Quantity) -> Quantity:
    """The quantity without another name for it."""
    return of if of.kind in ("loss", "local", "state") else replace(of, letter="")


def _matrix(array: Any) -> np.ndarray:
    """Rows × everything else; a single number for each sample is one row."""
    host = np.array(array)
    return host.reshape(1, -1) if host.ndim < 1 else host.reshape(host.shape[0], -1)


def _one_hot(array: Any, count: int) -> np.ndarray:
    """A row for each class, ``(c, …, m)``."""
    rows = np.arange(count).reshape(-1, *([1] * np.ndim(array)))
    return np.asarray(rows == np.asarray(array), dtype=float)


def written(array: np.ndarray) -> list[str]:
    """The lines of a matrix, aligned; of a large one its extent.

    >>> written(np.array([[1.0, -0.5], [0.25, 2.0]]))
    ['⎡1.0000  -0.5000⎤', '⎣0.2500   2.0000⎦']
    """
    rows, columns = array.shape
    if rows > _ROWS or columns > _COLUMNS:
        low, mean, high = (f"{value:.4g}" for value in (array.min(), array.mean(), array.max()))
        return [f"{rows}×{columns} numbers from {low} to {high}, mean {mean}"]
    cells = [
        [f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}" for value in row] for row in array
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    if rows == 1:
        return [f"[{lines[0]}]"]
    fences = ["⎡⎤", *["⎢⎥"] * (rows - 2), "⎣⎦"]
    return [f"{fence[0]}{line}{fence[1]}" for fence, line in zip(fences, lines, strict=True)]

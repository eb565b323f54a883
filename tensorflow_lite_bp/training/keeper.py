"""Saves the state of a training in its run folder from time to time, and brings it back to go on from.

A crash or a power cut loses the work since the last save. One is made at the end, on Ctrl-C, and in between whenever
`SAVE_EVERY` seconds have passed, or twenty times as long as the last save took, so that saving never costs more than a
twentieth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsl import Source
from dsl.program import Call
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.table import checked
from tensorflow_lite_bp.training.checkpoint import Layout
from tensorflow_lite_bp.training.header import Header, versions
from tensorflow_lite_bp.training.run import Run
from tensorflow_lite_bp.training.state import Best, State

if TYPE_CHECKING:
    from dsl import Program

SAVE_EVERY = 5.0
_SAVING_SHARE = 20
_MAY_CHANGE = ("epochs",)  # a run may be made longer


class Keeper:
    """Keeps a state in a run folder.

    Args:
        header: of every checkpoint; only its position changes.
    """

    def __init__(self, run: Run, state: State, header: Header, *, save_every: float = SAVE_EVERY) -> None:
        self.run, self.state, self.header = run, state, header
        self._least_pause = self._pause = save_every
        self._saved_at = time.monotonic()
        self._best_saved = 0  # the epoch whose weights lie in the folder

    def due(self) -> bool:
        """Whether the last time was long enough ago."""
        return time.monotonic() - self._saved_at >= self._pause

    def save(self) -> None:
        """Save the best weights if they are new, then the state: in this order, so that no state lacks its best."""
        began = time.monotonic()
        best = self.state.best
        if best is not None and best.epoch > self._best_saved:
            position = {"epoch": best.epoch, "value": best.value}
            self.run.save_best(replace(self.header, position=position), best.weights)
            self._best_saved = best.epoch
        header = replace(self.header, position=self.state.position())
        self.run.save_last(header, self.state.network.weights, self.state.slots())
        self._saved_at = time.monotonic()
        self._pause = max(self._least_pause, _SAVING_SHARE * (self._saved_at - began))

    def resume(self) -> list[str]:
        """Bring back what the folder holds; without any state there the training starts anew, which comes to the same.

        Returns:
            What people should know about it.

        Raises:
            InputError: when what is saved is damaged, or is not of this network and data.
        """
        found = self.run.read_last(self._expect)
        if found is None:
            return []
        header, contents, note = found
        try:
            self.state.restore(header, contents)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"the state in `{self.run.folder}` is none that `tflbp train` wrote ({error})") from error
        self._resume_best()
        return [text for text in (note, self._other_versions(header), self._other_products()) if text]

    def _resume_best(self) -> None:
        found = self.run.read_best(self.state.shapes())
        if found is not None:
            header, weights = found
            self._refuse_changes(header)
            self.state.best = Best(int(header.position["epoch"]), float(header.position["value"]), weights)
            self._best_saved = self.state.best.epoch
        elif self.state.epoch > 0:
            raise InputError(f"`{self.run.folder}` cannot be resumed: its best.safetensors is missing")

    def _expect(self, header: Header) -> tuple[Mapping[str, tuple[int, ...]], Mapping[str, Layout]]:
        self._refuse_changes(header)
        return self.state.shapes(), self.state.slot_layouts(header)

    def _refuse_changes(self, header: Header) -> None:
        """A run is resumed with the network, settings and data that it was begun with; only `epochs` may be raised."""
        network = self.state.network
        theirs = checked(Source(header.name, header.source), overrides=header.overrides)
        same = {"seed": (network.seed, header.seed), "precision": (network.precision, header.precision)}
        for name, value in network.program.train.items():
            if name not in (*_MAY_CHANGE, *same):
                same[name] = (value, theirs.train[name])
        for name, (now, then) in same.items():
            if now != then:
                raise InputError(
                    f"`{self.run.folder}` cannot be resumed: train.{name} is {_shown(now)} now, and it was begun with "
                    f"{_shown(then)}; put that back, or train anew without --resume"
                )
        if not _equal(network.program, theirs):
            raise InputError(
                f"`{self.run.folder}` cannot be resumed: {_difference(network.program, self.header, header)}; put that "
                "back, or train anew without --resume"
            )
        if header.data != self.header.data:
            raise InputError(
                f"`{self.run.folder}` cannot be resumed: the data is no longer what it was begun with; put it back, or "
                "train anew without --resume"
            )

    def _other_versions(self, header: Header) -> str:
        changed = [
            f"{name} {header.versions.get(name, 'unknown')} (now {version})"
            for name, version in versions().items()
            if header.versions.get(name) != version
        ]
        if not changed:
            return ""
        begun = f"`{self.run.folder}` was begun with {', '.join(changed)}"
        return f"{begun}: the numbers may differ in their last digits from those of one uninterrupted run"

    def _other_products(self) -> str:
        then, now = (each.options.get("tf32") is True for each in (self.run.info, self.state.network.backend))
        if then == now:
            return ""
        until, on = ("with", "without") if then else ("without", "with")
        return (
            f"`{self.run.folder}` was trained {until} --tf32 until now and goes on {on} it: the numbers are no longer "
            "those of one uninterrupted run"
        )


def _equal(ours: Program, theirs: Program) -> bool:
    """The same network on the same data: comments, layout and the sections `train` and `export` do not matter."""
    return replace(ours, train={}, export={}) == replace(theirs, train={}, export={})


def _difference(ours: Program, header: Header, stored: Header) -> str:
    """The first line in which two sources differ, or the overrides."""
    now, then = (text.source.splitlines() for text in (header, stored))
    for new, old in zip([*now, ""], [*then, ""], strict=False):
        if new.strip() != old.strip():
            return f"`{ours.source.name}` has changed: `{new.strip()}` stands in the place of `{old.strip()}`"
    options = " ".join(f"--set {override}" for override in stored.overrides)
    return f"it was begun {f'with {options}' if options else 'without --set'}"


def _shown(value: Any) -> str:
    """A setting as it is written in a file."""
    if isinstance(value, Call):
        return f"{value.name}({', '.join(f'{name} = {_shown(item)}' for name, item in value.settings.items())})"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if value is None:
        return "not given"
    return str(value)

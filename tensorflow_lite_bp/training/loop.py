"""The training loop: epochs of steps, validation, the best weights, and a state that can be gone on from exactly.

What a step computes depends on `State` alone: the order of the samples is a function of (seed, epoch), every random
number of (seed, step), the learning rate of the position and the history. So a training that was killed anywhere and
resumed comes to the same bits as one that was not, on the NumPy backend with the same versions and threads.

The loop itself never looks at a loss: `Trainer.advance` raises as soon as one is not finite, `Totals` adds them up.
Where work is queued (`Backend.queued`) it looks now and then whether all steps since were finite: no step waits for it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.training.class_weights import class_weights
from tensorflow_lite_bp.training.curves import write_curves
from tensorflow_lite_bp.training.evaluate import confusion_matrices, evaluate_split, not_finite
from tensorflow_lite_bp.training.header import Header
from tensorflow_lite_bp.training.interruption import Interrupted, Interruption
from tensorflow_lite_bp.training.keeper import SAVE_EVERY, Keeper
from tensorflow_lite_bp.training.progress import EpochReport, Reporter, Start
from tensorflow_lite_bp.training.result import Result
from tensorflow_lite_bp.training.run import Run, RunInfo, plain
from tensorflow_lite_bp.training.state import State

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Data
    from tensorflow_lite_bp.network import Network

__all__ = ["Result", "fit"]

LOOK_EVERY = 0.5
"""Seconds from one look at what was queued to the next, within an epoch."""


def fit(
    network: Network,
    *,
    data: Data | None = None,
    run: Run | None = None,
    reporter: Reporter | None = None,
    resume: bool = False,
    threads: int | None = None,
    save_every: float = SAVE_EVERY,
) -> Result:
    """Train a network as its data and train sections say; it has the best weights afterwards.

    The best epoch is the one with the best `monitor` on the validation split, or, without one, on the training split
    as it was met while training.

    Args:
        data: loaded as the data section says when left out.
        run: the folder to write to; without one nothing is written.
        resume: go on with what the run folder holds (from the start, when it holds no state yet).
        threads: that compute a step; None leaves it to the run that is resumed, or to the rule of `graph.threads`.
        save_every: seconds from one save to the next.

    Raises:
        InputError: without a data section, for a setting that does not fit, or for a run that was begun with another
            network or other data.
        NumericalFailure: as soon as a loss or gradient is not finite; the weights are those before that step.
        EnvironmentFailure: when the run folder cannot be written.
        Interrupted: after the first SIGINT or SIGTERM, once the batch is done and the state saved.
    """
    from tensorflow_lite_bp.data import load_data

    reporter = reporter if reporter is not None else Reporter()
    try:
        if data is None:
            data = load_data(network.program, folder=_folder(network), seed=network.seed)
        if threads is None and run is not None and resume:
            threads = run.info.threads
        if threads is not None:
            network.use_threads(threads)
        training = Training(network, data, run, reporter)
        if run is not None:
            training.keep(run, resume=resume, save_every=save_every)
        with Interruption() as interruption:
            return training.run_to_end(interruption)
    finally:
        reporter.close()
        if run is not None:
            run.abandon()


def _folder(network: Network) -> Path:
    """Where the paths of the data section start."""
    return Path(network.program.source.name).parent


class Training:
    """One call of `fit`: the state that moves, and what moves it."""

    def __init__(self, network: Network, data: Data, run: Run | None, reporter: Reporter) -> None:
        train = network.program.train
        self.network, self.data, self.run, self.reporter = network, data, run, reporter
        self.epochs: int = train["epochs"]
        self.batch_size: int = train["batch"]
        self.patience: int | None = train["early_stopping"]
        self.batches = -(-len(data.splits["train"]) // self.batch_size)
        self.validates = "validation" in data.splits
        self.schedule = network.setting("schedule")
        network.preprocessing = data.preprocessing
        network.use_class_weights(class_weights(network.program, data))
        self.state = State(network, validates=self.validates)
        self.keeper: Keeper | None = None
        self._started = self._looked = time.perf_counter()
        self._again = False

    def keep(self, run: Run, *, resume: bool, save_every: float) -> None:
        """Write to a run folder from now on, and go on from what it holds when ``resume`` says so."""
        header = Header.of(self.network, data=self.data.digest)
        self.keeper = Keeper(run, self.state, header, save_every=save_every)
        if resume:
            for note in self.keeper.resume():
                self.reporter.note(note)
        run.begin(header.source, self._info(), self.state.history.to_csv())

    def run_to_end(self, interruption: Interruption) -> Result:
        """Train, evaluate with the best weights, and write it all down."""
        if self.network.mixed is not None and not self.network.backend.queued:
            self.reporter.note("mixed precision is for `--backend cupy`: on a CPU float32 is faster")
        self.reporter.start(self._start())
        try:
            while not self._done():
                self._run_epoch(interruption)
        except NumericalFailure as error:
            raise self._failed(error) from error
        if self.keeper is not None:
            self.keeper.save()
        return self._finish()

    def _done(self) -> bool:
        state = self.state
        waited = state.epoch - state.best.epoch if state.best is not None else 0
        return state.epoch >= self.epochs or (self.patience is not None and waited >= self.patience)

    # One epoch

    def _run_epoch(self, interruption: Interruption) -> None:
        state = self.state
        while state.batch < self.batches:
            self._run_batches(interruption)
        state.trainer.flush(rate=state.rate)
        self._close_epoch()
        if interruption.requested and not self._done():
            raise self._interrupted()

    def _run_batches(self, interruption: Interruption) -> None:
        """The rest of the epoch, or as much of it as is found to count."""
        state, trainer = self.state, self.state.trainer
        for rows in self._batches():
            middle = state.epoch + (state.batch + 0.5) / self.batches
            state.rate = trainer.optimizer.rate * self.schedule.rate(middle, self.epochs, state.monitored)
            (trainer.step if self._again else trainer.advance)(rows, rate=state.rate)
            self._again = False
            state.batch += 1
            self.reporter.step(state)
            stops, saves = interruption.requested, self.keeper is not None and self.keeper.due()
            if trainer.unseen and (stops or saves or self._looks()) and not self._all_count():
                return
            if stops:
                raise self._interrupted()
            if self.keeper is not None and saves:
                self.keeper.save()

    def _looks(self) -> bool:
        """Whether it is time to look at what was queued."""
        due = time.perf_counter() - self._looked >= LOOK_EVERY
        return due or self.state.batch == self.batches or self.state.trainer.doubtful

    def _all_count(self) -> bool:
        """Look. Training goes on from the first step that was not finite: `Trainer.step` takes it and says what was."""
        missed = self.state.trainer.look()
        self._looked = time.perf_counter()
        self.state.batch -= missed
        self._again = missed > 0
        return missed == 0

    def _batches(self) -> Iterator[dict[str, np.ndarray]]:
        """The rest of this epoch."""
        from tensorflow_lite_bp.data import batches

        return batches(
            self.data,
            "train",
            batch=self.batch_size,
            seed=self.network.seed,
            epoch=self.state.epoch,
            shuffle=True,
            start=self.state.batch,
        )

    def _close_epoch(self) -> None:
        """Validate, and note how the epoch was."""
        train = self.state.totals.report()
        validation = evaluate_split(self.network, self.data, "validation") if self.validates else None
        if validation is not None and not isfinite(validation["loss"]):
            raise not_finite(self.network, self.data, "validation", validation["loss"])
        best = self.state.close_epoch(train, validation)
        if self.run is not None:
            self.run.add_metrics(self.state.history.csv_line(self.state.epoch))
        self.reporter.epoch(EpochReport(self.state.epoch, self.state.rate, train, validation, best))

    # Stopping

    def _interrupted(self) -> Interrupted:
        """What to raise when somebody wants to stop, once the state is saved."""
        if self.keeper is None:
            return Interrupted(f"stopped {self._place()}: nothing was saved, as there is no run folder")
        self.keeper.save()
        file, folder = (shlex.quote(str(path)) for path in (self.network.program.source.name, self.keeper.run.folder))
        return Interrupted(f"stopped {self._place()}, and saved: go on with `tflbp train {file} --resume {folder}`")

    def _failed(self, error: NumericalFailure) -> NumericalFailure:
        """The failure with its place, once what is still good is saved."""
        kept = ""
        if self.keeper is not None:
            with suppress(InputError):  # the weights themselves are no longer finite: what was saved before stays
                self.keeper.save()
            kept = f"; what was good until then is kept in `{self.keeper.run.folder}`"
        return NumericalFailure(f"stopped {self._place()}: {error}{kept}")

    def _place(self) -> str:
        """Where training stands, for messages."""
        state = self.state
        if state.batch == 0:
            return f"after epoch {state.epoch} of {self.epochs}"
        return f"in epoch {state.epoch + 1} of {self.epochs}, after batch {state.batch} of {self.batches}"

    def _finish(self) -> Result:
        """Evaluate every split with the best weights."""
        network, state = self.network, self.state
        assert state.best is not None, "there is at least one epoch"
        for name, array in state.best.weights.items():
            network.weights[name] = array
        reports = {split: evaluate_split(network, self.data, split) for split in self._splits()}
        result = Result(
            run=self.run.folder if self.run is not None else None,
            epochs=state.epoch,
            best_epoch=state.best.epoch,
            seconds=time.perf_counter() - self._started,
            backend=network.backend.name,
            train=reports["train"],
            validation=reports.get("validation"),
            test=reports.get("test"),
            skipped=state.trainer.scale.skipped,
            confusion=confusion_matrices(network, self.data, self._splits()[-1]),
        )
        if self.run is not None:
            self.run.finish(result.to_json())
            curves = self.run.folder / "curves.svg"
            write_curves(curves, state.history, title=network.program.name, best_epoch=state.best.epoch)
        self.reporter.end(result)
        return result

    def _splits(self) -> list[str]:
        return [split for split in ("train", "validation", "test") if split in self.data.splits]

    # What is told

    def _info(self) -> RunInfo:
        network = self.network
        return RunInfo(
            name=network.program.name,
            file=network.program.source.name,
            folder=str(_folder(network).resolve()),
            overrides=list(network.program.overrides),
            seed=network.seed,
            precision=network.precision,
            backend=network.backend.name,
            options=dict(network.backend.options),
            threads=network.threads,
            settings=plain(network.program.train),
            data={"digest": self.data.digest, "rows": self._rows()},
        )

    def _start(self) -> Start:
        network = self.network
        return Start(
            name=network.program.name,
            run=str(self.run.folder) if self.run is not None else None,
            rows=self._rows(),
            weights=sum(prod(spec.shape) for spec in network.graph.weights if spec.trainable),
            batches=self.batches,
            batch=self.batch_size,
            epochs=self.epochs,
            finished=self.state.epoch,
            backend=network.backend.name,
            precision=network.precision,
            seed=network.seed,
            measures=self.state.measures,
        )

    def _rows(self) -> dict[str, int]:
        return {split: len(self.data.splits[split]) for split in self._splits()}

"""The loop computes what the file says, and a training that is stopped and resumed is the one that was not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from math import isnan, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.data import Data, batches, load_data
from tensorflow_lite_bp.errors import InputError, NumericalFailure
from tensorflow_lite_bp.training.interruption import Interrupted
from tensorflow_lite_bp.training.loop import Result, fit
from tensorflow_lite_bp.training.progress import EpochReport, Reporter, Start
from tensorflow_lite_bp.training.result import render_result
from tensorflow_lite_bp.training.run import Run
from tensorflow_lite_bp.training.state import State

Flowers = Callable[..., Path]


def network(**options: Any) -> Network:
    return Network.from_file("flowers.net", **options)


def data_of(net: Network) -> Data:
    return load_data(net.program, folder=Path(), seed=net.seed)


def weights_of(net: Network) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in net.weights.items()}


def trained(folder: str, *, resume: bool = False, **options: Any) -> Result:
    run = Run.open(folder) if resume else Run.create("flowers", out=folder)
    return fit(network(**options.pop("network", {})), run=run, resume=resume, **options)


def same_files(one: str, other: str) -> None:
    """Everything of two runs is equal, but for the time they took and where they lie."""
    for name in ("network.net", "metrics.csv", "best.safetensors", "last.safetensors"):
        assert Path(one, name).read_bytes() == Path(other, name).read_bytes(), name
    results = [json.loads(Path(folder, "run.json").read_text()) for folder in (one, other)]
    for found in results:
        del found["result"]["seconds"], found["result"]["run"]
    assert results[0] == results[1]


class Recorder(Reporter):
    """Keeps what it is told; calls ``at`` after every batch with (epochs finished, batches)."""

    def __init__(self, at: Callable[[int, int], None] = lambda epoch, batch: None) -> None:
        self.at = at
        self.told: list[Any] = []

    def start(self, start: Start) -> None:
        self.told.append(start)

    def step(self, state: State) -> None:
        self.at(state.epoch, state.batch)

    def epoch(self, report: EpochReport) -> None:
        self.told.append(report)

    def note(self, text: str) -> None:
        self.told.append(text)


def interrupted(number: int, place: tuple[int, int]) -> Recorder:
    """Sends a signal after a batch, once: one whose gradient overflowed may be taken again."""
    left = [place]

    def at(*found: int) -> None:
        if found in left:
            left.clear()
            signal.raise_signal(number)

    return Recorder(at)


# What is computed


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_training_is_its_steps(flowers: Flowers, accumulate: int) -> None:
    flowers(("batch     = 8", f"batch = 8 accumulate = {accumulate}"))
    found = network()
    result = found.fit()
    net = network()
    data, trainer, schedule = data_of(net), net.trainer(), net.setting("schedule")
    values: list[tuple[float, int]] = []
    kept: dict[int, dict[str, bytes]] = {}
    for epoch in range(4):
        for index, rows in enumerate(batches(data, "train", batch=8, seed=2, epoch=epoch, shuffle=True)):
            rate = 0.01 * schedule.rate(epoch + (index + 0.5) / 6, 4, [])
            trainer.step(rows, rate=rate)
        trainer.flush(rate=rate)
        report = net.evaluate(batches(data, "validation", batch=8, seed=0, epoch=0, shuffle=False))
        values.append((report["loss"], epoch + 1))
        kept[epoch + 1] = weights_of(net)
    best = min(values)[1]
    assert (result.epochs, result.best_epoch) == (4, best)
    assert weights_of(found) == kept[best]


def test_the_result_is_that_of_the_best_weights_on_whole_splits(flowers: Flowers) -> None:
    net = network(precision="float64")
    result = net.fit()
    data = data_of(net)
    for split, report in result.splits.items():
        chosen = data.splits[split]
        probabilities = net.predict({"x": data.rows["x"][chosen]})["probabilities"]
        kinds = data.rows["kind"][chosen]
        mean = -np.mean([log(row[kind]) for row, kind in zip(probabilities, kinds, strict=True)])
        assert report["loss"] == pytest.approx(mean, rel=1e-12)
        assert report["accuracy"] == np.mean(probabilities.argmax(axis=1) == kinds)
    assert list(result.splits) == ["train", "validation", "test"]
    (matrix,) = result.confusion
    assert (matrix.target, matrix.split, matrix.classes) == ("kind", "test", ["iris", "rose", "tulip"])
    counts = np.zeros((3, 3))
    for true, predicted in zip(kinds, probabilities.argmax(axis=1), strict=True):
        counts[true, predicted] += 1
    np.testing.assert_array_equal(matrix.counts, counts)


def test_the_running_loss_of_an_epoch_is_that_of_its_steps(flowers: Flowers) -> None:
    flowers(("epochs    = 4", "epochs = 1"))
    recorder = Recorder()
    fit(network(), reporter=recorder)
    net = network()
    trainer, total, count = net.trainer(), 0.0, 0
    for index, rows in enumerate(batches(data_of(net), "train", batch=8, seed=2, epoch=0, shuffle=True)):
        m = len(rows["kind"])
        total += m * trainer.step(rows, rate=0.01 * net.setting("schedule").rate((index + 0.5) / 6, 1, []))
        count += m
    report = recorder.told[1]
    assert count == 42
    assert report.train["loss"] == pytest.approx(total / count, rel=1e-6)
    assert 0 <= report.train["accuracy"] <= 1


def test_two_runs_are_equal_to_the_last_bit(flowers: Flowers) -> None:
    trained("a")
    trained("b")
    same_files("a", "b")


def test_everything_lies_in_the_run_folder(flowers: Flowers) -> None:
    result = trained("r")
    found = {path.name for path in Path("r").iterdir()} - {"curves.svg"}
    assert found == {"network.net", "run.json", "metrics.csv", "best.safetensors", "last.safetensors"}
    assert Path("r/network.net").read_text() == Path("flowers.net").read_text()
    lines = Path("r/metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,rate,train_loss,train_accuracy,validation_loss,validation_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    info = Run.open("r").info
    assert info.data["rows"] == {"train": 42, "validation": 12, "test": 6}
    assert info.settings["optimizer"]["rate"] == 0.01
    assert info.result == json.loads(json.dumps(result.to_json()))
    assert list(info.result) == [
        "run", "epochs", "best_epoch", "seconds", "backend", "train", "validation", "test", "skipped",
        "confusion",
    ]  # fmt: skip


def test_a_run_is_loaded_with_its_best_weights(flowers: Flowers) -> None:
    flowers(("seed      = 2", "seed = 2 class_weights = [1, 2, 3]"))
    net = network()
    fit(net, run=Run.create("flowers", out="r"))
    loaded = Network.load("r")
    assert weights_of(loaded) == weights_of(net)
    assert loaded.preprocessing is not None
    assert loaded.preprocessing.classes["kind"] == ["iris", "rose", "tulip"]
    rows = next(batches(data_of(net), "test", batch=6, seed=0, epoch=0, shuffle=False))
    assert loaded.evaluate([rows]) == net.evaluate([rows])  # the class weights came along


def test_training_stops_when_it_does_not_get_better(flowers: Flowers) -> None:
    flowers(("epochs    = 4", 'epochs = 50 early_stopping = 3 monitor = "accuracy"'))
    recorder = Recorder()
    net = network()
    result = fit(net, reporter=recorder)
    accuracies = [report.validation["accuracy"] for report in recorder.told[1:]]
    best = accuracies.index(max(accuracies)) + 1
    assert result.best_epoch == best
    assert result.epochs == best + 3 < 50
    assert result.validation is not None
    assert result.validation["accuracy"] == max(accuracies)


def test_without_a_split_all_rows_train_and_the_training_loss_decides(flowers: Flowers) -> None:
    flowers(("  split  = random(train = 0.7, validation = 0.2, test = 0.1, seed = 1)\n", ""))
    recorder = Recorder()
    result = fit(network(), reporter=recorder)
    losses = [report.train["loss"] for report in recorder.told[1:]]
    assert result.best_epoch == losses.index(min(losses)) + 1
    assert (result.validation, result.test) == (None, None)
    assert result.confusion[0].split == "train"
    assert result.confusion[0].counts.sum() == 60


def test_balanced_class_weights_count_every_class_the_same(flowers: Flowers) -> None:
    flowers(("seed      = 2", 'seed = 2 class_weights = "balanced"'))
    net = network()
    net.fit()
    data = data_of(net)
    kinds = data.rows["kind"][data.splits["train"]]
    weights = net.graph.losses[0][1].class_weights  # type: ignore[attr-defined]
    assert weights == pytest.approx([42 / (3 * np.sum(kinds == kind)) for kind in range(3)])


# Stopping and going on


PLACES = [(0, 1), (1, 6), (2, 3), (3, 6)]


@pytest.mark.parametrize(
    ("number", "place", "precision"),
    [(number, place, "float32") for number in (signal.SIGINT, signal.SIGTERM) for place in PLACES]
    + [(signal.SIGINT, place, "mixed") for place in PLACES[:3:2]],
)
def test_an_interrupted_training_goes_on_exactly(
    flowers: Flowers, number: int, place: tuple[int, int], precision: str
) -> None:
    flowers(("seed      = 2", f'seed = 2 accumulate = 4 clip_norm = 1 precision = "{precision}"'))
    trained("whole")
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        trained("cut", reporter=interrupted(number, place))
    assert str(caught.value) == (
        f"stopped in epoch {place[0] + 1} of 4, after batch {place[1]} of 6, and saved: go on with "
        "`tflbp train flowers.net --resume cut`"
    )
    assert signal.getsignal(number) is before
    recorder = Recorder()
    trained("cut", resume=True, reporter=recorder)
    (start,) = [told for told in recorder.told if isinstance(told, Start)]
    assert start.finished == place[0]
    same_files("whole", "cut")


def test_a_second_interrupt_stops_at_once(flowers: Flowers) -> None:
    def twice(epoch: int, batch: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        trained("r", reporter=Recorder(twice))
    assert type(caught.value) is KeyboardInterrupt
    assert not Path("r/last.safetensors").exists()


def test_an_interrupt_without_a_run_folder(flowers: Flowers) -> None:
    reporter = Recorder(lambda *place: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted) as caught:
        fit(network(), reporter=reporter)
    assert str(caught.value) == (
        "stopped in epoch 1 of 4, after batch 1 of 6: nothing was saved, as there is no run folder"
    )


def test_steps_that_overflow_float16_are_counted_also_by_a_run_that_goes_on(flowers: Flowers) -> None:
    flowers(("seed      = 2", 'seed = 2 precision = "mixed"'), ("loss   cross", "loss 1e4 * cross"))
    recorder = Recorder()
    whole = trained("whole", reporter=recorder)
    notes = [told for told in recorder.told if isinstance(told, str)]
    slow = "mixed precision is for `--backend cupy`: on a CPU float32 is faster"
    assert notes == ([slow] if whole.backend == "numpy" else [])
    assert 0 < whole.skipped < 24
    assert "changed no weights: the gradient overflowed float16, and the loss was scaled down" in render_result(whole)
    with pytest.raises(Interrupted):
        trained("cut", reporter=interrupted(signal.SIGINT, (1, 2)))
    assert trained("cut", resume=True).skipped == whole.skipped
    same_files("whole", "cut")


def test_a_finished_run_is_only_evaluated_again(flowers: Flowers) -> None:
    trained("a")
    trained("b")
    trained("b", resume=True, reporter=Recorder(lambda *place: pytest.fail("there is nothing to train")))
    same_files("a", "b")


def test_a_run_that_saved_nothing_starts_anew(flowers: Flowers) -> None:
    trained("a")
    trained("b")
    for name in ("best.safetensors", "last.safetensors"):
        Path("b", name).unlink()
    trained("b", resume=True)
    same_files("a", "b")


def test_a_run_can_be_made_longer(flowers: Flowers) -> None:
    trained("r")
    flowers(("epochs    = 4", "epochs = 6  # more"))
    result = trained("r", resume=True)
    assert result.epochs == 6
    assert len(Path("r/metrics.csv").read_text().splitlines()) == 7
    assert "epochs = 6" in Path("r/network.net").read_text()


def test_a_damaged_state_is_replaced_by_the_one_before_it_loudly(flowers: Flowers) -> None:
    trained("a")
    trained("b", save_every=0.0)
    last = Path("b/last.safetensors")
    last.write_bytes(last.read_bytes()[:-100])
    recorder = Recorder()
    trained("b", resume=True, reporter=recorder)
    assert recorder.told[0].startswith("`b/last.safetensors` is cut short: ")
    assert recorder.told[0].endswith(": going on from `last.previous.safetensors`, the state saved before it")
    same_files("a", "b")


# What cannot be done


def refusal(make: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        make()
    return str(caught.value)


BACK = "; put that back, or train anew without --resume"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("batch     = 8", "batch = 9"), "train.batch is 9 now, and it was begun with 8"),
        (("adam(0.01)", "sgd(0.01)"), "train.optimizer is sgd("),
        (
            ("dense(8)", "dense(9)"),
            "`flowers.net` has changed: `logits = x -> dense(9) -> tanh -> dropout(0.2) -> dense(3)` stands in the "
            "place of `logits = x -> dense(8) -> tanh -> dropout(0.2) -> dense(3)`",
        ),
        (("0.7, validation", "0.6, validation"), "`flowers.net` has changed: `split  = random(train = 0.6"),
    ],
)
def test_a_run_is_not_resumed_with_something_else(flowers: Flowers, change: tuple[str, str], said: str) -> None:
    trained("r")
    flowers(change)
    found = refusal(lambda: trained("r", resume=True))
    assert found.startswith(f"`r` cannot be resumed: {said}")
    assert found.endswith(BACK)


def test_a_run_is_resumed_with_comments_and_layout_changed(flowers: Flowers) -> None:
    trained("r")
    flowers(("batch     = 8", "batch = 8  # not more"), ("network", "# hello\nnetwork"))
    trained("r", resume=True)


def test_a_run_is_not_resumed_with_another_seed_precision_or_override(flowers: Flowers) -> None:
    trained("r")
    for options, said in (
        ({"seed": 3}, "train.seed is 3 now, and it was begun with 2"),
        ({"precision": "float64"}, 'train.precision is "float64" now, and it was begun with "float32"'),
        ({"overrides": ["train.clip_norm=1"]}, "train.clip_norm is 1.0 now, and it was begun with not given"),
    ):
        assert refusal(lambda options=options: trained("r", resume=True, network=options)) == (  # type: ignore[misc]
            f"`r` cannot be resumed: {said}{BACK}"
        )


def test_a_run_is_not_resumed_with_other_data(flowers: Flowers) -> None:
    trained("r")
    rows = Path("flowers.csv").read_text().splitlines()
    Path("flowers.csv").write_text("\n".join([*rows[:-1], rows[1]]))
    assert refusal(lambda: trained("r", resume=True)) == (
        "`r` cannot be resumed: the data is no longer what it was begun with; put it back, or train anew without "
        "--resume"
    )


def test_a_run_is_not_resumed_with_the_best_weights_of_another(flowers: Flowers) -> None:
    trained("r")
    trained("other", network={"seed": 5})
    Path("other/best.safetensors").replace("r/best.safetensors")
    assert refusal(lambda: trained("r", resume=True)) == (
        f"`r` cannot be resumed: train.seed is 2 now, and it was begun with 5{BACK}"
    )


def test_a_run_is_not_resumed_without_its_best_weights(flowers: Flowers) -> None:
    trained("r")
    Path("r/best.safetensors").unlink()
    assert refusal(lambda: trained("r", resume=True)) == "`r` cannot be resumed: its best.safetensors is missing"


def test_other_products_are_mentioned(flowers: Flowers) -> None:
    """Not at a resume with the same, and not again at the next."""
    said: list[str] = []
    trained("r")
    for tf32 in (False, True, True, False):
        backend, recorder = NumpyBackend(), Recorder()
        backend.options = {"tf32": tf32}
        trained("r", resume=True, reporter=recorder, network={"backend": backend})
        said.append("".join(text for text in map(str, recorder.told) if "tf32" in text))
    on = "`r` was trained without --tf32 until now and goes on with it: "
    off = "`r` was trained with --tf32 until now and goes on without it: "
    end = "the numbers are no longer those of one uninterrupted run"
    assert said == ["", on + end, "", off + end]


def test_other_versions_are_mentioned(flowers: Flowers, monkeypatch: pytest.MonkeyPatch) -> None:
    trained("r")
    monkeypatch.setattr("tensorflow_lite_bp.training.keeper.versions", lambda: {"numpy": "99.0"})
    recorder = Recorder()
    trained("r", resume=True, reporter=recorder)
    assert recorder.told[0] == (
        f"`r` was begun with numpy {np.__version__} (now 99.0): the numbers may differ in their last digits from "
        "those of one uninterrupted run"
    )


def test_a_file_without_data_cannot_be_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = Network.from_text("network n input x: float[2] target t: float[1] loss mse(dense(x, 1), t)", name="n.net")
    run = Run.create("n")
    assert refusal(lambda: fit(net, run=run)) == (
        "`n` has no data section, so nothing says where its samples are: add `data { ... }`"
    )
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('monitor = "f1"', '`monitor = "f1"` in the train section: expected loss or accuracy'),
        ('class_weights = "even"', '`class_weights = "even"` is unknown: expected "balanced" or a list of numbers'),
        ("class_weights = [1, 2]", "`class_weights` has 2 numbers, and `kind` has 3 classes"),
    ],
)
def test_settings_that_do_not_fit_the_network(flowers: Flowers, change: str, said: str) -> None:
    flowers(("seed      = 2", change))
    assert refusal(lambda: trained("r")) == said
    assert not Path("r").exists()


# Numbers that are not finite


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_what_was_good(flowers: Flowers) -> None:
    flowers(("adam(0.01)", "sgd(1e30)"), ("cosine(warmup = 1)", "step(every = 2, decay = 1)"), ("tanh", "relu"))
    net = network()
    with pytest.raises(NumericalFailure) as caught:
        fit(net, run=Run.create("flowers", out="r"))
    said = str(caught.value)
    assert said.startswith("stopped in epoch 1 of 4, after batch ")
    assert "is not finite" in said
    assert said.endswith("; what was good until then is kept in `r`")
    assert caught.value.exit_code == 3
    assert all(np.isfinite(array).all() for array in net.weights.values())


def zero_in(split: str) -> Network:
    """The network with the logarithm of inputs of which one, in this split, is zero."""
    text = Path("flowers.net").read_text()
    text = text.replace("x -> dense(8) -> tanh", "log(x * x) -> dense(8)").replace(" -> standardize", "")
    Path("flowers.net").write_text(text)
    lines = Path("flowers.csv").read_text().splitlines()
    row = int(data_of(network()).splits[split][0])
    lines[row + 1] = "0,1,1," + lines[row + 1].split(",")[-1]
    Path("flowers.csv").write_text("\n".join(lines))
    return network()


def test_a_validation_loss_that_is_not_finite_names_the_place(flowers: Flowers) -> None:
    with pytest.raises(NumericalFailure) as caught:
        zero_in("validation").fit()
    assert str(caught.value) == (
        "stopped in epoch 1 of 4, after batch 6 of 6: the loss on the validation split is nan: the result of "
        "`logits.log` (flowers.net:5) is not finite. Try a smaller learning rate or `clip_norm = 1` in the train "
        "section, or look at the data"
    )


def test_a_test_loss_that_is_not_finite_is_only_reported(flowers: Flowers) -> None:
    result = zero_in("test").fit(run=Run.create("flowers", out="r"))
    assert result.test is not None
    assert isnan(result.test["loss"])
    found = Run.open("r").info.result
    assert found is not None
    assert found["test"]["loss"] is None  # JSON has no NaN

"""Where work is queued, training waits for nothing between looks, and its numbers and failures are NumPy's.

The double below queues every call that writes into an array, as a GPU does, and computes when somebody waits. Its
arrays refuse to be read in passing: a hidden ``float(array)`` fails the test. It says nothing about CuPy itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.errors import NumericalFailure
from tensorflow_lite_bp.graph import profile
from tensorflow_lite_bp.graph.evaluation import Totals
from tensorflow_lite_bp.graph.trainer import Trainer
from tensorflow_lite_bp.training import loop
from tensorflow_lite_bp.training.interruption import Interrupted
from tensorflow_lite_bp.training.loop import Result, fit
from tensorflow_lite_bp.training.progress import EpochReport, Reporter
from tensorflow_lite_bp.training.run import Run
from tensorflow_lite_bp.training.state import State

QUEUE: deque[Callable[[], Any]] = deque()


def catch_up() -> None:
    """What the device does by itself, in the order of the calls."""
    with np.errstate(all="ignore"):
        while QUEUE:
            QUEUE.popleft()()


def plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, OnDevice) else value


def on_device(value: Any) -> Any:
    return np.asarray(value).view(OnDevice) if isinstance(value, np.ndarray | np.generic) else value


def refused(self: Any, *args: Any) -> Any:
    raise AssertionError("the host looks at a number in passing")


class OnDevice(np.ndarray):
    """What is queued comes before anything that computes at once."""

    __float__ = __int__ = __bool__ = __index__ = item = tolist = refused

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        catch_up()
        kwargs = {name: plain(value) for name, value in kwargs.items() if name != "out"}
        return on_device(getattr(ufunc, method)(*map(plain, inputs), **kwargs))

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)  # an entry stays an array, without axes
        return super().__getitem__(keys if any(part is Ellipsis for part in keys) else (*keys, ...))

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        catch_up()
        return on_device(plain(self).astype(*args, **kwargs))

    def fill(self, value: Any) -> None:
        QUEUE.append(partial(plain(self).fill, value))


class QueuedBackend(NumpyBackend):
    name = "queued"
    queued = True
    threaded = False
    cache = None  # type: ignore[assignment]  # as on a GPU

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if not callable(function) or isinstance(function, type):
            return function

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if "out" in kwargs or name in ("copyto", "put"):
                self.bind(function, args, kwargs)()
                return kwargs.get("out")
            return self._at_once(function, *args, **kwargs)

        call.at = partial(self._at_once, getattr(function, "at", None))  # type: ignore[attr-defined]  # a ufunc's
        return call

    def _at_once(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        catch_up()
        args = tuple([plain(part) for part in arg] if isinstance(arg, list) else plain(arg) for arg in args)
        return on_device(function(*args, **kwargs))

    def bind(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Callable[[], Any]:
        if function in (self.uniform, self.squares):  # which call the others
            return partial(function, *args, **kwargs)
        args, kwargs = tuple(map(plain, args)), {name: plain(value) for name, value in kwargs.items()}
        return partial(QUEUE.append, super().bind(getattr(function, "__wrapped__", function), args, kwargs))

    def uniform(self, draw: Draw, *, out: Any) -> None:
        self.copy_from_host(draw.generator().random(out.shape, dtype=out.dtype.type), out=out)

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        QUEUE.append(partial(np.copyto, plain(out), np.array(array), casting="same_kind"))

    def from_host(self, array: np.ndarray) -> Any:
        return on_device(np.array(array))

    def memory(self, size: int) -> Any:
        return on_device(super().memory(size))

    def to_host(self, array: Any) -> np.ndarray:
        self.synchronize()
        return np.array(plain(array))

    def read(self, array: Any, /) -> float:
        self.synchronize()
        return float(plain(array))

    def synchronize(self) -> None:
        self.waits += 1
        catch_up()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueuedBackend]:
    """Stands for CuPy: a network with ``backend="cupy"`` gets it."""
    from tensorflow_lite_bp import network as module

    made, get = QueuedBackend(), module.get_backend
    QUEUE.clear()

    def get_backend(name: str) -> Backend:
        return made if name == "cupy" else get(name)

    monkeypatch.setattr(module, "get_backend", get_backend)
    yield made
    QUEUE.clear()


BODY = "x -> dense(6) -> batch_norm -> tanh -> dropout(0.3) -> dense(3)"
CLASSES = "loss cross_entropy(y, t, class_weights = [1, 2, 0.5])"
METRICS = "\n".join(
    f"metric {metric}"
    for metric in (
        "accuracy(y, t)",
        "f1(y, t)",
        "confusion(y, t)",
        "top_k(y, t, 2)",
        "rmse(y, v)",
        "mae(y, v)",
        "r2(y, v)",
    )
)
TRAIN = {
    "sgd": "optimizer = sgd(0.1)",
    "momentum": "optimizer = sgd(0.1, momentum = 0.9, nesterov = true, weight_decay = 0.01)",
    "adam": "optimizer = adam(0.01)",
    "adamw": "optimizer = adamw(0.01)",
    "rmsprop": "optimizer = rmsprop(0.01)",
    "adagrad": "optimizer = adagrad(0.1)",
    "clipped by norm": "optimizer = adam(0.01)  clip_norm = 0.3",
    "hardly clipped": "optimizer = sgd(0.01)  clip_norm = 1.0",
    "clipped by value": "optimizer = sgd(0.1)  clip_value = 0.05  clip_norm = 0.1",
    "accumulated": "optimizer = adam(0.01)  accumulate = 3  clip_norm = 0.2",
    "accumulated, clipped by value": "optimizer = sgd(0.1, momentum = 0.9)  accumulate = 2  clip_value = 0.01",
}
each_training = pytest.mark.parametrize("train", TRAIN.values(), ids=TRAIN)


def text(train: str, *, losses: str = CLASSES) -> str:
    return f"""
    network small
    input x: float[4]
    target t: class(3)
    target v: float[3]
    y = {BODY}
    {losses}
    {METRICS}
    output y
    train {{ {train} }}
    """


def batch(step: int) -> dict[str, np.ndarray]:
    """Batches of 8, and now and then one of 5."""
    m = 5 if step % 4 == 3 else 8
    generator = np.random.default_rng(step)
    return {
        "x": generator.normal(size=(m, 4)),
        "t": generator.integers(0, 3, m),
        "v": generator.normal(size=(m, 3)),
    }


def bad(step: int) -> dict[str, np.ndarray]:
    rows = batch(step)
    rows["x"][2, 1] = np.inf
    return rows


def trainer_for(source: str, backend: str, precision: str = "float32") -> Trainer:
    network = Network.from_text(source, name="small.net", backend=backend, precision=precision)
    trainer = network.trainer()
    trainer.totals = Totals(network, sound=network.arrays.sound)
    return trainer


def everything(trainer: Trainer) -> dict[str, Any]:
    """All that a training depends on, as bytes and text."""
    assert trainer.totals is not None
    arrays = {**trainer.network.weights, **{f"state of {name}": value for name, value in trainer.state().items()}}
    found: dict[str, Any] = {name: array.tobytes() for name, array in arrays.items()}
    totals = trainer.totals.state()
    return found | {"totals": repr(totals) if trainer.totals.samples else "none"}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("losses", [CLASSES, 'loss mse(y, v, reduction = "sum")\n loss mae(y, v, reduction = "sum")'])
@each_training
def test_steps_wait_for_nothing_and_compute_what_numpy_does(
    train: str, losses: str, precision: str, queued: QueuedBackend
) -> None:
    source = text(train, losses=losses)
    ours, numpys = (trainer_for(source, backend, precision) for backend in ("cupy", "numpy"))
    for step in range(13):
        ours.advance(batch(step), rate=0.1 / (step + 1))
        numpys.step(batch(step), rate=0.1 / (step + 1))
        assert queued.waits == 0
    assert ours.look() == 0
    assert queued.waits == 1
    assert everything(ours) == everything(numpys)


@pytest.mark.parametrize("precision", ["mixed", "mixed_bfloat16"])
@each_training
def test_mixed_steps_that_overflow_are_found_at_the_next_look_and_left_out_as_numpy_does(
    train: str, precision: str, queued: QueuedBackend
) -> None:
    source = text(train, losses=CLASSES + "\n loss 300 * mse(y, v)")
    ours, numpys = (trainer_for(source, backend, precision) for backend in ("cupy", "numpy"))
    step = looks = 0
    while step < 13:
        ours.advance(batch(step), rate=1e-4)
        step += 1
        if ours.doubtful or step % 5 == 0:
            looks += 1
            missed = ours.look()
            step -= missed
            if missed:
                ours.step(batch(step), rate=1e-4)
                step += 1
    for step in range(13):
        numpys.step(batch(step), rate=1e-4)
    ours.look()
    assert everything(ours) == everything(numpys)
    assert (ours.scale.skipped > 0) == (precision == "mixed")
    assert looks <= 3 + 3 * ours.scale.skipped


@pytest.mark.parametrize("at", [0, 4, 7])
@each_training
def test_a_step_that_is_not_finite_changes_nothing_nor_do_those_after_it(
    train: str, at: int, queued: QueuedBackend
) -> None:
    ours, numpys = (trainer_for(text(train), backend) for backend in ("cupy", "numpy"))
    for step in range(at):
        numpys.step(batch(step))
    failures = []
    for step in range(9):
        ours.advance(bad(step) if step == at else batch(step))
    assert queued.waits == 0
    assert ours.look() == 9 - at
    for trainer in (ours, numpys):
        with pytest.raises(NumericalFailure) as failure:
            trainer.step(bad(at))
        failures.append(str(failure.value))
    assert failures[0] == failures[1]
    assert failures[0].startswith(f"step {at + 1}: `x` is not finite (the loss is nan)")
    assert everything(ours) == everything(numpys)
    ours.advance(batch(at))  # and then steps count again
    numpys.step(batch(at))
    assert ours.look() == 0
    assert everything(ours) == everything(numpys)


@pytest.mark.parametrize("train", [TRAIN["sgd"], TRAIN["clipped by value"], TRAIN["accumulated, clipped by value"]])
def test_a_gradient_that_is_not_finite_stops_all_where_the_loss_is_fine(train: str, queued: QueuedBackend) -> None:
    source = text(train, losses="z = y * 0 -> sqrt\n loss mse(z, v)")
    ours, numpys = (trainer_for(source, backend) for backend in ("cupy", "numpy"))
    before = everything(ours)
    for step in range(3):
        ours.advance(batch(step))
    assert ours.look() == 3
    assert everything(ours) == before
    with pytest.raises(NumericalFailure) as failure:
        numpys.step(batch(0))
    with pytest.raises(NumericalFailure) as same:
        ours.step(batch(0))
    assert str(same.value) == str(failure.value)
    assert "the gradient d" in str(same.value)


def test_a_loss_that_is_not_finite_stops_all_where_the_gradient_is_fine(queued: QueuedBackend) -> None:
    source = text("optimizer = adam(0.01)", losses='loss mae(y, v, reduction = "sum")')
    ours, numpys = (trainer_for(source, backend) for backend in ("cupy", "numpy"))
    rows = batch(0) | {"v": np.full((8, 3), 3e38)}  # their sum is too large a number, its slopes are 1 and -1
    before = everything(ours)
    ours.advance(rows)
    assert ours.look() == 1
    assert everything(ours) == before
    failures = []
    for trainer in (ours, numpys):
        with pytest.raises(NumericalFailure) as failure:
            trainer.step(rows)
        failures.append(str(failure.value))
    assert failures[0] == failures[1]
    assert failures[0].startswith("step 1: the value of the loss `mae` (small.net:7) is not finite (the loss is inf)")


@pytest.mark.parametrize("train", ["optimizer = sgd(1e-30)", "optimizer = sgd(0.1)  clip_norm = 1  accumulate = 2"])
def test_a_square_that_is_too_large_a_number_is_left_to_the_host(train: str, queued: QueuedBackend) -> None:
    """The entries of this gradient are finite in float32, their squares are not."""
    source = text(train, losses='loss 1e22 * mae(y, v, reduction = "sum")')
    ours, numpys = (trainer_for(source, backend) for backend in ("cupy", "numpy"))
    for step in range(4):
        numpys.step(batch(step))
        ours.advance(batch(step))
        if step % 2:
            assert ours.look() == 2
            ours.step(batch(step - 1))
            ours.step(batch(step))
    assert everything(ours) == everything(numpys)


def test_an_accumulated_square_is_finite_where_those_of_the_batches_are(queued: QueuedBackend) -> None:
    """Three gradients of 1e19: each square fits into float32, that of their sum does not."""
    source = """
    network small
    input x: float[1]
    target t: float[1]
    y = x -> dense(1, bias = false)
    loss mae(y, t, reduction = "sum")
    output y
    train { optimizer = sgd(1)  clip_norm = 2  accumulate = 3 }
    """
    rows = {"x": np.array([[1e19]]), "t": np.array([[-3e19]])}
    trainers = [Network.from_text(source, backend=backend).trainer() for backend in ("cupy", "numpy")]
    for _ in range(3):
        trainers[0].advance(rows)
    missed = trainers[0].look()
    for trainer, count in zip(trainers, (missed, 3), strict=True):
        for _ in range(count):
            trainer.step(rows)
    found = [trainer.network.weights["y.dense.weight"].tobytes() for trainer in trainers]
    assert missed == 3
    assert found[0] == found[1]


def test_what_was_not_looked_at_is_not_saved(queued: QueuedBackend) -> None:
    trainer = trainer_for(text("optimizer = adam(0.01)"), "cupy")
    trainer.advance(batch(0))
    for use in (trainer.state, partial(trainer.step, batch(1))):
        with pytest.raises(AssertionError, match="look at what was queued first"):
            use()


def test_a_profile_says_how_often_the_host_waits(queued: QueuedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SECONDS_OF_PRODUCTS", 0.0)
    network = Network.from_text(text("optimizer = adam(0.01)  clip_norm = 1"), backend="cupy")
    assert profile.profile(network, batch(0), repetitions=1).waits == 0
    monkeypatch.setattr(Trainer, "advance", Trainer.step)
    assert profile.profile(network, batch(0), repetitions=1).waits == 2  # the loss, and the gradient's square


# The loop

SOURCE = """
network flowers
input  x: float[3]
target kind: class(3)
logits = x -> dense(8) -> batch_norm -> tanh -> dropout(0.2) -> dense(3)
loss   cross_entropy(logits, kind)
metric accuracy(logits, kind)
output probabilities = softmax(logits)
data {
  source = csv("flowers.csv")
  x      = columns("a".."c")
  kind   = column("kind")
  split  = random(train = 0.7, validation = 0.3, seed = 1)
}
train {
  optimizer = adam(0.01)
  accumulate = 2
  clip_norm = 0.5
  class_weights = "balanced"
  batch     = 8
  epochs    = 3
}
"""


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data of 100 rows, of which the last may be spoilt."""
    generator = np.random.default_rng(4)
    kinds = generator.integers(0, 3, 100)
    values = generator.normal(size=(100, 3)) + 2 * np.eye(3)[kinds]
    rows = [f"{a:.5f},{b:.5f},{c:.5f},{kind}" for (a, b, c), kind in zip(values, kinds, strict=True)]
    (tmp_path / "flowers.csv").write_text("a,b,c,kind\n" + "\n".join(rows) + "\n")
    (tmp_path / "flowers.net").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "write_curves", lambda *args, **options: False)
    return tmp_path


class Watching(Reporter):
    """Keeps the reports and, by batch, how often the host has waited."""

    def __init__(self, backend: Backend, at: Callable[[State], None] = lambda state: None) -> None:
        self._backend, self._at = backend, at
        self.reports: list[EpochReport] = []
        self.waits: dict[tuple[int, int], int] = {}

    def step(self, state: State) -> None:
        self.waits[state.epoch, state.batch] = self._backend.waits
        self._at(state)

    def epoch(self, report: EpochReport) -> None:
        self.reports.append(report)


def trained(backend: str, **options: Any) -> tuple[Result, Watching, dict[str, bytes]]:
    network = Network.from_file("flowers.net", backend=backend)
    reporter = Watching(network.backend, options.pop("at", lambda state: None))
    result = fit(network, reporter=reporter, **options)
    return result, reporter, {name: array.tobytes() for name, array in network.weights.items()}


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_a_training_waits_at_looks_alone_and_is_numpys(
    every: float, flowers: Path, queued: QueuedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY", every)
    result, watching, weights = trained("cupy")
    same, reports, others = trained("numpy")
    for epoch in range(3):
        waits = [watching.waits[epoch, batch] for batch in range(1, 10)]
        assert waits == [waits[0] + (0 if every else batch) for batch in range(9)]
    assert watching.reports == reports.reports
    assert (result.best_epoch, result.splits) == (same.best_epoch, same.splits)
    assert weights == others


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_a_failure_stops_a_training_where_numpy_stops(
    every: float, flowers: Path, queued: QueuedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY", every)
    lines = (flowers / "flowers.csv").read_text().splitlines()
    lines[7] = "1e6," + lines[7].partition(",")[2]
    (flowers / "flowers.csv").write_text("\n".join(lines) + "\n")
    (flowers / "flowers.net").write_text(SOURCE.replace("batch_norm -> tanh", "exp"))
    sentences, states = [], []
    for backend in ("cupy", "numpy"):
        run = Run.create("flowers", out=f"by {backend}")
        with pytest.raises(NumericalFailure) as failure:
            trained(backend, run=run)
        sentences.append(str(failure.value).replace(f"`by {backend}`", "`run`"))
        states.append((run.folder / "last.safetensors").read_bytes())
    assert sentences[0] == sentences[1]
    assert "in epoch 1 of 3, after batch " in sentences[0]
    assert states[0] == states[1]


def test_a_training_that_is_stopped_goes_on_to_the_same_bits(flowers: Path, queued: QueuedBackend) -> None:
    import signal

    def stop(state: State) -> None:
        if (state.epoch, state.batch) == (1, 4):
            signal.raise_signal(signal.SIGINT)

    whole = trained("cupy")
    run = Run.create("flowers", out="run")
    with pytest.raises(Interrupted, match="in epoch 2 of 3, after batch 4 of 9"):
        trained("cupy", run=run, at=stop)
    resumed = trained("cupy", run=Run.open("run"), resume=True)
    assert resumed[2] == whole[2]
    assert resumed[0].splits == whole[0].splits

"""Contenders in their processes: the protocol, and that unequal work is noticed. Nothing here depends on the time."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from benchmarks.ladder import ROWS, Entrant
from benchmarks.measure import Disagreement, Effort, Result, assert_equal_work, measure
from benchmarks.processes import Worker, WorkerFailed
from benchmarks.work import Task
from tensorflow_lite_bp import Network

ROW = next(row for row in ROWS if row.name == "mlp-small-adam")
QUICK = Effort(rounds=2, seconds=0.01)


@pytest.fixture
def task() -> Task:
    task = ROW.entrants["ours"].task
    assert task is not None
    return task


def test_a_worker_takes_steps_and_says_what_it_holds(task: Task) -> None:
    with Worker("ours", task) as worker:
        assert worker.shapes == [(32, 64), (32,), (10, 32), (10,)]
        seconds, loss = worker.steps(2)
        memory = worker.memory()
    assert seconds > 0
    assert memory["peak"] > memory["growth"] >= 0
    assert worker.process.returncode is not None
    assert loss == pytest.approx(_loss_after_one_update(task), rel=1e-6)


def test_a_contender_that_cannot_be_made_says_why(task: Task) -> None:
    with pytest.raises(WorkerFailed, match="nobody: KeyError: 'nobody'"):
        Worker("nobody", task)


def test_a_contender_that_cannot_go_on_ends_with_its_last_words(task: Task) -> None:
    with Worker("ours", task) as worker:
        worker.process.kill()
        with pytest.raises(WorkerFailed, match="ours: the process ended with -9"):
            worker.steps(1)


def test_rounds_are_kept_for_each_contender(task: Task) -> None:
    result = Result(ROW)
    measure(result, QUICK, {"ours": ROW.entrants["ours"]})
    assert result.error == ""
    assert [len(rounds) for rounds in result.figures.values()] == [2]


def test_another_loss_is_an_error_with_both_figures(task: Task) -> None:
    entrants = {label: ROW.entrants[label] for label in ("ours", "jax")}
    shapes = {label: [(3, 2), (3,)] for label in entrants}
    assert_equal_work({"ours": 2.0, "jax": 2.0001}, shapes, entrants)
    with pytest.raises(Disagreement, match=r"jax has the loss 2\.001 .* and ours has 2,"):
        assert_equal_work({"ours": 2.0, "jax": 2.001}, shapes, entrants)
    with pytest.raises(Disagreement, match="jax has the loss nan"):
        assert_equal_work({"ours": 2.0, "jax": float("nan")}, shapes, entrants)
    other_shapes = {**shapes, "jax": [(4, 2), (4,)]}
    with pytest.raises(Disagreement, match=r"jax trains \[\(4, 2\), \(4,\)\]"):
        assert_equal_work({"ours": 2.0, "jax": 2.0}, other_shapes, entrants)


def test_a_matrix_may_be_kept_transposed() -> None:
    entrants = {label: ROW.entrants[label] for label in ("ours", "sklearn")}
    assert_equal_work({"ours": 1.0, "sklearn": 1.0}, {"ours": [(3, 2)], "sklearn": [(2, 3)]}, entrants)


def test_a_contender_with_another_rate_is_found_out(task: Task) -> None:
    other = replace(task, optimizer=replace(task.optimizer, rate=0.01))
    with Worker("ours", task) as one, Worker("ours", other) as two:
        losses = {"ours": one.steps(21)[1], "two": two.steps(21)[1]}
        shapes = {"ours": one.shapes, "two": two.shapes}
    same_task = {"ours": Entrant("ours", task), "two": Entrant("ours", task)}
    with pytest.raises(Disagreement, match="two has the loss"):
        assert_equal_work(losses, shapes, same_task)


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed: pip install -e '.[peers]'")
def test_pytorch_comes_to_the_same_loss(task: Task) -> None:
    result = Result(ROW)
    measure(result, QUICK, {label: ROW.entrants[label] for label in ("ours", "torch")})
    assert (result.error, result.dropped) == ("", {})
    assert result.losses["torch"] == pytest.approx(result.losses["ours"], rel=1e-4)


def _loss_after_one_update(task: Task) -> float:
    """By gradients in float64 and Adam's formula: at the first step it is the gradient's sign, but for ε."""
    from benchmarks.contenders.ours import net_text

    network = Network.from_text(net_text(task), precision="float64")
    batches = task.batches()
    for name, array in zip(network.weights, task.weights(), strict=True):
        network.weights[name] = array
    x, y = next(batches)
    _, gradients = network.gradients({"x": x, "y": y})
    for name, gradient in gradients.items():
        update = gradient / (abs(gradient) + task.optimizer.epsilon)  # type: ignore[union-attr]  # it is adam
        network.weights[name] = network.weights[name] - task.optimizer.rate * update
    x, y = next(batches)
    return network.gradients({"x": x, "y": y})[0]

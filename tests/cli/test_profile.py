"""`profile`: what it prints, its object for programs, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorflow_lite_bp.backend.planned import PlannedBackend

SEQUENCE = """network a
input x: float[3, T]
target t: float[2, T]
y = x -> dense(2)
loss mse(y, t)
output y
"""
KEYS = {"kind", "name", "direction", "seconds", "share", "bytes", "multiplications", "gflops", "of_matrix_gflops"}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow_lite_bp.graph.profile.SECONDS_OF_PRODUCTS", 0.0)


@pytest.mark.host
def test_text(project: Path, tflbp) -> None:
    Path("points.csv").unlink()  # no data is read
    ran = tflbp("profile", "points.net", "--steps", 3)
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("points: a training step of 8 samples takes ")
    assert lines[1].startswith("float32 on numpy; one thread; medians of 3 repetitions; ")
    start = next(index for index, line in enumerate(lines) if line.startswith("part"))
    assert lines[start].split() == ["part", "µs", "share", "bytes", "MACs", "GFLOP/s", "of", "peak"]
    assert [line[:20].rstrip() for line in lines[start + 1 : start + 15]] == [
        "feed the batch",
        "> logits.dense",
        "> logits.tanh",
        "> logits.dense_2",
        "> cross_entropy",
        "< cross_entropy",
        "< logits.dense_2",
        "< logits.tanh",
        "< logits.dense",
        "gather the gradients",
        "update by adam",
        "everything else",
        "disturbances",
        "total",
    ]
    total = lines[start + 14].split()
    assert (total[2], total[5]) == ("100.0%", "320")
    assert max(map(len, lines)) <= 80


def test_long_names_fit_a_terminal(project: Path, tflbp) -> None:
    name = "a_binding_with_a_name_that_is_much_longer_than_anybody_would_want_to_read"
    Path("long.net").write_text(SEQUENCE.replace("y = x", f"{name} = x").replace("y, t", f"{name}, t")[:-9])
    ran = tflbp("profile", "long.net", "--steps", 1, "--size", "T=4")
    assert ran.exit_code == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines())) == 80
    assert "…" in ran.stdout


@pytest.mark.host
def test_json(project: Path, tflbp) -> None:
    found = tflbp("profile", "points.net", "--steps", 2, "--threads", 2, "--json").json
    parts, step = found.pop("parts"), found.pop("step")
    measured = {name: found.pop(name) for name in ("matrix_gflops", "parts_seconds", "plan_seconds", "start_seconds")}
    assert all(value > 0 for value in measured.values())
    assert found.pop("plan_bytes") > 0
    assert found.pop("waits") == 0
    assert found.pop("launches") == 5 + 16 + 8 + 10  # forward, of the loss, back, adam: a call each on a CPU
    assert found == {
        "file": "points.net",
        "network": "points",
        "backend": "numpy",
        "precision": "float32",
        "batch": 8,
        "sizes": {},
        "shards": 1,
        "blas_threads": 2,
        "repetitions": 2,
    }
    assert all(set(part) == KEYS for part in (*parts, step))
    assert sum(part["seconds"] for part in parts) == pytest.approx(step["seconds"])
    assert sum(part["share"] for part in parts) == pytest.approx(1)
    work = {(part["name"], part["direction"]): part["multiplications"] for part in parts if part["multiplications"]}
    assert work == {
        ("logits.dense", "forward"): 8 * 4 * 2,
        ("logits.dense_2", "forward"): 8 * 2 * 4,
        ("logits.dense_2", "back"): 8 * 2 * 2 * 4,
        ("logits.dense", "back"): 8 * 4 * 2,  # no gradient of the input
    }
    assert step["multiplications"] == sum(work.values())


def test_launches_are_told_where_there_is_a_device(project: Path, tflbp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow_lite_bp.cli.profile.backend_of", lambda name, **options: PlannedBackend())
    told = tflbp("profile", "points.net", "--steps", 1).stdout
    launches = tflbp("profile", "points.net", "--steps", 1, "--json").json["launches"]
    assert f"{launches} launches in a step" in " ".join(told.split())
    # 5 products; tanh with its bias, and back; the loss with its bias, and its sum; two biases' gradients; adam
    assert launches == 5 + 2 + 2 + 2 + 1


def test_bytes_are_those_of_the_plan_in_the_summary(project: Path, tflbp) -> None:
    parts = tflbp("profile", "points.net", "--steps", 1, "--json").json["parts"]
    told = tflbp("summary", "points.net", "--plan", "--json").json
    planned = [
        sum(array["bytes"] for array in moment["arrays"] if array["in_place_of"] is None) for moment in told["plan"]
    ]
    memory = told["memory"]
    planned[3] += memory["tables"]  # of cross_entropy, which lie outside of the plan's memory
    assert [part["bytes"] for part in parts if part["direction"] is not None] == planned
    rest = {part["kind"]: part["bytes"] for part in parts if part["direction"] is None}
    assert rest == {
        "feed": memory["batch_rows"],
        "gather": memory["gradients"],
        "update": memory["weights"] + memory["optimizer"],
        "else": 0,
        "noise": 0,
    }


def test_the_size_of_a_sequence_is_given(project: Path, tflbp) -> None:
    Path("a.net").write_text(SEQUENCE)
    found = tflbp("profile", "a.net", "--size", "T=28", "--steps", 1, "--set", "train.batch=10", "--json").json
    assert (found["batch"], found["sizes"]) == (10, {"T": 28})
    assert found["step"]["multiplications"] == 2 * 10 * 28 * 2 * 3


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        ([], 1, "error: the step depends on T, which only the data binds: say it with --size T=28\n"),
        (["--size", "K=3"], 1, "error: `a` has no symbolic size `K`: it has T\n"),
        (["--size", "T"], 2, "--size takes a name and a whole number from 1 to 999,999,999, such as T=28, not `T`\n"),
        (["--size", "T=0"], 2, "such as T=28, not `T=0`\n"),
        (["--size", "T=²"], 2, "such as T=28, not `T=²`\n"),
        (["--size", "T=1000000000"], 2, "such as T=28, not `T=1000000000`\n"),
        (["--steps", "0"], 2, "error: invalid value for '--steps'"),
        (["--threads", "0"], 2, "error: invalid value for '--threads'"),
        (["--backend", "abacus"], 1, "error: backend `abacus` is unknown: expected numpy or cupy\n"),
        (["--set", "train.batch=0"], 1, "error["),
        (["--size", "T=999999999", "--set", "train.batch=16777216"], 3, "error: not enough memory"),
    ],
)
def test_refusals(args: list[str], exit_code: int, message: str, project: Path, tflbp) -> None:
    Path("a.net").write_text(SEQUENCE)
    ran = tflbp("profile", "a.net", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr


def test_a_size_of_a_network_without_any(project: Path, tflbp) -> None:
    ran = tflbp("profile", "points.net", "--size", "T=3")
    assert (ran.exit_code, ran.stderr) == (1, "error: `points` has no symbolic size `T`: it has none\n")


def test_without_a_loss_there_is_nothing_to_measure(project: Path, tflbp) -> None:
    Path("b.net").write_text("network b\ninput x: float[3]\noutput y = x -> dense(2)\n")
    ran = tflbp("profile", "b.net")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == ("error: `b` has no loss, so it has no training step: declare one, such as `loss mse(y, t)`\n")

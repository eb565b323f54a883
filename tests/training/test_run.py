"""Run folders: where they are made, what is refused, what is said of a folder that is none."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsl.program import Call
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.optimizers.sgd import SGD
from tensorflow_lite_bp.training.header import Header, versions
from tensorflow_lite_bp.training.run import Run, RunInfo, plain

INFO = RunInfo(
    name="digits",
    file="examples/digits.net",
    folder="/somewhere/examples",
    overrides=["train.epochs=5"],
    seed=0,
    precision="float32",
    backend="numpy",
    threads=None,
    settings={"batch": 64},
    data={"digest": "ab", "rows": {"train": 10}},
    options={"device": 0},
)
HEADER = Header(name="digits.net", source="network digits", overrides=(), seed=0, precision="float32", data="ab")
WEIGHTS = {"W": np.ones(3, np.float32)}


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Run:
    run = Run.create("digits", out="r")
    run.begin("network digits\n", INFO, "epoch,rate\n")
    return run


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def refusal(make: Any, kind: type[Exception] = InputError) -> str:
    with pytest.raises(kind) as caught:
        make()
    return str(caught.value)


pytestmark = pytest.mark.usefixtures("_here")


def test_runs_are_numbered_behind_the_highest() -> None:
    assert [str(Run.create("digits").folder) for _ in range(2)] == ["runs/digits-001", "runs/digits-002"]
    for taken in ("digits-041", "digits-x", "iris-100", "digits-007b"):
        Path("runs", taken).mkdir()
    assert str(Run.create("digits").folder) == "runs/digits-042"
    Path("runs/digits-999").touch()
    assert str(Run.create("digits").folder) == "runs/digits-1000"


def test_a_folder_may_be_named() -> None:
    assert Run.create("digits", out="a/b/c").folder.is_dir()
    Path("empty").mkdir()
    assert Run.create("digits", out=Path("empty")).folder == Path("empty")


def test_a_folder_with_something_in_it_is_not_touched() -> None:
    Path("full").mkdir()
    Path("full/diary.txt").touch()
    assert refusal(lambda: Run.create("digits", out="full")) == (
        "cannot write the run to `full`: the folder is not empty; name a new one, or go on with the run in it with "
        "--resume"
    )
    assert names("full") == ["diary.txt"]


def test_a_file_is_no_folder() -> None:
    Path("x").touch()
    assert refusal(lambda: Run.create("digits", out="x")) == (
        "cannot write the run to `x`: it is a file, and a new or empty folder is expected"
    )
    assert refusal(lambda: Run.create("digits", out="x/y"), EnvironmentFailure) == (
        "cannot make the run folder `x/y`: Not a directory; name another place with --out"
    )
    Path("runs").touch()
    assert refusal(lambda: Run.create("digits"), EnvironmentFailure).startswith("cannot make the run folder `runs/")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission() -> None:
    Path("locked").mkdir(mode=0o500)
    assert refusal(lambda: Run.create("digits", out="locked/r"), EnvironmentFailure) == (
        "cannot make the run folder `locked/r`: Permission denied; name another place with --out"
    )


def test_a_run_that_never_began_leaves_nothing() -> None:
    run = Run.create("digits")
    run.abandon()
    assert not run.folder.exists()


def test_a_run_that_began_stays(run: Run) -> None:
    run.abandon()
    assert names("r") == ["metrics.csv", "network.net", "run.json"]


def test_what_was_written_is_read_again(run: Run) -> None:
    run.add_metrics("1,0.5\n")
    run.finish({"epochs": 1, "test": {"loss": float("nan")}})
    assert Path("r/network.net").read_text() == "network digits\n"
    assert Path("r/metrics.csv").read_text() == "epoch,rate\n1,0.5\n"
    found = json.loads(Path("r/run.json").read_text())
    assert found["versions"] == versions()
    assert found["result"] == {"epochs": 1, "test": {"loss": None}}  # JSON has no NaN
    assert Run.open("r").info == replace(INFO, result=found["result"])


def test_calls_among_the_settings_are_readable() -> None:
    call = Call("schedule", "cosine", {"warmup": 2.0, "end": 0.0})
    assert plain({"schedule": call, "optimizer": SGD(0.1), "class_weights": (1.0, 2.0)}) == {
        "schedule": {"name": "cosine", "warmup": 2.0, "end": 0.0},
        "optimizer": {"name": "sgd", **asdict(SGD(0.1))},
        "class_weights": [1.0, 2.0],
    }


# No run folders


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: None, "`r` does not exist: expected a run folder, such as `tflbp train` makes under runs/"),
        (Path("r").touch, "`r` is a file: expected a run folder, such as `tflbp train` makes under runs/"),
        (Path("r").mkdir, "`r` is no run folder: expected one that `tflbp train` made, with a run.json in it"),
    ],
)
def test_what_is_no_run_folder(make: Any, said: str) -> None:
    make()
    assert refusal(lambda: Run.open("r")) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "Expecting value: line 1 column 1 (char 0)"),
        (lambda text: "[" * 100_000, "it is nested too deeply"),
        (lambda text: "[]", "it is no object"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "its format is 2, and this version of tflbp reads 1"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), "its `seed` is '0'"),
        (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 1'), "a key stands twice in one object"),
        (lambda text: text.replace('"seed"', '"sead"'), "it has no `seed`"),
        (lambda text: text.replace('"device": 0', '"device": [0]'), "its option `device` is [0]"),
        (lambda text: text.replace('"device": 0', '"tf32": 1'), "its option `tf32` is 1"),
    ],
)
def test_a_damaged_run_json(run: Run, change: Any, said: str) -> None:
    file = Path("r/run.json")
    file.write_text(change(file.read_text()))
    assert refusal(lambda: Run.open("r")) == f"`r/run.json` is damaged: it is not as `tflbp train` writes it ({said})"


def test_a_run_that_kept_no_options_is_read(run: Run) -> None:
    file = Path("r/run.json")
    file.write_text(
        json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "options"})
    )
    assert Run.open("r").info == replace(INFO, options={})


def test_a_run_without_a_finished_epoch_has_no_best(run: Run) -> None:
    assert refusal(lambda: Run.open("r").best) == (
        "`r` has no best.safetensors: its training was stopped before an epoch was finished and saved; go on with "
        "`tflbp train examples/digits.net --resume r`"
    )


# Generations


def saved(run: Run, seed: int) -> None:
    run.save_last(replace(HEADER, seed=seed), WEIGHTS, {})


def expect(header: Header) -> Any:
    return {"W": (3,)}, {}


def test_the_last_two_states_are_kept(run: Run) -> None:
    assert run.read_last(expect) is None
    for seed in (1, 2, 3):
        saved(run, seed)
    found = run.read_last(expect)
    assert found is not None
    assert (found[0].seed, found[2]) == (3, "")
    np.testing.assert_array_equal(found[1].weights["W"], WEIGHTS["W"])
    assert names("r") == ["last.previous.safetensors", "last.safetensors", "metrics.csv", "network.net", "run.json"]


def test_a_damaged_state_falls_back_to_the_older_one_and_says_so(run: Run) -> None:
    saved(run, 1)
    saved(run, 2)
    last = Path("r/last.safetensors")
    last.write_bytes(last.read_bytes()[:-1] + b"!")
    found = run.read_last(expect)
    assert found is not None
    assert found[0].seed == 1
    assert found[2] == (
        "`r/last.safetensors` is damaged: its checksum does not fit its content: going on from "
        "`last.previous.safetensors`, the state saved before it"
    )


def test_a_kill_between_the_renames_loses_nothing_older(run: Run) -> None:
    saved(run, 1)
    Path("r/last.safetensors").rename("r/last.previous.safetensors")
    found = run.read_last(expect)
    assert found is not None
    assert (found[0].seed, found[2]) == (1, "")


def test_when_both_states_are_damaged_nothing_is_left(run: Run) -> None:
    for name in ("last.safetensors", "last.previous.safetensors"):
        Path("r", name).write_bytes(b"12")
    assert refusal(lambda: run.read_last(expect)) == (
        "`r/last.safetensors` is cut short: 2 bytes are left, and its head alone has 12,857; "
        "`r/last.previous.safetensors` is cut short: 2 bytes are left, and its head alone has 12,857: "
        "nothing is left to go on from, so train again in another folder"
    )


def test_a_run_begun_anew_sweeps_what_a_kill_left(run: Run) -> None:
    Path("r/.0123456789abcdef.tflbp-tmp").touch()
    run.begin("network digits\n", INFO, "epoch,rate\n")
    assert names("r") == ["metrics.csv", "network.net", "run.json"]

"""`train`, `evaluate`, `predict` and `export`: what they print, what they write, and how they refuse."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.backend.numpy import NumpyBackend


@pytest.fixture
def points(project: Path) -> list[dict[str, str]]:
    """The rows of ``points.csv``."""
    return list(csv.DictReader(io.StringIO(Path("points.csv").read_text())))


def test_train(project: Path, tflbp) -> None:
    ran = tflbp("train", "points.net", "--seed", 3)
    assert (ran.exit_code, ran.stdout) == (0, "runs/points-001\n")
    assert "points: 18 rows to train, 6 to validate, 6 to test" in ran.stderr
    folder = Path("runs/points-001")
    assert {"network.net", "run.json", "metrics.csv", "best.safetensors", "last.safetensors"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "run.json").read_text())["seed"] == 3
    assert tflbp("train", "points.net", "--quiet").stdout == "runs/points-002\n"


@pytest.mark.host
def test_train_as_json(project: Path, tflbp) -> None:
    ran = tflbp("train", "points.net", "--json", "--quiet", "--out", "here", "--set", "train.epochs=2", "--threads", 1)
    assert (ran.exit_code, ran.stderr) == (0, "")
    found = ran.json
    assert (found["run"], found["epochs"], found["backend"]) == ("here", 2, "numpy")
    assert found["seconds"] > 0
    for split in ("train", "validation", "test"):
        assert set(found[split]) == {"loss", "accuracy"}


def test_training_twice_gives_the_same_bits(project: Path, tflbp) -> None:
    for name in ("one", "two"):
        assert tflbp("train", "points.net", "--quiet", "--out", name).exit_code == 0
    one, two = Network.load("one").weights, Network.load("two").weights
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_resume_goes_on_with_what_the_run_was_begun_with(project: Path, tflbp) -> None:
    whole = tflbp("train", "points.net", "-q", "--out", "whole", "--seed", 5, "--set", "train.batch=4", "--json").json
    tflbp(
        "train", "points.net", "-q", "--out", "part", "--seed", 5, "--set", "train.batch=4", "--set", "train.epochs=2"
    )
    ran = tflbp("train", "points.net", "-q", "--resume", "part", "--set", "train.epochs=4", "--json")
    assert ran.exit_code == 0, ran.stderr
    assert (ran.json["epochs"], ran.json["train"]) == (whole["epochs"], whole["train"])


class OnGpu(NumpyBackend):
    """NumPy with the name and the options of the backend that uses a GPU."""

    name = "cupy"

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options


def test_resume_computes_on_the_gpu_that_the_run_was_begun_on(
    project: Path, tflbp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def instead(name: str, **options: Any) -> Backend:
        return OnGpu(**options) if name == "cupy" else get_backend(name, **options)

    def computed(*args: str, folder: str = "r") -> tuple[str, dict[str, Any], str]:
        """The backend and its options as the run folder has them afterwards, and what was said of --tf32."""
        ran = tflbp("train", "points.net", "--set", "train.epochs=2", *args)
        assert ran.exit_code == 0, ran.stderr
        info = json.loads(Path(folder, "run.json").read_text())
        return info["backend"], info["options"], "".join(li for li in ran.stderr.splitlines() if "tf32" in li)

    monkeypatch.setattr("tensorflow_lite_bp.backend.get_backend", instead)
    begun = {"device": 0, "memory_limit": "80%", "tf32": True}
    typed = ("--backend", "cupy", "--device", "0", "--memory-limit", "80%", "--tf32")
    assert computed("--out", "r", *typed) == ("cupy", begun, "")
    assert computed("--resume", "r") == ("cupy", begun, "")
    assert computed("--resume", "r", "--backend", "cupy", "--device", "1") == ("cupy", {**begun, "device": 1}, "")
    assert computed("--resume", "r", "--memory-limit", "1GiB", "--no-tf32") == (
        "cupy",
        {"device": 1, "memory_limit": "1GiB"},
        "`r` was trained with --tf32 until now and goes on without it: the numbers are no longer those of one "
        "uninterrupted run",
    )
    assert computed("--resume", "r", "--backend", "numpy") == ("numpy", {}, "")
    assert computed("--out", "n", folder="n") == ("numpy", {}, "")
    refused = tflbp("train", "points.net", "--resume", "n", "--tf32")
    assert refused.stderr == "error: --tf32: --backend numpy uses no GPU, so leave it away, or use --backend cupy\n"


def test_resume_and_out_exclude_each_other(run: Path, tflbp) -> None:
    ran = tflbp("train", "points.net", "--resume", "run", "--out", "new")
    assert ran.exit_code == 2
    assert "a run that is resumed has its folder already: leave --out or --resume away" in ran.stderr


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (["--set", "train.epochz=3"], 1, "error[unknown-setting]: `train` has no setting `epochz`"),
        (["--set", "nonsense"], 1, "error[bad-override]"),
        (["--backend", "abacus"], 1, "error: backend `abacus` is unknown: expected numpy or cupy\n"),
        (["--threads", "0"], 2, "error: invalid value for '--threads'"),
        (["--seed", "x"], 2, "error: invalid value for '--seed'"),
        (["--out", "points.csv"], 1, "error: cannot write the run to `points.csv`"),
        (["--out", "."], 1, "error: cannot write the run to `.`"),
        (["--resume", "nowhere"], 1, "error: `nowhere` does not exist: expected a run folder"),
        (["--resume", "."], 1, "error: `.` is no run folder"),
    ],
)
def test_train_refuses(args: list[str], exit_code: int, message: str, project: Path, tflbp) -> None:
    ran = tflbp("train", "points.net", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr
    assert not Path("runs").exists()


def test_cupy_without_cupy_says_what_to_install(project: Path, tflbp) -> None:
    try:
        import cupy  # noqa: F401
    except ImportError:
        ran = tflbp("train", "points.net", "--backend", "cupy", "--json")
        assert ran.exit_code == 3
        assert ran.json["error"]["kind"] == "environment"
        assert "pip install 'tensorflow_lite_bp[cuda12]'" in ran.stderr


BAD_DATA = {
    "an empty file": "",
    "a heading alone": "a,b,kind\n",
    "a text where a number stands": "a,b,kind\n1,2,up\n1,many,down\n",
    "a missing column": "a,c,kind\n1,2,up\n1,3,down\n",
    "ragged rows": "a,b,kind\n1,2,up\n1\n",
    "a zero byte": "a,b,kind\n1,2,\0up\n",
    "too many classes": "a,b,kind\n1,2,up\n1,2,down\n1,2,strange\n" * 9,
    "no test rows": "a,b,kind\n1,2,up\n1,3,down\n",
}


@pytest.mark.parametrize("content", BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data_leaves_no_run(content: str, project: Path, tflbp) -> None:
    Path("points.csv").write_text(content)
    ran = tflbp("train", "points.net", "--json")
    assert ran.exit_code == 1
    assert ran.json["error"]["kind"] == "input"
    assert ran.stderr.startswith("error: ")
    assert not list(Path().glob("runs/*"))


def test_data_outside_the_folder_is_refused(project: Path, tflbp) -> None:
    file = Path("points.net")
    file.write_text(file.read_text().replace('"points.csv"', '"../points.csv"'))
    ran = tflbp("train", "points.net")
    assert ran.exit_code == 1
    assert "leads outside the folder of the .net file" in ran.stderr


def test_a_loss_that_is_not_finite(project: Path, tflbp) -> None:
    ran = tflbp("train", "points.net", "--set", "train.optimizer=sgd(1e38)", "--json", "--out", "run")
    assert ran.exit_code == 3
    assert ran.json["error"]["kind"] == "numerical"
    assert "is not finite" in ran.stderr


def test_evaluate(run: Path, tflbp) -> None:
    ran = tflbp("evaluate", "run", "--json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    result = json.loads((run / "run.json").read_text())["result"]
    for split, rows in {"train": 18, "validation": 6, "test": 6}.items():
        assert ran.json["rows"][split] == rows
        assert ran.json[split] == result[split]
    (matrix,) = ran.json["confusion"]
    assert np.sum(matrix["matrix"]) == 6
    assert list(tflbp("evaluate", "run", "--split", "test", "--json").json["rows"]) == ["test"]
    assert "validation     6" in tflbp("evaluate", "run").stdout


def test_evaluate_another_file(run: Path, points, tflbp) -> None:
    ran = tflbp("evaluate", "run", "--data", "points.csv", "--json")
    assert ran.json["rows"] == {"data": 30}
    table = list(csv.DictReader(io.StringIO(tflbp("predict", "run", "points.csv").stdout)))
    right = np.mean([row["kind"] == point["kind"] for row, point in zip(table, points, strict=True)])
    assert ran.json["data"]["accuracy"] == pytest.approx(right)


def test_evaluate_says_when_the_data_has_changed(run: Path, tflbp) -> None:
    with Path("points.csv").open("a") as file:
        file.write("1,1,up\n")
    ran = tflbp("evaluate", "run")
    assert (ran.exit_code, ran.stderr) == (0, "note: the data is no longer what the network was trained with\n")


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (["--split", "tset"], 1, "there is no split `tset`: expected train or validation or test"),
        (["--split", "test", "--data", "points.csv"], 2, "leave --split or --data away"),
        (["--data", "nowhere.csv"], 1, '"nowhere.csv" does not exist'),
    ],
)
def test_evaluate_refuses(args: list[str], exit_code: int, message: str, run: Path, tflbp) -> None:
    ran = tflbp("evaluate", "run", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr


def test_a_checkpoint_alone_has_no_data(run: Path, tmp_path: Path, tflbp) -> None:
    shutil.copy(run / "best.safetensors", tmp_path / "alone.safetensors")
    ran = tflbp("evaluate", "alone.safetensors")
    assert ran.exit_code == 1
    assert ran.stderr == (
        "error: `alone.safetensors` lies in no run folder, so its data is unknown: name a file with --data\n"
    )
    assert tflbp("evaluate", "alone.safetensors", "--data", "points.csv").exit_code == 0
    assert tflbp("predict", "alone.safetensors", "points.csv").exit_code == 0


def test_predict_as_csv(run: Path, points, tflbp) -> None:
    ran = tflbp("predict", "run", "points.csv")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert len(rows) == 30
    assert list(rows[0]) == ["kind", "probabilities.down", "probabilities.up"]
    network = Network.load(run)
    raw = np.array([[point["a"], point["b"]] for point in points], dtype=np.float64)
    train = _training_rows(network, raw)
    x = ((raw - train.mean(axis=0)) / train.std(axis=0)).astype(np.float32)
    expected = network.predict({"x": x})["probabilities"]
    found = np.array([[row["probabilities.down"], row["probabilities.up"]] for row in rows], dtype=np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert [row["kind"] for row in rows] == [("down", "up")[i] for i in expected.argmax(axis=1)]


def _training_rows(network: Network, raw: np.ndarray) -> np.ndarray:
    from tensorflow_lite_bp.data import load_data

    return raw[load_data(network.program, folder=Path(), seed=network.seed).splits["train"]]


def test_predict_to_files_and_as_json(run: Path, tflbp) -> None:
    printed = tflbp("predict", "run", "points.csv").stdout
    ran = tflbp("predict", "run", "points.csv", "-o", "out.csv")
    assert (ran.exit_code, ran.stdout) == (0, "30 rows written to out.csv\n")
    assert Path("out.csv").read_text() == printed
    assert tflbp("predict", "run", "points.csv", "-o", "out.npz", "--json").json == {
        "run": "run",
        "rows": 30,
        "file": "out.npz",
        "outputs": ["kind", "probabilities"],
    }
    columns = tflbp("predict", "run", "points.csv", "--json").json["columns"]
    with np.load("out.npz", allow_pickle=False) as arrays:
        assert arrays["kind"].tolist() == columns["kind"]
        np.testing.assert_allclose(arrays["probabilities"][:, 1], columns["probabilities.up"], rtol=1e-6)


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (["run", "nowhere.csv"], 1, '"nowhere.csv" does not exist'),
        (["run", "."], 1, '"." is a folder; expected a data file'),
        (["nowhere", "points.csv"], 1, "`nowhere`"),
        (["points.csv", "points.csv"], 1, "`points.csv`"),
        (
            ["run", "points.csv", "-o", "out.txt"],
            1,
            "`out.txt` has no format: expected a name that ends in .csv or .npz",
        ),
        (["run", "points.csv", "-o", "no/such/out.csv"], 1, "the folder `no/such` does not exist"),
    ],
)
def test_predict_refuses(args: list[str], exit_code: int, message: str, run: Path, tflbp) -> None:
    ran = tflbp("predict", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
def test_a_damaged_checkpoint(command: str, run: Path, tflbp) -> None:
    best = run / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-7])
    ran = tflbp(command, "run", *(["points.csv"] if command == "predict" else []), "--json")
    assert ran.exit_code == 1
    assert ran.json["error"]["kind"] == "input"


def test_export(run: Path, points, tflbp) -> None:
    import onnxruntime

    ran = tflbp("export", "run", "--json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.json["path"] == "run/points.onnx"
    assert ran.json["opset"] == 17
    session = onnxruntime.InferenceSession(run / "points.onnx")
    raw = np.array([[point["a"], point["b"]] for point in points], dtype=np.float32)
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: raw})
    columns = tflbp("predict", "run", "points.csv", "--json").json["columns"]
    np.testing.assert_allclose(found[:, 1], columns["probabilities.up"], rtol=1e-4, atol=1e-6)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["metrics"])["test"] == json.loads((run / "run.json").read_text())["result"]["test"]


def test_export_to_a_file(run: Path, tflbp) -> None:
    ran = tflbp("export", "run", "-o", "there.onnx", "--raw", "--opset", "15")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("there.onnx: ")
    assert "opset 15, IR 8" in ran.stdout
    assert "input   x              float32[batch, 2]" in ran.stdout


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (["run", "--opset", "12"], 1, "opset 12 is not written: expected 13 to 21"),
        (["run", "-o", "no/such/out.onnx"], 1, "the folder `no/such` does not exist"),
        (["run", "-o", "."], 1, "it is a folder"),
    ],
)
def test_export_refuses(args: list[str], exit_code: int, message: str, run: Path, tflbp) -> None:
    ran = tflbp("export", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr
    assert not list(Path().rglob("*.onnx"))


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_saves_and_says_how_to_go_on(project: Path) -> None:
    command = [sys.executable, "-m", "tensorflow_lite_bp", "train", "points.net", "--set", "train.epochs=1000000"]
    process = subprocess.Popen(
        [*command, "--out", "run", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while not process.stderr.readline().lstrip().startswith("1/"):  # the first epoch is done
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(stdout)["error"]["kind"] == "interrupted"
    assert stderr.endswith("go on with `tflbp train points.net --resume run`\n")
    assert (project / "run" / "last.safetensors").is_file()


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
@pytest.mark.parametrize(
    "command", ["predict run big.csv -o out.csv", "export run -o out.onnx", "train points.net -q --out full"]
)
def test_a_disk_that_takes_no_more(command: str, run: Path, points) -> None:
    """Files may not grow beyond 1 KiB, as on a disk that is full; nothing half-written is left."""
    Path("big.csv").write_text("a,b\n" + "1,2\n" * 1000)
    line = f"ulimit -f 1; exec {sys.executable} -m tensorflow_lite_bp {command}"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("error: cannot write `")
    assert not {"out.csv", "out.onnx"} & {path.name for path in Path().iterdir()}
    assert not list(Path().rglob("*.tflbp-tmp"))

"""The commands with ``--backend cupy`` on the double: what they print is what they print with NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.cli import main

pytestmark = pytest.mark.double

NET = """network shapes
input x: float[1, 6, 6]
target kind: class(2)
hidden = x -> conv(3, padding = "same") -> batch_norm -> relu -> max_pool(2) -> conv(2) -> flatten
logits = hidden -> dropout(0.2) -> dense(2)
loss cross_entropy(logits, kind)
metric accuracy(logits, kind)
metric f1(logits, kind)
metric confusion(logits, kind)
output probabilities = softmax(logits)
data {
  source = npz("shapes.npz")
  x = array("x")
  kind = column("kind")
  split = random(train = 0.6, validation = 0.2, test = 0.2, seed = 1)
}
train { precision = "float64" optimizer = adam(0.02) batch = 8 epochs = 3 clip_norm = 1.0 accumulate = 2 }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the network and 50 images, of which half are brighter on the left."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    kind = np.arange(50) % 2
    x = rng.normal(size=(50, 1, 6, 6)).astype(np.float32)
    x[kind == 1, :, :, :3] += 1
    np.savez("shapes.npz", x=x, kind=kind)
    np.savez("new.npz", x=x[:5])
    Path("shapes.net").write_text(NET)
    return tmp_path


def tflbp(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    """What a command says as JSON."""
    capsys.readouterr()
    code = main([*args, "--json"])
    streams = capsys.readouterr()
    assert code == 0, streams.err
    return json.loads(streams.out)


def figures(found: Any) -> list[float]:
    """All numbers of an answer, in their order, but for times."""
    if isinstance(found, dict):
        return [n for key, value in found.items() if "seconds" not in key for n in figures(value)]
    if isinstance(found, list):
        return [n for value in found for n in figures(value)]
    return [float(found)] if isinstance(found, (int, float)) else []


def test_train_resume_evaluate_predict_export_and_profile(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cupy import COUNTERS

    answers = {}
    for backend in ("cupy", "numpy"):
        if backend == "numpy":
            monkeypatch.setattr("tensorflow_lite_bp.network.get_backend", get_backend)
        COUNTERS.reset()
        options = ("--backend", backend, *(("--device", "0") if backend == "cupy" else ()))
        trained = tflbp(capsys, "train", "shapes.net", "--out", backend, *options)
        assert trained["backend"] == backend
        profiled = tflbp(capsys, "profile", "shapes.net", "--steps", "1", *options)
        assert profiled["backend"] == backend
        resumed = tflbp(capsys, "train", "shapes.net", "--resume", backend, "--set", "train.epochs=4")
        assert resumed["backend"] == backend, "a run goes on with the backend that it began with"
        kept = json.loads(Path(backend, "run.json").read_text())["options"]
        assert kept == ({"device": 0} if backend == "cupy" else {}), "and with its options"
        evaluated = tflbp(capsys, "evaluate", backend)
        tflbp(capsys, "export", backend, "-o", f"{backend}.onnx")
        tflbp(capsys, "predict", backend, "new.npz", "-o", f"{backend}.csv")
        answers[backend] = figures(trained) + figures(resumed) + figures(evaluated)
        assert (COUNTERS.launches > 0) == (backend == "cupy"), "what was asked for is what computed"
    np.testing.assert_allclose(answers["cupy"], answers["numpy"], rtol=1e-9, atol=1e-12)
    metrics = [np.genfromtxt(Path(run, "metrics.csv"), delimiter=",", skip_header=1) for run in answers]
    np.testing.assert_allclose(metrics[0], metrics[1], rtol=1e-9, atol=1e-12)

"""A script with nothing of this project feeds an exported model the raw columns and gets what `tflbp predict` says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"

SCRIPT = """
import csv, json, sys
import numpy, onnxruntime

model, data, out = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
rows = list(csv.DictReader(open(data, newline="")))
feed = {}
for item in session.get_inputs():
    values = [[row[name] for name in columns[item.name]] for row in rows]
    if item.type != "tensor(string)":
        values = [[float(value) if value else float("nan") for value in row] for row in values]
    dtype = {"tensor(string)": object, "tensor(float)": numpy.float32, "tensor(int64)": numpy.int64}[item.type]
    feed[item.name] = numpy.array(values, dtype)
names = [item.name for item in session.get_outputs()]
numpy.savez(out, **dict(zip(names, session.run(names, feed))))
assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow_lite_bp", "dsl")]
"""


@pytest.mark.parametrize("name", ["digits", "iris", "penguins"])
def test_onnxruntime_alone_gives_what_predict_gives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(EXAMPLES / "data", tmp_path / "data")
    shutil.copy(EXAMPLES / f"{name}.net", tmp_path)
    monkeypatch.chdir(tmp_path)
    data = f"data/{name}.csv"
    assert main(["train", f"{name}.net", "--set", "train.epochs=2", "--out", "run"]) == 0
    assert main(["export", "run", "-o", "model.onnx"]) == 0
    assert main(["predict", "run", data, "-o", "predicted.npz"]) == 0
    assert capfd.readouterr().err.count("Warning") == 0

    (tmp_path / "script.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "-I", "script.py", "model.onnx", data, "found.npz"], check=True)
    with np.load("predicted.npz") as predicted, np.load("found.npz") as found:
        assert found.files  # the outputs; predict says the class too
        for output in found.files:
            assert len(found[output]) == len(Path(data).read_text().splitlines()) - 1
            np.testing.assert_allclose(found[output], predicted[output], rtol=1e-3, atol=1e-5)

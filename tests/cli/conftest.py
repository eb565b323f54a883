"""Running the command line inside the test's process, with what it printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tensorflow_lite_bp.cli import main


@dataclass(frozen=True)
class Ran:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Stdout, which must be exactly one JSON object."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def tflbp(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``tflbp("check", path)``: the exit code and the two streams."""

    def run(*args: object) -> Ran:
        capsys.readouterr()
        exit_code = main([str(arg) for arg in args])
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err
        return Ran(exit_code, streams.out, streams.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


NET = """# Which of two kinds a point is.
network points

input  x: float[2]
target kind: class(2)

logits = x -> dense(4) -> tanh -> dense(2)

loss   cross_entropy(logits, kind)
metric accuracy(logits, kind)
output probabilities = softmax(logits)

data {
  source = csv("points.csv")
  x      = columns("a", "b") -> standardize
  kind   = column("kind")
  split  = random(train = 0.6, validation = 0.2, test = 0.2, seed = 1)
}

train {
  optimizer = adam(0.05)
  batch     = 8
  epochs    = 4
}
"""
"""In the usual layout."""


@pytest.fixture
def project(here: Path) -> Path:
    """The current folder, with ``points.net`` and its data: 30 rows of two kinds that a line separates."""
    rows = [f"{i % 7 - 3},{i % 5 - 2},{'up' if i % 7 - 3 + i % 5 - 2 > 0 else 'down'}" for i in range(30)]
    (here / "points.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    (here / "points.net").write_text(NET)
    return here


@pytest.fixture
def run(project: Path, tflbp: Callable[..., Ran]) -> Path:
    """A run folder of that network, trained for one epoch."""
    ran = tflbp("train", "points.net", "--quiet", "--set", "train.epochs=1", "--out", "run")
    assert ran.exit_code == 0, ran.stderr
    return project / "run"

"""A small network with its data, which every kind of randomness and state takes part in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SOURCE = """
network flowers
input  x: float[3]
target kind: class(3)
logits = x -> dense(8) -> tanh -> dropout(0.2) -> dense(3)
loss   cross_entropy(logits, kind)
metric accuracy(logits, kind)
output probabilities = softmax(logits)
data {
  source = csv("flowers.csv")
  x      = columns("a".."c") -> standardize
  kind   = column("kind")
  split  = random(train = 0.7, validation = 0.2, test = 0.1, seed = 1)
}
train {
  optimizer = adam(0.01)
  schedule  = cosine(warmup = 1)
  batch     = 8
  epochs    = 4
  seed      = 2
}
"""


@pytest.fixture(autouse=True)
def _without_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest: only tests that ask for `curves` do it."""
    if "curves" not in request.fixturenames:
        monkeypatch.setattr("tensorflow_lite_bp.training.loop.write_curves", lambda *args, **options: False)


@pytest.fixture
def curves() -> None:
    """Let `fit` draw the curves."""


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes ``flowers.net`` (with words of the text replaced) and its data of 60 rows; gives the file's path."""
    generator = np.random.default_rng(4)
    kinds = generator.integers(0, 3, 60)
    values = generator.normal(size=(60, 3)) + 2 * np.eye(3)[kinds]
    names = ("iris", "rose", "tulip")
    rows = [f"{a:.5f},{b:.5f},{c:.5f},{names[kind]}" for (a, b, c), kind in zip(values, kinds, strict=True)]
    (tmp_path / "flowers.csv").write_text("a,b,c,kind\n" + "\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)

    def write(*changes: tuple[str, str]) -> Path:
        text = SOURCE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = Path("flowers.net")
        path.write_text(text)
        return path

    write()
    return write

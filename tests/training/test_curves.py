"""``curves.svg``: what is drawn, the same bytes for the same history, and no error without matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import exp, nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.training.curves import write_curves
from tensorflow_lite_bp.training.history import History
from tensorflow_lite_bp.training.run import Run

matplotlib = pytest.importorskip("matplotlib")


def history(epochs: int, *measures: str, validates: bool = True) -> History:
    found = History(measures, validates=validates)
    for epoch in range(epochs):
        values = dict.fromkeys(measures, exp(-epoch))
        found.add(0.1, *([values, values] if validates else [values]))
    return found


def texts(path: Path) -> list[str]:
    found = (element for element in ElementTree.parse(path).iter() if element.tag.endswith("}text"))
    return ["".join(element.itertext()).strip() for element in found]


def test_a_panel_for_the_loss_and_each_metric(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    assert write_curves(path, history(6, "loss", "accuracy"), title="digits", best_epoch=3)
    found = texts(path)
    for text in ("digits", "loss", "accuracy", "train", "validation", "best epoch"):
        assert found.count(text) == 1, text
    assert "0.01" in found  # the loss falls by more than a factor of 30: a logarithmic axis with plain numbers


def test_the_same_history_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_curves(tmp_path / name, history(5, "loss", "mae"), title="digits", best_epoch=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("epochs", [1, 2])
def test_few_epochs_and_no_validation(tmp_path: Path, epochs: int) -> None:
    path = tmp_path / "curves.svg"
    assert write_curves(path, history(epochs, "loss", validates=False), title="xor", best_epoch=1)
    assert "validation" not in texts(path)


def test_a_metric_without_a_value(tmp_path: Path) -> None:
    found = History(("loss", "r2"), validates=False)
    found.add(0.1, {"loss": 1.0, "r2": nan})
    assert write_curves(tmp_path / "curves.svg", found, title="one", best_epoch=1)


@pytest.mark.usefixtures("curves")
def test_a_run_folder_has_its_curves(flowers: Callable[..., Path]) -> None:
    net = Network.from_file(flowers())
    net.fit(run=Run.create("flowers", out="r"))
    assert {"flowers", "loss", "accuracy", "best epoch"} <= set(texts(Path("r/curves.svg")))


def test_without_matplotlib_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not write_curves(tmp_path / "curves.svg", history(5, "loss"), title="digits", best_epoch=1)
    assert list(tmp_path.iterdir()) == []

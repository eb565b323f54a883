"""Mixed precision beside PyTorch's autocast and GradScaler on the CPU: the same weights, batches, and overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph.mixed import LossScale

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[peers]'")

NETWORK = """
network small
input image: float[2, 6, 6]
target digit: class(4)
y = image -> conv(8) -> batch_norm -> relu -> max_pool(2) -> flatten -> dense(16) -> relu -> dense(4)
loss {factor} * cross_entropy(y, digit)
output y
train {{ optimizer = sgd(0.05, momentum = 0.9)  batch = 12  precision = "{precision}" }}
"""
DTYPES = {"mixed": torch.float16, "mixed_bfloat16": torch.bfloat16}
WEIGHTS = [f"y.{name}" for name in ("conv.weight", "conv.bias", "batch_norm.gain", "batch_norm.bias",
           "dense.weight", "dense.bias", "dense_2.weight", "dense_2.bias")]  # fmt: skip


def batch(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    image = generator.normal(size=(12, 2, 6, 6)).astype(np.float32)
    return {"image": image, "digit": generator.integers(4, size=12)}


class Theirs:
    """The same network in PyTorch, with the weights of ours."""

    def __init__(self, ours: Network, precision: str, factor: float) -> None:
        nn = torch.nn
        self.model = nn.Sequential(
            *(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)),
        )
        self.weights = dict(zip(WEIGHTS, self.model.parameters(), strict=True))
        for name, weight in self.weights.items():
            weight.data = torch.tensor(ours.weights[name])
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05 / factor, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", enabled=precision == "mixed", growth_interval=LossScale.PATIENCE)
        self.dtype, self.factor = DTYPES[precision], factor

    def gradients(self, rows: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=self.dtype):
            scores = self.model(torch.tensor(rows["image"]))
        loss = self.factor * torch.nn.functional.cross_entropy(scores.float(), torch.tensor(rows["digit"]))
        self.scaler.scale(loss).backward()
        scale = self.scaler.get_scale()
        return loss.item(), {name: weight.grad.numpy() / scale for name, weight in self.weights.items()}

    def step(self, rows: dict[str, np.ndarray]) -> float:
        loss, _ = self.gradients(rows)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss


def both(precision: str, factor: float = 1.0) -> tuple[Network, Theirs]:
    ours = Network.from_text(NETWORK.format(precision=precision, factor=factor))
    return ours, Theirs(ours, precision, factor)


def distance(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("precision", DTYPES)
def test_a_step_has_pytorchs_gradients_and_not_those_of_float32(precision: str) -> None:
    ours, theirs = both(precision, 0.1)
    trainer = ours.trainer()
    trainer.scale.value = theirs.scaler.get_scale()
    plan = trainer.feed(batch(0))
    plan.run()
    gradients = {name: ours.arrays.gradients.views[name].copy() for name in WEIGHTS}
    loss, expected = theirs.gradients(batch(0))
    exact_loss, exact = ours.gradients(batch(0))
    one = 2.0**-10 if precision == "mixed" else 2.0**-7
    assert plan.loss() == pytest.approx(loss, rel=2 * one)
    assert plan.loss() != exact_loss
    for name in WEIGHTS:
        if name == "y.conv.bias":  # batch_norm takes it off again: what is left is rounding
            continue
        assert distance(gradients[name], expected[name]) < 2 * one, name
        assert distance(gradients[name], exact[name]) > 0, name


@pytest.mark.parametrize("factor", [1.0, 3000.0])
@pytest.mark.parametrize("precision", DTYPES)
def test_a_training_follows_pytorchs_and_leaves_out_the_same_steps(precision: str, factor: float) -> None:
    ours, theirs = both(precision, factor)
    trainer = ours.trainer()
    for step in range(25):
        found, expected = trainer.step(batch(step), rate=0.05 / factor), theirs.step(batch(step))
        assert found == pytest.approx(expected, rel=0.05), step
        if precision == "mixed":
            assert trainer.scale.value == theirs.scaler.get_scale(), step
    if precision == "mixed" and factor > 1:
        assert trainer.scale.skipped > 2

"""The settings of the sections `data`, `train` and `export`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.declare import Declared, setting
from tensorflow_lite_bp.optimizers.adam import Adam
from tensorflow_lite_bp.optimizers.base import Optimizer
from tensorflow_lite_bp.precision import PRECISIONS
from tensorflow_lite_bp.schedules.base import Schedule
from tensorflow_lite_bp.schedules.constant import Constant


@dataclass(frozen=True)
class Data(Declared, category="section", name="data"):
    """Where the data is; one more line for each input and target says how it is made of it."""

    source: Any = setting(kind="source", help="where the columns or arrays come from")
    split: Any = setting(None, kind="split", help="which rows train, validate and test; without it all rows train")


@dataclass(frozen=True)
class Train(Declared, category="section", name="train"):
    """How the network is trained.

    ``precision = "mixed"`` computes the products of each training step, and what follows them exactly, in float16: for
    GPUs, whose tensor cores are made for it. Weights, sums, norms, losses and the optimizer stay in float32, and so
    does everything outside of training: evaluation, predictions, checkpoints and ONNX files. The gradient of the loss
    is scaled up so that small ones do not vanish; a step whose gradient overflows changes no weights. With
    ``"mixed_bfloat16"`` it is bfloat16, which has fewer digits and float32's range, so that nothing is scaled.
    """

    optimizer: Optimizer = setting(Adam(0.001), kind="optimizer", help="how gradients change weights")
    schedule: Schedule = setting(Constant(), kind="schedule", help="how the learning rate moves")
    batch: int = setting(32, minimum=1, maximum=1 << 24, help="samples in one step")
    epochs: int = setting(10, minimum=1, maximum=1_000_000, help="passes over the training split")
    seed: int = setting(0, minimum=0, maximum=(1 << 63) - 1, help="first weights, order of samples, dropout")
    clip_norm: float | None = setting(None, above=0, help="largest Euclidean norm of the whole gradient")
    clip_value: float | None = setting(None, above=0, help="largest size of one entry of the gradient")
    accumulate: int = setting(1, minimum=1, maximum=1 << 20, help="batches whose gradients make one update")
    early_stopping: int | None = setting(
        None, minimum=1, maximum=1_000_000, help="stop after so many epochs without a better `monitor`"
    )
    monitor: str = setting("loss", help="`loss` or a metric's name: what `best`, early stopping and plateaus look at")
    class_weights: str | tuple[float, ...] | None = setting(
        None, kind="string|floats", help='`"balanced"`, or the weight of each class in the loss'
    )
    precision: str = setting("float32", choices=tuple(PRECISIONS), help="the numbers to compute with")


@dataclass(frozen=True)
class Export(Declared, category="section", name="export"):
    """How the ONNX file is written."""

    opset: int = setting(17, minimum=13, maximum=21, help="version of the ONNX operators")
    raw: bool = setting(False, help="leave the preprocessing of the data section out")

"""onnxruntime, on the file that this framework exports."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.contenders.ours import network_of
from benchmarks.networks import Shape, weight_shapes
from benchmarks.work import Batch, Task

THREADS = 2


class Prediction:
    def __init__(self, task: Task, weights: list[np.ndarray]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "network.onnx"
            network_of(task, weights).export(file)
            self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._shapes = weight_shapes(task.network)  # the file was compared with the network when it was exported

    def shapes(self) -> list[Shape]:
        return self._shapes

    def run(self, batches: Iterator[Batch]) -> float:
        for x, y in batches:
            (p,), labels = self.session.run(["p"], {"x": x}), y
        return float(-np.log(p[np.arange(len(labels)), labels]).mean())

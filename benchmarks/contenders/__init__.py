"""The contenders: one file for each library. A contender is imported in its own process only."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

from benchmarks.work import Contender, Task


@dataclass(frozen=True)
class Entry:
    """Where a contender is found, and what its table row says of it.

    Attributes:
        family: the library, by which targets and `--peers` name it.
        packages: whose versions the report states.
    """

    module: str
    kind: str
    family: str
    packages: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def make(self, task: Task) -> Contender:
        module = importlib.import_module(f"benchmarks.contenders.{self.module}")
        contender: Contender = getattr(module, self.kind)(task, task.weights(), **self.options)
        return contender


_OURS = ("tensorflow_lite_bp", "numpy")
_JAX = ("jax", "jaxlib")

CONTENDERS = {
    "ours": Entry("ours", "Training", "ours", _OURS),
    "ours predict": Entry("ours", "Prediction", "ours", _OURS),
    "ours loop": Entry("ours", "Loop", "ours", _OURS),
    "torch": Entry("pytorch", "Training", "torch", ("torch",)),
    "torch channels_last": Entry("pytorch", "Training", "torch", ("torch",), {"channels_last": True}),
    "torch.compile": Entry("pytorch", "Training", "torch", ("torch",), {"compiled": True}),
    "jax": Entry("jax_jit", "Training", "jax", _JAX),
    "jax nhwc": Entry("jax_jit", "Training", "jax", _JAX, {"channels_last": True}),
    "sklearn": Entry("scikit_learn", "Training", "sklearn", ("scikit-learn", "scipy")),
    "onnxruntime": Entry("onnx_runtime", "Prediction", "onnxruntime", ("onnxruntime",)),
}

"""Declare a neural network in a `.net` file, train it by vectorised backpropagation, export it to ONNX.

`Network` is the whole of it from Python; the command `tflbp` is the same from a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network

__version__ = "0.1.0"
__all__ = ["Network", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Network":  # imported at the first use: `tflbp --help` needs no arrays
        from tensorflow_lite_bp.network import Network

        return Network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

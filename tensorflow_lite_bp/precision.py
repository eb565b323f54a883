"""The numbers that a network computes with, by the names of the setting `train.precision`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """``weights``: the dtype of weights, optimizer state, losses, and of all that is computed outside of a training
    step; ``half``: that of the layers of a training step which compute in 16 bits (None: there are none)."""

    weights: str
    half: str | None = None


PRECISIONS = {
    "float32": Precision("float32"),
    "float64": Precision("float64"),
    "mixed": Precision("float32", half="float16"),
    "mixed_bfloat16": Precision("float32", half="bfloat16"),
}

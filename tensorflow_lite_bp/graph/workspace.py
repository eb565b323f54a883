"""What one layer sees of the plan: its arrays by role (``X``, ``Y``, ``dX``, ``W``, ``dW``, buffers), a few facts."""

from __future__ import annotations

from typing import Any

from tensorflow_lite_bp.backend import Draw


class Workspace:
    """Arrays by role. A gradient that nobody needs is None, and so is a weight's in inference.

    Besides the roles:

    - ``m``: the samples in the whole batch (a shard sees fewer columns in its arrays);
    - ``draw``: the address of this layer's random numbers, for ``xp.uniform(ws.draw, out=...)``;
    - ``scale``: for losses, the factor of the file and the reduction.
    """

    def __init__(self, *, m: int, draw: Draw | None = None, scale: float = 1.0, **roles: Any) -> None:
        self.m = m
        self.draw = draw
        self.scale = scale
        self.__dict__.update(roles)

    def __getattr__(self, role: str) -> Any:
        raise AttributeError(f"no array of the role {role}: declare it in buffers() or weights()")

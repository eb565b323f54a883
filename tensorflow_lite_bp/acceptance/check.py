"""What the acceptance is made of: checks that are given a backend, and how each came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend import Backend

TOLERANCES = {
    "float16": (4e-3, 2e-3),
    "bfloat16": (3e-2, 2e-2),
    "float32": (2e-5, 2e-6),
    "float64": (1e-11, 1e-12),
}
"""Relative, and absolute in units of the array's largest number (or of 1, where that is larger). Two libraries may
round a transcendental function by some units in the last place, and add up in another order. In 16 bits a unit is 1e-3
or 8e-3, and what is added up is rounded once."""


class Failed(Exception):
    """The backend does not do what it must; the text says what was found and what was expected."""


class NotHere(Exception):
    """The check cannot be made here; the text says what it would need."""


@dataclass(frozen=True)
class Check:
    """``run`` returns what was found, in words, or raises `Failed` or `NotHere`."""

    group: str
    name: str
    run: Callable[[Backend], str]

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"

    def outcome(self, backend: Backend) -> Outcome:
        """Run it. Whatever else is raised is a failure too: the report must go on to the next check."""
        try:
            return Outcome(self.group, self.name, "passed", self.run(backend))
        except NotHere as error:
            return Outcome(self.group, self.name, "skipped", str(error))
        except Failed as error:
            return Outcome(self.group, self.name, "failed", str(error))
        except Exception as error:
            lines = str(error).strip().splitlines()
            return Outcome(self.group, self.name, "failed", ": ".join([type(error).__name__, *lines[:1]]))


@dataclass(frozen=True)
class Outcome:
    """``state`` is ``passed``, ``failed``, or ``skipped`` for what cannot be checked on this machine."""

    group: str
    name: str
    state: str
    found: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def close(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], dtype: str) -> str:
    """Hold arrays by name against NumPy's.

    Returns:
        The largest difference, in words.

    Raises:
        Failed: naming the array that is wrong, and its worst entry.
    """
    relative, absolute = TOLERANCES[dtype]
    if found.keys() != expected.keys():
        raise Failed(f"it gives {', '.join(found)}, and NumPy {', '.join(expected)}")
    largest = 0.0
    for name, wanted in expected.items():
        given = found[name]
        if (given.shape, given.dtype) != (wanted.shape, wanted.dtype):
            raise Failed(f"{name} is {given.dtype}{given.shape}, and {wanted.dtype}{wanted.shape} is expected")
        difference = np.abs(given.astype(np.float64) - wanted.astype(np.float64))
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        allowed = relative * np.abs(wanted) + absolute * scale
        wrong = ~(difference <= allowed)  # a NaN is wrong too
        if wrong.any():
            raise Failed(_worst(name, given, wanted, difference / allowed, int(wrong.sum())))
        largest = max(largest, float(difference.max(initial=0.0)) / scale)
    return f"largest difference {largest:.1e}"


def _worst(name: str, given: np.ndarray, wanted: np.ndarray, excess: np.ndarray, count: int) -> str:
    place = np.unravel_index(int(np.argmax(np.nan_to_num(excess, nan=np.inf))), excess.shape)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    return (
        f"{name}: {count} of {wanted.size} entries differ from NumPy's; "
        f"the worst, {name}{where}, is {given[place]:.9g} where NumPy has {wanted[place]:.9g}"
    )

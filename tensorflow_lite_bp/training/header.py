"""What a checkpoint holds besides arrays, as the texts of a safetensors file's metadata."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorflow_lite_bp.precision import PRECISIONS
from tensorflow_lite_bp.training.standalone import standalone

if TYPE_CHECKING:
    from tensorflow_lite_bp.network import Network


@cache
def versions() -> dict[str, str]:
    """Of what a result depends on."""
    from importlib.metadata import version

    return {
        "tensorflow_lite_bp": version("tensorflow_lite_bp"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class Header:
    """What a checkpoint holds besides arrays.

    Attributes:
        name, source: the `.net` text with its imports written out, and the file that messages name.
        overrides: settings given in the place of the file's.
        seed: of the network; with ``position`` it is the address of every random number to come.
        preprocessing: what was fitted on the training data, as JSON; None without data.
        class_weights: by target, the weight of each class in the losses.
        data: digest of the data; None when it was saved without.
        position: where in the training (`State.position`); empty when it was saved by hand.
    """

    name: str
    source: str
    overrides: tuple[str, ...]
    seed: int
    precision: str
    preprocessing: str | None = None
    class_weights: Mapping[str, Sequence[float]] = field(default_factory=dict)
    data: str | None = None
    position: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)

    @classmethod
    def of(cls, network: Network, **facts: Any) -> Header:
        """The header for a network as it is; ``facts`` are the fields that it cannot know."""
        program = network.program
        preprocessing = network.preprocessing.to_json() if network.preprocessing is not None else None
        class_weights = {
            item.inputs[1]: getattr(loss, "class_weights", ())
            for item, loss in network.graph.losses
            if not item.settings.get("class_weights")  # else the file has them
        }
        return cls(
            name=program.source.name if not program.imports else "network.net",
            source=standalone(program),
            overrides=program.overrides,
            seed=network.seed,
            precision=network.precision,
            preprocessing=preprocessing,
            class_weights={target: weights for target, weights in class_weights.items() if weights},
            **facts,
        )

    def to_metadata(self) -> dict[str, str]:
        """Text by text, as safetensors wants it; the source is readable as it is."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value if name in _TEXTS else json.dumps(value) for name, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Header:
        """Raises ValueError for what `to_metadata` never writes."""
        texts = required(metadata, _EXPECTED)
        values = {name: text if name in _TEXTS else strict_json(text) for name, text in texts.items()}
        for name, fits in _EXPECTED.items():
            if not fits(values[name]):
                raise ValueError(f"its `{name}` is {values[name]!r}")
        return cls(**{**values, "overrides": tuple(values["overrides"])})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_perhaps_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int | float) for item in value)


_TEXTS = frozenset({"name", "source", "precision"})
_EXPECTED: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "source": _is_text,
    "overrides": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "seed": lambda value: type(value) is int,
    "precision": lambda value: value in PRECISIONS,
    "preprocessing": _is_perhaps_text,
    "class_weights": lambda value: _is_object(value) and all(map(_is_list_of_numbers, value.values())),
    "data": _is_perhaps_text,
    "position": _is_object,
    "versions": _is_object,
}


def strict_json(text: str) -> Any:
    """JSON in which no object gives one key twice; raises ValueError for anything else."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def required(values: Any, names: Iterable[str]) -> dict[str, Any]:
    """The named values of an object; raises ValueError when one is missing."""
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    for name in names:
        if name not in values:
            raise ValueError(f"it has no `{name}`")
    return {name: values[name] for name in names}

"""All weights in one flat array: an update is a few passes over the whole, a weight's name is a view of its part."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, MutableMapping, Sequence
from math import prod
from typing import Any

import numpy as np

from dsl.types import show
from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.graph import WeightSpec


class FlatArrays:
    """One flat array of zeros and, by name, views of it in the shapes of the weights."""

    def __init__(self, backend: Backend, specs: Sequence[WeightSpec], dtype: np.dtype[Any]) -> None:
        self.flat = backend.zeros(sum(prod(spec.shape) for spec in specs), dtype=dtype)
        self.views: dict[str, Any] = {}
        start = 0
        for spec in specs:
            stop = start + prod(spec.shape)
            self.views[spec.name] = self.flat[start:stop].reshape(spec.shape)
            start = stop


class Weights(MutableMapping[str, np.ndarray]):
    """The weights of a network by name, as host arrays; assigning checks the shape and copies.

    ``trainable`` holds what gradients change, ``state`` what layers keep for themselves (running statistics);
    ``gradients`` lies beside ``trainable`` with the same places.
    """

    def __init__(self, backend: Backend, specs: Sequence[WeightSpec], dtype: np.dtype[Any]) -> None:
        self.backend = backend
        self.specs = {spec.name: spec for spec in specs}
        trainable = [spec for spec in specs if spec.trainable]
        self.trainable = FlatArrays(backend, trainable, dtype)
        self.gradients = FlatArrays(backend, trainable, dtype)
        self.state = FlatArrays(backend, [spec for spec in specs if not spec.trainable], dtype)
        self.arrays: dict[str, Any] = {
            name: self.trainable.views.get(name, self.state.views.get(name)) for name in self.specs
        }

    def initialize(self, seed: int) -> None:
        """First values, each weight from its own generator: a change elsewhere in the network does not move them."""
        for name, spec in self.specs.items():
            generator = Draw(seed, "weights", zlib.crc32(name.encode())).generator()
            self[name] = spec.initializer.draw(spec.shape, generator)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise KeyError(self._unknown(name))
        copy = np.array(self.backend.to_host(self.arrays[name]))
        copy.setflags(write=False)  # writing into the copy would change nothing: refuse it
        return copy

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.arrays:
            raise InputError(self._unknown(name))
        array = np.asarray(value)
        shape = self.specs[name].shape
        if array.shape != shape:
            raise InputError(f"weight `{name}` has the shape {show(shape)}, and {show(array.shape)} was given")
        if array.dtype.kind not in "fiub":
            raise InputError(f"weight `{name}` holds numbers, and an array of {array.dtype} was given")
        self.backend.copy_from_host(array.astype(self.arrays[name].dtype), out=self.arrays[name])

    def __delitem__(self, name: str) -> None:
        raise InputError(f"weight `{name}` belongs to the network: it can be assigned, not deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    def __repr__(self) -> str:
        rows = (f"  {name}: {show(spec.shape)}" for name, spec in self.specs.items())
        return "\n".join(["Weights(", *rows, ")"])

    def _unknown(self, name: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name, self.specs, n=1)
        hint = f": did you mean `{close[0]}`?" if close else f": the weights are {', '.join(self.specs)}"
        return f"no weight is named `{name}`{hint}"

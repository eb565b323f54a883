"""All weights in one flat array: an update is a few passes over the whole, a weight's name is a view of its part."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from math import prod
from typing import Any

import numpy as np

from dsl.types import show
from tensorflow_lite_bp.backend import Backend, Draw
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.graph import WeightSpec

_LINE = 16  # numbers from one possible start of a weight to the next: a cache line of float32


class FlatArrays:
    """One flat array of zeros and, by name, views of it in the shapes of the weights.

    Each weight starts on a cache line; what lies between stays zero, since its gradient is.
    """

    def __init__(self, backend: Backend, specs: Sequence[WeightSpec], dtype: np.dtype[Any]) -> None:
        starts = [0]
        for spec in specs:
            starts.append(-(-(starts[-1] + prod(spec.shape)) // _LINE) * _LINE)
        self.flat = backend.memory(starts[-1] * dtype.itemsize).view(dtype)
        self.flat.fill(0)
        self.views: dict[str, Any] = {
            spec.name: self.flat[start : start + prod(spec.shape)].reshape(spec.shape)
            for spec, start in zip(specs, starts, strict=False)
        }


class Weights(MutableMapping[str, np.ndarray]):
    """The weights of a network by name, as host arrays; assigning checks the shape and copies.

    ``trainable`` holds what gradients change, ``state`` what layers keep for themselves (running statistics);
    ``gradients`` lies beside ``trainable`` with the same places. Where work is queued, ``sound`` is a truth value on
    the device: from a step that is not finite on, none changes the weights until the host looks (`graph.measures`).

    Args:
        first: names of those that lie before all others.
    """

    def __init__(
        self, backend: Backend, specs: Sequence[WeightSpec], dtype: np.dtype[Any], *, first: Collection[str] = ()
    ) -> None:
        self.backend = backend
        self.specs = {spec.name: spec for spec in specs}
        trainable = [spec for spec in specs if spec.trainable]
        self._trainable, self._dtype = sorted(trainable, key=lambda spec: spec.name not in first), dtype
        self.trainable = FlatArrays(backend, self._trainable, dtype)
        self.gradients = FlatArrays(backend, self._trainable, dtype)
        self._shard_gradients = [self.gradients]
        self.state = FlatArrays(backend, [spec for spec in specs if not spec.trainable], dtype)
        self.sound: Any = backend.ones((), dtype=bool) if backend.queued else None
        self.arrays: dict[str, Any] = {
            name: self.trainable.views.get(name, self.state.views.get(name)) for name in self.specs
        }

    def shard_gradients(self, shard: int) -> FlatArrays:
        """Where a shard of the batch writes its part of the gradients; the first one's are ``gradients``."""
        while len(self._shard_gradients) <= shard:
            self._shard_gradients.append(FlatArrays(self.backend, self._trainable, self._dtype))
        return self._shard_gradients[shard]

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

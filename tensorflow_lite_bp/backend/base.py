"""The contract of a backend: an array module, and methods for the few things the two libraries do not spell alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np


@dataclass
class Draw:
    """The address of random numbers: the same address gives the same numbers, whatever was drawn before.

    ``purpose`` and ``index`` say what for (``"dropout"`` of the 3rd layer); ``step`` moves with the training, ``shard``
    is the part of the batch.
    """

    seed: int
    purpose: str
    index: int = 0
    step: int = 0
    shard: int = 0

    def generator(self) -> np.random.Generator:
        """A counter-based generator (Philox 4×64, Salmon et al. 2011) keyed by the whole address."""
        tag = int.from_bytes(self.purpose.encode()[:8].ljust(8, b"\0"), "little")
        seed = self.seed & 0xFFFFFFFFFFFFFFFF
        counter = np.array([0, self.step, self.index, self.shard], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=np.array([seed, tag], dtype=np.uint64), counter=counter))


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that arrays hold, and bytes that were taken from the device for them and are kept for the next ones."""

    used: int
    taken: int


@dataclass(frozen=True, eq=False)
class Call:
    """A call that was recorded, not made: `Backend.program` makes something of many."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Program(list[Callable[[], Any]]):
    """What is called in order, again and again. ``launches`` is how often that starts work on the device."""

    def __init__(self, calls: Iterable[Callable[[], Any]], launches: int) -> None:
        super().__init__(calls)
        self.launches = launches


class Backend:
    """Functions of the array module are reached as attributes: ``xp.matmul(A, B, out=C)``."""

    name: str
    options: Mapping[str, Any] = MappingProxyType({})
    """With what `get_backend` made it, besides its name."""
    module: Any
    threaded = False
    """Whether several threads compute at once, each on a shard of the batch."""
    cache: int | None = None
    """Bytes that stay in a core's fast memory: what chains of passes are cut to. None where that brings nothing."""
    queued = False
    """Whether calls return before they have computed, so that reading a number waits for all that was called. The work
    is done in the order of the calls, by one shard (`threaded` is false)."""
    staged = 0
    """How many batches may wait for their steps on the device: so many buffers does a `stager` have there."""
    waits = 0
    """How often the host has waited for queued work, in `to_host`, `read` and `synchronize`."""

    @property
    def whole(self) -> bool:
        """Whether a layer computes at once what it would cut into blocks for the cache: it takes more memory for it."""
        return self.cache is None

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.module, name)
        self.__dict__[name] = function  # the next use finds it at once
        return function

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy array of the same values (the array itself where it is one)."""
        raise NotImplementedError

    def read(self, array: Any, /) -> float:
        """The value of an array without axes (this waits, as `to_host` does)."""
        raise NotImplementedError

    def from_host(self, array: np.ndarray) -> Any:
        """An array of this backend with the same values."""
        raise NotImplementedError

    def copy_from_host(self, array: np.ndarray, *, out: Any) -> None:
        """Copy host values into an array of this backend of the same shape, converting the dtype."""
        raise NotImplementedError

    def stager(self, out: Any) -> Callable[[np.ndarray], None]:
        """`copy_from_host` for a place that gets other values with every step: where work is queued it waits for
        nothing, and yet the host array may be written to afterwards. What it needs for that is taken here."""
        return partial(self.copy_from_host, out=out)

    def uniform(self, draw: Draw, *, out: Any) -> None:
        """Fill with uniform numbers of [0, 1) from the host generator at this address: both backends draw the same.
        ``out`` is float32 or float64."""
        raise NotImplementedError

    def erf(self, x: Any, *, out: Any) -> Any:
        """The error function, elementwise."""
        raise NotImplementedError

    def take(self, array: Any, indices: Any, *, out: Any) -> Any:
        """The entries of a flat array at these indices, which must lie within it."""
        raise NotImplementedError

    def squares(self, array: Any, *, out: Any) -> Any:
        """The sum of the squares of a flat array; ``out`` has no axes."""
        return self.dot(array, array, out=out)

    def sum_shards(self, part: Any, *, out: Any) -> Any:
        """The sum of an array over all shards of the batch; outside of a plan there is one, so this is a copy."""
        self.copyto(out, part)
        return out

    def address(self, array: Any) -> int:
        """Where an array's memory starts."""
        raise NotImplementedError

    def memory(self, size: int) -> Any:
        """That many bytes in one array, its start aligned to a cache line."""
        raise NotImplementedError

    def memory_use(self) -> MemoryUse | None:
        """What this process's arrays take on the device; None where nobody counts."""
        return None

    def memory_left(self) -> int | None:
        """Bytes that can still be allocated; None where nobody knows."""
        return None

    def release_memory(self) -> None:
        """Give back to the device what is kept and not used."""

    def bind(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
        """A call that a plan makes over and over, in the form that costs least.

        With ``where``, a truth value without axes, an elementwise function or ``copyto`` writes only if that is true.
        """
        return partial(function, *args, **kwargs)

    def factor(self, dtype: Any) -> Any:
        """A number that recorded calls read as they read an array, and that ``fill`` changes from step to step."""
        return self.zeros((), dtype=dtype)

    def program(self, calls: Sequence[Call], *, private: Sequence[Any] = (), constants: Sequence[Any] = ()) -> Program:
        """Recorded calls, in the form that costs least to make all of them in order.

        Args:
            private: flat arrays in whose memory nobody looks when the calls are done.
            constants: arrays whose values never change.
        """
        return Program([self.bind(call.function, call.args, call.kwargs) for call in calls], len(calls))

    def synchronize(self) -> None:
        """Wait until everything that was started is done."""
        raise NotImplementedError

    def computing(self) -> AbstractContextManager[Any]:
        """The setting in which steps run: overflow is no warning, a value that is not finite is found afterwards."""
        raise NotImplementedError

    def threads(self, count: int | None) -> AbstractContextManager[Any]:
        """Limit the threads of the matrix products (None: as the machine has it)."""
        raise NotImplementedError

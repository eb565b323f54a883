"""One file for each checkpoint: a network with its weights, where its training stands, and all it takes to go on.

The file is a safetensors file, so any reader of that format opens it and nothing is ever unpickled. Weights stand
under their names, the optimizer's arrays as ``slot.<name>``; the metadata holds a `Header` and a checksum over
everything. A checkpoint may come from a stranger or from a machine that stopped, so it is read in two steps:
`open_checkpoint` looks at the head alone; `Stored.read` then reads only arrays of the names, shapes and dtypes that the
network computes.

The format: https://huggingface.co/docs/safetensors (its library accepts duplicate keys and tensors without values of
any size, so the head is looked at here first).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl import Source
from dsl.types import show
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.files import atomic_write
from tensorflow_lite_bp.precision import PRECISIONS
from tensorflow_lite_bp.table import checked
from tensorflow_lite_bp.training.header import Header, strict_json

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend import Backend
    from tensorflow_lite_bp.network import Network

_KIND = "tensorflow_lite_bp checkpoint"
_VERSION = 1
_SLOT = "slot."
_HEAD_LIMIT = 100_000_000  # bytes, the library's own; the head holds the source and what was fitted on the data
_AXIS_LIMIT = 1 << 31  # values along one axis, as in a `.net` file
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

Arrays = Mapping[str, np.ndarray]
Layout = tuple[np.dtype[Any], tuple[int, ...]]


class DamagedCheckpoint(InputError):
    """The file is not as it was written: cut short, or changed."""


# Writing


def write_checkpoint(
    path: Path | str, header: Header, weights: Arrays, slots: Arrays | None = None, *, previous: Path | None = None
) -> None:
    """Write a checkpoint whole or not at all, synced.

    Args:
        previous: under this name the file that stood at ``path`` is kept.

    Raises:
        InputError: when a weight is not finite: nobody could use the file.
        EnvironmentFailure: when there is no space or no permission.
    """
    for name, array in weights.items():
        _require_finite(name, array, f"cannot write `{path}`")
    arrays = {**weights, **{_SLOT + name: array for name, array in (slots or {}).items()}}
    assert len(arrays) == len(weights) + len(slots or {}), "a slot has the name of a weight"
    metadata = {"kind": _KIND, "format": str(_VERSION), **header.to_metadata()}
    digest = _begin_checksum(metadata)
    for name in sorted(arrays):
        _add_to_checksum(digest, name, arrays[name])
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # so each is aligned, as the format wants
    with atomic_write(path) as file:
        file.write(_head({**metadata, "checksum": digest.hexdigest()}, {name: arrays[name] for name in order}))
        for name in order:
            file.write(arrays[name].tobytes())
        if previous is not None and Path(path).exists():
            file.flush()
            os.replace(path, previous)


def _head(metadata: Mapping[str, str], arrays: Arrays) -> bytes:
    """The start of a safetensors file. Its library writes metadata in an order of chance; here equal states are equal
    bytes."""
    head: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, array in arrays.items():
        stop = start + array.nbytes
        head[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": (start, stop)}
        start = stop
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _begin_checksum(metadata: Mapping[str, str]) -> hashlib._Hash:
    """SHA-256 over the metadata; every array follows, in the order of their names."""
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())


def _add_to_checksum(digest: hashlib._Hash, name: str, array: np.ndarray) -> None:
    digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
    digest.update(array.tobytes())


def _require_finite(name: str, array: np.ndarray, consequence: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{consequence}: its weight `{name}` holds values that are not finite (NaN or infinity)")


# Reading


@dataclass(frozen=True)
class Stored:
    """A checkpoint whose head was read and found sound; its arrays still lie in the file."""

    path: Path
    header: Header
    layout: Mapping[str, Layout]
    metadata: Mapping[str, str]

    def read(self, weights: Mapping[str, tuple[int, ...]], slots: Mapping[str, Layout] | None = None) -> Contents:
        """The weights, and the slots where the expected ones are given (None reads none).

        Raises:
            InputError: when the file holds other arrays than the expected, or a weight that is not finite.
            DamagedCheckpoint: when the content is not what was written.
        """
        dtype = np.dtype(PRECISIONS[self.header.precision].weights)
        wanted = {name: (dtype, shape) for name, shape in weights.items()}
        wanted |= {_SLOT + name: layout for name, layout in (slots or {}).items()}
        allowed = dict(wanted)
        if slots is None:
            allowed |= {name: layout for name, layout in self.layout.items() if _is_slot(name, weights)}
        self._require(allowed)
        found = self._verified_arrays(wanted)
        for name in weights:
            _require_finite(name, found[name], f"`{self.path}` cannot be used")
        return Contents(
            {name: array for name, array in found.items() if name in weights},
            {name.removeprefix(_SLOT): array for name, array in found.items() if _is_slot(name, weights)},
        )

    def _require(self, allowed: Mapping[str, Layout]) -> None:
        """Exactly these arrays must lie in the file."""
        other = f"`{self.path}` is a checkpoint of another network:"
        for name, (dtype, shape) in allowed.items():
            if name not in self.layout:
                raise InputError(f"{other} it has no `{name}`")
            found_dtype, found_shape = self.layout[name]
            if (found_dtype, found_shape) != (dtype, shape):
                raise InputError(
                    f"{other} `{name}` is {found_dtype} {show(found_shape)} there, expected {dtype} {show(shape)}"
                )
        for name in self.layout:
            if name not in allowed:
                raise InputError(f"{other} it has `{name}`, and this network has no such array")

    def _verified_arrays(self, wanted: Container[str]) -> dict[str, np.ndarray]:
        """The wanted arrays; the others pass through memory one by one, for the checksum."""
        from safetensors import SafetensorError, safe_open

        digest = _begin_checksum({key: text for key, text in self.metadata.items() if key != "checksum"})
        found = {}
        try:
            with safe_open(self.path, framework="numpy") as file:
                for name in sorted(self.layout):
                    array = file.get_tensor(name)
                    _add_to_checksum(digest, name, array)
                    if name in wanted:
                        found[name] = array
        except SafetensorError as error:
            raise DamagedCheckpoint(f"`{self.path}` is damaged: {error}") from error
        if digest.hexdigest() != self.metadata.get("checksum"):
            raise DamagedCheckpoint(f"`{self.path}` is damaged: its checksum does not fit its content")
        return found


@dataclass(frozen=True)
class Contents:
    """The arrays of a checkpoint."""

    weights: Arrays
    slots: Arrays


def _is_slot(name: str, weights: Container[str]) -> bool:
    return name.startswith(_SLOT) and name not in weights


def open_checkpoint(path: Path | str) -> Stored:
    """Read the head of a checkpoint; see `Stored.read` for the arrays.

    Raises:
        InputError: when there is no such file, or it is no checkpoint that this version reads.
        DamagedCheckpoint: when it was cut short or changed.
    """
    path = Path(path)
    if not path.is_file():
        found = "is no file" if path.exists() else "does not exist"
        raise InputError(f"`{path}` {found}: expected a checkpoint (.safetensors) as `tflbp train` writes it")
    head = _read_head(path)
    metadata = head.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("kind") != _KIND:
        raise InputError(f"`{path}` is a safetensors file of another program: expected one that `tflbp train` wrote")
    if metadata.get("format") != str(_VERSION):
        raise InputError(
            f"`{path}` has the checkpoint format {metadata.get('format')}, and this version of tflbp reads "
            f"{_VERSION}: use the version of tensorflow_lite_bp that wrote it"
        )
    try:
        layout = {name: _layout(entry) for name, entry in head.items()}
        return Stored(path, Header.from_metadata(metadata), layout, metadata)
    except (ValueError, KeyError, TypeError) as error:  # the latter two from `_layout`
        raise DamagedCheckpoint(f"`{path}` is damaged: its head is not as tflbp writes it ({error})") from error


def _read_head(path: Path) -> dict[str, Any]:
    """The JSON object at the start of a safetensors file: eight bytes with its length stand before it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEAD_LIMIT:
            raise InputError(f"`{path}` is no checkpoint: it does not start as a safetensors file does")
        text = file.read(length)
    if len(text) < length or size < 8:
        raise DamagedCheckpoint(
            f"`{path}` is cut short: {size:,} bytes are left, and its head alone has {length + 8:,}"
        )
    try:
        head = strict_json(text.decode())
        if not isinstance(head, dict):
            raise ValueError("it is no object")
        end = max((entry["data_offsets"][1] for name, entry in head.items() if name != "__metadata__"), default=0)
        whole = 8 + length + int(end)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"`{path}` is no checkpoint: its head is not that of a safetensors file ({error})") from error
    if size < whole:
        raise DamagedCheckpoint(f"`{path}` is cut short: {size:,} of its {whole:,} bytes are left")
    return head


def _layout(entry: Any) -> Layout:
    """The dtype and shape of one array; raises ValueError, KeyError or TypeError for what no checkpoint holds."""
    shape = tuple(entry["shape"])
    if any(type(size) is not int or not 0 <= size <= _AXIS_LIMIT for size in shape):
        raise ValueError(f"an array of the shape {show(shape)}")
    return _DTYPES[entry["dtype"]], shape


# Networks


def save_network(network: Network, path: Path | str) -> None:
    """Write a checkpoint of a network's weights, without a position to go on from."""
    write_checkpoint(path, Header.of(network), network.weights)


def load_network(path: Path | str, *, backend: str | Backend = "numpy") -> Network:
    """The network of a run folder (its best weights) or of one checkpoint.

    Raises:
        InputError: when it is neither, or damaged, or its source does not check.
    """
    from tensorflow_lite_bp.data import Preprocessing
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.training.run import Run

    stored = open_checkpoint(Run.open(path).best if Path(path).is_dir() else path)
    header = stored.header
    program = checked(Source(header.name, header.source), overrides=header.overrides)
    network = Network(program, seed=header.seed, precision=header.precision, backend=backend)
    contents = stored.read({spec.name: spec.shape for spec in network.graph.weights})
    for name, array in contents.weights.items():
        network.weights[name] = array
    if header.class_weights:
        network.use_class_weights({name: tuple(weights) for name, weights in header.class_weights.items()})
    if header.preprocessing is not None:
        network.preprocessing = Preprocessing.from_json(program, header.preprocessing)
    return network

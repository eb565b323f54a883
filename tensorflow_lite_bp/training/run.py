"""The run folder: everything about one training, readable without this program.

::

    runs/digits-001/
      network.net                 the source, its imports written out
      run.json                    settings, seed, versions, digest of the data; the result once there is one
      metrics.csv                 a line for each finished epoch
      best.safetensors            the weights of the best epoch
      last.safetensors            the newest state, to go on from
      last.previous.safetensors   the state before that, in case the newest is damaged
      curves.svg                  with the extra `plots`
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.files import atomic_write, sweep_temporaries
from tensorflow_lite_bp.training.checkpoint import (
    Arrays,
    Contents,
    DamagedCheckpoint,
    Layout,
    open_checkpoint,
    write_checkpoint,
)
from tensorflow_lite_bp.training.header import Header, required, strict_json, versions

_BEST, _LAST, _PREVIOUS = "best.safetensors", "last.safetensors", "last.previous.safetensors"
_VERSION = 1
_INFO_LIMIT = 64 << 20  # bytes of run.json
_KINDS = {"file": str, "folder": str, "overrides": list, "seed": int, "backend": str, "options": dict, "data": dict}
_OPTIONS = {"device": int, "memory_limit": str, "tf32": bool}
"""What a run is resumed with must be of its kind: the file may be a stranger's."""

Expect = Callable[[Header], tuple[Mapping[str, tuple[int, ...]], Mapping[str, Layout]]]
"""Looks at a header and says which weights and slots its network has; raises what speaks against using it."""


@dataclass(frozen=True)
class RunInfo:
    """What ``run.json`` holds.

    Attributes:
        name: of the network.
        file: the `.net` file as it was typed.
        folder: where the paths of its data section start.
        overrides: settings given in the place of the file's (``train.epochs=5``).
        options: of the backend, as `backend.get_backend` takes them.
        settings: the train section, complete.
        data: ``digest``, and ``rows`` of each split.
        result: `training.result.Result.to_json`, None until training is done.
    """

    name: str
    file: str
    folder: str
    overrides: list[str]
    seed: int
    precision: str
    backend: str
    threads: int | None
    settings: dict[str, Any]
    data: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    result: dict[str, Any] | None = None

    def to_json(self) -> str:
        return json.dumps(plain({"format": _VERSION, **asdict(self)}), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunInfo:
        """Raises ValueError for what `to_json` never writes."""
        values = strict_json(text)
        if required(values, ["format"])["format"] != _VERSION:
            raise ValueError(f"its format is {values['format']}, and this version of tflbp reads {_VERSION}")
        values.setdefault("options", {})  # what 0.1.0 wrote has none
        info = cls(**required(values, [item.name for item in fields(cls)]))
        for name, kind in _KINDS.items():
            if not isinstance(values[name], kind):
                raise ValueError(f"its `{name}` is {values[name]!r}")
        for name, kind in _OPTIONS.items():
            if type(info.options.get(name)) not in (kind, NoneType):
                raise ValueError(f"its option `{name}` is {info.options[name]!r}")
        return info


def plain(value: Any) -> Any:
    """Only what JSON has: checked calls become ``{"name": …, settings}``, what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    settings = value.settings if hasattr(value, "settings") else asdict(value)
    return {"name": value.name, **plain(settings)}


class Run:
    """A run folder.

    Attributes:
        folder: as it was given.
        info: what ``run.json`` holds, once `begin` has written it.
    """

    def __init__(self, folder: Path, info: RunInfo | None = None) -> None:
        self.folder = folder
        self._info = info

    # Finding the folder

    @classmethod
    def create(cls, name: str, *, out: Path | str | None = None) -> Run:
        """A new, empty folder: ``out``, or ``runs/<name>-001`` with the next number.

        Raises:
            InputError: when ``out`` exists and is no empty folder.
            EnvironmentFailure: when the folder cannot be made.
        """
        if out is not None:
            return cls(_given(Path(out)))
        while True:
            with suppress(FileExistsError):  # a training that started in this moment took the number
                return cls(_make(_next_free(Path("runs"), name)))

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """The run in a folder.

        Raises:
            InputError: when there is no such folder, it is no run folder, or its ``run.json`` is damaged.
        """
        folder = Path(path)
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"`{path}` {found}: expected a run folder, such as `tflbp train` makes under runs/")
        file = folder / "run.json"
        if not file.is_file():
            raise InputError(f"`{path}` is no run folder: expected one that `tflbp train` made, with a run.json in it")
        if file.stat().st_size > _INFO_LIMIT:
            raise InputError(f"`{file}` is too large to be a run's: expected what `tflbp train` wrote")
        try:
            return cls(folder, RunInfo.from_json(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise InputError(f"`{file}` is damaged: it is not as `tflbp train` writes it ({error})") from error

    def abandon(self) -> None:
        """Remove the folder if it is empty, as when training could not even begin."""
        with suppress(OSError):
            self.folder.rmdir()

    # What lies in it

    @property
    def info(self) -> RunInfo:
        assert self._info is not None, "the run has not begun"
        return self._info

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch.

        Raises:
            InputError: when no epoch has been saved.
        """
        path = self._path(_BEST)
        if not path.is_file():
            raise InputError(
                f"`{self.folder}` has no {_BEST}: its training was stopped before an epoch was finished and saved; go "
                f"on with `tflbp train {self.info.file} --resume {self.folder}`"
            )
        return path

    def _path(self, name: str) -> Path:
        return self.folder / name

    # Writing

    def begin(self, source: str, info: RunInfo, metrics: str) -> None:
        """Write what is known before the next step: ``run.json``, the source, and ``metrics.csv`` so far.

        Once ``run.json`` is there the run can be resumed, so it comes first.
        """
        sweep_temporaries(self.folder)
        self._set(info)
        self._write("network.net", source)
        self._write("metrics.csv", metrics)

    def add_metrics(self, line: str) -> None:
        """Add an epoch to ``metrics.csv``. A killed process may leave half a line: `begin` writes the file anew."""
        path = self._path("metrics.csv")
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise EnvironmentFailure(f"cannot write `{path}`: {error.strerror or error}") from error

    def save_best(self, header: Header, weights: Arrays) -> None:
        write_checkpoint(self._path(_BEST), header, weights)

    def save_last(self, header: Header, weights: Arrays, slots: Arrays) -> None:
        """Write the newest state; the one before it is kept."""
        write_checkpoint(self._path(_LAST), header, weights, slots, previous=self._path(_PREVIOUS))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result into ``run.json``."""
        self._set(replace(self.info, result=result))

    def _set(self, info: RunInfo) -> None:
        self._info = info
        self._write("run.json", info.to_json())

    def _write(self, name: str, text: str) -> None:
        with atomic_write(self._path(name)) as file:
            file.write(text.encode())

    # Going on

    def read_last(self, expect: Expect) -> tuple[Header, Contents, str] | None:
        """The newest sound state, with a sentence about what was wrong with a newer one (empty when nothing was).

        None when nothing was saved yet: the training then starts anew, and being exact comes to the same.

        Raises:
            InputError: when all that was saved is damaged, or ``expect`` refuses it.
        """
        damage: list[str] = []
        for path in (self._path(_LAST), self._path(_PREVIOUS)):
            if not path.exists():  # a kill between two renames leaves only the previous one, which is whole
                continue
            try:
                stored = open_checkpoint(path)
                weights, slots = expect(stored.header)
                note = f"{damage[0]}: going on from `{path.name}`, the state saved before it" if damage else ""
                return stored.header, stored.read(weights, slots), note
            except DamagedCheckpoint as error:
                damage.append(str(error))
        if damage:
            raise InputError(f"{'; '.join(damage)}: nothing is left to go on from, so train again in another folder")
        return None

    def read_best(self, weights: Mapping[str, tuple[int, ...]]) -> tuple[Header, Arrays] | None:
        """The best weights saved so far; None before there were any."""
        if not self._path(_BEST).exists():
            return None
        stored = open_checkpoint(self._path(_BEST))
        return stored.header, stored.read(weights).weights


def _given(folder: Path) -> Path:
    """A new or empty folder at the place that the user named."""
    if folder.is_dir():
        sweep_temporaries(folder)
        if any(folder.iterdir()):
            raise InputError(
                f"cannot write the run to `{folder}`: the folder is not empty; name a new one, or go on with the run "
                "in it with --resume"
            )
        return folder
    if folder.exists():
        raise InputError(f"cannot write the run to `{folder}`: it is a file, and a new or empty folder is expected")
    return _make(folder)


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise _cannot_make(folder, error) from error
    return folder


def _cannot_make(folder: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"cannot make the run folder `{folder}`: {error.strerror or error}; name another place with --out"
    )


def _next_free(parent: Path, name: str) -> Path:
    """``<name>-001``, or the number after the highest that is taken."""
    pattern = re.compile(rf"{re.escape(name)}-(\d{{3,}})")
    taken = [pattern.fullmatch(path.name) for path in parent.iterdir()] if parent.is_dir() else []
    number = max((int(match[1]) for match in taken if match is not None), default=0) + 1
    return parent / f"{name}-{number:03}"

"""Data files: which ones a `.net` file may name, which ones a person may, and the digest of what was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tensorflow_lite_bp.data.words import quoted
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

_DIGEST_BLOCK = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """A file to read: the name people know it by, and where it is."""

    name: str
    path: Path


def file_inside(folder: Path, typed: str) -> DataFile:
    """The file that a `.net` file names, which must be a regular file inside the folder of that file.

    A `.net` file may come from a stranger. So links are followed before the place is judged, and a file with a second
    hard link, which could be anybody's, is refused.

    Raises:
        InputError: when it is missing, elsewhere, or not a plain file of its own.
        EnvironmentFailure: when it may not be read.
    """
    if not typed or not typed.isprintable():
        raise InputError(f"{quoted(typed)} is no path of a data file")
    home = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(home, typed))
    if os.path.commonpath([home, path]) != home:
        raise InputError(
            f"{quoted(typed)} leads outside the folder of the .net file, which reads only data that lies with it: "
            f"copy the file there, and write its new path"
        )
    file = _readable(DataFile(typed, Path(path)))
    if os.stat(path).st_nlink > 1:
        raise InputError(
            f"{quoted(typed)} is a hard link, so the same file also lies elsewhere: replace it by a copy "
            f"(cp --remove-destination does that)"
        )
    return file


def file_typed(typed: str | Path) -> DataFile:
    """The file that a person names, wherever it is.

    Raises:
        InputError: when it is missing or no regular file.
        EnvironmentFailure: when it may not be read.
    """
    return _readable(DataFile(str(typed), Path(typed)))


def _readable(file: DataFile) -> DataFile:
    """The file itself, after a look at what it is."""
    shown = quoted(file.name)
    try:
        mode = os.stat(file.path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{shown} does not exist (looked for {file.path.absolute()})") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown} is a folder; expected a data file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown} is no regular file (a pipe or a device): save its content to a file first")
    if not os.access(file.path, os.R_OK):
        raise EnvironmentFailure(f"no permission to read {shown}")
    return file


def digest_of(files: Iterable[DataFile]) -> str:
    """The sha256 of the files' bytes one after the other; for one file what ``sha256sum`` prints."""
    import hashlib

    digest = hashlib.sha256()
    for file in files:
        with file.path.open("rb") as opened:
            while block := opened.read(_DIGEST_BLOCK):
                digest.update(block)
    return digest.hexdigest()

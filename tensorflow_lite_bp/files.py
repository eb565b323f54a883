"""Write files whole or not at all: to a temporary name in the same folder, synced, then renamed.

A process killed at any instant leaves the old file or the new one. What it may leave besides, a temporary, is hidden
and swept at the next start.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tensorflow_lite_bp.errors import EnvironmentFailure, InputError, TflbpError

_SUFFIX = ".tflbp-tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def atomic_write(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write bytes to, which becomes ``path`` when the block ends well and vanishes when it does not.

    Until then ``path`` stays as it was. The file's ``name`` is that of the temporary, in the same folder: flush, and
    what was written can be read back from there before it counts. A link is followed, permissions are kept.

    Raises:
        InputError: when the folder does not exist, or ``path`` is a folder or a device.
        EnvironmentFailure: when there is no permission or no space.
    """
    target = Path(os.path.realpath(path))
    try:
        _check_target(target, shown=path)
        temporary = target.parent / f".{secrets.token_hex(8)}{_SUFFIX}"
        file = temporary.open("xb")
    except OSError as error:
        raise _explained(error, path) from error
    try:
        with file:
            _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (temporary, target):
            raise  # about another file, which the block has touched
        raise _explained(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep_temporaries(folder: Path | str) -> None:
    """Remove what writers that were killed have left in a folder; those that still write keep theirs."""
    for path in Path(folder).glob(f".*{_SUFFIX}"):
        with suppress(OSError), path.open("rb") as file:
            _lock(file)
            path.unlink()


def _check_target(target: Path, *, shown: Path | str) -> None:
    if target.is_dir():
        raise InputError(f"cannot write `{shown}`: it is a folder, and a file's name is expected")
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write `{shown}`: it is no regular file, so it cannot be replaced; name another file")
    if not target.parent.is_dir():
        raise InputError(f"cannot write `{shown}`: the folder `{Path(shown).parent}` does not exist; make it first")


def _explained(error: OSError, path: Path | str) -> TflbpError:
    """What the system said, as a sentence."""
    if error.errno in _FULL:
        return EnvironmentFailure(
            f"cannot write `{path}`: the disk is full; nothing was changed, so free some space and try again"
        )
    if error.errno in _FORBIDDEN:
        return EnvironmentFailure(
            f"cannot write `{path}`: no permission to write in `{Path(path).parent}`; name a file in another folder"
        )
    return EnvironmentFailure(f"cannot write `{path}`: {error.strerror or error}; nothing was changed")


def _lock(file: BinaryIO) -> None:
    """Mark a temporary as being written; raises OSError when another process has.

    The system takes the mark away with the process, however that ends. Windows needs none: it refuses to remove a file
    that somebody has open.
    """
    if os.name == "posix":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; only POSIX can open a folder for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

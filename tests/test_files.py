"""A file is written whole or not at all: kills, full disks, missing permissions and odd targets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import BinaryIO

import pytest

from tensorflow_lite_bp.errors import EnvironmentFailure, InputError
from tensorflow_lite_bp.files import atomic_write, sweep_temporaries


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(file: BinaryIO, error: BaseException | type[BaseException] | None) -> None:
    file.write(b"new")
    if error is not None:
        raise error


def test_a_new_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with atomic_write(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
        assert Path(file.name).parent == tmp_path
        assert Path(file.name).read_bytes() == b"whole"
    assert contents(tmp_path) == {"model.onnx": b"whole"}


def test_a_file_has_the_permissions_that_people_expect(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    before = os.umask(0o022)
    try:
        with atomic_write(path) as file:
            file.write(b"first")
        assert path.stat().st_mode & 0o777 == 0o644
        path.chmod(0o640)
        with atomic_write(path) as file:
            file.write(b"second")
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "model.onnx", []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        what = "folder" if os.path.samestat(os.fstat(descriptor), tmp_path.stat()) else "file"
        synced.append((what, os.fstat(descriptor).st_size if what == "file" else None, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with atomic_write(path) as file:
        file.write(b"whole")
    assert synced == [("file", 5, False), ("folder", None, True)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        interrupted(file, error)
    assert contents(tmp_path) == {"model.onnx": b"old"}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "model.onnx")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"whole")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == {"model.onnx": b"whole"}


def refused(path: Path | str, body: OSError | None = None) -> tuple[type, str]:
    """The error that writing to this path ends with, when the block raises ``body`` after some bytes."""
    with pytest.raises((InputError, EnvironmentFailure)) as caught, atomic_write(path) as file:
        interrupted(file, body)
    return caught.type, str(caught.value)


def test_targets_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    assert refused("folder") == (InputError, "cannot write `folder`: it is a folder, and a file's name is expected")
    assert refused("pipe") == (
        InputError,
        "cannot write `pipe`: it is no regular file, so it cannot be replaced; name another file",
    )
    assert refused("missing/model.onnx") == (
        InputError,
        "cannot write `missing/model.onnx`: the folder `missing` does not exist; make it first",
    )
    assert refused(tmp_path / ("n" * 300)) == (
        EnvironmentFailure,
        f"cannot write `{tmp_path / ('n' * 300)}`: File name too long; nothing was changed",
    )
    assert names(tmp_path) == ["folder", "pipe"]


def test_a_full_disk_and_a_missing_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(b"old")
    full = OSError(28, "No space left on device")
    assert refused("model.onnx", full) == (
        EnvironmentFailure,
        "cannot write `model.onnx`: the disk is full; nothing was changed, so free some space and try again",
    )
    locked = PermissionError(13, "Permission denied", str(tmp_path / "model.onnx"))
    assert refused("model.onnx", locked) == (
        EnvironmentFailure,
        "cannot write `model.onnx`: no permission to write in `.`; name a file in another folder",
    )
    assert contents(tmp_path) == {"model.onnx": b"old"}


def test_a_limit_on_file_sizes_is_an_error_of_the_environment(tmp_path: Path) -> None:
    """A real refusal by the system, in a process of its own whose files may hold 4 kB."""
    code = f"""
        import resource, signal
        from tensorflow_lite_bp.errors import EnvironmentFailure
        from tensorflow_lite_bp.files import atomic_write
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            with atomic_write("{tmp_path}/model.onnx") as file:
                file.write(bytes(1 << 20))
        except EnvironmentFailure as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write `{tmp_path}/model.onnx`: File too large; nothing was changed\n"
    assert contents(tmp_path) == {}


def test_an_error_about_another_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "copy"):
        (tmp_path / "original").read_bytes()
    assert contents(tmp_path) == {}


def test_sweeping_removes_what_the_killed_left_and_nothing_else(tmp_path: Path) -> None:
    code = f"""
        import sys
        from tensorflow_lite_bp.files import atomic_write
        with atomic_write("{tmp_path}/killed") as file:
            file.write(bytes(100))
            print("writing", flush=True)
            sys.stdin.read()
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (tmp_path / ".hidden").write_bytes(b"of somebody else")
        sweep_temporaries(tmp_path)
        assert len(names(tmp_path)) == 2  # the writer lives
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(names(tmp_path)) == 2
    sweep_temporaries(tmp_path)
    assert contents(tmp_path) == {".hidden": b"of somebody else"}
    sweep_temporaries(tmp_path / "missing")

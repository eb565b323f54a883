"""Every exception becomes one sentence and an exit code; nobody sees a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tensorflow_lite_bp.cli import _failure, main
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError, NumericalFailure

OS_ERRORS = [
    (errno.ENOENT, 1, "input", "`a.net` does not exist"),
    (errno.EISDIR, 1, "input", "`a.net` is a folder, and a file is needed"),
    (errno.ENOTDIR, 1, "input", "`a.net` goes through a file as if it were a folder"),
    (errno.EEXIST, 1, "input", "`a.net` exists already: choose another name or remove it"),
    (errno.ENAMETOOLONG, 1, "input", "the name of `a.net` is too long for this file system"),
    (errno.EACCES, 3, "environment", "no permission for `a.net`"),
    (errno.EROFS, 3, "environment", "`a.net` is on a file system that cannot be written"),
    (
        errno.ENOSPC,
        3,
        "environment",
        "no space is left on the disk for `a.net`: free some, or write elsewhere",
    ),
    (errno.EIO, 3, "environment", f"`a.net` cannot be read or written: {os.strerror(errno.EIO)}"),
]


@pytest.mark.parametrize(("number", "exit_code", "kind", "message"), OS_ERRORS)
def test_os_errors_name_the_file(number: int, exit_code: int, kind: str, message: str) -> None:
    failure = _failure.failure_of(OSError(number, os.strerror(number), "a.net"))
    assert (failure.exit_code, failure.kind, failure.message) == (exit_code, kind, message)


@pytest.mark.parametrize(
    ("error", "exit_code", "kind", "message"),
    [
        (InputError("row 3 holds a text"), 1, "input", "row 3 holds a text"),
        (EnvironmentFailure("no GPU"), 3, "environment", "no GPU"),
        (NumericalFailure("the loss is not finite"), 3, "numerical", "the loss is not finite"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted"),
        (typer.Abort(), 130, "interrupted", "interrupted"),
        (
            MemoryError("Unable to allocate 3.5 GiB"),
            3,
            "environment",
            "not enough memory (MemoryError: Unable to allocate 3.5 GiB): a smaller batch (--set train.batch=…) or "
            "network needs less",
        ),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            1,
            "input",
            "a text is not in UTF-8 ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte): "
            "save it as UTF-8",
        ),
        (
            ZeroDivisionError("division by zero"),
            3,
            "internal",
            "this is a mistake in tflbp itself (ZeroDivisionError: division by zero): please report it, with the "
            "command and the file; TFLBP_TRACEBACK=1 shows where it happened",
        ),
        (AssertionError(), 3, "internal", None),
        (RecursionError("maximum recursion depth exceeded\nwhile"), 3, "internal", None),
    ],
)
def test_exceptions(error: BaseException, exit_code: int, kind: str, message: str | None) -> None:
    failure = _failure.failure_of(error)
    assert (failure.exit_code, failure.kind) == (exit_code, kind)
    assert "\n" not in failure.message
    if message is not None:
        assert failure.message == message


def test_a_failing_gpu_is_no_mistake_of_ours() -> None:
    """As CuPy raises it: a kind of its own, from a module of its own."""
    kind = type("CUDARuntimeError", (RuntimeError,), {"__module__": "cupy_backends.cuda.api.runtime"})
    failure = _failure.failure_of(kind("cudaErrorIllegalAddress: an illegal memory access was encountered"))
    assert (failure.exit_code, failure.kind) == (3, "environment")
    assert failure.message == (
        "the GPU failed (CUDARuntimeError: cudaErrorIllegalAddress: an illegal memory access was encountered): "
        "`tflbp doctor --backend cupy` says what works here, and --backend numpy needs none of it"
    )


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["summary"], "missing argument 'FILE'", "tflbp summary --help says what can be typed"),
        (["nothing"], "no such command 'nothing'", "tflbp --help says what can be typed"),
        (["summary", "a.net", "--jsn"], "no such option: --jsn", "tflbp summary --help says what can be typed"),
    ],
)
def test_usage_errors(args: list[str], message: str, hint: str, tflbp) -> None:
    ran = tflbp(*args)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {message}")
    assert ran.stderr.endswith(f"\n{hint}\n")


def test_usage_error_as_json(tflbp) -> None:
    ran = tflbp("summary", "--json")
    assert ran.exit_code == 2
    assert ran.json == {"error": {"kind": "usage", "message": "missing argument 'FILE'", "exit_code": 2}}
    assert ran.stderr.startswith("error: missing argument 'FILE'\n")


@pytest.fixture
def broken_command(monkeypatch: pytest.MonkeyPatch):
    """A command that raises what the test wants, in the place of `summary`."""

    def install(error: BaseException) -> None:
        from tensorflow_lite_bp.cli import summary

        def raising(file: str, json: bool = False) -> None:
            raise error

        monkeypatch.setattr(summary, "summary", raising)

    return install


def test_an_unexpected_exception_is_one_sentence(broken_command, tflbp) -> None:
    broken_command(KeyError("what"))
    ran = tflbp("summary", "a.net", "--json")
    assert ran.exit_code == 3
    assert ran.json["error"]["kind"] == "internal"
    assert ran.stderr.count("\n") == 1


def test_traceback_on_demand(broken_command, monkeypatch, capsys) -> None:
    monkeypatch.setenv("TFLBP_TRACEBACK", "1")
    broken_command(KeyError("what"))
    assert main(["summary", "a.net"]) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_interrupt(broken_command, tflbp) -> None:
    broken_command(KeyboardInterrupt())
    ran = tflbp("summary", "a.net")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (130, "", "error: interrupted\n")


def _shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = line.replace("tflbp", f"{sys.executable} -m tensorflow_lite_bp", 1)
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    ran = _shell("set -o pipefail; tflbp reference | head -1", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_below_stdout(tmp_path: Path) -> None:
    ran = _shell("tflbp reference > /dev/full", tmp_path)
    assert ran.returncode == 3
    assert ran.stderr == "error: no space is left on the disk for a file: free some, or write elsewhere\n"


def test_closed_streams(tmp_path: Path) -> None:
    assert _shell("tflbp summary nowhere.net >&- 2>&-", tmp_path).returncode == 1

"""The one place where an exception becomes a sentence, an exit code and an object for ``--json``.

Exit codes: 0 done, 1 the input is wrong, 2 the command line is wrong, 3 a numerical or environment failure, 130
interrupted.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import counted
from tensorflow_lite_bp.errors import NumericalFailure, TflbpError

if TYPE_CHECKING:
    from dsl.diagnostics import Diagnostic

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # the base of all usage errors, which typer does not name

_SENTENCES = {
    errno.ENOENT: (1, "{path} does not exist"),
    errno.EISDIR: (1, "{path} is a folder, and a file is needed"),
    errno.ENOTDIR: (1, "{path} goes through a file as if it were a folder"),
    errno.EEXIST: (1, "{path} exists already: choose another name or remove it"),
    errno.ENOTEMPTY: (1, "{path} is not empty: choose another name or remove it"),
    errno.ENAMETOOLONG: (1, "the name of {path} is too long for this file system"),
    errno.ELOOP: (1, "{path} is a symbolic link that leads back to itself"),
    errno.EACCES: (3, "no permission for {path}"),
    errno.EPERM: (3, "no permission for {path}"),
    errno.EROFS: (3, "{path} is on a file system that cannot be written"),
    errno.ENOSPC: (3, "no space is left on the disk for {path}: free some, or write elsewhere"),
    errno.EDQUOT: (3, "the disk quota is used up, and {path} cannot be written: free some space, or write elsewhere"),
    errno.EFBIG: (3, "{path} would be larger than this file system or a limit of the shell allows"),
    errno.EMFILE: (3, "too many files are open to open {path}: raise the limit (ulimit -n)"),
}


@dataclass(frozen=True)
class Failure:
    """Why a command did not do what was asked.

    ``text`` is what people see; the message by default. ``details`` are further keys of the object for ``--json``.
    """

    kind: str  # input, usage, environment, numerical, interrupted, internal
    message: str
    exit_code: int
    text: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def answer(self) -> Answer:
        """What is printed: text on stderr, one object on stdout for ``--json``."""
        error = {"kind": self.kind, "message": self.message, "exit_code": self.exit_code, **self.details}
        text = self.text if self.text is not None else f"error: {self.message}"
        return Answer({"error": error}, notes=text, exit_code=self.exit_code)


def failure_of(error: BaseException) -> Failure:
    """What an exception means for the person who typed the command."""
    for kinds, describe in _KINDS:
        if isinstance(error, kinds):
            return describe(error)
    from tensorflow_lite_bp.backend.cuda import comes_from_gpu

    if comes_from_gpu(error):
        return _from_gpu(error)
    return Failure(
        "internal",
        f"this is a mistake in tflbp itself ({_first_line(error)}): please report it, with the command and the file; "
        "TFLBP_TRACEBACK=1 shows where it happened",
        3,
    )


def _from_tflbp_error(error: Any) -> Failure:
    kind = "numerical" if isinstance(error, NumericalFailure) else "environment" if error.exit_code == 3 else "input"
    diagnostics: Sequence[Diagnostic] = getattr(error, "diagnostics", ())
    if not diagnostics:
        return Failure(kind, str(error), error.exit_code)
    mistakes = [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
    message = f"{counted(len(mistakes), 'mistake')} in {mistakes[0].span.source.name}"
    details = {"diagnostics": [diagnostic.to_json() for diagnostic in diagnostics]}
    return Failure(kind, message, error.exit_code, text=str(error), details=details)


def _from_interrupt(error: BaseException) -> Failure:
    return Failure("interrupted", str(error) or "interrupted", 130)


def _from_usage_error(error: Any) -> Failure:
    context = error.ctx
    path = context.command_path if context is not None else "tflbp"
    said = " ".join(str(error.format_message()).split()).removesuffix(".")
    message = said[:1].lower() + said[1:]
    return Failure("usage", message, 2, text=f"error: {message}\n{path} --help says what can be typed")


def _from_memory_error(error: BaseException) -> Failure:
    found = f" ({_first_line(error).rstrip('.')})" if str(error) else ""
    return Failure(
        "environment", f"not enough memory{found}: a smaller batch (--set train.batch=…) or network needs less", 3
    )


def _from_gpu(error: BaseException) -> Failure:
    return Failure(
        "environment",
        f"the GPU failed ({_first_line(error)}): `tflbp doctor --backend cupy` says what works here, and "
        "--backend numpy needs none of it",
        3,
    )


def _from_unicode_error(error: BaseException) -> Failure:
    return Failure("input", f"a text is not in UTF-8 ({error}): save it as UTF-8", 1)


def _from_os_error(error: Any) -> Failure:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    path = f"`{names[-1]}`" if names else "a file"
    exit_code, sentence = _SENTENCES.get(error.errno or 0, (3, ""))
    if not sentence:
        found = error.strerror or _first_line(error)
        return Failure("environment", f"{path} cannot be read or written: {found}", 3)
    return Failure("input" if exit_code == 1 else "environment", sentence.format(path=path), exit_code)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


_KINDS: tuple[tuple[Any, Callable[[Any], Failure]], ...] = (
    (TflbpError, _from_tflbp_error),
    (_USAGE_ERROR, _from_usage_error),
    ((KeyboardInterrupt, typer.Abort), _from_interrupt),
    (MemoryError, _from_memory_error),
    (OSError, _from_os_error),
    (UnicodeError, _from_unicode_error),
)

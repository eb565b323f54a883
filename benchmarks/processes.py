"""The other end of `worker`: start a contender's process, send it messages, end it."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.work import Task

CHECKOUT = Path(__file__).parent.parent


class WorkerFailed(Exception):
    """A contender cannot take part; the text says why."""


class Worker:
    """A process with one contender at one task. Leaving the context ends it.

    Attributes:
        shapes: of what it trains.

    Raises:
        WorkerFailed: when the contender cannot be made.
    """

    def __init__(self, contender: str, task: Task) -> None:
        self.name = contender
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (`close` closes it)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,  # Ctrl-C in the terminal reaches this process only
        )
        try:
            self.shapes = [tuple(shape) for shape in self._ask((contender, task))["shapes"]]
        except BaseException:
            self.close()
            raise

    def steps(self, steps: int, *, warm: int = 0) -> tuple[float, float]:
        """Take so many steps, after some that do not count; returns the seconds and the last loss."""
        answer = self._ask({"steps": steps, "warm": warm})
        return answer["seconds"], answer["loss"]

    def memory(self) -> dict[str, int]:
        """Bytes: the process's ``peak``, and its ``growth`` since before the network was made."""
        return self._ask({"memory": True})

    def close(self) -> None:
        self.process.kill()  # it waits for a message or computes what nobody wants any more
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream is not None
            with suppress(BrokenPipeError):  # a message that the process did not live to read
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, message: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()
            answer: dict[str, Any] = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError) as end:
            raise WorkerFailed(
                f"{self.name}: the process ended with {self.process.wait()}{self._last_words()}"
            ) from end
        if "error" in answer:
            raise WorkerFailed(f"{self.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1]}" if said else ""

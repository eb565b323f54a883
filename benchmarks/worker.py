"""One contender in a process of its own, which lives through a row: it waits for a message, answers, waits again.

Messages are pickles on the standard streams, from and to the process that started it:

    first: (contender's name, task)    answer: {"shapes": …}
    {"steps": n, "warm": k}            answer: {"seconds": of n steps after k that do not count, "loss": of the last}
    {"memory": True}                   answer: {"peak": bytes, "growth": bytes since before the network was made}

Anything that goes wrong is answered with {"error": a sentence}. The end of the input ends the process.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from benchmarks.contenders import CONTENDERS
from benchmarks.work import Batch, Contender


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    messages, answers = sys.stdin.buffer, _answers()
    try:
        name, task = pickle.load(messages)
        batches = task.batches()
        held = peak_memory()
        contender = CONTENDERS[name].make(task)
        _answer(answers, {"shapes": contender.shapes()})
        while True:
            _answer(answers, _done(pickle.load(messages), contender, batches, held))
    except EOFError:
        return
    except Exception as error:
        _answer(answers, {"error": _sentence(error)})


def peak_memory() -> int:
    """The most bytes that this process ever held.

    Linux's VmHWM belongs to the program that runs; ru_maxrss may still be that of the process it was forked from.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _done(message: dict[str, Any], contender: Contender, batches: Iterator[Batch], held: int) -> dict[str, Any]:
    if "memory" in message:
        peak = peak_memory()
        return {"peak": peak, "growth": peak - held}
    if message["warm"]:
        contender.run(islice(batches, message["warm"]))
    start = time.perf_counter()
    loss = contender.run(islice(batches, message["steps"]))
    return {"seconds": time.perf_counter() - start, "loss": loss}


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed: pip install -e '.[peers]'"
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _answers() -> BinaryIO:
    """The standard output as it was; what libraries print from now on goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    pickle.dump(answer, answers)
    answers.flush()


if __name__ == "__main__":
    main()

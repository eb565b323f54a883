"""Killed at random instants and resumed each time, a training comes to the bits of one that nobody disturbed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SERVER = textwrap.dedent("""
    # Imports once, then trains in a child process for each line of stdin: "<folder> <seconds until it kills itself>".
    # Answers with the child's exit status, which for a kill is the signal's number.
    import os, signal, sys, threading
    import tensorflow_lite_bp.training.keeper as keeper
    import tensorflow_lite_bp.training.loop
    from tensorflow_lite_bp import Network
    from tensorflow_lite_bp.data import batches, load_data
    from tensorflow_lite_bp.training.run import Run

    keeper._SAVING_SHARE = 0  # save after every batch
    tensorflow_lite_bp.training.loop.write_curves = lambda *args, **options: False

    def train(folder, seconds):
        if seconds >= 0:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        network = Network.from_file("flowers.net")
        resume = os.path.exists(folder + "/run.json")
        run = Run.open(folder) if resume else Run.create("flowers", out=folder)
        network.fit(run=run, resume=resume, save_every=0.0)

    for line in sys.stdin:
        folder, seconds = line.split()
        child = os.fork()
        if child == 0:
            train(folder, float(seconds))
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)
""")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_training_that_is_killed_again_and_again(flowers: Callable[..., Path]) -> None:
    flowers(("epochs    = 4", "epochs = 3 accumulate = 4"))
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def train(folder: str, *, kill_after: float = -1.0) -> int:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(f"{folder} {kill_after}\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        assert train("first") == 0  # once the server has started
        began = time.monotonic()
        assert train("whole") == 0
        took = time.monotonic() - began
        dice = random.Random(0)
        statuses = [train("killed", kill_after=dice.uniform(0, 0.5 * took)) for _ in range(8)]
        assert signal.SIGKILL in statuses
        assert train("killed") == 0
    for name in ("network.net", "metrics.csv", "best.safetensors", "last.safetensors"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes(), name
    results = [json.loads(Path(folder, "run.json").read_text())["result"] for folder in ("whole", "killed")]
    for result in results:
        del result["run"], result["seconds"]
    assert results[0] == results[1]
    assert not list(Path("killed").glob(".*"))

"""`summary`: nodes, shapes, weights, shared weights, and the memory that a step really takes."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tensorflow_lite_bp import Network

SHARED = """network pair
input left: float[3]
input right: float[3]
target same: flag
parameter g: float[2] = ones
layer encoder = dense(2) -> tanh
d = abs((left -> encoder) - (right -> encoder)) * g
logit = d -> dense(1) -> reshape([])
loss binary_cross_entropy(logit, same)
output p = sigmoid(logit)
"""


def test_text(project: Path, tflbp) -> None:
    Path("pair.net").write_text(SHARED)
    ran = tflbp("summary", "pair.net")
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "pair: 10 nodes, 13 parameters"
    assert any(line.split() == ["d.encoder.dense", "dense", "float[2]", "[2,", "3]", "[2]", "8"] for line in lines)
    assert [line.split()[-1] for line in lines if "encoder_2.dense" in line] == ["shared"]
    assert max(map(len, lines)) <= 80


def test_json(project: Path, tflbp) -> None:
    found = tflbp("summary", "points.net", "--set", "train.batch=10", "--json").json
    assert (found["network"], found["parameters"], found["outputs"]) == ("points", 22, {"probabilities": [2]})
    nodes = {node["name"]: node for node in found["nodes"]}
    assert list(nodes) == ["x", "kind", "logits.dense", "logits.tanh", "logits.dense_2", "probabilities.softmax"]
    assert nodes["logits.dense"] == {
        "name": "logits.dense",
        "op": "dense",
        "type": "float[4]",
        "shape": [4],
        "weights": {"logits.dense.weight": [4, 2], "logits.dense.bias": [4]},
        "shared": [],
        "parameters": 12,
        "place": "points.net:7",
    }
    assert (found["memory"]["batch"], found["memory"]["weights"]) == (10, 22 * 4)


def test_long_names_fit_a_terminal(project: Path, tflbp) -> None:
    name = "a_binding_with_a_name_that_is_much_longer_than_anybody_would_want_to_read"
    Path("long.net").write_text(f"network a\ninput x: float[3]\n{name} = x -> dense(2)\noutput {name}\n")
    ran = tflbp("summary", "long.net")
    assert max(map(len, ran.stdout.splitlines())) == 80
    assert "…" in ran.stdout


def test_a_symbolic_size_leaves_memory_open(project: Path, tflbp) -> None:
    Path("t.net").write_text("network a\ninput x: float[3, T]\ny = x -> dense(2)\noutput y\n")
    ran = tflbp("summary", "t.net", "--json")
    assert ran.exit_code == 0, ran.stderr
    assert (ran.json["memory"]["total"], ran.json["memory"]["weights"]) == (None, 32)
    assert "the rest depends on T" in tflbp("summary", "t.net").stdout


@pytest.mark.parametrize("precision", ["float32", "float64", "mixed", "mixed_bfloat16"])
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_what_a_step_takes(precision: str, threads: int, project: Path, tflbp, monkeypatch) -> None:
    text = f'{SHARED}train {{ precision = "{precision}" }}\n'
    monkeypatch.setattr("tensorflow_lite_bp.graph.threads.available", lambda: threads)
    monkeypatch.setattr("tensorflow_lite_bp.graph.threads.SMALL", 0)
    Path("pair.net").write_text(text)
    batch = "train.batch=50000"
    told = tflbp("summary", "pair.net", "--set", batch, "--json").json["memory"]
    assert told["shards"] == (1 if precision.startswith("mixed") else threads)
    rows = {name: np.zeros((50000, 3)) for name in ("left", "right")} | {"same": np.zeros(50000)}
    Network.from_text(text).trainer().step(rows)  # imports, and what all networks share
    tracemalloc.start()
    trainer = Network.from_file("pair.net", overrides=[batch]).trainer()
    trainer.step(rows)
    arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    tracemalloc.stop()
    held = sum(trace.size for trace in arrays.traces)
    assert told["total"] == pytest.approx(held, rel=0.1)


def test_plan_shows_each_moment_and_its_arrays(project: Path, tflbp) -> None:
    Path("pair.net").write_text(SHARED)
    found = tflbp("summary", "pair.net", "--plan", "--set", "train.batch=100", "--json").json
    moments = found["plan"]
    arrays = [(moment["moment"], array) for moment in moments for array in moment["arrays"]]
    assert found["memory"]["plan"] == max(array["offset"] + -(-array["bytes"] // 64) * 64 for _, array in arrays)
    for first, one in arrays:  # what lives at the same time lies apart
        for born, other in arrays:
            together = one is not other and first <= other["until"] and born <= one["until"]
            joined = one["in_place_of"] or other["in_place_of"]
            if together and not joined:
                ends = one["offset"] + one["bytes"], other["offset"] + other["bytes"]
                assert ends[0] <= other["offset"] or ends[1] <= one["offset"], (one, other)
    text = tflbp("summary", "pair.net", "--plan", "--set", "train.batch=100").stdout
    assert f"the plan of the batch of 100 samples: {found['memory']['plan']:,} bytes at its peak" in text
    assert any(line.startswith(f"{len(moments) - 1}  < d.encoder.dense") for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 80


def test_the_plan_of_a_symbolic_size_is_refused(project: Path, tflbp) -> None:
    Path("t.net").write_text("network a\ninput x: float[3, T]\ny = x -> dense(2)\noutput y\n")
    ran = tflbp("summary", "t.net", "--plan")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "error: the plan depends on T, which only the data binds\n"


def test_no_array_library_is_needed(project: Path) -> None:
    run = "from tensorflow_lite_bp.cli import main; main(['summary', 'points.net'])"
    code = f"import sys; {run}; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"


def test_a_mixed_step_has_its_weights_in_16_bits_too(project: Path, tflbp) -> None:
    Path("m.net").write_text(
        "network m\ninput x: float[8]\ntarget t: float[4]\ny = x -> dense(4)\nloss mse(y, t)\noutput y\n"
    )
    plain, mixed = (
        tflbp("summary", "m.net", "--set", f'train.precision="{precision}"', "--json").json["memory"]
        for precision in ("float32", "mixed")
    )
    assert (plain["weights"], mixed["weights"]) == (4 * 36, 6 * 36)
    assert (plain["gradients"], mixed["gradients"]) == (4 * 36, 6 * 36)

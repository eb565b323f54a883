"""`gradcheck`: what it prints for right and wrong gradients, its object for programs, and how it refuses."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tensorflow_lite_bp.cli import gradcheck as command
from tensorflow_lite_bp.layers.dense import Dense

EXAMPLES = Path(__file__).parents[2] / "examples"
PATTERN = r"""points: 4 samples drawn, seed 0, float64; loss [\d.]+; errors up to 1e-05 are
tolerated

weight or input        checked  kinks  worst error  at      verdict
logits.dense\.weight          8      0      \S{7}  \[\d, \d\]  right
logits.dense\.bias            4      0      \S{7}  \[\d\]     right
logits.dense_2\.weight        8      0      \S{7}  \[\d, \d\]  right
logits.dense_2\.bias          2      0      \S{7}  \[\d\]     right
x                            8      0      \S{7}  \[\d, \d\]  right

All gradients agree with central differences: the worst relative error is
\S{7}, in `\S+`\.
"""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense layer whose db has the wrong sign."""
    right = Dense.backward

    def backward(self: Dense, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        xp.negative(ws.db, out=ws.db)

    monkeypatch.setattr(Dense, "backward", backward)


def test_text(project: Path, tflbp) -> None:
    Path("points.csv").unlink()  # no data is read
    ran = tflbp("gradcheck", "points.net")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert re.fullmatch(PATTERN, ran.stdout), ran.stdout
    assert tflbp("gradcheck", "points.net").stdout == ran.stdout
    assert tflbp("gradcheck", "points.net", "--seed", 1).stdout != ran.stdout


@pytest.mark.usefixtures("broken")
def test_a_wrong_gradient(project: Path, tflbp) -> None:
    ran = tflbp("gradcheck", "points.net")
    assert (ran.exit_code, ran.stderr) == (1, "")
    verdicts = {line.split()[0]: line.split("  ")[-1].strip() for line in ran.stdout.splitlines()[4:9]}
    assert verdicts == {
        "logits.dense.weight": "right",
        "logits.dense.bias": "4 wrong",
        "logits.dense_2.weight": "right",
        "logits.dense_2.bias": "2 wrong",
        "x": "right",
    }
    sentence = " ".join(ran.stdout.splitlines()[10:])
    found = re.fullmatch(
        r"The backward of `dense` is wrong: db of `logits\.dense_2` \(points\.net:7\) is (\S+) at \[\d\], and central "
        r"differences of this layer alone give (\S+)\.",
        sentence,
    )
    assert found, sentence
    assert float(found[1]) == -float(found[2])
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_json(project: Path, tflbp) -> None:
    found = tflbp("gradcheck", "points.net", "--json", "--batch", 3, "--entries", 5, "--set", "train.seed=9").json
    gradients = found.pop("gradients")
    assert found.pop("loss") > 0
    assert found == {
        "file": "points.net",
        "network": "points",
        "right": True,
        "batch": 3,
        "rows": "drawn",
        "seed": 9,
        "tolerance": 1e-5,
        "guilty": None,
    }
    assert [(each["name"], each["kind"], each["place"], each["shape"], each["checked"]) for each in gradients] == [
        ("logits.dense.weight", "weight", "points.net:7", [4, 2], 5),
        ("logits.dense.bias", "weight", "points.net:7", [4], 4),
        ("logits.dense_2.weight", "weight", "points.net:7", [2, 4], 5),
        ("logits.dense_2.bias", "weight", "points.net:7", [2], 2),
        ("x", "input", "points.net:4", [3, 2], 5),
    ]
    for each in gradients:
        assert each["error"] < 1e-5
        assert each["gradient"] == pytest.approx(each["difference"], rel=1e-5, abs=1e-8)
        assert len(each["index"]) == len(each["shape"])
        assert (each["kinks"], each["wrong"], each["held_as_truth"]) == (0, 0, False)


@pytest.mark.usefixtures("broken")
def test_json_of_a_wrong_gradient(project: Path, tflbp) -> None:
    ran = tflbp("gradcheck", "points.net", "--json")
    assert ran.exit_code == 1
    assert not ran.json["right"]
    guilty = ran.json["guilty"]
    assert (guilty["kind"], guilty["op"], guilty["name"]) == ("layer", "dense", "logits.dense_2")
    assert (guilty["place"], guilty["what"]) == ("points.net:7", "db")
    assert guilty["gradient"] == pytest.approx(-guilty["difference"])
    assert guilty["error"] == pytest.approx(2)
    tolerant = tflbp("gradcheck", "points.net", "--tolerance", 0.99, "--json")
    assert (tolerant.exit_code, tolerant.json["right"]) == (1, False)


def test_rows_of_the_data(project: Path, tflbp) -> None:
    found = tflbp("gradcheck", "points.net", "--data", "--batch", 7, "--json").json
    assert (found["right"], found["rows"], found["batch"]) == (True, "data", 7)
    everything = tflbp("gradcheck", "points.net", "--data", "--batch", 700, "--json").json
    assert everything["batch"] == 18  # the training rows
    weighted = tflbp("gradcheck", "points.net", "--data", "--set", 'train.class_weights="balanced"', "--json").json
    assert weighted["right"]
    assert weighted["loss"] != tflbp("gradcheck", "points.net", "--data", "--json").json["loss"]
    Path("points.csv").unlink()
    missing = tflbp("gradcheck", "points.net", "--data")
    assert missing.exit_code == 1
    assert "points.csv" in missing.stderr


def test_all_entries(tflbp) -> None:
    found = tflbp("gradcheck", EXAMPLES / "iris.net", "--entries", "all", "--batch", 2, "--json").json
    assert found["right"]
    assert {each["name"]: each["checked"] for each in found["gradients"]}["logits.dense.weight"] == 64


def test_an_input_that_is_the_truth(here: Path, tflbp) -> None:
    Path("a.net").write_text("network a\ninput x: float[3]\ny = x -> dense(3)\nloss mse(y, x)\noutput y\n")
    ran = tflbp("gradcheck", "a.net")
    assert ran.exit_code == 0
    assert re.search(r"^x +a loss's target$", ran.stdout, flags=re.M)
    assert tflbp("gradcheck", "a.net", "--json").json["gradients"][-1]["held_as_truth"]


def test_kinks_are_counted(here: Path, tflbp, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("k.net").write_text(
        "network k\ninput x: float[3]\ntarget t: float[3]\nparameter b: float[3] = zeros\n"
        "y = relu(b * (x * x)) + x\nloss mse(y, t)\noutput y\n"
    )
    monkeypatch.setattr("tensorflow_lite_bp.proof.gradcheck.off_constants", lambda network: None)
    ran = tflbp("gradcheck", "k.net")
    assert ran.exit_code == 0
    assert re.search(r"^b +0 +3 +kinks only$", ran.stdout, flags=re.M)
    assert "3 entries at kinks were left out." in " ".join(ran.stdout.split())


HUGE = "network h\ninput x: float[60000]\ntarget t: float[60000]\nh = x -> dense(30000)\ny = h -> dense(60000)\n"
LOG = "network l\ninput x: float[3]\ntarget t: float[3]\nh = log(x)\nloss mse(h, t)\noutput h\n"


@pytest.mark.parametrize(
    ("text", "args", "exit_code", "message"),
    [
        (
            LOG,
            [],
            3,
            "error: the result of `h.log` (a.net:4) is not finite, and there is nothing to take differences of",
        ),
        (
            "network n\ninput x: float[3]\noutput y = relu(x)\n",
            [],
            1,
            "error: `n` has no loss, so there is nothing to differentiate: declare one, such as `loss mse(y, t)`\n",
        ),
        (LOG, ["--batch", 10**12], 3, "error: 1,000,000,000,000 samples of `l` in float64 need "),
        (LOG, ["--data"], 1, "error: `l` has no data section"),
        (LOG, ["--entries", "some"], 2, "--entries takes a whole number from 1 to 999,999,999, or all, not `some`\n"),
        (LOG, ["--entries", "0"], 2, "--entries takes a whole number"),
        (LOG, ["--entries", "²"], 2, "--entries takes a whole number"),
        (LOG, ["--tolerance", "0"], 2, "--tolerance takes a number between 0 and 1, such as 1e-5, not 0\n"),
        (LOG, ["--tolerance", "nan"], 2, "--tolerance takes a number between 0 and 1, such as 1e-5, not nan\n"),
        (LOG, ["--batch", "0"], 2, "error: invalid value for '--batch'"),
        (LOG, ["--set", "train.epochz=1"], 1, "did you mean `epochs`?"),
        ("network", [], 1, "error["),
    ],
)
@pytest.mark.usefixtures("here")
def test_refusals(text: str, args: list[object], exit_code: int, message: str, tflbp) -> None:
    Path("a.net").write_text(text)
    ran = tflbp("gradcheck", "a.net", *args)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert message in ran.stderr


def test_what_no_memory_holds_is_refused_before_it_is_taken(here: Path, tflbp, monkeypatch) -> None:
    monkeypatch.setattr(command, "_memory_of_machine", lambda: 16 << 30)
    Path("a.net").write_text(HUGE + "loss mse(y, t)\noutput y\n")
    ran = tflbp("gradcheck", "a.net")
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert re.fullmatch(
        r"error: 4 samples of `h` in float64 need 53\.\d GiB, and this machine has 16\.0 GiB: "
        r"fewer samples \(--batch\) or a smaller network need less\n",
        ran.stderr,
    )


def test_an_interruption(project: Path, tflbp, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tensorflow_lite_bp.proof.gradcheck.compare", interrupted)
    ran = tflbp("gradcheck", "points.net")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (130, "", "error: interrupted\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("interrupted", [False, True])
def test_progress_on_a_terminal_is_gone_in_the_end(interrupted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, times = Terminal(), iter([0.0, 0.5, 2.0, 2.01, 4.0])
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(time, "monotonic", lambda: next(times))

    def work() -> None:
        with command._progress() as progress:
            for done in (1, 1000, 1001, 2000):
                progress(done, 4000)
            if interrupted:
                raise KeyboardInterrupt

    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            work()
    else:
        work()
    assert terminal.getvalue() == (
        "\r\x1b[K1,000 of 4,000 entries, 6 s left\r\x1b[K2,000 of 4,000 entries, 4 s left\r\x1b[K"
    )


def test_help(tflbp) -> None:
    ran = tflbp("gradcheck", "--help")
    assert "\n    tflbp gradcheck examples/digits.net\n" in ran.stdout
    assert "random numbers from -0.5" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80

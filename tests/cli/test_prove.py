"""`prove`: what it prints for a layer, for a file, for everything, and for what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tensorflow_lite_bp.layers.dense import Dense

COLUMNS = Path(__file__).parents[2] / "examples" / "articles" / "columns.net"

DENSE = """\
layer dense: all 126 entries equal by algebra

settings                        shapes     holds       entries  verdict
units = 2                       [3]        everywhere       14  equal by algebra
units = 3, bias = false         [2]        everywhere       10  equal by algebra
units = 2, initializer = zeros  [3, 4]     everywhere       32  equal by algebra
units = 2, bias = false         [3, 4]     everywhere       30  equal by algebra
units = 4                       [3, 2, 2]  everywhere       40  equal by algebra

units = 2 on [3]: everywhere
∂E/∂x₁⁽¹⁾ = ∂E/∂y₁⁽¹⁾ · w₁₁ + ∂E/∂y₂⁽¹⁾ · w₂₁
∂E/∂x₁⁽²⁾ = ∂E/∂y₁⁽²⁾ · w₁₁ + ∂E/∂y₂⁽²⁾ · w₂₁
∂E/∂x₂⁽¹⁾ = ∂E/∂y₁⁽¹⁾ · w₁₂ + ∂E/∂y₂⁽¹⁾ · w₂₂
∂E/∂x₂⁽²⁾ = ∂E/∂y₁⁽²⁾ · w₁₂ + ∂E/∂y₂⁽²⁾ · w₂₂
∂E/∂x₃⁽¹⁾ = ∂E/∂y₁⁽¹⁾ · w₁₃ + ∂E/∂y₂⁽¹⁾ · w₂₃
∂E/∂x₃⁽²⁾ = ∂E/∂y₁⁽²⁾ · w₁₃ + ∂E/∂y₂⁽²⁾ · w₂₃
∂E/∂w₁₁ = ∂E/∂y₁⁽¹⁾ · x₁⁽¹⁾ + ∂E/∂y₁⁽²⁾ · x₁⁽²⁾
∂E/∂w₁₂ = ∂E/∂y₁⁽¹⁾ · x₂⁽¹⁾ + ∂E/∂y₁⁽²⁾ · x₂⁽²⁾
∂E/∂w₁₃ = ∂E/∂y₁⁽¹⁾ · x₃⁽¹⁾ + ∂E/∂y₁⁽²⁾ · x₃⁽²⁾
∂E/∂w₂₁ = ∂E/∂y₂⁽¹⁾ · x₁⁽¹⁾ + ∂E/∂y₂⁽²⁾ · x₁⁽²⁾
∂E/∂w₂₂ = ∂E/∂y₂⁽¹⁾ · x₂⁽¹⁾ + ∂E/∂y₂⁽²⁾ · x₂⁽²⁾
∂E/∂w₂₃ = ∂E/∂y₂⁽¹⁾ · x₃⁽¹⁾ + ∂E/∂y₂⁽²⁾ · x₃⁽²⁾
∂E/∂b₁ = ∂E/∂y₁⁽¹⁾ + ∂E/∂y₁⁽²⁾
∂E/∂b₂ = ∂E/∂y₂⁽¹⁾ + ∂E/∂y₂⁽²⁾
"""


def test_a_layer_entry_by_entry(tflbp: Any) -> None:
    ran = tflbp("prove", "dense", "--show")
    assert (ran.exit_code, ran.stdout) == (0, DENSE)


def test_a_file(tflbp: Any) -> None:
    ran = tflbp("prove", COLUMNS)
    assert ran.exit_code == 0
    first, *_, last = ran.stdout.splitlines()
    assert first == f"{COLUMNS}: all 106 entries equal by algebra"
    assert last == "Nothing is compared: it holds everywhere."
    assert "∂E/∂W1              15  equal by algebra" in ran.stdout


def test_a_large_file_says_what_became_of_its_sizes(tflbp: Any) -> None:
    ran = tflbp("prove", COLUMNS.parents[1] / "digits.net")
    assert "at small sizes: image [1, 8, 8] → [1, 3, 3], weights 17,226 → 37." in " ".join(ran.stdout.split())
    assert "Random masks are frozen." in ran.stdout
    assert "it holds on 2 branches." in ran.stdout
    assert max(map(len, ran.stdout.splitlines()[1:])) <= 80


def test_json(tflbp: Any) -> None:
    data = tflbp("prove", COLUMNS, "--json").json
    assert data["counts"] == {"proved": 106, "rounded": 0, "numerical": 0, "refuted": 0, "left": 0}
    assert data["inputs"] == {"X": [3]}
    assert not data["shrunk"]
    (subject,) = tflbp("prove", "relu", "--show", "--json").json["subjects"]
    entry = subject["proofs"][0]["entries"][1]
    assert entry["entry"] == "∂E/∂x⁽²⁾"
    assert entry["code"] == entry["derivative"] == "∂E/∂y⁽²⁾"
    assert subject["proofs"][0]["holds"] == "x < 0, 0 < x in turn"


@pytest.mark.parametrize("name", ["conv", "selu", "gelu", "max_pool", "cross_entropy"])
def test_it_fits_a_terminal(name: str, tflbp: Any) -> None:
    ran = tflbp("prove", name)
    assert ran.exit_code == 0
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_everything(tflbp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow_lite_bp.proof.survey.CATEGORIES", ("loss",))  # the rest takes its time
    lines = tflbp("prove").stdout.splitlines()
    assert lines[0] == "                      examples  entries  proved  not  verdict"
    assert lines[1] == "binary_cross_entropy         3       32      32       equal by algebra"
    assert lines[-1] == "all                         20      344     344"
    data = tflbp("prove", "--json").json
    assert [subject["name"] for subject in data["subjects"]][:2] == ["binary_cross_entropy", "cross_entropy"]
    assert sum(subject["counts"]["proved"] for subject in data["subjects"]) == 344


def test_a_refutation_ends_with_1_and_says_where(tflbp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def sign_wrong(self: Dense, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        if self.bias:
            xp.negative(ws.db, out=ws.db)

    right = Dense.backward
    monkeypatch.setattr(Dense, "backward", sign_wrong)
    ran = tflbp("prove", "dense")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("layer dense: 118 equal by algebra, 8 refuted\n")
    assert (
        """\
refuted: ∂E/∂b₁, where units = 2
  the code wrote −∂E/∂y₁⁽¹⁾ − ∂E/∂y₁⁽²⁾
  the derivative is ∂E/∂y₁⁽¹⁾ + ∂E/∂y₁⁽²⁾
  they are 0.538461538461538 and -0.538461538461538 at ∂E/∂y₁⁽¹⁾ = 0.0769231,
    ∂E/∂y₁⁽²⁾ = -0.615385
"""
        in ran.stdout
    )
    assert "… and 5 more of 8 that are refuted\n" in ran.stdout
    (subject,) = tflbp("prove", "dense", "--json").json["subjects"]
    assert subject["counts"]["refuted"] == 8
    assert [entry["entry"] for entry in subject["proofs"][0]["entries"]] == ["∂E/∂b₁", "∂E/∂b₂"]


def test_what_is_neither_a_layer_nor_a_file(tflbp: Any, here: Path) -> None:
    ran = tflbp("prove", "denze")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "error: `denze` is no layer, operator or loss, and no .net file: did you mean `dense`?\n"
    assert "; there are abs, add, " in tflbp("prove", "zzzz").stderr
    assert "`gone.net` does not exist" in tflbp("prove", "gone.net").stderr
    assert tflbp("prove", "dense", "--seconds", "0").exit_code == 2


def test_a_file_with_mistakes_and_one_without_a_loss(tflbp: Any, here: Path) -> None:
    (here / "a.net").write_text("network a\ninput x: float[2]\noutput y = x -> denze(2)\n")
    assert tflbp("prove", "a.net").exit_code == 1
    (here / "b.net").write_text("network b\ninput x: float[2]\noutput y = x -> dense(2)\n")
    ran = tflbp("prove", "b.net")
    assert ran.stderr == "error: network b has no loss: there is nothing to differentiate\n"
    assert ran.exit_code == 1


def test_time_that_is_up_is_said(tflbp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began - 1000)  # what the command reads first
    ran = tflbp("prove", COLUMNS)
    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"{COLUMNS}: all 46 entries not looked at\n")
    assert ran.stdout.endswith("not looked at: time was up; with a larger --seconds there is more of it\n")


def test_ctrl_c_is_a_clean_stop(tflbp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Dense, "forward", interrupted)
    ran = tflbp("prove", "dense")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (130, "", "error: interrupted\n")


def test_without_sympy_it_says_what_to_install(tflbp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow_lite_bp.backend import get_backend

    monkeypatch.setitem(sys.modules, "sympy", None)
    for module in ("backend.exact", "proof.ledger", "proof.survey", "proof.algebra", "proof.derivations"):
        monkeypatch.delitem(sys.modules, f"tensorflow_lite_bp.{module}", raising=False)
    monkeypatch.setattr("tensorflow_lite_bp.backend.get_backend", get_backend.__wrapped__)
    ran = tflbp("prove", "dense")
    assert ran.exit_code == 3
    assert ran.stderr == (
        "error: a proof needs SymPy, which is not installed: pip install 'tensorflow_lite_bp[proof]'\n"
    )

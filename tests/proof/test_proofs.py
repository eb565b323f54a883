"""Every layer, operator and loss of the table, on each of its examples, is proved: a new one without being named."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from tensorflow_lite_bp.backend.exact import Exact
from tensorflow_lite_bp.cli._proofs import table_text
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.layers.base import Example
from tensorflow_lite_bp.layers.batch_norm import BatchNorm
from tensorflow_lite_bp.layers.conv import Conv
from tensorflow_lite_bp.layers.dense import Dense
from tensorflow_lite_bp.layers.elementwise import Relu, Sigmoid
from tensorflow_lite_bp.layers.layer_norm import LayerNorm
from tensorflow_lite_bp.layers.pool import MaxPool
from tensorflow_lite_bp.layers.softmax import Softmax
from tensorflow_lite_bp.losses.base import Example as LossExample
from tensorflow_lite_bp.losses.squares import Mse
from tensorflow_lite_bp.proof.derivations import layer_proofs, loss_proofs
from tensorflow_lite_bp.proof.ledger import LEFT, NUMERICAL, PROVED, REFUTED, ROUNDED, Ledger
from tensorflow_lite_bp.proof.survey import CATEGORIES, Survey, surveys
from tensorflow_lite_bp.table import table

table()

NOT_PROVED = {
    ("layer", "selu"): ROUNDED,  # λ and α have 16 digits and no closed form: λ (1 - α) + λ α is not λ in floats
}
"""All that is not equal by algebra alone, why, and what can be said instead. Nothing else may be missing."""

PAGE = Path(__file__).parents[2] / "docs" / "proofs.md"
CASES = [(category, name) for category in CATEGORIES for name in sorted(registry[category])]


@cache
def proofs_of(category: str, name: str) -> Survey:
    (found,) = (survey for survey in surveys(name, seconds=60) if survey.category == category)
    return found


@pytest.mark.parametrize(("category", "name"), CASES)
def test_every_entry_of_every_example_is_proved(category: str, name: str) -> None:
    survey = proofs_of(category, name)
    assert survey.examples == len(registry[category][name].examples)  # type: ignore[attr-defined]
    assert survey.verdict == NOT_PROVED.get((category, name), PROVED), survey.counts
    for proofs in survey.by_example:
        assert all(proof.entries for proof in proofs)
        assert len(proofs) > 1 or proofs[0].comparisons == 0


def test_nothing_in_the_list_has_gone() -> None:
    assert NOT_PROVED.keys() <= set(CASES)


def test_the_page_says_what_is_proved() -> None:
    """If not: its table is what `tflbp prove` prints."""
    found = table_text([proofs_of(category, name) for category, name in CASES])
    assert f"```text\n{found}\n```" in PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^- `(\w+)`: ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    assert listed == [name for _, name in NOT_PROVED]


def test_each_entry_meets_each_interval_between_kinks() -> None:
    cls = registry["layer"]["hard_sigmoid"]
    proofs = list(layer_proofs(cls, cls.examples[1]))  # type: ignore[attr-defined]
    assert len(proofs) == 3
    for entries in zip(*(proof.entries for proof in proofs), strict=True):
        slopes = sorted(str(entry.derivative) for entry in entries)
        assert len({entry.name for entry in entries}) == 1
        assert slopes[:2] == ["0", "0"]
        assert slopes[2].endswith("/6")


# What is wrong is refuted


def refuted(proofs: Any) -> set[str]:
    """The arrays with a refuted entry; its point tells both sides apart."""
    found = [entry for proof in proofs for entry in proof.entries if entry.verdict == REFUTED]
    assert all(entry.point["code"] != entry.point["derivative"] for entry in found)
    return {entry.of for entry in found}


SQUARE = Example({"units": 3}, ((3,),))


def transpose_missing(self: Dense, xp: Any, ws: Any) -> None:
    xp.matmul(ws.W, ws.dY, out=ws.dX)


def sign_wrong(self: Dense, xp: Any, ws: Any) -> None:
    xp.negative(ws.db, out=ws.db)


def sample_forgotten(self: Dense, xp: Any, ws: Any) -> None:
    xp.matmul(ws.dY[:, 1:], ws.X[:, 1:].T, out=ws.dW)


def too_small(self: Dense, xp: Any, ws: Any) -> None:
    xp.multiply(ws.dX, 1 - 1e-9, out=ws.dX)


@pytest.mark.parametrize(
    ("broken", "where"), [(transpose_missing, "X"), (sign_wrong, "b"), (sample_forgotten, "W"), (too_small, "X")]
)
def test_a_wrong_line_in_dense_is_refuted(broken: Any, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.backward
    assert refuted(layer_proofs(Dense, SQUARE)) == set()
    monkeypatch.setattr(Dense, "backward", lambda self, xp, ws: (right(self, xp, ws), broken(self, xp, ws)))
    assert refuted(layer_proofs(Dense, SQUARE)) == {where}


def test_a_gradient_that_was_not_written_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sigmoid, "backward", lambda self, xp, ws: None)
    (proof, *_) = layer_proofs(Sigmoid, Example())
    assert {entry.verdict for entry in proof.entries} == {REFUTED}
    assert proof.entries[0].point["code"] == "never written"


def test_a_wrong_branch_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Relu, "slope", lambda self, xp, ws: xp.greater_equal(ws.Y, 0.0, out=ws.D))
    first, second = layer_proofs(Relu, Example(kinks=(0.0,)))
    for proof, parity in ((first, 0), (second, 1)):
        wrong = [entry.verdict == REFUTED for entry in proof.entries]
        assert wrong == [place % 2 == parity for place in range(len(wrong))]


def test_softmax_without_its_off_diagonal_terms_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Article 002's X ○ (1 − X), in a layer."""

    def diagonal(self: Softmax, xp: Any, ws: Any) -> None:
        xp.subtract(1.0, ws.Y, out=ws.S)
        xp.multiply(ws.S, ws.Y, out=ws.S)
        xp.multiply(ws.S, ws.dY, out=ws.dX)

    monkeypatch.setattr(Softmax, "backward", diagonal)
    assert refuted(layer_proofs(Softmax, Example(shapes=((3,),)))) == {"X"}


@pytest.mark.parametrize("cls", [BatchNorm, LayerNorm])
def test_a_norm_that_forgets_its_mean_is_refuted(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def statistics_held_fixed(self: Any, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        xp.multiply(ws.dY, ws.g[:, None], out=ws.dX)
        xp.multiply(ws.dX, ws.R, out=ws.dX)

    right = cls.backward
    monkeypatch.setattr(cls, "backward", statistics_held_fixed)
    assert refuted(layer_proofs(cls, Example(shapes=((3,),)))) == {"X"}


def test_a_kernel_that_is_not_mirrored_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_mirrored(self: Conv, xp: Any, ws: Any, X: Any) -> Any:
        W = self._taps(ws.W, X).transpose(0, 2, 3, 1, 4)
        xp.copyto(ws.V.reshape(W.shape), W)
        return ws.V.reshape(X.groups, X.channels, -1)

    monkeypatch.setattr(Conv, "_mirrored_kernel", not_mirrored)
    assert refuted(layer_proofs(Conv, Example({"filters": 1}, ((1, 3, 3),)))) == {"X"}


def test_a_maximum_that_spreads_its_gradient_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_all(self: MaxPool, xp: Any, ws: Any) -> None:
        xp.copyto(ws.dX, 0.0)
        for windows, values in self.taps(ws.dX):
            xp.add(ws.dX[values], ws.dY[windows], out=ws.dX[values])

    monkeypatch.setattr(MaxPool, "backward", to_all)
    assert refuted(layer_proofs(MaxPool, Example({"size": (2,)}, ((1, 2, 2),)))) == {"X"}


def test_a_loss_without_its_factor_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def factor_forgotten(self: Mse, xp: Any, ws: Any) -> None:
        xp.subtract(ws.Y, ws.T, out=ws.dY)
        xp.multiply(ws.dY, ws.scale, out=ws.dY)

    monkeypatch.setattr(Mse, "backward", factor_forgotten)
    (proof,) = loss_proofs(Mse, LossExample())
    assert refuted([proof]) == {"Y"}
    entry = proof.entries[0]
    assert float(entry.point["derivative"]) == pytest.approx(2 * float(entry.point["code"]), rel=1e-14)


def test_equal_by_chance_at_the_sample_point_is_refuted_beside_it() -> None:
    """y = x / 2 at x = 1/2, where x itself is the slope too."""
    ledger = Ledger()
    x = ledger.free("x", np.array([Fraction(1, 2)], dtype=object), per_sample=False)
    y = np.array([x[0] * 0.5], dtype=object)
    ledger.define("y", y, per_sample=False)
    dY = ledger.arriving(y)
    ledger.check("x", x, np.array([dY[0] * x[0]], dtype=object))
    (entry,) = ledger.entries
    assert entry.verdict == REFUTED
    assert entry.point["x₁"] != "0.5"


def test_where_algebra_does_not_decide_it_is_not_called_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relation between a number's tangent and its sine is none of the tower's."""
    right = Sigmoid.slope

    def times_one(self: Sigmoid, xp: Any, ws: Any) -> None:
        right(self, xp, ws)
        for place in np.ndindex(ws.D.shape):
            x, slope = ws.X[place].expression, ws.D[place]
            ws.D[place] = Exact(slope.expression * sympy.tan(x) * sympy.cos(x) / sympy.sin(x), slope.value)

    monkeypatch.setattr(Sigmoid, "slope", times_one)
    (proof,) = layer_proofs(Sigmoid, Example())
    assert {entry.verdict for entry in proof.entries} == {NUMERICAL}
    assert "30 digits agree" in proof.entries[0].note


def test_time_that_is_up_leaves_entries_out() -> None:
    (proof,) = layer_proofs(Dense, SQUARE, deadline=0.0)
    assert {entry.verdict for entry in proof.entries} == {LEFT}

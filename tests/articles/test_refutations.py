"""The articles' misprints in the place of the framework's own lines: on exact symbols what is printed is refuted, with
the entry and a point, and what is right is proved.

`test_misprints` shows the same from outside, with SymPy alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsl import Source
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.layers.base import Example, matrix
from tensorflow_lite_bp.layers.dense import Matmul
from tensorflow_lite_bp.layers.elementwise import Sigmoid, Tanh
from tensorflow_lite_bp.layers.softmax import Softmax
from tensorflow_lite_bp.losses.cross_entropy import Nll
from tensorflow_lite_bp.proof.derivations import layer_proofs
from tensorflow_lite_bp.proof.ledger import PROVED, REFUTED, Entry
from tensorflow_lite_bp.proof.network import network_proofs
from tensorflow_lite_bp.proof.notation import written
from tensorflow_lite_bp.table import checked

FOLDER = Path(__file__).parents[2] / "examples" / "articles"
XP = get_backend("exact")


def entries(proofs: Any) -> list[Entry]:
    return [entry for proof in proofs for entry in proof.entries]


def of_article(name: str, **options: Any) -> list[Entry]:
    return entries(network_proofs(checked(FOLDER / f"{name}.net"), **options))


def refuted(found: list[Entry]) -> dict[str, list[str]]:
    """The names of the refuted entries, by array."""
    names: dict[str, list[str]] = {}
    for entry in found:
        if entry.verdict == REFUTED:
            names.setdefault(entry.of, []).append(entry.name)
    return names


@pytest.mark.parametrize("name", ["columns", "layers", "rows", "signals", "neurons"])
def test_what_the_framework_computes_is_proved(name: str) -> None:
    found = of_article(name, of_inputs=True)
    assert {entry.verdict for entry in found} == {PROVED}
    assert {entry.of for entry in found} >= {variable.name for variable in checked(FOLDER / f"{name}.net").inputs}


class TestArticle000:
    linear = Example(shapes=((2, 3), (3,)), parameters=frozenset({"W"}))

    def test_last_line_of_the_exercise_names_the_wrong_matrix(self) -> None:
        W2, dy1, dX = XP.zeros((3, 5)), XP.zeros((5, 2)), XP.zeros((3, 2))
        with pytest.raises(ValueError, match="shape"):
            XP.matmul(W2.T, dy1, out=dX)
        XP.matmul(XP.zeros((5, 3)).T, dy1, out=dX)  # W1

    def test_row_1_of_the_matrix_of_weight_gradients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def x1_x3_x3(self: Matmul, xp: Any, ws: Any) -> None:
            right(self, xp, ws)
            xp.copyto(ws.dW[0, 1:2], ws.dW[0, 2:3])

        right = Matmul.backward
        monkeypatch.setattr(Matmul, "backward", x1_x3_x3)
        (proof,) = layer_proofs(Matmul, self.linear)
        assert refuted(entries([proof])) == {"W": ["∂E/∂w₁₂"]}
        (wrong,) = (entry for entry in proof.entries if entry.verdict == REFUTED)
        assert written(wrong.code) == "∂E/∂y₁⁽¹⁾ · x₃⁽¹⁾ + ∂E/∂y₁⁽²⁾ · x₃⁽²⁾"
        assert written(wrong.derivative) == "∂E/∂y₁⁽¹⁾ · x₂⁽¹⁾ + ∂E/∂y₁⁽²⁾ · x₂⁽²⁾"

    def test_first_proof_is_headed_by_the_weights_and_proves_the_inputs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def as_headed(self: Matmul, xp: Any, ws: Any) -> None:
            xp.matmul(ws.W.T, matrix(ws.dY), out=ws.dW)  # the formula that is proved there
            xp.matmul(ws.W.T, matrix(ws.dY), out=matrix(ws.dX))

        monkeypatch.setattr(Matmul, "backward", as_headed)
        square = Example(shapes=((2, 2), (2,)), parameters=frozenset({"W"}))  # where its shape fits, with 2 samples
        (proof,) = layer_proofs(Matmul, square)
        assert refuted(entries([proof])).keys() == {"W"}

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_dividing_by_m_is_the_mean_of_a_loss(self, reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The article's division in ``∂W``, with an E that is a sum, or divided already: wrong both times."""

        def divided(self: Matmul, xp: Any, ws: Any) -> None:
            plain(self, xp, ws)
            xp.multiply(ws.dW, 1 / ws.m, out=ws.dW)

        text = f"""
            network one
            input  X: float[3]
            target t: float[2]
            parameter W: float[2, 3]
            y = W @ X
            loss squared_error(y, t, reduction = "{reduction}")
            output y
        """
        program = checked(Source("one.net", text))
        assert refuted(entries(network_proofs(program))) == {}
        plain = Matmul.backward
        monkeypatch.setattr(Matmul, "backward", divided)
        found = entries(network_proofs(program))
        assert refuted(found).keys() == {"W"}
        for entry in found:
            if entry.verdict == REFUTED:
                assert float(entry.point["derivative"]) == pytest.approx(2 * float(entry.point["code"]), rel=1e-12)


class TestArticle001:
    def test_9_takes_the_slope_of_its_own_layer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``h^(k+1)′`` in the place of ``h^(k−1)′``: the sigmoid's slope behind tanh."""
        monkeypatch.setattr(Tanh, "slope", Sigmoid.slope)
        found = refuted(of_article("layers"))
        assert found.keys() == {"a1"}
        assert len(found["a1"]) == 8 * 2


class TestArticle002:
    def test_loss_lacks_its_minus_sign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def as_printed(self: Nll, xp: Any, ws: Any) -> None:
            right(self, xp, ws)
            xp.negative(ws.E, out=ws.E)

        right = Nll.forward
        monkeypatch.setattr(Nll, "forward", as_printed)
        wrong = [entry for entry in of_article("rows") if entry.verdict == REFUTED]
        assert {entry.of for entry in wrong} == {"X3"}
        assert all(float(e.point["code"]) == -float(e.point["derivative"]) for e in wrong)  # it climbs

    @pytest.mark.parametrize(("f", "article_is_right"), [("sigmoid", True), ("softmax", False)])
    def test_delta_with_each_hidden_function(
        self, f: str, article_is_right: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``δ₁ = (δ₂ W₂ᵀ) ○ X₂ ○ (1 − X₂)``: the off-diagonal terms of the softmax are missing."""

        def article(self: Any, xp: Any, ws: Any) -> None:
            work = ws.D if f == "sigmoid" else ws.S
            xp.subtract(1.0, ws.Y, out=work)
            xp.multiply(work, ws.Y, out=work)
            xp.multiply(work, ws.dY, out=ws.dX)

        text = f"""
            network hidden
            input  X1: float[3]
            target Y: class(3)
            parameter W1: float[4, 3]
            parameter W2: float[3, 4]
            Z1 = W1 @ X1
            X2 = {f}(Z1)
            Z2 = W2 @ X2
            loss cross_entropy(Z2, Y, reduction = "sum")
            output X3 = softmax(Z2)
        """
        program = checked(Source("hidden.net", text))
        assert refuted(entries(network_proofs(program))) == {}
        monkeypatch.setattr(Sigmoid if f == "sigmoid" else Softmax, "backward", article)
        found = refuted(entries(network_proofs(program)))
        assert found.keys() == (set() if article_is_right else {"Z1"})


class TestArticle003:
    def test_a_layer_has_its_own_activation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``S_out^(i−1) = f^i(S_in^(i−1))`` as printed, with f² the sigmoid, while (1) takes f¹′."""
        assert refuted(of_article("signals")) == {}
        monkeypatch.setattr(Tanh, "forward", Sigmoid.forward)
        assert refuted(of_article("signals")).keys() == {"S_in1"}

"""The equations of the five articles, as `explain` prints them for their networks: letter for letter.

Where an article errs (docs/articles.md) the right form stands here, and the article's is looked for in vain.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.explanation import Explanation, explain
from tensorflow_lite_bp.explain.latex import latex
from tensorflow_lite_bp.explain.notation import notation
from tensorflow_lite_bp.explain.reading import View
from tensorflow_lite_bp.explain.text import plain
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.table import checked

EXAMPLES = Path(__file__).parents[2] / "examples" / "articles"


@cache
def explained(name: str, form: str = "matrix", through: str | None = None, layout: str | None = None) -> Explanation:
    """An article's network in its notation, with the plain descent that the articles have."""
    program = checked(EXAMPLES / f"{name}.net", overrides=("train.optimizer=sgd(0.1)",))
    return explain(Derivation(Graph(program)), View(notation(name), through=through, layout=layout), form)


def lines(explanation: Explanation) -> list[str]:
    """Every equation as text, in order; ``←`` stands in the update."""
    shown = [*explanation.beginning]
    for passage in explanation.passages:
        shown += passage.forward
    for passage in reversed(explanation.passages):
        shown += passage.backward
    shown += [*explanation.inputs, *explanation.update]
    return [plain(box) for item in shown for box in item.boxes]


def typeset(explanation: Explanation) -> list[str]:
    """The gradients' equations as LaTeX, without the spaces and the sizes of brackets."""
    shown = [item for passage in explanation.passages for item in passage.backward] + explanation.inputs
    return [bare(latex(box, shape_indices=True)) for item in shown for box in item.boxes]


def bare(text: str) -> str:
    return (
        re.sub(r"\\left|\\right|\\ |\s", "", text)
        .replace(r"\operatorname", r"\text")
        .replace(r"\text{axis=1}", r"\text{axis}=1")
    )


ARTICLE = {
    # 000: the layer's three equations and the updates, on every layer of the exercise
    "columns": [
        "y^[1] = W^[1] · X + b^[1]",
        "a^[1] = g(y^[1])",
        "y^[2] = W^[2] · a^[1] + b^[2]",
        "a^[2] = g(y^[2])",
        "y^[3] = W^[3] · a^[2] + b^[3]",
        "a^[3] = σ(y^[3])",
        "∂E/∂y^[3] = ∂E/∂a^[3] * σ′(y^[3])",
        "∂E/∂W^[3] = ∂E/∂y^[3] · (a^[2])ᵀ / m",
        "∂E/∂b^[3] = sum(∂E/∂y^[3], axis=1) / m",
        "∂E/∂a^[2] = (W^[3])ᵀ · ∂E/∂y^[3]",
        "∂E/∂y^[2] = ∂E/∂a^[2] * g′(y^[2])",
        "∂E/∂W^[2] = ∂E/∂y^[2] · (a^[1])ᵀ / m",
        "∂E/∂b^[2] = sum(∂E/∂y^[2], axis=1) / m",
        "∂E/∂a^[1] = (W^[2])ᵀ · ∂E/∂y^[2]",
        "∂E/∂y^[1] = ∂E/∂a^[1] * g′(y^[1])",
        "∂E/∂W^[1] = ∂E/∂y^[1] · Xᵀ / m",
        "∂E/∂b^[1] = sum(∂E/∂y^[1], axis=1) / m",
        "∂E/∂X = (W^[1])ᵀ · ∂E/∂y^[1]",
        "W ← W − η ∂E/∂W",
        "b ← b − η ∂E/∂b",
    ],
    # 001: (5), (7) to (9) with its h^(k+1) put right
    "layers": [
        "z⁽⁰⁾ = x",
        "a⁽¹⁾ = W⁽¹⁾ · z⁽⁰⁾ + b⁽¹⁾",
        "z⁽¹⁾ = h⁽¹⁾(a⁽¹⁾)",
        "a⁽²⁾ = W⁽²⁾ · z⁽¹⁾ + b⁽²⁾",
        "z⁽²⁾ = h⁽²⁾(a⁽²⁾)",
        "a⁽³⁾ = W⁽³⁾ · z⁽²⁾ + b⁽³⁾",
        "z⁽³⁾ = h⁽³⁾(a⁽³⁾)",
        "y = z⁽³⁾",
        "δ⁽³⁾ = ∂E/∂y · diag{h⁽³⁾′(a⁽³⁾)}",
        "∂E/∂b⁽³⁾ = δ⁽³⁾",
        "δ⁽²⁾ = δ⁽³⁾ · W⁽³⁾ · diag{h⁽²⁾′(a⁽²⁾)}",
        "∂E/∂b⁽²⁾ = δ⁽²⁾",
        "δ⁽¹⁾ = δ⁽²⁾ · W⁽²⁾ · diag{h⁽¹⁾′(a⁽¹⁾)}",
        "∂E/∂b⁽¹⁾ = δ⁽¹⁾",
    ],
    # 002: its deltas, with the minus sign in the loss
    "rows": [
        "Z₂ = X₂ W₂",
        "ξ = −sum(Y ○ log(X₃))",
        "δ₂ = Y − X₃",
        "δ₁ = (δ₂ W₂ᵀ) ○ X₂ ○ (1 − X₂)",
        "δ₀ = (δ₁ W₁ᵀ) ○ X₁ ○ (1 − X₁)",
        "W₂ ← W₂ + α X₂ᵀ δ₂",
        "W₁ ← W₁ + α X₁ᵀ δ₁",
        "W₀ ← W₀ + α X₀ᵀ δ₀",
    ],
    # 003: the conventions with f^(i-1) put right, and (1) to (3)
    "signals": [
        "S_in¹ = W¹ * S_out⁰ + B¹",
        "S_out¹ = f¹(S_in¹)",
        "S_in² = W² * S_out¹ + B²",
        "S_out² = f²(S_in²)",
        "∂cost/∂S_in² = (W³)ᵀ * ∂cost/∂S_in³ ☉ (f²(S_in²))′",
        "∂cost/∂S_in¹ = (W²)ᵀ * ∂cost/∂S_in² ☉ (f¹(S_in¹))′",
        "∂cost/∂W² = ∂cost/∂S_in² * (S_out¹)ᵀ",
        "∂cost/∂B² = ∂cost/∂S_in²",
        "∂cost/∂W¹ = ∂cost/∂S_in¹ * (S_out⁰)ᵀ",
        "∂cost/∂B¹ = ∂cost/∂S_in¹",
    ],
    # 004: its summary
    "neurons": [
        "C = 1/2 ‖y − o‖²",
        "∂C/∂z₃ = (o − y) ⊙ σ′(z₃)",
        "∂C/∂z₂ = σ′(z₂) ⊙ (w³ᵀ ∂C/∂z₃)",
        "∂C/∂z₁ = σ′(z₁) ⊙ (w²ᵀ ∂C/∂z₂)",
        "∇w³ = [a₂, a₂]ᵀ ⊙ ∂C/∂z₃",
        "∇w¹ = [a₀, a₀, a₀]ᵀ ⊙ ∂C/∂z₁",
        "∇b³ = ∂C/∂z₃",
        "∇b¹ = ∂C/∂z₁",
    ],
}

COMPONENTS = {
    # 001: (2), (3) and (8′), (9′), (10), entry by entry
    "layers": [
        "aᵢ⁽²⁾ = Σⱼ Wᵢⱼ⁽²⁾ · zⱼ⁽¹⁾ + bᵢ⁽²⁾",
        "zᵢ⁽²⁾ = h⁽²⁾(aᵢ⁽²⁾)",
        "yᵢ = zᵢ⁽³⁾",
        "δⱼ⁽³⁾ = ∂E/∂yⱼ · h⁽³⁾′(aⱼ⁽³⁾)",
        "∂E/∂bᵢ⁽²⁾ = δᵢ⁽²⁾",
        "∂E/∂Wᵢⱼ⁽²⁾ = δᵢ⁽²⁾ · zⱼ⁽¹⁾",
        "δⱼ⁽²⁾ = (Σᵢ δᵢ⁽³⁾ · Wᵢⱼ⁽³⁾) · h⁽²⁾′(aⱼ⁽²⁾)",
        "δⱼ⁽¹⁾ = (Σᵢ δᵢ⁽²⁾ · Wᵢⱼ⁽²⁾) · h⁽¹⁾′(aⱼ⁽¹⁾)",
    ],
    # 000: the entries of its proofs
    "columns": [
        "∂E/∂Wᵢⱼ^[2] = (Σ_s ∂E/∂yᵢ^[2]{s} · aⱼ^[1]{s}) / m",
        "∂E/∂aⱼ^[2]{s} = Σᵢ Wᵢⱼ^[3] · ∂E/∂yᵢ^[3]{s}",
    ],
    # 004: neuron by neuron
    "neurons": [
        "∂C/∂z₃ⱼ = (oⱼ − yⱼ) · σ′(z₃ⱼ)",
        "∂C/∂z₁ⱼ = σ′(z₁ⱼ) · (Σᵢ wᵢⱼ² · ∂C/∂z₂ᵢ)",
    ],
}


@pytest.mark.parametrize("name", ARTICLE)
def test_every_equation_of_an_article_is_printed(name: str) -> None:
    printed = lines(explained(name))
    assert [wanted for wanted in ARTICLE[name] if wanted not in printed] == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_printed(name: str) -> None:
    printed = lines(explained(name, "components"))
    assert [wanted for wanted in COMPONENTS[name] if wanted not in printed] == []


def test_the_exercise_of_000_in_latex_is_the_article_s() -> None:
    """The lines of the exercise as the article typesets them; its last line has W^[2] where W^[1] belongs."""
    article = [
        r"\frac{\partial E}{\partial W_{2 \times 3}^{[3]}} = \frac{\partial E}{\partial y_{2 \times m}^{[3]}} \cdot"
        r" \left(a_{3 \times m}^{[2]}\right)^{T} / m",
        r"\frac{\partial E}{\partial a_{3 \times m}^{[2]}} = \left(W_{2 \times 3}^{[3]}\right)^{T} \cdot"
        r" \frac{\partial E}{\partial y_{2 \times m}^{[3]}}",
        r"\frac{\partial E}{\partial b_{2 \times 1}^{[3]}} = \text{sum} \left("
        r"\frac{\partial E}{\partial y_{2 \times m}^{[3]}}, \text{axis} = 1 \right) / m",
        r"\frac{\partial E}{\partial a_{5 \times m}^{[1]}} = \left(W_{3 \times 5}^{[2]}\right)^{T} \cdot"
        r" \frac{\partial E}{\partial y_{3 \times m}^{[2]}}",
        r"\frac{\partial E}{\partial W_{5 \times 3}^{[1]}} = \frac{\partial E}{\partial y_{5 \times m}^{[1]}} \cdot"
        r" (X_{3 \times m})^{T} / m",
    ]
    misprint = (
        r"\frac{\partial E}{\partial X_{3 \times m}} = (W_{3 \times 5}^{[2]})^{T} \cdot"
        r" \frac{\partial E}{\partial y_{5 \times m}^{[1]}}"
    )
    printed = typeset(explained("columns"))
    assert [line for line in map(bare, article) if line not in printed] == []
    assert bare(misprint) not in printed
    assert bare(misprint.replace(r"W_{3 \times 5}^{[2]}", r"W_{5 \times 3}^{[1]}")) in printed


def test_no_misprint_is_printed() -> None:
    """What docs/articles.md lists as wrong stands nowhere."""
    printed = [line for name in ARTICLE for line in lines(explained(name))]
    assert "δ⁽²⁾ = δ⁽³⁾ · W⁽³⁾ · diag{h⁽⁴⁾′(a⁽²⁾)}" not in printed
    assert "ξ = sum(Y ○ log(X₃))" not in printed
    assert "S_out¹ = f²(S_in¹)" not in printed


def test_softmax_in_a_hidden_layer_keeps_its_off_diagonal_terms() -> None:
    """Article 002 has softmax in every layer and X ○ (1 − X) for it: here the whole Jacobian stands."""
    text = (EXAMPLES / "rows.net").read_text().replace("sigmoid", "softmax")
    from dsl import Source

    explanation = explain(Derivation(Graph(checked(Source("rows.net", text)))), View(notation("rows")))
    printed = lines(explanation)
    assert "∂ξ/∂X₂ = −δ₂ W₂ᵀ" in printed
    assert "δ₁ = −X₂ ○ (∂ξ/∂X₂ − sum(X₂ ○ ∂ξ/∂X₂, axis=1))" in printed
    assert not any("X₂ ○ (1 − X₂)" in line for line in printed)


def test_the_exercise_of_001_carries_what_stands_behind_activations() -> None:
    """Its extension: the recursion with ∂E/∂z in the place of δ."""
    printed = lines(explained("layers", "components", through="post", layout="denominator"))
    assert "∂E/∂bᵢ⁽³⁾ = ∂E/∂yᵢ · h⁽³⁾′(aᵢ⁽³⁾)" in printed
    assert "∂E/∂zⱼ⁽²⁾ = Σᵢ Wᵢⱼ⁽³⁾ · ∂E/∂yᵢ · h⁽³⁾′(aᵢ⁽³⁾)" in printed
    assert not any("δ" in line for line in printed)


def test_differentials_are_those_of_002() -> None:
    printed = lines(explained("rows", "differentials"))
    wanted = ["dZ₁ = dX₁ W₁ + X₁ dW₁", "dX₂ = X₂ ○ (1 − X₂) ○ dZ₁", "dξ = ⋯ − (X₁ᵀ δ₁) : dW₁", "dξ = ⋯ − δ₁ : dZ₁"]
    assert [line for line in wanted if line not in printed] == []


DOCUMENT = Path(__file__).parents[2] / "docs" / "articles.md"
_ROW = re.compile(r"^\|.*\| `(?P<printed>[^`]+)` \|$", re.MULTILINE)


def test_the_document_shows_what_is_printed() -> None:
    """Each line of the tables of docs/articles.md under the article's name."""
    sections = re.split(r"^### ", DOCUMENT.read_text(), flags=re.MULTILINE)
    checked_lines = 0
    for section in sections:
        name = section.split("\n")[0].partition(", ")[2]
        if name not in ARTICLE:
            continue
        forms = ("matrix", "components", "differentials") if name == "rows" else ("matrix", "components")
        printed = [line for form in forms for line in lines(explained(name, form))]
        for row in _ROW.finditer(section):
            if row["printed"] == "explain":  # the heading
                continue
            assert row["printed"] in printed
            checked_lines += 1
    assert checked_lines == 34

"""``tflbp explain``: what it prints, what it refuses, and its formats."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.explain.notation import notations
from tensorflow_lite_bp.network import Network

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = Path("examples")
FILES = [file.relative_to(CHECKOUT) for file in sorted((CHECKOUT / "examples").rglob("*.net"))]
XOR, COLUMNS, LAYERS, ROWS = (
    str(EXAMPLES / name) for name in ("xor.net", "articles/columns.net", "articles/layers.net", "articles/rows.net")
)


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of files are as short as people write them, wherever the checkout lies."""
    monkeypatch.chdir(CHECKOUT)


PAGE = """\
xor: its derivation in the notation `columns` (article 000)
===========================================================
Samples are columns: an array has a row for each feature and m columns. A
derivative lies as its variable does (denominator layout). Derivatives before
and behind each activation are carried back. What flows back are each sample's
own derivatives; the mean over the m samples is taken in the gradients of the
weights.


Forward
-------

hidden.dense   dense, {file}:7
    y^[1] = W^[1] · X   + b^[1]
     8×m     8×2    2×m    8×1
        layers/dense.py:"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("notation", sorted(notations()))
def test_every_example_in_every_notation(file: Path, notation: str, tflbp: Any) -> None:
    ran = tflbp("explain", str(file), "--notation", notation)
    if ran.exit_code == 1:  # a notation of one sample, and statistics of the batch
        assert "needs the whole batch" in ran.stderr
        assert notation in ("layers", "signals", "neurons")
        return
    assert ran.exit_code == 0
    assert "Backward" in ran.stdout
    short = [line for line in ran.stdout.splitlines() if "layers/" not in line and "losses/" not in line]
    assert max(map(len, short)) <= 84  # a factor that is wider than the line is not broken


@pytest.mark.parametrize("form", ["matrix", "components", "expanded", "differentials"])
@pytest.mark.parametrize("name", ["columns", "rows"])
def test_every_form(form: str, name: str, tflbp: Any) -> None:
    ran = tflbp("explain", str(EXAMPLES / "fashion_resnet.net"), "--form", form, "--notation", name)
    assert ran.exit_code == 0


def test_the_page(tflbp: Any) -> None:
    ran = tflbp("explain", XOR)
    assert ran.stdout.startswith(PAGE.format(file=XOR))
    assert "    W ← W − (η M / (1 − β₁^t)) / (√(V / (1 − β₂^t)) + ε)\n" in ran.stdout
    assert "matrix of a product: each weight multiplies one input in every sample" in ran.stdout


def test_the_same_in_chinese(tflbp: Any) -> None:
    ran = tflbp("explain", XOR, "--lang", "zh")
    assert "前向传播" in ran.stdout
    assert "反向传播" in ran.stdout
    assert "y^[1] = W^[1] · X   + b^[1]" in ran.stdout
    assert "Forward" not in ran.stdout


def test_one_node_by_its_binding_and_by_its_name(tflbp: Any) -> None:
    by_binding, by_name = (tflbp("explain", COLUMNS, "--only", name).stdout for name in ("y2", "y2.add"))
    assert by_binding == by_name
    assert "y^[2] = W^[2] · a^[1] + b^[2]" in by_name
    assert "y^[1] =" not in by_name


def test_shared_weights_and_several_uses_are_added_up(tflbp: Any) -> None:
    ran = tflbp("explain", str(EXAMPLES / "siamese.net"))
    assert "∂E/∂b^[2] = (sum(∂E/∂y^[5], axis=1) + sum(∂E/∂y^[2], axis=1)) / m" in ran.stdout
    assert "several uses: it is used in several places" in ran.stdout


def test_repeated_blocks_are_folded(tmp_path: Path, tflbp: Any) -> None:
    file = tmp_path / "deep.net"
    file.write_text(
        "input u: float[4]\ntarget t: float[2]\nblock res(x) { return x + tanh(x -> dense(4)) }\n"
        "z = u -> dense(4) -> repeat(20, res) -> dense(2)\nloss mse(z, t)\noutput z\n"
    )
    folded, full = tflbp("explain", str(file)), tflbp("explain", str(file), "--full")
    assert "the same with the indices of their places: z.repeat.2.res.dense," in folded.stdout
    assert len(folded.stdout.splitlines()) * 3 < len(full.stdout.splitlines())
    assert "\nz.repeat.7.res.tanh\n" in full.stdout
    assert "\nz.repeat.7.res.tanh\n" not in folded.stdout


def test_the_batch_worked_through_is_the_plan_s(tflbp: Any) -> None:
    """The numbers of the answer against a network of one's own, given the same batch."""
    ran = tflbp("explain", COLUMNS, "--numbers", "--seed", "3", "--batch", "2", "--json")
    data = json.loads(ran.stdout)
    values = {
        item["text"][0].split(" = ")[0]: np.array(item["values"])
        for step in data["steps"]
        for item in (*step["forward"], *step["backward"])
        if "values" in item
    }
    network = Network.from_file(COLUMNS, seed=3, precision="float64")
    X = np.array(next(item["values"] for item in data["inputs"]))
    assert X.shape == (3, 2)
    W, b = network.weights["W1"], network.weights["b1"]
    from tensorflow_lite_bp.graph.profile import random_rows

    small = Network.from_file(COLUMNS, seed=3, precision="float64", overrides=["train.batch=2"])
    rows = random_rows(small, {})
    np.testing.assert_allclose(values["y^[1]"], W @ rows["X"].T + b[:, None], rtol=1e-12)
    _, gradients = network.gradients(rows)
    np.testing.assert_allclose(values["∂E/∂W^[2]"], gradients["W2"], rtol=1e-12)
    np.testing.assert_allclose(values["∂E/∂b^[3]"], gradients["b3"][:, None], rtol=1e-12)


def test_the_update_is_worked_through(tflbp: Any) -> None:
    ran = tflbp("explain", XOR, "--numbers", "--set", "train.optimizer=sgd(1)")
    network = Network.from_file(XOR, precision="float64", overrides=["train.batch=2", "train.optimizer=sgd(1)"])
    network.use_threads(1)
    from tensorflow_lite_bp.graph.profile import random_rows

    network.trainer().step(random_rows(network, {}))
    last = network.weights["logit.dense.bias"]
    assert f"[{last[0]:.4f}]" in ran.stdout


def test_numbers_of_the_file_s_data(tflbp: Any) -> None:
    ran = tflbp("explain", str(EXAMPLES / "iris.net"), "--numbers", "--data", "--batch", "3")
    assert ran.exit_code == 0
    assert "The weights after this update:" in ran.stdout


def test_markdown_and_latex(tmp_path: Path, tflbp: Any) -> None:
    markdown = tflbp("explain", COLUMNS, "--format", "markdown").stdout
    assert r"$$ y_{5 \times m}^{[1]} = W_{5 \times 3}^{[1]} \cdot X_{3 \times m} + b_{5 \times 1}^{[1]} $$" in markdown
    out = tmp_path / "columns.tex"
    ran = tflbp("explain", COLUMNS, "--format", "latex", "-o", str(out))
    assert ran.stdout == f"{out}: columns as latex\n"
    assert out.read_text().startswith("\\documentclass{article}")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_latex_of_every_example_can_be_parsed(lang: str, tflbp: Any) -> None:
    from pylatexenc.latexwalker import LatexMacroNode, LatexWalker

    for file in FILES:
        for notation in ("columns", "rows"):
            for form in ("matrix", "components", "differentials"):
                options = ["--notation", notation, "--form", form, "--format", "latex", "--lang", lang]
                text = tflbp("explain", str(file), *options).stdout
                nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
                brackets = [re.findall(rf"\\{side}(?![a-z])", text) for side in ("left", "right")]
                assert len(brackets[0]) == len(brackets[1])
                assert not [node for node in nodes if isinstance(node, LatexMacroNode) and not node.macroname]


@pytest.mark.skipif(shutil.which("xelatex") is None, reason="needs Debian's texlive-xetex")
@pytest.mark.parametrize("notation", sorted(notations()))
def test_the_latex_compiles(notation: str, tmp_path: Path, tflbp: Any) -> None:
    out = tmp_path / "page.tex"
    tflbp(
        "explain",
        str(EXAMPLES / "articles" / f"{notation}.net"),
        "--notation",
        notation,
        "--format",
        "latex",
        "-o",
        str(out),
    )
    command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", out.name]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:]


BAD = {
    "a notation": ([COLUMNS, "--notation", "colums"], 1, "no notation is named `colums`: did you mean `columns`?"),
    "no notation": ([COLUMNS, "--notation", "x"], 1, "there are columns, layers, rows, signals, neurons"),
    "a form": ([COLUMNS, "--form", "componets"], 1, "no form is named `componets`: did you mean `components`?"),
    "a node": (
        [str(EXAMPLES / "digits.net"), "--only", "logit"],
        1,
        "no node is named `logit`: did you mean `logits`?",
    ),
    "a layout": ([COLUMNS, "--layout", "both"], 2, "--layout is denominator or numerator, not `both`"),
    "a format": ([COLUMNS, "--format", "pdf"], 2, "--format is text or markdown or latex or html, not `pdf`"),
    "one sample": (
        [str(EXAMPLES / "fashion_resnet.net"), "--notation", "neurons"],
        1,
        "needs the whole batch, and the notation `neurons` writes one sample: take `columns` or `rows`",
    ),
    "no mean": ([ROWS, "--reduction", "gradient"], 1, "and no loss here is a mean"),
    "no bias": ([ROWS, "--augmented"], 1, "--augmented puts biases into their matrices, and no layer here has both"),
    "across": ([ROWS, "--form", "differentials", "--layout", "numerator"], 1, "take --layout denominator with it"),
    "a batch": ([LAYERS, "--notation", "layers", "--numbers", "--batch", "2"], 1, "writes one sample"),
    "no numbers": ([COLUMNS, "--batch", "2"], 2, "give that too"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case: str, tflbp: Any) -> None:
    args, code, message = BAD[case]
    ran = tflbp("explain", *args)
    assert ran.exit_code == code
    assert message in ran.stderr.replace("\n", " ")
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_a_refused_page_leaves_no_file(tmp_path: Path, tflbp: Any) -> None:
    out = tmp_path / "page.html"
    assert tflbp("explain", ROWS, "--augmented", "--format", "html", "-o", str(out)).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_a_loss_has_no_way_back(tmp_path: Path, tflbp: Any) -> None:
    file = tmp_path / "forward.net"
    file.write_text("input x: float[2]\noutput y = x -> dense(2)\n")
    ran = tflbp("explain", str(file))
    assert ran.exit_code == 0
    assert "Backward" not in ran.stdout
    ran = tflbp("explain", str(file), "--numbers")
    assert ran.exit_code == 1
    assert "this network has no loss" in ran.stderr


def test_the_readme_shows_what_is_printed(tflbp: Any) -> None:
    block = re.search(r"```text\n(distance\.encoder\.dense_2 .*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert block[1] in tflbp("explain", "examples/siamese.net").stdout

"""The lines of code beside the equations: they exist, and they write what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import tensorflow_lite_bp
from tensorflow_lite_bp.explain.code import code_of
from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.table import checked

PACKAGE = Path(tensorflow_lite_bp.__file__).parent
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.net"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_each_line_stands_where_it_is_said_to(file: Path) -> None:
    graph = Graph(checked(file))
    derivation = Derivation(graph)
    found = 0
    for step in derivation.steps:
        wanted = [(node, "Y") for node in step.nodes] or [(step.name, "E")]
        wanted += [(arrival.step, arrival.letter) for arrivals in step.arrivals.values() for arrival in arrivals]
        for name, letter in wanted:
            lines = code_of(derivation, name, letter)
            assert 1 <= len(lines) <= 2
            for line in lines:
                source = (PACKAGE / line.file).read_text().splitlines()
                assert source[line.line - 1].strip() == line.text
                assert "xp." in line.text
                found += 1
    assert found >= len(derivation.steps)


def test_a_product_with_a_bias_is_two_lines(tmp_path: Path) -> None:
    file = tmp_path / "one.net"
    file.write_text("input x: float[2]\ntarget t: float[3]\ny = x -> dense(3)\nloss mse(y, t)\noutput y\n")
    derivation = Derivation(Graph(checked(file)))
    product, bias = code_of(derivation, "y.dense", "Y")
    assert product.text.startswith("xp.matmul(ws.W,")
    assert bias.text.startswith("xp.add(Y, ws.b")
    (weights,) = code_of(derivation, "y.dense", "dW")
    assert weights.text == "xp.matmul(dY, matrix(ws.X).T, out=ws.dW)"
    assert weights.place == f"layers/dense.py:{weights.line}"
    assert code_of(derivation, "y.dense", "nothing") == ()

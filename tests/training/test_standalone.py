"""A network's text with its imports written out is the same network, in any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl import Source
from tensorflow_lite_bp.table import checked
from tensorflow_lite_bp.training.standalone import standalone

MAIN = """# The network.
network faces
import "parts/blocks.net"   # the blocks
input x: float[4]
import "parts/sizes.net"
target t: float[3]
y = x -> unit(width) -> dense(3)
loss mse(y, t)
"""
BLOCKS = """# Blocks.
import "sizes.net"
block unit(x, n) {
  return x -> dense(n) -> relu  # and a comment
}
"""
SIZES = "let width = 7\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/blocks.net").write_text(BLOCKS)
    (tmp_path / "parts/sizes.net").write_text(SIZES)
    (tmp_path / "faces.net").write_text(MAIN)
    return tmp_path / "faces.net"


def test_imports_are_written_out_once_and_before_their_use(path: Path) -> None:
    program = checked(path)
    text = standalone(program)
    assert text == (
        "# The network.\n"
        "network faces\n"
        "let width = 7\n"
        "# Blocks.\n"
        "\n"
        "block unit(x, n) {\n"
        "  return x -> dense(n) -> relu  # and a comment\n"
        "}\n"
        "   # the blocks\n"
        "input x: float[4]\n"
        "\n"
        "target t: float[3]\n"
        "y = x -> unit(width) -> dense(3)\n"
        "loss mse(y, t)\n"
    )
    assert checked(Source("anywhere.net", text)) == program


def test_a_text_without_imports_stays_as_it_is() -> None:
    text = "network n\ninput x: float[2]\noutput y = x -> dense(1)  # é\n"
    assert standalone(checked(Source("n.net", text))) == text

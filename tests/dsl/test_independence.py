"""The language stands alone: importing it and checking a file imports neither NumPy nor the other package."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from dsl import Source, check, format_source, parse, render
from dsl.signature import Port, Setting, Signature, Table
from dsl.types import floats

relu = Signature("layer", "relu", (Setting("slope", "float", 0.0),), (Port("X"),), lambda settings, types: types[0])
source = Source("a.net", "network a\\ninput x: float[3]\\noutput y = x -> relu")
checked = check(source, Table({"layer": {"relu": relu}}))
assert checked.program.nodes[0].name == "y.relu", checked
wrong = check(Source("b.net", "input x: float[3]\\noutput y = x -> rleu"), Table({"layer": {"relu": relu}}))
assert "did you mean `relu`?" in render(wrong.diagnostics)
format_source(source)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"numpy", "tensorflow_lite_bp", "onnx", "onnxruntime", "typer", "rich", "lark"}, loaded
"""


def test_the_language_imports_no_arrays_and_no_layers() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

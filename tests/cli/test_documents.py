"""The README and the documents say what is so: commands, files, code and links."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dsl import Source, check
from tensorflow_lite_bp.table import table

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/language.md", "docs/articles.md", "docs/proofs.md")
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


@pytest.mark.parametrize(
    ("document", "text"), [(path.name, text) for path in DOCUMENTS for text in _blocks(path, "net")]
)
def test_networks_have_no_mistakes(document: str, text: str) -> None:
    checked = check(Source(document, text), table())
    assert checked.diagnostics == ()


def test_the_readme_shows_the_example_as_it_is() -> None:
    assert _blocks(ROOT / "README.md", "net") == [(ROOT / "examples/digits.net").read_text(encoding="utf-8")]


def test_the_readme_names_every_command() -> None:
    from tensorflow_lite_bp.cli import commands

    assert sorted(re.findall(r"^\| `tflbp (\w+)", README, flags=re.M)) == commands()


def test_the_readme_says_the_mistakes_as_they_are(tmp_path: Path, monkeypatch, tflbp) -> None:
    """The carets' lines in the README are those of the file below."""
    monkeypatch.chdir(tmp_path)
    Path("digits.net").write_text(BROKEN)
    assert tflbp("check", "digits.net").stderr in _blocks(ROOT / "README.md", "text")


BROKEN = """\
network digits

input  image: float[64]
target digit: class(10)

hidden = image -> dense(32) -> relu
skip   = image -> dense(16) -> relu
logits = hidden + skip -> dense(10)

loss   cross_entropi(logits, digit)
output probabilities = softmax(logits)
"""


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    (code,) = _blocks(ROOT / "README.md", "python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "digits.onnx").is_file()
    assert names["result"].test["accuracy"] > 0.9  # type: ignore[attr-defined]  # a training.result.Result


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    commands = [line for block in _blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    for environment in re.findall(r"readme_command (\S+)\)", script):
        pattern = re.compile(rf"^python3 -m venv {re.escape(environment)} ")
        assert len([line for line in commands if pattern.match(line)]) == 1, environment
    assert subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=False).returncode == 0

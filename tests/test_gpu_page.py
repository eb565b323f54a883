"""The README's status line and docs/gpu.md say the same of the last run on a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorflow_lite_bp.acceptance import Outcome, report

ROOT = Path(__file__).parent.parent
NONE_IN_README, NONE_ON_PAGE = "No GPU code has been run", "None so far."


def device_of(page: str) -> str | None:
    """The GPU of the report that the page holds; None when it says that there has been no run."""
    found = re.search(r"^## The last run on a GPU\n(.*?)(?=^## (?:Install|Use)\b|\Z)", page, re.DOTALL | re.MULTILINE)
    assert found is not None, "docs/gpu.md has no section on the last run"
    device = re.search(r"^\| device \| ([^,|]+)", found[1], re.MULTILINE)
    assert (device is None) == (NONE_ON_PAGE in found[1]), "docs/gpu.md holds a report or says that there is none"
    return device[1].strip() if device is not None else None


def agree(readme: str, page: str) -> bool:
    device = device_of(page)
    return NONE_IN_README in readme if device is None else NONE_IN_README not in readme and device in readme


def test_readme_and_page_agree() -> None:
    assert agree(*((ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "docs/gpu.md")))


def _page(said: str) -> str:
    return f"# On a GPU\n\n## The last run on a GPU\n\n{said}\n\n## Install\n"


REPORT = report({"backend": "cupy", "device": "NVIDIA L4, 22 GiB"}, [Outcome("layers", "tanh", "passed", "")])


@pytest.mark.parametrize(
    ("readme", "said", "same"),
    [
        ("No GPU code has been run.", "None so far.", True),
        ("It was run on an NVIDIA L4.", "None so far.", False),
        ("It was run on an NVIDIA L4.", REPORT.replace("# ", "### "), True),
        ("It was run on an NVIDIA H100.", REPORT.replace("# ", "### "), False),
        ("No GPU code has been run on an NVIDIA L4.", REPORT.replace("# ", "### "), False),
    ],
)
def test_disagreement_is_seen(readme: str, said: str, same: bool) -> None:
    assert agree(readme, _page(said)) is same


def test_a_page_must_hold_one_or_the_other() -> None:
    with pytest.raises(AssertionError, match="holds a report or says that there is none"):
        device_of(_page("Soon."))
    with pytest.raises(AssertionError, match="holds a report or says that there is none"):
        device_of(_page(f"None so far.\n\n{REPORT}"))

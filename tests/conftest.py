"""The option ``--strict-double``: networks of the tests compute with the backend cupy, on a stand-in for CuPy.

The stand-in is the folder tests/strict/double, put before all else where Python looks for modules, here and in the
processes that tests start. What a test leaves to the default, ``backend="numpy"``, then computes with "cupy": the
package's own code path for it, unchanged. No GPU code runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

DOUBLE = Path(__file__).parent / "strict" / "double"
NO_GPU = "strict double: `--backend cupy` computes with a stand-in for CuPy, no GPU code runs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-double", action="store_true", help="compute with the backend cupy on its stand-in")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "host: about NumPy itself, and left out with --strict-double")
    config.addinivalue_line("markers", "double: needs the double, and is left out without --strict-double")
    if not config.getoption("--strict-double"):
        return
    sys.path.insert(0, str(DOUBLE))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(DOUBLE), *filter(None, [os.environ.get("PYTHONPATH")])])
    _compute_with_cupy()


def _compute_with_cupy() -> None:
    """Networks that are asked for the backend numpy get the backend cupy."""
    import cupy

    import tensorflow_lite_bp.network
    from tensorflow_lite_bp.backend import get_backend

    assert Path(cupy.__file__).is_relative_to(DOUBLE), "the real CuPy was imported first"

    def instead(name: str, **options: Any) -> Any:
        return get_backend("cupy" if name == "numpy" else name, **options)

    tensorflow_lite_bp.network.get_backend = instead


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [NO_GPU] if config.getoption("--strict-double") else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The header is not seen with ``-q``."""
    if config.getoption("--strict-double"):
        terminalreporter.write_line(NO_GPU)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--strict-double"):
        kept = [item for item in items if item.get_closest_marker("host") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

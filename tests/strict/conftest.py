"""The double's own modules are no tests; what needs the double is left out without ``--strict-double``."""

from __future__ import annotations

import pytest

collect_ignore = ["double"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--strict-double"):
        kept = [item for item in items if item.get_closest_marker("double") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

"""The articles' networks, as the examples declare them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorflow_lite_bp import Network

FOLDER = Path(__file__).parents[2] / "examples" / "articles"


@pytest.fixture
def network():
    """``network("columns")`` is that example in float64, with its first weights."""

    def load(name, **options):
        return Network.from_file(FOLDER / f"{name}.net", precision="float64", **options)

    return load

"""How values fill a declared shape."""

from __future__ import annotations

import pytest

from dsl.types import Shape
from tensorflow_lite_bp.data.shapes import filled_shape


@pytest.mark.parametrize(
    ("found", "declared", "shape"),
    [
        ((64,), (1, 8, 8), (1, 8, 8)),
        ((63,), (1, 8, 8), None),
        ((1,), (), ()),
        ((), (), ()),
        ((), (1,), (1,)),
        ((2,), (), None),
        ((28, 28), (1, 28, 28), (1, 28, 28)),
        ((28, 28, 1), (1, 28, 28), (1, 28, 28)),
        ((32, 32, 3), (3, 32, 32), None),
        ((3, 32), (32, 3), None),
        ((28, 28), (784,), (784,)),
        ((28, 40), (28, "T"), (28, 40)),
        ((28, 40), (27, "T"), None),
        ((40,), ("T",), (40,)),
        ((40,), (4, "T"), (4, 10)),
        ((41,), (4, "T"), None),
        ((16,), ("T", "T"), None),
        ((4, 4), ("T", "T"), (4, 4)),
        ((4, 5), ("T", "T"), None),
        ((4, 5), ("T", "U"), (4, 5)),
        ((20,), ("T", "U"), None),
        ((4, 5), (1, "T", "U"), (1, 4, 5)),
        ((4, 5), ("N",), (20,)),
    ],
)
def test_filled_shape(found: tuple[int, ...], declared: Shape, shape: tuple[int, ...] | None) -> None:
    assert filled_shape(found, declared) == shape

"""The data section: sources, column expressions, splits, batches, and the preprocessing that is fitted on them.

Importing this package imports what the language must know, the declarations, and nothing that needs NumPy. The names
below, which do the work, are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.data import sources, splits, transforms

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.batching import batches
    from tensorflow_lite_bp.data.dataset import Data, load_data
    from tensorflow_lite_bp.data.preprocessing import Preprocessing
    from tensorflow_lite_bp.data.raw import RawInput
    from tensorflow_lite_bp.data.tables import Table
    from tensorflow_lite_bp.data.user import read_user_table, user_rows

_HOMES = {
    "Data": "dataset",
    "Preprocessing": "preprocessing",
    "RawInput": "raw",
    "Table": "tables",
    "batches": "batching",
    "load_data": "dataset",
    "read_user_table": "user",
    "user_rows": "user",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Data",
    "Preprocessing",
    "RawInput",
    "Table",
    "batches",
    "load_data",
    "read_user_table",
    "sources",
    "splits",
    "transforms",
    "user_rows",
]

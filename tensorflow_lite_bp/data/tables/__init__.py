"""Tables: what a source reads, as columns of numbers, columns of categories, or arrays."""

from __future__ import annotations

from tensorflow_lite_bp.data.tables.base import ArrayTable, Rows, Table

__all__ = ["ArrayTable", "Rows", "Table"]

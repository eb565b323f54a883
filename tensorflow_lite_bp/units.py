"""Amounts in the units that people read."""

from __future__ import annotations


def size(octets: int) -> str:
    """An amount of memory for people, in binary units.

    >>> size(900), size(66 * 1024), size(3 << 30)
    ('900 B', '66.0 KiB', '3.0 GiB')
    """
    amount = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{octets} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"

"""Columns of text that fit a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tensorflow_lite_bp.units import size

WIDTH = 80
__all__ = ["WIDTH", "count", "counted", "short", "size", "table"]
_GAP = "  "
_NARROWEST = 8  # an elided cell still says something


def table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows under each other, the first one a heading; the columns in ``right`` are aligned to the right.

    When the rows are wider than `WIDTH`, the widest columns give way: the middle of a long cell becomes ``…``.

    >>> print(table([("node", "parameters"), ("logits.dense", "650")], right={1}))
    node          parameters
    logits.dense         650
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > WIDTH and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines = (
        _GAP.join(
            _elide(cell, width).rjust(width) if column in right else _elide(cell, width).ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _elide(text: str, width: int) -> str:
    """A text cut in its middle: both ends of a path say more than one.

    >>> _elide("body.repeat.2.conv_unit.conv", 17)
    'body.rep…nit.conv'
    """
    if len(text) <= width:
        return text
    head = width // 2
    tail = width - head - 1
    return f"{text[:head]}…{text[len(text) - tail :]}"


def count(number: int) -> str:
    """A whole number for people.

    >>> count(16874)
    '16,874'
    """
    return f"{number:,}"


def short(number: int) -> str:
    """A large whole number for people, to three digits.

    >>> short(900), short(16874), short(3_000_000_000)
    ('900', '16.9 k', '3.00 G')
    """
    amount, unit = float(number), ""
    for larger in "kMGTP":
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    digits = f"{amount:.{max(0, 3 - len(str(int(amount))))}f}"
    return f"{digits} {unit}" if unit else str(number)


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "mistake"), counted(3, "mistake")
    ('1 mistake', '3 mistakes')
    """
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"

"""How values and names from a stranger's file are put into a message: short, quoted, without control characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

_LONGEST = 40
_LISTED = 6


def quoted(value: object) -> str:
    """A value of a file as a message shows it.

    >>> print(quoted("a\\x1b[31mb"), quoted(1.5), quoted("long " * 20))
    "a[31mb" 1.5 "long long long long long long long long …"
    """
    if isinstance(value, str):
        text = "".join(islice((c for c in value if c.isprintable()), _LONGEST + 1))
        return f'"{text[:_LONGEST]}…"' if len(text) > _LONGEST else f'"{text}"'
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def listed(values: Iterable[object]) -> str:
    """The first few values, and how many there are more.

    >>> print(listed(["a", "b"]), listed(range(9)))
    "a", "b" 0, 1, 2, 3, 4, 5 and 3 more
    """
    every = list(values)
    shown = ", ".join(quoted(value) for value in every[:_LISTED])
    return f"{shown} and {len(every) - _LISTED} more" if len(every) > _LISTED else shown


def instead(name: object, known: Sequence[object], *, they: str = "it has") -> str:
    """What could have been meant, or what there is: stands behind "has no …".

    >>> print(instead("lable", ["p0", "label"]), instead("x", ["p0", "label"]), instead("LABEL", ["p0", "label"]))
    did you mean "label"? it has "p0", "label" did you mean "label"?
    """
    from difflib import get_close_matches

    spelled = {str(other).lower(): other for other in known if isinstance(other, str)} if isinstance(name, str) else {}
    near = get_close_matches(str(name).lower(), spelled, n=1, cutoff=0.6)
    if near:
        return f"did you mean {quoted(spelled[near[0]])}?"
    return f"{they} {listed(known)}" if known else f"{they} none"


def number(text: str) -> float:
    """The number that a field writes. Raises ValueError for anything else, Python's ``1_000`` included."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def no_number(value: object) -> str:
    """The message for a text that stands where a number is expected."""
    return (
        f"expected a number, found {quoted(value)}; write one_hot(...) around categories, or name it in the source "
        f'if it stands for a missing value: `missing = ["", {quoted(value)}]`'
    )

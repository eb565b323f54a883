"""Where the vertices of a graph stand when it is drawn: in rows, arrows downwards, few crossings, long edges straight.

Sugiyama's method: rows by longest path, a point of an edge in every row that it passes, the order in a row by the mean
place of the neighbours (barycentres), then places as near to the neighbours' as the widths allow (least squares).
K. Sugiyama, S. Tagawa, M. Toda: Methods for visual understanding of hierarchical system structures (1981).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 4
_EDGE = 0.2
"""The width of an edge that passes a row, of that of a vertex."""
_LIGHT = 1e-4
"""The weight in a row of passing edges, and of what has no source and stands beside its user; of others 1."""


@dataclass(frozen=True)
class Arrangement:
    """Centres in units of a vertex's width, from 0; rows from the top; where each edge passes the rows between."""

    x: list[float]
    row: list[int]
    routes: dict[tuple[int, int], list[float]]


def arrange(sources: Sequence[Sequence[int]], gap: float = 0.12) -> Arrangement:
    """The places of vertices, each given by those that it has arrows from; they stand before it.

    >>> arrange([[], [0], [0, 1]]).row
    [0, 1, 2]
    """
    row = _rows(sources)
    above, below, rows, chains = _with_points(sources, row)
    loose = [bool(at) and not given for at, given in zip(row, sources, strict=True)]
    weight = [_LIGHT if light else 1.0 for light in loose] + [_LIGHT] * (len(above) - len(sources))
    width = [1.0] * len(sources) + [_EDGE] * (len(above) - len(sources))
    for neighbours, ordered in _sweeps(above, below, rows):
        for line in ordered:
            _order(line, rows, neighbours)
    x = [0.0] * len(above)
    for neighbours, ordered in _sweeps(above, below, rows):
        for line in ordered:
            wanted = [_mean(_heaviest(neighbours[v], weight), x, x[v]) for v in line]
            gaps = [(width[a] + width[b]) / 2 + gap for a, b in pairwise(line)]
            for v, place in zip(line, spread(wanted, gaps, [weight[v] for v in line]), strict=True):
                x[v] = place
    left = min((place - width[v] / 2 for v, place in enumerate(x)), default=0.0)
    x = [place - left for place in x]
    return Arrangement(x[: len(sources)], row, {edge: [x[point] for point in chain] for edge, chain in chains.items()})


def spread(wanted: Sequence[float], gaps: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Places in this order, at least the gaps apart, with the least sum of squared distances to those wanted, weighted.

    >>> spread([0, 0, 5], [1, 1], [1, 1, 1])
    [-0.5, 0.5, 5.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number: neighbours that would overlap move as one
    for place, offset, weight in zip(wanted, offsets, weights, strict=False):
        mean, total, count = place - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, much, many = blocks.pop()
            mean = (mean * total + before * much) / (total + much)
            total, count = total + much, count + many
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _sweeps(
    above: list[list[int]], below: list[list[int]], rows: list[list[int]]
) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Up and down in turn, downwards last: the neighbours to look at, and the rows in order."""
    for _ in range(_SWEEPS):
        yield below, rows[::-1]
        yield above, rows


def _heaviest(vertices: Sequence[int], weight: Sequence[float]) -> list[int]:
    """Those that are followed: a passing edge and what only joins from the side do not bend a chain."""
    most = max((weight[v] for v in vertices), default=0.0)
    return [v for v in vertices if weight[v] == most]


def _rows(sources: Sequence[Sequence[int]]) -> list[int]:
    """One below the lowest source; what has no source stands just above its first user."""
    row: list[int] = []
    for given in sources:
        row.append(1 + max((row[source] for source in given), default=-1))
    for v, given in enumerate(sources):
        users = [row[user] for user, taken in enumerate(sources) if v in taken] if not given else []
        row[v] = min(users) - 1 if users else row[v]
    return row


def _with_points(
    sources: Sequence[Sequence[int]], row: Sequence[int]
) -> tuple[list[list[int]], list[list[int]], list[list[int]], dict[tuple[int, int], list[int]]]:
    """The neighbours above and below, the rows, and each edge's points: vertices of their own in the rows between."""
    above: list[list[int]] = [[] for _ in sources]
    below: list[list[int]] = [[] for _ in sources]
    rows: list[list[int]] = [[] for _ in range(max(row, default=-1) + 1)]
    chains: dict[tuple[int, int], list[int]] = {}
    for v, given in enumerate(sources):
        rows[row[v]].append(v)
        for source in dict.fromkeys(given):
            chain = list(range(len(above), len(above) + row[v] - row[source] - 1))
            for place, point in enumerate(chain):
                rows[row[source] + 1 + place].append(point)
            above += [[] for _ in chain]
            below += [[] for _ in chain]
            for upper, lower in zip([source, *chain], [*chain, v], strict=True):
                above[lower].append(upper)
                below[upper].append(lower)
            chains[source, v] = chain
    return above, below, rows, chains


def _order(line: list[int], rows: Sequence[Sequence[int]], neighbours: Sequence[Sequence[int]]) -> None:
    """Sorts a row by the mean place of the neighbours in theirs."""
    place = {v: at - len(other) / 2 for other in rows if other is not line for at, v in enumerate(other)}
    now = {v: at - len(line) / 2 for at, v in enumerate(line)}
    line.sort(key=lambda v: _mean(neighbours[v], place, now[v]))


def _mean(vertices: Sequence[int], place: Sequence[float] | Mapping[int, float], otherwise: float) -> float:
    return sum(place[v] for v in vertices) / len(vertices) if vertices else otherwise

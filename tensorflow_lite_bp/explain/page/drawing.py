"""The graph of a network as a drawing (SVG): inputs at the top, losses at the bottom, each vertex a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorflow_lite_bp.explain.derivation import Derivation, Step
from tensorflow_lite_bp.explain.page.arrange import arrange
from tensorflow_lite_bp.explain.page.markup import Element, element

_WIDTH, _HEIGHT, _ROW, _MARGIN, _INSET = 184, 40, 66, 8, 10
_WIDE = 640
"""A drawing up to this width is made smaller where there is less room; others are scrolled."""
_TITLE, _PATH = 22, 29
"""Letters that fit: of the title and the shape beside it, of the path below."""


@dataclass(frozen=True)
class Vertex:
    """An input, a target, a step or a loss.

    Attributes:
        name: of the tensor or the loss.
        kind: ``input``, ``target``, ``step`` or ``loss``.
        op: the layers, operators or the loss that it applies; of inputs and targets the type.
        sources: the places, in the list of vertices, of those that it is computed from.
        weights: names of its weights.
    """

    name: str
    kind: str
    op: str
    sources: tuple[int, ...]
    weights: tuple[str, ...] = ()

    @property
    def spoken(self) -> str:
        """What a screen reader says of it."""
        said = (self.name, self.op if self.op != self.name else "", self.kind if self.kind != "step" else "")
        return ", ".join(filter(None, said))

    @property
    def title(self) -> str:
        return self.name if self.kind in ("input", "target") else self.op

    @property
    def path(self) -> str:
        """What stands below the title: where in the file's bindings and blocks it is."""
        if self.kind in ("input", "target"):
            return self.kind
        path, _, leaf = self.name.rpartition(".")
        return path if leaf.startswith(self.op) or path else "loss" if self.name == self.op else self.name


def vertices(derivation: Derivation) -> list[Vertex]:
    """The graph's vertices, each behind those that it is computed from."""
    program = derivation.graph.program
    found = [Vertex(item.name, "input", str(item.type), ()) for item in program.inputs]
    found += [Vertex(item.name, "target", str(item.type), ()) for item in program.targets]
    place = {vertex.name: at for at, vertex in enumerate(found)}
    for step in derivation.steps:
        sources = tuple(place[tensor] for tensor in _taken(derivation, step) if tensor in place)
        kind = "loss" if step.result.kind == "loss" else "step"
        if kind == "step":
            place |= dict.fromkeys([*step.nodes, step.name], len(found))
        found.append(Vertex(step.name, kind, _op(derivation, step), sources, tuple(_weights(derivation, step))))
    return found


def _taken(derivation: Derivation, step: Step) -> Iterator[str]:
    """The tensors that a step takes from outside, each once, in the order of the file; a loss takes its target too."""
    if step.result.kind == "loss":
        yield from derivation.graph.program.losses[int(step.result.letter)].inputs
        return
    inputs = [tensor for node in step.nodes for tensor in derivation.graph.nodes[node].inputs]
    yield from (tensor for tensor in dict.fromkeys(inputs) if tensor not in step.nodes)


def _weights(derivation: Derivation, step: Step) -> Iterator[str]:
    graph = derivation.graph
    for node in step.nodes:
        used = (*graph.roles(node).values(), *graph.nodes[node].inputs)
        yield from (name for name in used if name in graph.trainable)


def _op(derivation: Derivation, step: Step) -> str:
    """``dense``; of a statement of several operators all of them: ``matmul, add``."""
    return ", ".join(derivation.graph.nodes[node].op for node in step.nodes) or step.op


def drawing(vertices: Sequence[Vertex], shapes: Sequence[str]) -> Element:
    """The drawing: edges first, then the vertices in the order of the list, which is that of the tabulator key.

    Args:
        shapes: of each vertex, as text.
    """
    placed = arrange([vertex.sources for vertex in vertices])
    width = (max((x for x in placed.x), default=0) + 0.5) * _WIDTH + 2 * _MARGIN
    width = max([width, *(x * _WIDTH + 2 * _MARGIN for route in placed.routes.values() for x in route)])
    height = max(placed.row, default=0) * _ROW + _HEIGHT + 2 * _MARGIN
    edges = [
        element("path", d=_path(placed.x[a], placed.row[a], route, placed.x[b]), data_from=a, data_to=b)
        for (a, b), route in placed.routes.items()
    ]
    boxes = [
        _box(at, vertex, shapes[at], placed.x[at] * _WIDTH + _MARGIN, placed.row[at] * _ROW + _MARGIN)
        for at, vertex in enumerate(vertices)
    ]
    return element(
        "svg",
        element("g", *edges, class_="edges", aria_hidden="true"),
        element("g", *boxes),
        viewBox=f"0 0 {width:g} {height}",
        width=f"{width:g}",
        height=height,
        class_="wide" if width > _WIDE else None,
    )


def _box(at: int, vertex: Vertex, shape: str, x: float, y: float) -> Element:
    """A link with the vertex's title, shape and path."""
    spoken = ", ".join(filter(None, (vertex.spoken, shape)))
    left = f"{x - _WIDTH / 2 + _INSET:g}"
    rounded = _HEIGHT // 2 if vertex.kind in ("input", "target") else 5
    title = _short(vertex.title, _TITLE - len(shape) * 3 // 4)
    return element(
        "a",
        element("title", spoken),
        element("rect", x=f"{x - _WIDTH / 2:g}", y=y, width=_WIDTH, height=_HEIGHT, rx=rounded),
        element("text", title, class_="title", x=left, y=y + 17),
        element("text", _short(vertex.path, _PATH), class_="path", aria_hidden="true", x=left, y=y + 32),
        element("text", shape, class_="shape", aria_hidden="true", x=f"{x + _WIDTH / 2 - _INSET:g}", y=y + 17),
        class_=f"vertex {vertex.kind}" + (" weighted" if vertex.weights else ""),
        href=f"#forward-{at}",
        data_vertex=at,
    )


def _short(text: str, most: int) -> str:
    """The end of a long text, which tells it from others.

    >>> _short("body.repeat.2.residual", 12)
    '…2.residual'
    """
    if len(text) <= most:
        return text
    tail = text[-(most - 1) :]
    return "…" + (tail.split(".", 1)[1] if "." in tail[:-1] else tail)


def _path(x: float, row: int, route: Sequence[float], end: float) -> str:
    """From the foot of a vertex down to the head of another, through a gap in each row between; with an arrowhead."""
    at, y = x * _WIDTH + _MARGIN, row * _ROW + _MARGIN + _HEIGHT
    drawn = f"M{at:.5g} {y}"
    for place in route:
        drawn += _bend(at, y, place * _WIDTH + _MARGIN) + f"v{_HEIGHT}"
        at, y = place * _WIDTH + _MARGIN, y + _ROW
    return drawn + _bend(at, y, end * _WIDTH + _MARGIN) + "m-4 -6l4 6l4 -6"


def _bend(x: float, y: int, to: float) -> str:
    """Down to the next row."""
    down, middle = y + _ROW - _HEIGHT, y + (_ROW - _HEIGHT) // 2
    return f"V{down}" if abs(x - to) < 0.05 else f"C{x:.5g} {middle} {to:.5g} {middle} {to:.5g} {down}"

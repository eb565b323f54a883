"""``tflbp summary``: the nodes of a network, their shapes and weights, and the memory that a batch takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import count, counted, size, table
from tensorflow_lite_bp.cli._options import Json, NetFile, Overrides
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from dsl.program import Program
    from tensorflow_lite_bp.graph.graph import Graph
    from tensorflow_lite_bp.graph.layout import Layout


def summary(
    file: NetFile,
    *,
    overrides: Overrides,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show also the order of a training step and where its arrays lie.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Show a network's nodes, shapes, weights and memory.

    Shapes are those of one sample, and the memory is what a step takes with NumPy. No data is read, nothing is
    allocated. With --plan each line is a moment of a training step, forward (>) or back (<), with the arrays that are
    first written in it: their bytes, where they start in the plan's memory, and the last moment in which they are
    needed.

    \b
    Examples:
      tflbp summary examples/digits.net --set train.batch=256
      tflbp summary examples/digits.net --plan
    """
    from tensorflow_lite_bp.graph.graph import Graph
    from tensorflow_lite_bp.table import checked

    graph = Graph(checked(file, overrides=overrides))
    nodes = [*_variables(graph.program), *_parameters(graph), *_nodes(graph)]
    memory, layouts = _memory(graph)
    if plan and not layouts:
        raise InputError(f"the plan depends on {' and '.join(graph.program.sizes)}, which only the data binds")
    parameters = sum(node["parameters"] for node in nodes)
    data = {
        "file": file,
        "network": graph.program.name,
        "nodes": nodes,
        "outputs": {item.name: list(graph.program.types[item.tensor].shape) for item in graph.program.outputs},
        "parameters": parameters,
        "memory": memory,
        **({"plan": _plan(layouts[-1])} if plan else {}),
    }
    heading = f"{graph.program.name}: {counted(len(graph.layers), 'node')}, {counted(parameters, 'parameter')}"
    texts = [heading, _nodes_text(nodes, parameters), _memory_text(graph, memory)]
    if plan:
        texts.append(_plan_text(layouts[-1], data["plan"], len(layouts)))
    return Answer(data, text="\n\n".join(texts))


def _variables(program: Program) -> list[dict[str, Any]]:
    kinds = {"input": program.inputs, "target": program.targets}
    return [
        _node(variable.name, kind, variable.type, {}, str(variable.span))
        for kind, variables in kinds.items()
        for variable in variables
    ]


def _parameters(graph: Graph) -> list[dict[str, Any]]:
    return [
        _node(item.name, "parameter", item.type, {item.name: item.type.shape}, str(item.span))
        for item in graph.program.parameters
    ]


def _nodes(graph: Graph) -> list[dict[str, Any]]:
    """The nodes; a weight that several of them share is counted where it stands first."""
    shapes = {spec.name: spec.shape for spec in graph.weights}
    found: list[dict[str, Any]] = []
    for node in graph.program.nodes:
        weights = {name: shapes.pop(name, None) for name in graph.roles(node.name).values()}
        found.append(_node(node.name, node.op, node.type, weights, str(node.span)))
    return found


def _node(name: str, op: str, type_: Any, weights: Mapping[str, Any], place: str) -> dict[str, Any]:
    """One line of the summary. A weight whose shape is None belongs to an earlier line."""
    own = {weight: list(shape) for weight, shape in weights.items() if shape is not None}
    return {
        "name": name,
        "op": op,
        "type": str(type_),
        "shape": list(type_.shape),
        "weights": own,
        "shared": [weight for weight, shape in weights.items() if shape is None],
        "parameters": sum(map(prod, own.values())),
        "place": place,
    }


_PARTS = {
    "weights": "weights",
    "gradients": "gradients of the weights",
    "optimizer": "the optimizer's state",
    "batch_rows": "the batch itself",
    "plan": "results, their gradients, what layers work in",
    "tables": "tables that layers read",
}


def _memory(graph: Graph) -> tuple[dict[str, Any], list[Layout]]:
    """Bytes of a training step at the file's batch size, and the layout of each shard.

    What depends on the batch is None while a size is symbolic.
    """
    from dsl.program import Call
    from tensorflow_lite_bp.declare import build
    from tensorflow_lite_bp.graph.half import Half
    from tensorflow_lite_bp.graph.layout import Layout, columns
    from tensorflow_lite_bp.graph.memory import SIZES
    from tensorflow_lite_bp.graph.threads import division
    from tensorflow_lite_bp.precision import PRECISIONS

    train = graph.program.train
    m, precision = train["batch"], train["precision"]
    optimizer = train["optimizer"]
    if isinstance(optimizer, Call):  # the default is an optimizer already
        optimizer = build(optimizer)
    dtype, half = PRECISIONS[precision].weights, Half.of(graph, precision)
    trainable = sum(prod(spec.shape) for spec in graph.trainable.values()) * SIZES[dtype]
    rounded = half.weight_bytes(graph) if half is not None else 0
    layouts: list[Layout] = []
    shards = 1
    if not graph.program.sizes:
        shards = division(graph, m=m, sizes={}, training=True, mixed=half is not None).shards
        shard_columns = [part.stop - part.start for part in columns(m, shards)]
        layout = partial(Layout, graph, mode="train", sizes={}, dtype=dtype, whole=False, staged=0, half=half)
        layouts = [layout(columns=n) for n in shard_columns]
    found: dict[str, Any] = {
        "weights": sum(prod(spec.shape) for spec in graph.weights) * SIZES[dtype] + rounded,
        "gradients": trainable * max(1, len(layouts)) + rounded,
        "optimizer": trainable * len(optimizer.used_slots()),
        "batch_rows": sum(layout.fed_bytes for layout in layouts) if layouts else None,
        "plan": sum(layout.memory.peak for layout in layouts) if layouts else None,
        "tables": sum(layout.own_bytes for layout in layouts) if layouts else None,
    }
    total = sum(found.values()) if layouts else None
    return {"batch": m, "precision": precision, "shards": shards, **found, "total": total}, layouts


def _nodes_text(nodes: Sequence[Mapping[str, Any]], parameters: int) -> str:
    from dsl.types import show

    rows = [("node", "kind", "shape", "weights", "parameters")]
    for node in nodes:
        shapes = " ".join(map(show, node["weights"].values()))
        weights = "shared" if node["shared"] else shapes
        rows.append((node["name"], node["op"], node["type"], weights, count(node["parameters"]) if shapes else ""))
    rows.append(("total", "", "", "", count(parameters)))
    return table(rows, right={4})


def _memory_text(graph: Graph, memory: Mapping[str, Any]) -> str:
    heading = f"memory of a training step with {counted(memory['batch'], 'sample')} in {memory['precision']}"
    if memory["total"] is None:
        unknown = " and ".join(graph.program.sizes)
        return f"{heading}: {size(memory['weights'])} for the weights; the rest depends on {unknown}"
    shards = f", in {memory['shards']} shards" if memory["shards"] > 1 else ""
    rows = [(f"  {label}", size(memory[part])) for part, label in _PARTS.items()]
    return "\n".join([f"{heading}{shards}", table([*rows, ("  together", size(memory["total"]))], right={1})])


def _plan(layout: Layout) -> list[dict[str, Any]]:
    """What happens in each moment of a step, and the arrays that are born in it."""
    born: dict[int, list[dict[str, Any]]] = {}
    for slot in layout.memory.slots:
        described = {
            "name": slot.what,
            "shape": list(slot.shape),
            "bytes": slot.bytes,
            "offset": slot.offset,
            "until": min(slot.last, layout.end - 1),
            "in_place_of": slot.shares.what if slot.shares is not None else None,
        }
        born.setdefault(slot.first, []).append(described)
    return [
        {"moment": time, "step": step.name, "direction": "back" if back else "forward", "arrays": born.get(time, [])}
        for time, (step, back) in enumerate(layout.moments)
    ]


def _plan_text(layout: Layout, moments: Sequence[Mapping[str, Any]], shards: int) -> str:
    rows = [("", "step", "array", "bytes", "at", "until")]
    for moment in moments:
        step = f"{'<' if moment['direction'] == 'back' else '>'} {moment['step']}"
        for index, array in enumerate(moment["arrays"] or [None]):
            first = (str(moment["moment"]), step) if index == 0 else ("", "")
            if array is None:
                rows.append((*first, "", "", "", ""))
                continue
            place = "in place" if array["in_place_of"] is not None else count(array["offset"])
            rows.append((*first, array["name"], count(array["bytes"]), place, str(array["until"])))
    columns = counted(layout.columns, "sample")
    whose = f"each of the {shards} shards, of {columns}" if shards > 1 else f"the batch of {columns}"
    heading = f"the plan of {whose}: {count(layout.memory.peak)} bytes at its peak"
    return f"{heading}\n{table(rows, right={0, 3, 4, 5})}"

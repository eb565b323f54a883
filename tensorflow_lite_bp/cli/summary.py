"""``tflbp summary``: the nodes of a network, their shapes and weights, and the memory that a batch takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import count, counted, size, table
from tensorflow_lite_bp.cli._options import Json, NetFile, Overrides

if TYPE_CHECKING:
    from dsl.program import Program
    from dsl.types import TensorType
    from tensorflow_lite_bp.graph.graph import Graph


def summary(file: NetFile, *, overrides: Overrides, json: Json = False) -> Answer:
    """Show a network's nodes, shapes, weights and memory.

    Shapes are those of one sample. No data is read, nothing is allocated.

    \b
    Example:
      tflbp summary examples/digits.net --set train.batch=256
    """
    from tensorflow_lite_bp.graph.graph import Graph
    from tensorflow_lite_bp.table import checked

    graph = Graph(checked(file, overrides=overrides))
    nodes = [*_variables(graph.program), *_parameters(graph), *_nodes(graph)]
    memory = _memory(graph)
    parameters = sum(node["parameters"] for node in nodes)
    data = {
        "file": file,
        "network": graph.program.name,
        "nodes": nodes,
        "outputs": {item.name: list(graph.program.types[item.tensor].shape) for item in graph.program.outputs},
        "parameters": parameters,
        "memory": memory,
    }
    heading = f"{graph.program.name}: {counted(len(graph.layers), 'node')}, {counted(parameters, 'parameter')}"
    return Answer(data, text="\n\n".join((heading, _nodes_text(nodes, parameters), _memory_text(graph, memory))))


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
    "activations": "every node's result",
    "backward": "gradients of the results",
    "buffers": "what layers work in",
}
_INDEX = 8  # bytes of an index: a class, a token


def _memory(graph: Graph) -> dict[str, Any]:
    """Bytes of a training step at the file's batch size; those of tensors are None while a size is symbolic."""
    from dsl.program import Call
    from tensorflow_lite_bp.declare import build

    train = graph.program.train
    octets = {"float32": 4, "float64": 8}[train["precision"]]
    optimizer = train["optimizer"]
    if isinstance(optimizer, Call):  # the default is an optimizer already
        optimizer = build(optimizer)
    trainable = sum(prod(spec.shape) for spec in graph.weights if spec.trainable) * octets
    found: dict[str, Any] = {
        "weights": sum(prod(spec.shape) for spec in graph.weights) * octets,
        "gradients": trainable,
        "optimizer": trainable * (len(optimizer.used_slots()) + optimizer.scratch),
        **_tensor_memory(graph, train["batch"], octets),
    }
    total = None if None in found.values() else sum(found.values())
    return {"batch": train["batch"], "precision": train["precision"], **found, "total": total}


def _tensor_memory(graph: Graph, m: int, octets: int) -> dict[str, int | None]:
    """Bytes of every tensor, of the gradients that flow back, and of what layers and losses work in."""
    program = graph.program
    if program.sizes:
        return dict.fromkeys(("activations", "backward", "buffers"))
    whole = {name: _whole(type_, m) for name, type_ in program.types.items()}
    tensors = [name for name in whole if name not in graph.parameters]
    wanted = [graph.layers[node.name].buffers(*(whole[name] for name in node.inputs)) for node in program.nodes]
    wanted += [loss.buffers(*(whole[name] for name in item.inputs)) for item, loss in graph.losses]
    per_kind = {"float": octets, "flag": octets, "class": _INDEX, "token": _INDEX, "int": _INDEX, "bool": 1}
    return {
        "activations": sum(prod(whole[name]) * per_kind[program.types[name].kind] for name in tensors),
        "backward": sum(prod(whole[name]) * octets for name in graph.nodes if name in graph.learned),
        "buffers": sum(prod(b.shape) * per_kind[b.kind] for buffers in wanted for b in buffers.values()),
    }


def _whole(type_: TensorType, m: int) -> tuple[int, ...]:
    """The shape of an array for m samples; a bare parameter has none."""
    from dsl.types import known

    shape = known(type_.shape)
    assert shape is not None, "without symbolic sizes every shape is known"
    return (*shape, m) if type_.per_sample else shape


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
    rows = [(f"  {label}", size(memory[part])) for part, label in _PARTS.items()]
    return "\n".join([f"{heading}, about", table([*rows, ("  together", size(memory["total"]))], right={1})])

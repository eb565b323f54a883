"""The exported graph's inputs before preprocessing: which there are, what they are called, and what fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsl.program import Program, Variable
from dsl.types import Shape
from tensorflow_lite_bp.data.expression import Expression
from tensorflow_lite_bp.data.kinds import Indices
from tensorflow_lite_bp.data.transforms.columns import Array


@dataclass(frozen=True)
class RawInput:
    """One input of the exported graph before preprocessing: ``(batch, *shape)``.

    Attributes:
        kind: ``float``, ``int`` (int64) or ``string``.
        columns: the columns that fill it in their order, or the one array.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    shape: Shape


Raws = dict[str, list[tuple[RawInput, Expression]]]
"""For each input of a network its raw inputs, and the leaf that each stands for."""


def raw_inputs(program: Program, roots: Mapping[str, Expression]) -> Raws:
    """The raw inputs of every input of a program.

    A variable's only one has the variable's name. Of several, each has the name of its column, or the variable's name
    with ``.columns`` behind it; a number is added where a name is taken. Leaves that are alike share one.
    """
    taken = {*program.names, *program.types, *(each.name for each in (*program.inputs, *program.targets))}
    taken |= {node.name for node in program.nodes} | {output.name for output in program.outputs}
    found: Raws = {}
    for variable in program.inputs:
        if variable.name not in roots:
            continue
        leaves: list[Expression] = []
        for leaf in roots[variable.name].leaves():
            if not any(leaf.reads_as(other) for other in leaves):
                leaves.append(leaf)
        found[variable.name] = []
        for leaf in leaves:
            name = variable.name if len(leaves) == 1 else _free(_name(variable, leaf), taken)
            taken.add(name)
            found[variable.name].append((_raw_input(name, variable, roots[variable.name], leaf), leaf))
    return found


def _raw_input(name: str, variable: Variable, root: Expression, leaf: Expression) -> RawInput:
    kind = "string" if leaf.state["text"] else "float"
    if isinstance(root.transform, Indices) and root.inputs[0] is leaf and kind == "float":
        kind = "int"
    shape: Shape = leaf.shape()
    if len(shape) == len(variable.type.shape) and isinstance(leaf.transform, Array):
        pairs = zip(shape, variable.type.shape, strict=True)
        shape = tuple(declared if isinstance(declared, str) else size for size, declared in pairs)
    return RawInput(name, kind, tuple(leaf.state["columns"]), shape)


def _name(variable: Variable, leaf: Expression) -> str:
    columns: list[str] = leaf.state["columns"]
    return columns[0] if len(columns) == 1 and columns[0] else f"{variable.name}.columns"


def _free(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it when it is taken."""
    tried, number = name, 1
    while tried in taken:
        number += 1
        tried = f"{name}_{number}"
    return tried


def filled_onnx(g: Any, name: str, found: tuple[int, ...], declared: Shape) -> str:
    """ONNX: values of the shape found in the declared shape (see `shapes.filled_shape`); symbolic sizes stay open."""
    agree = len(found) == len(declared) and all(
        isinstance(wanted, str) or wanted == size for size, wanted in zip(found, declared, strict=True)
    )
    if agree:
        return name
    if sum(isinstance(size, str) for size in declared) > 1:  # then the shapes agree but for axes of size 1
        ones = [axis for axis, size in enumerate(found, 1) if size == 1]
        added = [axis for axis, size in enumerate(declared, 1) if size == 1]
        name = g.Squeeze(name, g.constant(ones)) if ones else name
        name = g.Unsqueeze(name, g.constant(added)) if added else name
        return name
    sizes = [size if isinstance(size, int) else -1 for size in declared]
    result: str = g.Reshape(name, g.constant(np.array([0, *sizes], dtype=np.int64)))
    return result

"""Build an ONNX graph node by node: what a layer's `onnx` method and the preprocessing write to.

A value is its name. ``g.Relu(x)`` adds a node to the graph and gives the name of its result, so a layer's ONNX nodes
read like its mathematics::

    def onnx(self, g, at):
        return g.Add(g.MatMul(at.X, at.W), at.b)

Arrays are batch-first, ``(batch, *shape)``, and the batch has no size: it is the symbolic axis `BATCH`. Where a shape
is wanted (Reshape), 0 copies an axis and -1 infers one, so that no batch size is ever written into the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.types import Shape
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    import onnx

OPSETS = range(13, 22)
"""The versions of the ONNX operators that can be written."""

BATCH = "batch"
"""The name of the sample axis, the first of every input and output."""

# What a reader must know to read a version of the operators (onnx/docs/Versioning.md): the oldest release of ONNX with
# the opset, its file format (IR) and the opset of `ai.onnx.ml` that came with it. Never what the installed onnx writes:
# its newest format is one that yesterday's runtimes refuse.
_IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
_ML_OPSET = {13: 2, 14: 2, 15: 2, 16: 3, 17: 3, 18: 3, 19: 3, 20: 4, 21: 5}
_ML_DOMAIN = "ai.onnx.ml"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model: ``(batch, *shape)``, symbolic sizes by their names."""

    name: str
    dtype: str  # float32, float64, int64... or string
    shape: Shape


class Builder:
    """An ONNX graph that grows. Every ONNX operator is a method: ``g.Conv(x, w, b, strides=[2, 2])``.

    Positional arguments are names of values (None or ``""`` leaves an optional input out), named ones are attributes:
    an array becomes a tensor, and ``to`` and ``dtype`` may be the name of a NumPy dtype (``g.Cast(x, to="int64")``).
    ``outputs=2`` asks for several results and gives a tuple of names; ``domain="ai.onnx.ml"`` is the other set of
    operators.

    Attributes:
        opset: the version of the operators, one of `OPSETS`; a layer may ask, to use a younger operator where it can.
        float_dtype: ``float32`` or ``float64``, what real values are.
        inputs: what the model takes.
        outputs: what it gives.
    """

    def __init__(self, float_dtype: str = "float32", opset: int = 17) -> None:
        assert opset in OPSETS, opset
        assert float_dtype in ("float32", "float64"), float_dtype
        self.float_dtype = float_dtype
        self.opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, np.ndarray] = {}
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self._public: dict[str, str] = {}  # values that are given out, and the names that people know them by
        self._values: set[str] = set()
        self._scope: tuple[str, str] = ("", "")
        self._count = 0  # nodes made in this scope

    def __getattr__(self, op: str) -> Any:
        if not op[:1].isupper():
            raise AttributeError(op)

        def add(*inputs: str | None, outputs: int = 1, domain: str = "", **attributes: Any) -> str | tuple[str, ...]:
            return self._add(op, inputs, outputs, domain, attributes)

        return add

    @contextmanager
    def scope(self, name: str, doc: str = "") -> Iterator[None]:
        """Nodes made inside are called ``name``, ``name/Add_2``, ``name/Relu_3``...; ``doc`` says from where."""
        before = self._scope, self._count
        self._scope, self._count = (name, _utf8(doc)), 0
        try:
            yield
        finally:
            self._scope, self._count = before

    def input(self, name: str, dtype: str, shape: Shape) -> str:
        """An input of the model: ``(batch, *shape)`` of a NumPy dtype or ``string``."""
        self.inputs[name] = Tensor(name, dtype, shape)
        return self._claim(name)

    def output(self, value: str, name: str, dtype: str, shape: Shape) -> None:
        """Give out a value under a public name.

        Raises:
            InputError: when another tensor of the graph has that name.
        """
        assert value in self._values, value
        if name in self._values and name != value:
            raise InputError(
                f"output `{name}` has the name of another tensor of the ONNX graph, which knows a name once: "
                f"give the output a name of its own (`output {name}_out = ...`)"
            )
        named = value in self.inputs or value in self._initializers
        if value in self._public or (named and name != value):
            with self.scope(name):
                value = self.Identity(value)  # one value cannot have two names
        self._public[value] = name
        self._values.add(name)
        self.outputs[name] = Tensor(name, dtype, shape)

    def has(self, value: str) -> bool:
        """Whether the graph has a value of this name."""
        return value in self._values

    def public_name(self, value: str) -> str:
        """What a value is called in the finished model: an output's name, or its own."""
        return self._public.get(value, value)

    def initializer(self, name: str, array: np.ndarray) -> str:
        """A weight under its own name; real values get the graph's dtype. Adding it again changes nothing."""
        if name not in self._initializers:
            self._claim(name)
            self._initializers[name] = self._converted(array, None)
        return name

    def constant(self, value: Any, dtype: str | None = None) -> str:
        """A constant: real numbers get the graph's dtype, integers int64, unless ``dtype`` says otherwise."""
        name = self._fresh(f"{self._scope[0]}/constant" if self._scope[0] else "constant")
        self._initializers[name] = self._converted(np.asarray(value), dtype)
        return name

    def model(self, metadata: Mapping[str, str] | None = None, *, name: str = "network") -> onnx.ModelProto:
        """The finished model, with the initializers that a node reads and no others."""
        from onnx import helper, numpy_helper

        from tensorflow_lite_bp import __version__

        assert self.outputs, "a model gives something out"
        nodes = self._renamed()
        used = {value for node in nodes for value in node.input}
        graph = helper.make_graph(
            nodes,
            name,
            [_value_info(tensor) for tensor in self.inputs.values()],
            [_value_info(tensor) for tensor in self.outputs.values()],
            [numpy_helper.from_array(array, name) for name, array in self._initializers.items() if name in used],
        )
        imports = [helper.make_opsetid("", self.opset)]
        if any(node.domain == _ML_DOMAIN for node in nodes):
            imports.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET[self.opset]))
        model = helper.make_model(
            graph,
            opset_imports=imports,
            ir_version=_IR[self.opset],
            producer_name="tensorflow_lite_bp",
            producer_version=__version__,
        )
        helper.set_model_props(model, {key: _utf8(value) for key, value in (metadata or {}).items()})
        return model

    def _add(
        self, op: str, inputs: tuple[str | None, ...], outputs: int, domain: str, attributes: dict[str, Any]
    ) -> str | tuple[str, ...]:
        from onnx import helper

        names = [name or "" for name in inputs]
        while names and not names[-1]:
            names.pop()
        for value in names:
            assert not value or value in self._values, f"{op} reads `{value}`, which nothing has made"
        self._schema(op, domain)
        scope, doc = self._scope
        self._count += 1
        name = self._fresh(scope if scope and self._count == 1 else f"{scope}/{op}_{self._count}".lstrip("/"))
        results = (name,) if outputs == 1 else (name, *(self._fresh(f"{name}:{k}") for k in range(1, outputs)))
        given = {key: _attribute(key, value) for key, value in attributes.items()}
        self._nodes.append(helper.make_node(op, names, results, name, doc, domain, **given))
        return results[0] if outputs == 1 else results

    def _schema(self, op: str, domain: str) -> None:
        """Say at once, where the layer's line is, that an operator does not exist (yet) in this opset."""
        from onnx import defs

        version = _ML_OPSET[self.opset] if domain == _ML_DOMAIN else self.opset
        assert defs.has(op, version, domain), f"{domain or 'ai.onnx'} has no operator `{op}` in opset {version}"

    def _claim(self, name: str) -> str:
        assert name not in self._values, f"two values are called `{name}`"
        self._values.add(name)
        return name

    def _fresh(self, name: str) -> str:
        """The name, or with a number behind it when it is taken."""
        tried, number = name, 1
        while tried in self._values:
            number += 1
            tried = f"{name}_{number}"
        return self._claim(tried)

    def _converted(self, array: np.ndarray, dtype: str | None) -> np.ndarray:
        if array.dtype.kind in "UTO":
            return array.astype(object)
        if dtype is None:
            dtype = {"f": self.float_dtype, "b": "bool"}.get(array.dtype.kind, "int64")
        return array.astype(dtype)

    def _renamed(self) -> list[onnx.NodeProto]:
        """The nodes with the values that are given out under their public names."""
        for node in self._nodes:
            for values in (node.input, node.output):
                for position, value in enumerate(values):
                    values[position] = self.public_name(value)
        return self._nodes


def _value_info(tensor: Tensor) -> onnx.ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(tensor.name, _element_type(tensor.dtype), [BATCH, *tensor.shape])


def _attribute(name: str, value: Any) -> Any:
    if name in ("to", "dtype") and isinstance(value, str):
        return _element_type(value)
    if isinstance(value, np.ndarray):
        from onnx import numpy_helper

        return numpy_helper.from_array(value)
    return value


def _utf8(text: str) -> str:
    """The text as protobuf takes it; a file's name need not be valid UTF-8."""
    return text.encode(errors="replace").decode()


def _element_type(dtype: str) -> int:
    """ONNX's number for a NumPy dtype's name, or for ``string``."""
    from onnx import TensorProto, helper

    if dtype == "string":
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

"""The builder's graphs: what onnxruntime computes from them, their names, versions and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.exchange.builder import OPSETS, Builder


def run(model: onnx.ModelProto, **feed: np.ndarray) -> list[Any]:
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)


def affine(opset: int = 17, float_dtype: str = "float32") -> Builder:
    """y = relu(x W + b), for x of two features and y of three."""
    g = Builder(float_dtype, opset)
    x = g.input("x", float_dtype, (2,))
    with g.scope("h.dense", "net.net:7"):
        product = g.MatMul(x, g.initializer("h.dense.weight", np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 4.0]])))
        total = g.Add(product, g.initializer("h.dense.bias", np.array([1.0, 2.0, 3.0])))
    with g.scope("h.relu", "net.net:8"):
        y = g.Relu(total)
    g.output(y, "probabilities", float_dtype, (3,))
    return g


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_runs_and_has_the_oldest_format_that_knows_it(opset: int) -> None:
    model = affine(opset).model()
    assert [(item.domain, item.version) for item in model.opset_import] == [("", opset)]
    assert model.ir_version == onnx.helper.find_min_ir_version_for(model.opset_import)
    (y,) = run(model, x=np.array([[2.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_array_equal(y, [[5.0, 0.0, 17.0], [1.0, 2.0, 3.0]])


@pytest.mark.parametrize("opset", OPSETS)
def test_the_other_domain_is_imported_only_when_it_is_used_with_the_version_of_its_release(opset: int) -> None:
    g = Builder(opset=opset)
    colour = g.input("colour", "string", (1,))
    number = g.LabelEncoder(
        colour, domain="ai.onnx.ml", keys_strings=["red", "blue"], values_int64s=[0, 1], default_int64=-1
    )
    g.output(number, "number", "int64", (1,))
    model = g.model()
    released = {row[2]: row[3] for row in onnx.helper.VERSION_TABLE if len(row) > 3}
    assert {item.domain: item.version for item in model.opset_import} == {"": opset, "ai.onnx.ml": released[opset]}
    assert model.ir_version == onnx.helper.find_min_ir_version_for(model.opset_import)
    (found,) = run(model, colour=np.array([["blue"], ["red"], ["green"]], object))
    assert found.tolist() == [[1], [0], [-1]]


def test_names_of_nodes_values_and_weights() -> None:
    graph = affine().model().graph
    assert [(node.name, node.doc_string) for node in graph.node] == [
        ("h.dense", "net.net:7"),
        ("h.dense/Add_2", "net.net:7"),
        ("h.relu", "net.net:8"),
    ]
    assert [item.name for item in graph.initializer] == ["h.dense.weight", "h.dense.bias"]
    assert [item.name for item in graph.input] == ["x"]
    assert [item.name for item in graph.output] == ["probabilities"]
    batch, features = graph.output[0].type.tensor_type.shape.dim
    assert (batch.dim_param, features.dim_value) == ("batch", 3)


def test_two_scopes_of_one_name_make_two_names() -> None:
    g = Builder()
    x = g.input("x", "float32", ())
    for _ in range(2):
        with g.scope("twice"):
            x = g.Relu(x)
    assert x == "twice_2"


def test_symbolic_sizes_keep_their_names() -> None:
    g = Builder()
    x = g.input("x", "float32", (4, "T"))
    g.output(g.Relu(x), "y", "float32", (4, "T"))
    for value in (*g.model().graph.input, *g.model().graph.output):
        assert [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] == ["batch", 4, "T"]


def test_real_values_get_the_graphs_dtype_and_others_keep_theirs() -> None:
    for float_dtype, element in (("float32", onnx.TensorProto.FLOAT), ("float64", onnx.TensorProto.DOUBLE)):
        g = Builder(float_dtype)
        x = g.input("x", float_dtype, (2,))
        g.output(g.Add(x, g.constant(np.float32(0.5))), "y", float_dtype, (2,))
        g.output(g.Reshape(x, g.constant([0, -1])), "z", float_dtype, (2,))
        g.output(g.Cast(x, to="int64"), "i", "int64", (2,))
        model = g.model()
        assert [item.data_type for item in model.graph.initializer] == [element, onnx.TensorProto.INT64]
        y, z, i = run(model, x=np.array([[1.25, -2.0]], float_dtype))
        assert y.dtype == z.dtype == np.dtype(float_dtype)
        assert (y.tolist(), z.tolist(), i.tolist()) == ([[1.75, -1.5]], [[1.25, -2.0]], [[1, -2]])


def test_constants_of_another_dtype_strings_and_arrays_as_attributes() -> None:
    g = Builder(opset=19)  # the first in which strings can be compared
    x = g.input("x", "string", (2,))
    g.output(g.Equal(x, g.constant(["a", "b"])), "same", "bool", (2,))
    shape = g.Shape(x)
    fives = g.ConstantOfShape(shape, value=np.array([5], np.int32))
    g.output(g.Mul(fives, g.constant(2, dtype="int32")), "tens", "int32", (2,))
    same, tens = run(g.model(), x=np.array([["a", "a"]], object))
    assert (same.tolist(), tens.tolist()) == ([[True, False]], [[10, 10]])


def test_several_outputs_and_inputs_left_out() -> None:
    g = Builder()
    x = g.input("x", "float32", (4,))
    first, second = g.Split(x, g.constant([1, 3]), outputs=2, axis=1)
    g.output(g.Clip(first, None, g.constant(1.0)), "low", "float32", (1,))
    g.output(g.Clip(second, g.constant(0.0), None), "high", "float32", (3,))
    low, high = run(g.model(), x=np.array([[3.0, -1.0, 0.5, 2.0]], np.float32))
    assert (low.tolist(), high.tolist()) == ([[1.0]], [[0.0, 0.5, 2.0]])


def test_one_value_under_two_names_and_an_input_given_out() -> None:
    g = Builder()
    x = g.input("x", "float32", (1,))
    y = g.Neg(x)
    g.output(y, "first", "float32", (1,))
    g.output(y, "second", "float32", (1,))
    g.output(x, "same", "float32", (1,))
    g.output(x, "x", "float32", (1,))
    g.output(y, y, "float32", (1,))
    first, second, same, itself, third = run(g.model(), x=np.array([[2.0]], np.float32))
    assert (first, second, same, itself, third) == ([[-2.0]], [[-2.0]], [[2.0]], [[2.0]], [[-2.0]])
    assert [node.name for node in g.model().graph.node] == ["Neg_1", "second", "same", "Neg_1_2"]


def test_initializers_that_no_node_reads_are_left_out() -> None:
    g = Builder()
    x = g.input("x", "float32", (1,))
    g.initializer("unused", np.zeros(3))
    assert g.initializer("used", np.ones(1)) == g.initializer("used", np.ones(1)) == "used"
    g.output(g.Add(x, "used"), "y", "float32", (1,))
    assert [item.name for item in g.model().graph.initializer] == ["used"]


def test_metadata_and_producer() -> None:
    model = affine().model({"source": "network n", "seed": "7"}, name="n")
    assert {item.key: item.value for item in model.metadata_props} == {"source": "network n", "seed": "7"}
    assert (model.graph.name, model.producer_name) == ("n", "tensorflow_lite_bp")


def test_a_file_name_that_is_no_text_does_no_harm() -> None:
    g = Builder()
    x = g.input("x", "float32", (1,))
    with g.scope("y", "\udcff.net:1"):
        g.output(g.Relu(x), "out", "float32", (1,))
    model = g.model({"source": '"\udcff"'})
    assert (model.metadata_props[0].value, model.graph.node[0].doc_string) == ('"?"', "?.net:1")


def test_an_output_with_the_name_of_another_tensor() -> None:
    g = Builder()
    y = g.Neg(g.input("x", "float32", (1,)))
    with pytest.raises(InputError) as caught:
        g.output(y, "x", "float32", (1,))
    assert str(caught.value) == (
        "output `x` has the name of another tensor of the ONNX graph, which knows a name once: "
        "give the output a name of its own (`output x_out = ...`)"
    )


def test_mistakes_of_a_layer_show_at_its_line() -> None:
    g = Builder()
    x = g.input("x", "float32", (1,))
    with pytest.raises(AssertionError, match="onnx has no operator `Gelu` in opset 17"):
        g.Gelu(x)
    with pytest.raises(AssertionError, match="Relu reads `y`, which nothing has made"):
        g.Relu("y")
    with pytest.raises(AssertionError, match="two values are called `x`"):
        g.input("x", "float32", (1,))
    with pytest.raises(AttributeError):
        g.relu  # noqa: B018

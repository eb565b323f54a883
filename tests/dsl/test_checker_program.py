"""Right files: the nodes, names, types and settings of the program that they become."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from dsl import Checked, Program
from dsl.checker.constants import Inexact, TooLarge, bounded, calculate
from dsl.program import Call, ColumnRange
from dsl.types import TensorType, floats

Make = Callable[..., Program]

DIGITS = """
network digits

let width = 16

input  image: float[1, 8, 8]            # channels, height, width
target digit: class(10)

block conv_unit(x, filters, kernel = 3) {
  return x -> conv(filters, kernel = kernel, padding = "same", bias = false)
           -> batch_norm
           -> relu
}

stem   = image -> conv_unit(width)
body   = stem -> repeat(2, conv_unit(width))
merged = relu(stem + body)
logits = merged -> max_pool(2) -> flatten -> dropout(0.25) -> dense(10)

loss   cross_entropy(logits, digit)
metric accuracy(logits, digit)
output probabilities = softmax(logits)

data {
  source = csv("data/digits.csv")
  image  = columns("p0".."p63") / 16
  digit  = column("label")
  split  = random(train = 0.8, validation = 0.1, test = 0.1, seed = 7)
}

train {
  optimizer = adam(0.001)
  schedule  = cosine(warmup = 2)
  batch     = 64
  epochs    = 30
}
"""

EXERCISE = """
network exercise

input  X: float[3]
target t: float[2]

parameter W1: float[5, 3]
parameter b1: float[5] = zeros
parameter W2: float[2, 5] = normal(0.02)

y1 = W1 @ X  + b1
a1 = tanh(y1)
a2 = sigmoid(W2 @ a1)

loss E = mse(a2, t)
output a2
"""

SIAMESE = """
network siamese

input  left:  float[1, 28, 28]
input  right: float[1, 28, 28]
target same:  flag

layer encoder = conv(16, 3) -> relu -> max_pool(2) -> flatten -> dense(64)

distance = abs((left -> encoder) - (right -> encoder))
logit    = distance -> dense(1) -> reshape([])

loss   binary_cross_entropy(logit, same)
output probability = sigmoid(logit)
"""


@pytest.mark.parametrize("text", [DIGITS, EXERCISE, SIAMESE])
def test_the_files_of_the_language_page_are_right(checked: Callable[..., Checked], text: str) -> None:
    found = checked(text)
    assert found.diagnostics == ()
    assert found.program is not None


def test_digits(program: Make) -> None:
    found = program(DIGITS)
    assert found.name == "digits"
    unit = ("conv", "batch_norm", "relu")
    assert [node.name for node in found.nodes] == [
        *(f"stem.conv_unit.{layer}" for layer in unit),
        *(f"body.repeat.1.conv_unit.{layer}" for layer in unit),
        *(f"body.repeat.2.conv_unit.{layer}" for layer in unit),
        "merged.add",
        "merged.relu",
        *(f"logits.{layer}" for layer in ("max_pool", "flatten", "dropout", "dense")),
        "probabilities.softmax",
    ]
    assert all(node.weights == node.name for node in found.nodes)
    nodes = {node.name: node for node in found.nodes}
    conv = nodes["body.repeat.1.conv_unit.conv"]
    assert (conv.op, conv.inputs, conv.binding) == ("conv", ("stem.conv_unit.relu",), None)
    assert conv.settings == {"filters": 16, "kernel": 3, "padding": "same", "bias": False}
    assert conv.type == floats((16, 8, 8))
    assert conv.span.text == 'conv(filters, kernel = kernel, padding = "same", bias = false)'
    assert nodes["merged.add"].inputs == ("stem.conv_unit.relu", "body.repeat.2.conv_unit.relu")
    assert nodes["logits.flatten"].type == floats((256,))
    assert found.names == {
        "stem": "stem.conv_unit.relu",
        "body": "body.repeat.2.conv_unit.relu",
        "merged": "merged.relu",
        "logits": "logits.dense",
        "probabilities": "probabilities.softmax",
    }
    assert {node.name: node.binding for node in found.nodes if node.binding} == {
        tensor: name for name, tensor in found.names.items()
    }
    assert found.types["digit"] == TensorType("class", (), 10)
    assert found.types["logits.dense"] == floats((10,))
    (loss,), (metric,), (output,) = found.losses, found.metrics, found.outputs
    assert (loss.name, loss.op, loss.inputs, loss.factor) == (
        "cross_entropy", "cross_entropy", ("logits.dense", "digit"), 1.0,
    )  # fmt: skip
    assert (metric.name, metric.settings) == ("accuracy", {"reduction": "mean"})
    assert (output.name, output.tensor) == ("probabilities", "probabilities.softmax")


def test_the_sections_of_digits(program: Make) -> None:
    found = program(DIGITS)
    assert found.data is not None
    assert found.data.settings == {
        "source": Call("source", "csv", {"path": "data/digits.csv", "header": True}),
        "split": Call("split", "random", {"train": 0.8, "validation": 0.1, "test": 0.1, "seed": 7}),
    }
    columns = Call("transform", "columns", {"names": (ColumnRange("p0", "p63"),), "all_except": ()})
    assert found.data.columns == {
        "image": Call("transform", "divide", {}, (columns, 16.0)),
        "digit": Call("transform", "column", {"name": "label"}),
    }
    assert found.train == {
        "optimizer": Call("optimizer", "adam", {"rate": 0.001, "beta1": 0.9}),
        "schedule": Call("schedule", "cosine", {"warmup": 2.0}),
        "batch": 64,
        "epochs": 30,
        "seed": 0,
        "clip_norm": None,
        "class_weights": None,
        "monitor": "loss",
    }
    assert found.export == {"opset": 17, "raw": False}


def test_parameters_and_operators(program: Make) -> None:
    found = program(EXERCISE)
    assert [(p.name, p.type.shape, p.type.per_sample, p.initializer) for p in found.parameters] == [
        ("W1", (5, 3), False, None),
        ("b1", (5,), False, Call("initializer", "zeros")),
        ("W2", (2, 5), False, Call("initializer", "normal", {"std": 0.02})),
    ]
    assert [(node.name, node.op, node.inputs) for node in found.nodes] == [
        ("y1.matmul", "matmul", ("W1", "X")),
        ("y1.add", "add", ("y1.matmul", "b1")),
        ("a1.tanh", "tanh", ("y1.add",)),
        ("a2.matmul", "matmul", ("W2", "a1.tanh")),
        ("a2.sigmoid", "sigmoid", ("a2.matmul",)),
    ]
    assert (found.losses[0].name, found.losses[0].op) == ("E", "mse")
    assert [(output.name, output.tensor) for output in found.outputs] == [("a2", "a2.sigmoid")]
    assert found.data is None


def test_uses_of_a_layer_have_names_of_their_own_and_share_weights(program: Make) -> None:
    found = program(SIAMESE)
    names = {node.name: node.weights for node in found.nodes if "encoder" in node.name}
    layers = ("conv", "relu", "max_pool", "flatten", "dense")
    assert names == {
        f"distance.{use}.{layer}": f"encoder.{layer}" for use in ("encoder", "encoder_2") for layer in layers
    }


FILE = """
let a = 3
input x: float[4]
input y: float[4]
parameter p: float[4]
z = {}
output z
output x
output q = y * p * a
"""


@pytest.mark.parametrize(
    ("expression", "nodes"),
    [
        ("x + y", [("add", {}, ("x", "y"))]),
        ("x - p", [("subtract", {}, ("x", "p"))]),
        ("p * x", [("multiply", {}, ("p", "x"))]),
        ("x / y", [("divide", {}, ("x", "y"))]),
        ("x * 2", [("affine", {"scale": 2.0, "shift": 0.0}, ("x",))]),
        ("a * x", [("affine", {"scale": 3.0, "shift": 0.0}, ("x",))]),
        ("x / 16", [("affine", {"scale": 0.0625, "shift": 0.0}, ("x",))]),
        ("x + 1", [("affine", {"scale": 1.0, "shift": 1.0}, ("x",))]),
        ("1 + x", [("affine", {"scale": 1.0, "shift": 1.0}, ("x",))]),
        ("x - 1/4", [("affine", {"scale": 1.0, "shift": -0.25}, ("x",))]),
        ("1 - x", [("affine", {"scale": -1.0, "shift": 1.0}, ("x",))]),
        ("-x", [("affine", {"scale": -1.0, "shift": 0.0}, ("x",))]),
        ("x ^ 2", [("power", {"exponent": 2.0}, ("x",))]),
        ("1 / x", [("power", {"exponent": -1.0}, ("x",))]),
        (
            "2 / x",
            [("power", {"exponent": -1.0}, ("x",)), ("affine", {"scale": 2.0, "shift": 0.0}, ("z.power",))],
        ),
        ("-x ^ 2", [("power", {"exponent": 2.0}, ("x",)), ("affine", {"scale": -1.0, "shift": 0.0}, ("z.power",))]),
        ("x + 2 * 3 ^ 2 * y", [("affine", {"scale": 18.0, "shift": 0.0}, ("y",)), ("add", {}, ("x", "z.affine"))]),
        ("blend(x, y, 0.25)", [("blend", {"share": 0.25}, ("x", "y"))]),
        ("x -> blend(y, share = 1/8)", [("blend", {"share": 0.125}, ("x", "y"))]),
        ("x + (y -> relu -> tanh)", [("relu", {}, ("y",)), ("tanh", {}, ("z.relu",)), ("add", {}, ("x", "z.tanh"))]),
        ("relu(tanh(x))", [("tanh", {}, ("x",)), ("relu", {}, ("z.tanh",))]),
        ("x", []),
    ],
)
def test_an_expression_makes_these_nodes(
    program: Make, expression: str, nodes: list[tuple[str, dict[str, Any], tuple[str, ...]]]
) -> None:
    found = program(FILE.format(expression))
    made = [node for node in found.nodes if node.name.startswith("z.")]
    assert [(node.op, node.settings, node.inputs) for node in made] == nodes
    assert found.names["z"] == (made[-1].name if made else "x")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2", 3),
        ("-7 // 2 + 7", 3),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2 + 5", 1),
        ("6 / 4 * 2", 3),
        ("1e3", 1000),
        ("0.1 + 0.2 - 0.3 + 1", 1),
        ("64 ^ 0.5", 8),
        ("4 ^ -1 * 8", 2),
        ("(a + 1) * (a - 1)", 8),
        ("10 - 3 - 2", 5),
        ("(-8) ^ (1/3) + 3", 1),
    ],
)
def test_constants_are_exact(program: Make, expression: str, value: int) -> None:
    found = program(f"let a = 3\nlet b = {expression} + 0 * a\ninput x: float[4]\noutput y = x -> dense(b)")
    assert found.nodes[0].settings["units"] == value


@pytest.mark.parametrize(
    ("operator", "a", "b", "error"),
    [
        ("/", 1, 0, ZeroDivisionError),
        ("//", 1, 0, ZeroDivisionError),
        ("^", 0, -1, ZeroDivisionError),
        ("^", 2, Fraction(1, 2), Inexact),
        ("^", -4, Fraction(1, 2), Inexact),
        ("^", 2, Fraction(1, 10**9), Inexact),
        ("^", 3, 10**30, TooLarge),
        ("^", Fraction(1, 3), 10**30, TooLarge),
        ("*", 2**1000, 2**1000, TooLarge),
    ],
)
def test_what_cannot_be_computed_is_refused_at_once(
    operator: str, a: int | Fraction, b: int | Fraction, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bounded(calculate(operator, a, b))


@pytest.mark.parametrize(
    ("base", "exponent", "value"),
    [(1, 10**300, 1), (-1, 10**300 + 1, -1), (0, 10**300, 0), (0, 0, 1), (7, 0, 1), (1, Fraction(1, 3), 1)],
)
def test_powers_of_small_bases_are_known_for_any_exponent(base: int, exponent: int | Fraction, value: int) -> None:
    assert calculate("^", base, exponent) == value


def test_a_second_one_in_the_same_place_is_numbered(program: Make) -> None:
    text = """
    block pair(x, n) {
      dense_2 = x -> dense(n)
      return dense_2 -> dense(n) -> dense(n) -> relu
    }
    input x0: float[4]
    h = x0 -> dense(3) -> dense(3) -> pair(3) -> pair(3) -> repeat(1, relu) -> repeat(1, relu)
    output h
    """
    assert [node.name for node in program(text).nodes] == [
        "h.dense",
        "h.dense_2",
        "h.pair.dense_2.dense",
        "h.pair.dense",
        "h.pair.dense_3",
        "h.pair.relu",
        "h.pair_2.dense_2.dense",
        "h.pair_2.dense",
        "h.pair_2.dense_3",
        "h.pair_2.relu",
        "h.repeat.1.relu",
        "h.repeat_2.1.relu",
    ]


def test_blocks_nest_and_take_tensors_and_constants(program: Make) -> None:
    text = """
    let base = 2
    block unit(x, n, slope = base + 1) { return x -> dense(n * slope) }
    block join(a, b, n) {
      wide = a -> unit(n, slope = 1)
      m = n + 1
      return blend(wide, b -> unit(n, 1), 1 / m) + wide
    }
    input left: float[4]
    input right: float[5]
    output y = left -> join(right, n = 3)
    output z = unit(left, 2)
    output w = join(b = left, a = right, n = 1)
    """
    found = program(text)
    nodes = {node.name: node for node in found.nodes}
    assert list(nodes)[:4] == ["y.join.wide.unit.dense", "y.join.unit.dense", "y.join.blend", "y.join.add"]
    assert nodes["y.join.blend"].settings == {"share": 0.25}
    assert nodes["y.join.blend"].inputs == ("y.join.wide.unit.dense", "y.join.unit.dense")
    assert nodes["z.unit.dense"].settings["units"] == 6
    assert nodes["w.join.wide.unit.dense"].inputs == ("right",)
    assert "wide" not in found.names


def test_layers_may_hold_blocks_repetition_and_layers(program: Make) -> None:
    text = """
    block unit(x, n) { return x -> dense(n) -> relu }
    layer inner = dense(4)
    layer outer = repeat(2, unit(4)) -> inner -> inner
    block wrap(x) { return x -> outer }
    input a: float[4]
    input b: float[4]
    y = (a -> wrap) + outer(b)
    output y
    output z = a -> repeat(2, inner -> relu)
    output same = a -> repeat(0, relu)
    """
    found = program(text)
    weights = {node.name: node.weights for node in found.nodes if node.op == "dense"}
    assert weights == {
        "y.wrap.outer.repeat.1.unit.dense": "outer.repeat.1.unit.dense",
        "y.wrap.outer.repeat.2.unit.dense": "outer.repeat.2.unit.dense",
        "y.wrap.outer.inner.dense": "inner.dense",
        "y.wrap.outer.inner_2.dense": "inner.dense",
        "y.outer.repeat.1.unit.dense": "outer.repeat.1.unit.dense",
        "y.outer.repeat.2.unit.dense": "outer.repeat.2.unit.dense",
        "y.outer.inner.dense": "inner.dense",
        "y.outer.inner_2.dense": "inner.dense",
        "z.repeat.1.inner.dense": "inner.dense",
        "z.repeat.2.inner.dense": "inner.dense",
    }
    assert found.outputs[2].tensor == "a"


@pytest.mark.parametrize(
    ("line", "factor"),
    [
        ("loss mse(y, t)", 1.0),
        ("loss 0.3 * mse(y, t)", 0.3),
        ("loss mse(y, t) / 2", 0.5),
        ("loss 2 * 3 * mse(y, t) / 4", 1.5),
        ("loss -mse(y, t)", -1.0),
        ("loss half * (mse(y, t) * 4)", 2.0),
        ("loss 0.5 * (y -> mse(t))", 0.5),
    ],
)
def test_a_loss_has_a_factor(program: Make, line: str, factor: float) -> None:
    text = f"let half = 1/2\ninput x: float[3]\ntarget t: float[2]\ny = x -> dense(2)\n{line}\noutput y"
    (loss,) = program(text).losses
    assert (loss.name, loss.op, loss.inputs, loss.factor) == ("mse", "mse", ("y.dense", "t"), factor)


def test_losses_and_metrics_have_names(program: Make) -> None:
    text = """
    input x: float[3]
    target t: float[2]
    y = x -> dense(2)
    loss mse(y, t)
    loss mse(y -> tanh, t)
    loss mae = mae(y, t, reduction = "sum")
    loss mse_3 = mse(y, t)
    loss mse(relu(y), t)
    metric mae(y, t)
    metric mae(softmax(y), t)
    metric mae_of_relu = mae(relu(y), t)
    output y
    """
    found = program(text)
    assert [(loss.name, loss.op) for loss in found.losses] == [
        ("mse", "mse"), ("mse_2", "mse"), ("mae", "mae"), ("mse_3", "mse"), ("mse_4", "mse"),
    ]  # fmt: skip
    assert found.losses[2].settings == {"reduction": "sum"}
    assert [metric.name for metric in found.metrics] == ["mae", "mae_2", "mae_of_relu"]
    assert [node.name for node in found.nodes] == [
        "y.dense", "mse_2.tanh", "mse_4.relu", "mae_2.softmax", "mae_of_relu.relu",
    ]  # fmt: skip


def test_nodes_of_a_loss_stand_apart_from_a_binding_of_its_name(program: Make) -> None:
    text = """
    input x: float[2]
    target t: float[2]
    loss mse(relu(x), t)
    mse = x -> relu
    output mse
    """
    assert [node.name for node in program(text).nodes] == ["mse_2.relu", "mse.relu"]


def test_an_output_defines_its_name(program: Make) -> None:
    text = "input x: float[2]\ntarget t: class(2)\noutput p = softmax(x)\nmetric accuracy(p, t)\noutput x"
    found = program(text)
    assert found.metrics[0].inputs == ("p.softmax", "t")
    assert [(output.name, output.tensor) for output in found.outputs] == [("p", "p.softmax"), ("x", "x")]


def test_types(program: Make) -> None:
    text = """
    let classes = 3
    input a: float
    input b: float[28, T]
    input words: token(5000)[T]
    target c: class(classes)
    target pixels: class(classes + 1)[2 * 4, T]
    target d: flag
    target e: flag[2]
    output a
    output b
    """
    found = program(text)
    assert {variable.name: variable.type for variable in (*found.inputs, *found.targets)} == {
        "a": floats(()),
        "b": floats((28, "T")),
        "words": TensorType("token", ("T",), 5000),
        "c": TensorType("class", (), 3),
        "pixels": TensorType("class", (8, "T"), 4),
        "d": TensorType("flag", ()),
        "e": TensorType("flag", (2,)),
    }
    assert found.sizes == ("T",)
    assert [variable.name for variable in found.inputs] == ["a", "b", "words"]


def test_symbolic_sizes_go_through_layers(program: Make) -> None:
    text = "input x: float[2, T]\ninput y: float[3, T]\noutput c = (x -> dense(4)) + (y -> dense(4))"
    assert program(text).types["c.add"] == floats((4, "T"))


@pytest.mark.parametrize(
    ("call", "settings"),
    [
        ("reshape(4)", {"sizes": (4,)}),
        ("reshape([2, 2])", {"sizes": (2, 2)}),
        ("reshape(shape)", {"sizes": (4, 1)}),
        ("dense(3)", {"units": 3, "bias": True, "initializer": Call("initializer", "glorot")}),
        ("dense(3, false, he)", {"units": 3, "bias": False, "initializer": Call("initializer", "he")}),
        (
            "dense(initializer = normal(1/2), units = 3)",
            {"units": 3, "bias": True, "initializer": Call("initializer", "normal", {"std": 0.5})},
        ),
        ("dropout(0)", {"rate": 0.0}),
    ],
)
def test_settings_get_the_kind_that_python_wants(program: Make, call: str, settings: dict[str, Any]) -> None:
    found = program(f"let shape = [2 ^ 2, 1]\ninput x: float[4]\ny = x -> {call}\noutput y")
    assert found.nodes[0].settings == settings
    assert {name: type(value) for name, value in found.nodes[0].settings.items()} == {
        name: type(value) for name, value in settings.items()
    }


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        ("class_weights = [1, 2.5]", {"class_weights": (1.0, 2.5)}),
        ('class_weights = "balanced"', {"class_weights": "balanced"}),
        ("schedule = constant", {"schedule": Call("schedule", "constant", {"warmup": 0.0})}),
        ("seed = 3 clip_norm = many", {"seed": 3, "clip_norm": 100.0}),
    ],
)
def test_settings_of_a_section(program: Make, lines: str, settings: dict[str, Any]) -> None:
    text = f"train {{ {lines} }}\nlet many = 100\ninput x: float\nloss mse(x, x)\noutput x"
    found = program(text).train
    assert {name: found[name] for name in settings} == settings


def test_columns_of_the_data_section(program: Make) -> None:
    text = """
    let names = ["c", "d"]
    let scale = 2
    input x: float[4]
    input y: float
    output x
    data {
      source = npz("a.npz")
      x = [columns("a", "p0".."p9", names, ["e", "f".."g"]) / 2 ^ 3, -column("b")] -> standardize
      y = 1 - array("z") ^ scale -> impute(0) -> impute
    }
    """
    found = program(text).data
    assert found is not None
    columns = ("a", ColumnRange("p0", "p9"), "c", "d", "e", ColumnRange("f", "g"))
    chosen = Call("transform", "columns", {"names": columns, "all_except": ()})
    minus = Call("transform", "multiply", {}, (Call("transform", "column", {"name": "b"}), -1.0))
    joined = Call("transform", "concatenate", {}, (Call("transform", "divide", {}, (chosen, 8.0)), minus))
    power = Call("transform", "power", {}, (Call("transform", "array", {"name": "z"}), 2.0))
    difference = Call("transform", "subtract", {}, (1.0, power))
    zero = Call("transform", "impute", {"value": 0.0}, (difference,))
    assert found.columns == {
        "x": Call("transform", "standardize", {}, (joined,)),
        "y": Call("transform", "impute", {"value": "mean"}, (zero,)),
    }
    assert found.settings["split"] is None


def test_a_network_without_a_name_is_called_after_its_file(checked: Callable[..., Checked]) -> None:
    found = checked("input x: float\noutput x").program
    assert found is not None
    assert found.name == "example"


def test_the_longest_that_is_allowed_is_quick(program: Make) -> None:
    lines = [f"h{number} = h{number - 1} -> dense(8)" for number in range(1, 1000)]
    text = "\n".join(["input x: float[8]", "h0 = x -> dense(8)", *lines, "output h999"])
    assert len(program(text).nodes) == 1000
    assert len(program("input x: float[8]\noutput y = x -> repeat(20000, relu)").nodes) == 20_000

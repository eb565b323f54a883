"""A small table of layers for the tests of the language, made by hand: nothing of tensorflow_lite_bp takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dsl import Checked, Program, Source, check, render
from dsl.program import Call
from dsl.signature import Port, Setting, Settings, ShapeMismatch, Signature, Table
from dsl.types import Shape, TensorType, floats, known, show

Rule = Callable[[Settings, tuple[TensorType, ...]], TensorType]


def layer(name: str, rule: Rule, *settings: Setting, weights: Any = None, ports: int = 1) -> Signature:
    letters = ("X",) if ports == 1 else ("X1", "X2")
    return Signature("layer", name, settings, tuple(map(Port, letters)), rule, weights)


def same(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    if not types[0].per_sample:
        raise ShapeMismatch("this works on a tensor with samples", input=0)
    return types[0]


def dense(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    if not types[0].shape:
        raise ShapeMismatch("`dense` works on the first axis, and this has none", help="`reshape([1])` first", input=0)
    return floats((settings["units"], *types[0].shape[1:]))


def dense_weights(settings: Settings, types: tuple[TensorType, ...]) -> Mapping[str, Shape]:
    weight = {"weight": (settings["units"], types[0].shape[0])}
    return {**weight, "bias": (settings["units"],)} if settings["bias"] else weight


def conv(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    shape = types[0].shape
    if len(shape) != 3:
        raise ShapeMismatch(f"`conv` works on [c, h, w], and this is {show(shape)}", input=0)
    lost = 0 if settings["padding"] == "same" else settings["kernel"] - 1
    places = [size if isinstance(size, str) else size - lost for size in shape[1:]]
    if any(isinstance(size, int) and size < 1 for size in places):
        raise ShapeMismatch(f"a kernel of {settings['kernel']} does not fit into {show(shape)}", input=0)
    return floats((settings["filters"], *places))


def conv_weights(settings: Settings, types: tuple[TensorType, ...]) -> Mapping[str, Shape]:
    k = settings["kernel"]
    return {"weight": (settings["filters"], types[0].shape[0], k, k), "bias": (settings["filters"],)}


def batch_norm_weights(settings: Settings, types: tuple[TensorType, ...]) -> Mapping[str, Shape]:
    return {"scale": types[0].shape[:1], "shift": types[0].shape[:1]}


def max_pool(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    c, *places = types[0].shape
    return floats((c, *(size if isinstance(size, str) else size // settings["size"] for size in places)))


def flatten(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    sizes = known(types[0].shape)
    if sizes is None:
        raise ShapeMismatch(f"`flatten` needs fixed sizes, and this is {show(types[0].shape)}", input=0)
    product = 1
    for size in sizes:
        product *= size
    return floats((product,))


def reshape(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    if flatten({}, types) != flatten({}, (floats(settings["sizes"]),)):
        raise ShapeMismatch(f"`reshape` keeps the number of values: {show(types[0].shape)}", input=0)
    return floats(settings["sizes"])


def equal(sign: str) -> Rule:
    def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
        a, b = types
        if a.shape == b.shape or (not b.per_sample and b.shape == a.shape[:1]):
            return floats(a.shape)
        raise ShapeMismatch(f"`{sign}` needs equal shapes: {show(a.shape)} and {show(b.shape)}")

    return rule


def matmul(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
    W, X = types
    if len(W.shape) != 2 or W.shape[1:] != X.shape[:1]:
        raise ShapeMismatch(f"`@` needs as many features as columns: {show(W.shape)} @ {show(X.shape)}", input=1)
    return floats((W.shape[0], *X.shape[1:]))


def agree(name: str) -> Rule:
    def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
        Y, T = types
        if Y.shape != T.shape:
            raise ShapeMismatch(f"`{name}` needs equal shapes: {show(Y.shape)} and {show(T.shape)}")
        return floats(())

    return rule


def scores(name: str) -> Rule:
    def rule(settings: Settings, types: tuple[TensorType, ...]) -> TensorType:
        Y, T = types
        if Y.shape != (T.count, *T.shape):
            raise ShapeMismatch(f"`{name}` needs one score for each class: {show((T.count or 0, *T.shape))}", input=0)
        return floats(())

    return rule


def objective(category: str, name: str, rule: Rule, kinds: tuple[str, ...], *settings: Setting) -> Signature:
    reduction = Setting("reduction", "string", "mean", choices=("mean", "sum"))
    return Signature(category, name, (*settings, reduction), (Port("Y"), Port("T", kinds)), rule)


INITIALIZER = Setting("initializer", "initializer", Call("initializer", "glorot"), help="how W starts")
LAYERS = [
    layer("dense", dense, Setting("units", "int", minimum=1, help="features out"), Setting("bias", "bool", True),
          INITIALIZER, weights=dense_weights),
    layer("conv", conv, Setting("filters", "int", minimum=1, help="channels out"),
          Setting("kernel", "int", 3, minimum=1), Setting("padding", "string", "valid", choices=("valid", "same")),
          Setting("bias", "bool", True), weights=conv_weights),
    layer("batch_norm", same, weights=batch_norm_weights),
    layer("max_pool", max_pool, Setting("size", "int", minimum=1)),
    layer("flatten", flatten),
    layer("dropout", same, Setting("rate", "float", minimum=0, below=1, help="share of zeros")),
    layer("reshape", reshape, Setting("sizes", "sizes", minimum=-1)),
    layer("blend", equal("blend"), Setting("share", "float", 0.5, above=0, maximum=1), ports=2),
    *(layer(name, same) for name in ("relu", "tanh", "sigmoid", "softmax", "abs", "exp")),
]  # fmt: skip
PAIR, SINGLE = (Port("X1"), Port("X2")), (Port("X"),)
OPERATORS = [
    *(Signature("operator", name, (), PAIR, equal(sign))
      for name, sign in (("add", "+"), ("subtract", "-"), ("multiply", "*"), ("divide", "/"))),
    Signature("operator", "matmul", (), (Port("W"), Port("X")), matmul),
    Signature("operator", "affine", (Setting("scale", "float"), Setting("shift", "float")), SINGLE, same),
    Signature("operator", "power", (Setting("exponent", "float"),), SINGLE, same),
]  # fmt: skip
OBJECTIVES = [
    objective("loss", "cross_entropy", scores("cross_entropy"), ("class", "token")),
    objective("loss", "mse", agree("mse"), ("float",)),
    objective("loss", "mae", agree("mae"), ("float",)),
    objective("loss", "binary_cross_entropy", agree("binary_cross_entropy"), ("flag",)),
    objective("metric", "accuracy", scores("accuracy"), ("class", "token")),
    objective("metric", "top_k", scores("top_k"), ("class",), Setting("k", "int", 5, minimum=1)),
    objective("metric", "mae", agree("mae"), ("float",)),
]
RATE = Setting("rate", "float", 0.001, above=0, help="the learning rate")
CALLED = [
    Signature("initializer", "zeros"),
    Signature("initializer", "ones"),
    Signature("initializer", "glorot"),
    Signature("initializer", "he"),
    Signature("initializer", "normal", (Setting("std", "float", above=0),)),
    Signature("initializer", "constant", (Setting("value", "float"),)),
    Signature("optimizer", "adam", (RATE, Setting("beta1", "float", 0.9, minimum=0, below=1))),
    Signature("optimizer", "sgd", (RATE, Setting("momentum", "float", 0.0, minimum=0, below=1))),
    Signature("schedule", "constant", (Setting("warmup", "float", 0.0, minimum=0),)),
    Signature("schedule", "cosine", (Setting("warmup", "float", 0.0, minimum=0),)),
    Signature("source", "csv", (Setting("path", "string"), Setting("header", "bool", True))),
    Signature("source", "npz", (Setting("path", "string"),)),
    Signature("split", "random", (Setting("train", "float", minimum=0, maximum=1), Setting("validation", "float", 0.0),
                                  Setting("test", "float", 0.0), Setting("seed", "int", 0))),
]  # fmt: skip
TRANSFORMS = [
    Signature("transform", "column", (Setting("name", "string"),)),
    Signature(
        "transform", "columns", (Setting("names", "columns", variadic=True), Setting("all_except", "columns", ()))
    ),
    Signature("transform", "array", (Setting("name", "string"),)),
    Signature("transform", "standardize", (), SINGLE),
    Signature("transform", "impute", (Setting("value", "float|string", "mean"),), SINGLE),
    *(Signature("transform", name, (), PAIR) for name in ("add", "subtract", "multiply", "divide", "power")),
    Signature("transform", "concatenate"),
]
SECTIONS = [
    Signature("section", "data", (Setting("source", "source"), Setting("split", "split", None))),
    Signature("section", "train", (
        Setting("optimizer", "optimizer", Call("optimizer", "adam", {"rate": 0.001, "beta1": 0.9})),
        Setting("schedule", "schedule", Call("schedule", "constant", {"warmup": 0.0})),
        Setting("batch", "int", 32, minimum=1), Setting("epochs", "int", 10, minimum=1, maximum=1_000_000),
        Setting("seed", "int", 0, minimum=0), Setting("clip_norm", "float", None, above=0),
        Setting("class_weights", "string|floats", None), Setting("monitor", "string", "loss"),
    )),
    Signature("section", "export", (
        Setting("opset", "int", 17, minimum=13, maximum=21), Setting("raw", "bool", False),
    )),
]  # fmt: skip


@pytest.fixture(scope="session")
def table() -> Table:
    signatures: dict[str, dict[str, Signature]] = {}
    for entry in (*LAYERS, *OPERATORS, *OBJECTIVES, *CALLED, *TRANSFORMS, *SECTIONS):
        signatures.setdefault(entry.category, {})[entry.name] = entry
    return Table(signatures)


@pytest.fixture
def checked(table: Table) -> Callable[..., Checked]:
    """Check a text, given as the file ``example.net``."""

    def check_text(text: str, *overrides: str) -> Checked:
        return check(Source("example.net", text), table, overrides=overrides)

    return check_text


@pytest.fixture
def program(checked: Callable[..., Checked]) -> Callable[..., Program]:
    """The program of a text without mistakes; warnings are allowed."""

    def program_of(text: str, *overrides: str) -> Program:
        found = checked(text, *overrides)
        assert found.program is not None, render(found.diagnostics)
        return found.program

    return program_of


@pytest.fixture
def printed(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is printed for a text, given as a file beside others."""

    def print_text(text: str, *overrides: str, **files: str) -> str:
        monkeypatch.chdir(tmp_path)
        for name, other in {"example.net": text, **files}.items():
            (tmp_path / name).write_text(other)
        return render(check(Source("example.net", text), table, overrides=overrides).diagnostics)

    return print_text

"""Outside of the backends no code uses what only NumPy has: held against CuPy's signatures by reading the source.

This sees every line, also those that no test runs: names and keywords of what is called on a backend, keywords of array
methods, conversions that would wait for the device, and where NumPy itself computes, which must be on the host.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tensorflow_lite_bp
from tensorflow_lite_bp.backend import Backend
from tests.strict.signatures import binding, table

PACKAGE = Path(tensorflow_lite_bp.__file__).parent
TABLE = table()
BACKENDS = {"xp", "backend", "_backend", "_xp"}
"""Names of variables and attributes that hold a backend."""

HOST_PACKAGES = {
    "acceptance": "compares what was fetched from two backends",
    "cli": "reads and writes files and the terminal",
    "data": "tables and their preprocessing, before anything is fed to a plan",
    "exchange": "ONNX models and what onnxruntime computes with them",
    "explain": "text, and numbers fetched from a plan that runs with NumPy",
    "initializers": "first weights, drawn from the host generator for all backends alike",
    "proof": "gradients in double precision and symbols: always NumPy or the exact backend",
    "training": "histories, checkpoints and class weights: host arrays; confusion matrices of fetched scores",
}
HOST_FUNCTIONS = {
    "graph/evaluation.py Totals.__init__": "sums that were fetched",
    "graph/evaluation.py Totals.add": "sums that were fetched",
    "graph/evaluation.py Totals.report": "sums that were fetched",
    "graph/evaluation.py Totals.restore": "sums from a file",
    "graph/plan.py Plan._rows": "tensors that were fetched",
    "graph/plan.py Plan._finite": "an array that was fetched, after a failure",
    "graph/plan.py Shard._own": "tables of layers, before they go to the device",
    "graph/rows.py _array": "rows as people give them",
    "graph/rows.py _below": "rows as people give them",
    "graph/rows.py _indices": "rows as people give them",
    "graph/rows.py drawn": "rows that are made up, before they are fed",
    "graph/trainer.py Trainer.state": "what a checkpoint holds",
    "graph/weights.py Weights.__getitem__": "a weight that was fetched",
    "graph/weights.py Weights.__setitem__": "a weight, before it goes to the device",
    "layers/global_pool.py GlobalMaxPool.buffers.start": "a table, before it goes to the device",
    "losses/cross_entropy.py _array": "a table, before it goes to the device",
    "losses/cross_entropy.py _counted": "a table, before it goes to the device",
    "metrics/regression.py R2.value": "the total of the sums, which is on the host",
    "metrics/retrieval.py Retrieval.value": "the total of the sums, which is on the host",
    "network.py Network.__init__": "the dtype",
    "network.py Network._inferred": "tensors that were fetched",
    "network.py Network.gradients": "gradients that were fetched",
}
"""Where NumPy computes in the packages that know a backend, and on what."""

WAITS = {
    "graph/evaluation.py Totals.add": "a number of the host",
    "graph/evaluation.py Totals.report": "a number of the host",
    "graph/evaluation.py Totals.restore": "a number from a file",
    "graph/measures.py QueuedMeasures.__init__": "a number of the host",
    "graph/trainer.py Trainer._collect": "a number of the host",
    "graph/trainer.py Trainer.restore": "counters from a checkpoint",
}
"""Functions with a backend that make a Python number of something, and of what."""


@dataclass(frozen=True)
class Place:
    """A function of the package, and a node of its body."""

    file: str
    function: str
    node: ast.AST
    has_backend: bool

    def __str__(self) -> str:
        return f"{self.file} {self.function}"


def places() -> Iterator[Place]:
    """All nodes of all modules outside of the backends, without annotations."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if not file.startswith("backend/"):
            yield from walk(ast.parse(path.read_text("utf-8")), file, ())


def walk(node: ast.AST, file: str, names: tuple[str, ...], has_backend: bool = False) -> Iterator[Place]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field in ("annotation", "returns"):
                continue
            inner, knows = names, has_backend
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = (*names, child.name)
                knows = isinstance(child, ast.FunctionDef) and (has_backend or knows_backend(child))
            yield Place(file, ".".join(inner), child, knows)
            yield from walk(child, file, inner, knows)


def is_backend(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id in BACKENDS) or (
        isinstance(node, ast.Attribute) and node.attr in BACKENDS
    )


def knows_backend(function: ast.FunctionDef) -> bool:
    """Whether it is given a backend, or has one at hand."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return not BACKENDS.isdisjoint(argument.arg for argument in arguments) or any(map(is_backend, ast.walk(function)))


PLACES = list(places())


def backend_path(node: ast.AST) -> tuple[str, ...] | None:
    """``("add", "reduce")`` for ``xp.add.reduce``; None for what is no attribute of a backend."""
    names: list[str] = []
    while isinstance(node, ast.Attribute) and not is_backend(node):
        names.insert(0, node.attr)
        node = node.value
    return tuple(names) if names and is_backend(node) else None


def signature_of(path: tuple[str, ...]) -> inspect.Signature | None:
    """What CuPy, or the backends' own method, takes; None for what is no function.

    Raises:
        KeyError: when neither has it.
    """
    name = path[0]
    own = inspect.getattr_static(Backend, name, None)
    if inspect.isfunction(own):
        signature = inspect.signature(own)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
    if own is not None or name in Backend.__annotations__:
        return None
    return _of_cupy(*path)


def _of_cupy(name: str, *rest: str) -> inspect.Signature | None:
    if name in TABLE["ufuncs"]["cupy"]:
        found: inspect.Signature = (
            binding.signature("ufunc method", rest[0]) if rest else binding.signature("ufunc", name)
        )
        return found
    if any(f"{module}.".startswith(".".join(["cupy", name, *rest, ""])) for module in TABLE["functions"]):
        return None  # a module
    *inner, last = name, *rest
    module = ".".join(["cupy", *inner])
    if last in TABLE["functions"][module]:
        found = binding.signature("function", last, module)
        return found
    if rest or name not in TABLE["names"]:
        raise KeyError(name)
    return None  # a dtype or a constant


def bound(signature: inspect.Signature, call: ast.Call) -> str | None:
    """What the signature does not take of a call; None when it takes all."""
    if any(isinstance(argument, ast.Starred) for argument in call.args) or any(k.arg is None for k in call.keywords):
        given = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
        bind: Any = signature.bind_partial
        arguments: list[None] = []
    else:
        given, arguments = {keyword.arg: None for keyword in call.keywords}, [None] * len(call.args)
        bind = signature.bind
    try:
        bind(*arguments, **given)
    except TypeError as error:
        return str(error)
    return None


def problems_of_names(found: list[Place]) -> list[str]:
    """Attributes of backends that CuPy does not have, and calls that it does not take."""
    problems = []
    asked = {(str(place), asked_for(place.node)) for place in found}
    for place in found:
        node = place.node
        path = backend_path(node.func if isinstance(node, ast.Call) else node)
        if path is None or (str(place), path[0]) in asked:
            continue
        try:
            signature = signature_of(path)
        except KeyError:
            problems.append(f"{place}: neither CuPy nor the backends have `{'.'.join(path)}`")
            continue
        if isinstance(node, ast.Call) and signature is not None:
            refused = bound(signature, node)
            if refused is not None:
                problems.append(f"{place}: `{ast.unparse(node)}`: {refused}")
    return problems


def asked_for(node: ast.AST) -> str | None:
    """The name in ``hasattr(xp, "name")``: a function that asks first may use it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
        name = node.args[1]
        if is_backend(node.args[0]) and isinstance(name, ast.Constant):
            return str(name.value)
    return None


def problems_of_methods(found: list[Place]) -> list[str]:
    """Keywords of array methods that CuPy's arrays do not take, in code that has a backend."""
    problems = []
    for place in found:
        node = place.node
        if not (place.has_backend and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if backend_path(node.func) is not None or name not in TABLE["methods"] or not node.keywords:
            continue
        refused = bound(binding.signature("method", name), node)
        if refused is not None and "unexpected keyword" in refused:
            problems.append(f"{place}: `{ast.unparse(node)}`: {refused}")
    return problems


def conversions(found: list[Place]) -> dict[str, str]:
    """Where code that has a backend makes Python numbers or lists of something that it has not fetched before: the
    function → the line."""
    converted = {}
    for place in found:
        node = place.node
        by_name = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NUMBERS
        by_method = isinstance(node, ast.Attribute) and node.attr in ("item", "tolist")
        if place.has_backend and (by_name or by_method) and not fetches(node):
            converted[str(place)] = ast.unparse(node)
    return converted


NUMBERS = ("float", "int", "bool", "complex")


def fetches(node: ast.AST) -> bool:
    """Whether values come from a backend's `to_host` or `read`, which say that they wait."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    return not names.isdisjoint({"to_host", "read"})


def numpy_uses(found: list[Place]) -> dict[str, str]:
    """Where NumPy is used, other than to name the type: the function → the line."""
    return {
        str(place): ast.unparse(place.node)
        for place in found
        if isinstance(place.node, ast.Attribute)
        and isinstance(place.node.value, ast.Name)
        and place.node.value.id in ("np", "numpy")
        and place.node.attr != "ndarray"
    }


def test_every_name_and_keyword_on_a_backend_is_one_that_cupy_has() -> None:
    assert problems_of_names(PLACES) == []


def test_array_methods_get_keywords_that_cupy_has() -> None:
    assert problems_of_methods(PLACES) == []


def test_python_numbers_are_made_where_it_is_known_why() -> None:
    found = conversions(PLACES)
    assert found.keys() == WAITS.keys(), f"say why it may wait, or that it need not any more: {found}"


def test_numpy_computes_on_the_host_alone() -> None:
    found = {place: line for place, line in numpy_uses(PLACES).items() if place.split("/")[0] not in HOST_PACKAGES}
    assert found.keys() == HOST_FUNCTIONS.keys(), f"say on what: {found}"


def test_the_test_sees_calls() -> None:
    """It would pass as well if it found none."""
    calls = [place for place in PLACES if isinstance(place.node, ast.Call) and backend_path(place.node.func)]
    files = {place.file for place in calls}
    assert len(calls) > 300
    assert {
        "layers/dense.py",
        "losses/squares.py",
        "metrics/accuracy.py",
        "optimizers/adam.py",
        "graph/plan.py",
    } < files


MISTAKES = {
    "a name": ("xp.block(A)", "neither CuPy nor the backends have `block`"),
    "a keyword of a function": ("xp.sum(A, axis=0, where=B)", "unexpected keyword argument 'where'"),
    "a keyword of a ufunc": ("xp.add(A, B, out=C, where=D)", "unexpected keyword argument 'where'"),
    "too many operands": ("xp.add(A, B, C, D)", "too many positional arguments"),
    "a ufunc's method": ("xp.add.reduce(A, initial=0)", "unexpected keyword argument 'initial'"),
    "a module's function": ("xp.lib.stride_tricks.as_strided(A, s, t, writeable=False)", "'writeable'"),
    "an attribute that holds it": ("self.backend.take(A, B, out=C, mode='clip')", "'mode'"),
    "a method": ("A.sum(axis=0, initial=0)", "unexpected keyword argument 'initial'"),
    "a conversion": ("float(A)", "float(A)"),
    "a conversion by a method": ("A.item()", "A.item"),
    "NumPy": ("np.exp(A)", "np.exp"),
}


@pytest.mark.parametrize(("line", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_seen(line: str, said: str) -> None:
    found = list(walk(ast.parse(f"def forward(self, xp, ws):\n    {line}"), "new.py", ()))
    problems = problems_of_names(found) + problems_of_methods(found)
    problems += [*conversions(found).values(), *numpy_uses(found).values()]
    assert any(said in problem for problem in problems), problems

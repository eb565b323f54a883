"""The acceptance's own logic, without a GPU: NumPy passes, backends that are wrong on purpose fail and are named."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tensorflow_lite_bp.acceptance import derivations
from tensorflow_lite_bp.acceptance.check import Check, Failed, NotHere, Outcome, close
from tensorflow_lite_bp.backend import Draw, get_backend
from tensorflow_lite_bp.backend.numpy import NumpyBackend
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.layers.batch_norm import BatchNorm


class OtherRounding(NumpyBackend):
    """Right, with sums in another order and functions rounded otherwise, as another library's are."""

    def matmul(self, A: Any, B: Any, *, out: Any) -> Any:
        return np.matmul(A[..., ::-1], B[..., ::-1, :], out=out)

    def sum(self, A: Any, axis: Any = None, *, out: Any, keepdims: bool = False) -> Any:
        return np.copyto(out, np.sum(A.astype(np.longdouble), axis=axis, keepdims=keepdims), casting="same_kind")

    def tanh(self, A: Any, *, out: Any) -> Any:
        return np.copyto(out, np.tanh(A.astype(np.longdouble)), casting="same_kind")

    def exp(self, A: Any, *, out: Any) -> Any:
        return np.copyto(out, np.exp(A.astype(np.longdouble)), casting="same_kind")


class WrongTanh(NumpyBackend):
    """Wrong in the fourth digit, in float32 alone."""

    def tanh(self, A: Any, *, out: Any) -> Any:
        np.tanh(A, out=out)
        return np.multiply(out, 1.0001 if A.dtype == np.float32 else 1.0, out=out)


class TensorFloat(NumpyBackend):
    """Rounds the factors of float32 products to TF32, as a GPU does when it is let."""

    def matmul(self, A: Any, B: Any, *, out: Any) -> Any:
        return np.matmul(_tf32(A), _tf32(B), out=out)


def _tf32(A: Any) -> Any:
    if A.dtype != np.float32:
        return A
    return ((np.ascontiguousarray(A).view(np.uint32) + 0x1000) & 0xFFFFE000).astype(np.uint32).view(np.float32)


class OtherNumbers(NumpyBackend):
    """Draws from a generator of its own."""

    def uniform(self, draw: Draw, *, out: Any) -> None:
        np.random.default_rng(0).random(out=out, dtype=out.dtype)


class NoErf(NumpyBackend):
    def erf(self, x: Any, *, out: Any) -> Any:
        raise NotImplementedError("no erf here\nand more lines")


class ForgetsToWrite(NumpyBackend):
    """Leaves what it is to write as it was."""

    def subtract(self, A: Any, B: Any, *, out: Any) -> Any:
        return out


def outcomes(backend: NumpyBackend) -> list[Outcome]:
    return [check.outcome(backend) for check in derivations.checks()]


def failed(backend: NumpyBackend) -> dict[str, str]:
    """What is found of each check that fails: ``{"layers: tanh, example 1, float32": …}``."""
    return {f"{each.group}: {each.name}": each.found for each in outcomes(backend) if each.state == "failed"}


def test_numpy_agrees_with_itself_in_every_bit() -> None:
    assert {(each.state, each.found) for each in outcomes(NumpyBackend())} == {("passed", "largest difference 0.0e+00")}


def test_everything_that_is_declared_is_checked() -> None:
    made = list(derivations.checks())
    categories = {"layers": "layer", "operators": "operator", "losses": "loss", "metrics": "metric"}
    for group, category in (categories | {"optimizers": "optimizer"}).items():
        for dtype in ("float32", "float64"):
            of = [check.name for check in made if check.group == group and check.name.endswith(dtype)]
            assert {name.partition(" ")[0].rstrip(",") for name in of} == set(registry[category])
    assert len({str(check) for check in made}) == len(made)
    half = {name for group in ("layer", "operator") for name, cls in registry[group].items() if cls.mixed != "single"}
    for dtype in ("float16", "bfloat16"):
        of = {check.name.partition(",")[0] for check in made if check.name.endswith(f" {dtype}")}
        assert of == half > {"dense", "conv", "relu", "matmul", "add"}


def test_a_layers_own_state_is_looked_at_too() -> None:
    found = derivations.layer_results(BatchNorm(), BatchNorm.examples[0], "float64", NumpyBackend())
    weights = BatchNorm().weights(*BatchNorm.examples[0].shapes)
    state = {letter for letter, weight in weights.items() if not weight.trainable}
    learned = weights.keys() - state
    assert len(state) == len(learned) == 2
    assert found.keys() == {"Y", "dX", "Y in inference", *state, *(f"d{letter}" for letter in learned)}
    assert all(np.isfinite(array).all() for array in found.values())


def test_another_rounding_passes() -> None:
    backend = OtherRounding()
    assert failed(backend) == {}
    assert max(float(each.found.rpartition(" ")[2]) for each in outcomes(backend)) > 1e-8  # it does differ


def test_a_wrong_function_is_named_with_its_worst_entry() -> None:
    found = failed(WrongTanh())
    assert {name.partition(",")[0] for name in found} == {"layers: tanh"}
    assert all(name.endswith("float32") for name in found)
    words = found["layers: tanh, example 1, float32"]
    differing = re.fullmatch(
        r"Y: \d+ of 67 entries differ from NumPy's; the worst, Y\[\d+\], is (\S+) where NumPy has (\S+)", words
    )
    assert differing is not None
    assert float(differing[1]) / float(differing[2]) == pytest.approx(1.0001, rel=1e-6)


def test_products_in_tf32_are_too_coarse() -> None:
    found = failed(TensorFloat())
    assert "layers: dense, example 1, float32" in found
    assert "layers: conv, example 1, float32" in found
    assert not [name for name in found if name.endswith("float64")]


def test_other_random_numbers_are_seen_in_dropout_alone() -> None:
    assert {name.partition(",")[0] for name in failed(OtherNumbers())} == {"layers: dropout"}


def test_what_a_backend_raises_is_a_failure_of_that_check() -> None:
    found = failed(NoErf())
    assert set(found.values()) == {"NotImplementedError: no erf here"}
    assert {name.partition(",")[0] for name in found} == {"layers: gelu"}


def test_what_was_never_written_is_no_number() -> None:
    found = failed(ForgetsToWrite())
    assert "the worst, Y[0], is nan where NumPy has" in found["operators: subtract, example 1, float64"]
    assert {name.partition(":")[0] for name in found} >= {"layers", "operators", "losses", "optimizers"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Y": np.zeros((2, 2))}, "Y is float64(2, 2), and float64(2, 3) is expected"),
        ({"Y": np.zeros((2, 3), np.float32)}, "Y is float32(2, 3), and float64(2, 3) is expected"),
        ({}, "it gives , and NumPy Y"),
        (
            {"Y": np.full((2, 3), np.nan)},
            "Y: 6 of 6 entries differ from NumPy's; the worst, Y[0, 0], is nan where NumPy has 0",
        ),
    ],
)
def test_arrays_that_are_no_match(given: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(Failed) as error:
        close(given, {"Y": np.zeros((2, 3))}, "float64")
    assert str(error.value) == words


def test_the_tolerance_is_that_of_the_precision() -> None:
    expected = {"Y": np.array([100.0, 1e-3])}
    for dtype, off, fine in (("float64", 1e-8, 1e-10), ("float32", 1e-2, 1e-4)):
        wanted = {"Y": expected["Y"].astype(dtype)}
        close({"Y": wanted["Y"] + np.array([fine, 0], dtype)}, wanted, dtype)
        with pytest.raises(Failed, match=r"the worst, Y\[1\]"):
            close({"Y": wanted["Y"] + np.array([0, off], dtype)}, wanted, dtype)


def test_a_check_that_cannot_be_made_is_no_failure() -> None:
    def run(backend: object) -> str:
        raise NotHere("it needs a GPU")

    assert Check("steps", "waits", run).outcome(get_backend("numpy")) == Outcome(
        "steps", "waits", "skipped", "it needs a GPU"
    )

"""Initialisers: exact values where there are any, moments and bounds where they are drawn."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import tensorflow_lite_bp.initializers  # noqa: F401  declares them all
from tensorflow_lite_bp.backend.base import Draw
from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.initializers.base import fans
from tensorflow_lite_bp.initializers.constant import Constant
from tensorflow_lite_bp.initializers.glorot import Glorot
from tensorflow_lite_bp.initializers.he import He
from tensorflow_lite_bp.initializers.normal import Normal
from tensorflow_lite_bp.initializers.ones import Ones
from tensorflow_lite_bp.initializers.orthogonal import Orthogonal
from tensorflow_lite_bp.initializers.uniform import Uniform
from tensorflow_lite_bp.initializers.zeros import Zeros

EACH = [Zeros(), Ones(), Constant(0.25), Normal(0.02), Uniform(-1.0, 3.0), Glorot(), He(), Orthogonal()]


def draw(initializer, shape, seed=0):
    return initializer.draw(shape, Draw(seed, "weight").generator())


def test_every_initializer_stands_in_this_file():
    assert {type(initializer) for initializer in EACH} == set(registry["initializer"].values())


@pytest.mark.parametrize("initializer", EACH, ids=lambda i: i.name)
@pytest.mark.parametrize("shape", [(), (5,), (5, 3), (16, 3, 5, 5), (0, 3)])
def test_shape_precision_and_repetition(initializer, shape):
    first = draw(initializer, shape)
    assert np.shape(first) == shape
    assert np.asarray(first).dtype == np.float64
    np.testing.assert_array_equal(first, draw(initializer, shape))


@pytest.mark.parametrize("initializer", [Normal(0.02), Uniform(-1.0, 3.0), Glorot(), He(), Orthogonal()])
def test_another_seed_gives_other_values(initializer):
    assert not np.array_equal(draw(initializer, (5, 3)), draw(initializer, (5, 3), seed=1))


def test_constants():
    np.testing.assert_array_equal(draw(Zeros(), (2, 3)), [[0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(draw(Ones(), (2, 3)), [[1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(draw(Constant(-1.5), (2,)), [-1.5, -1.5])


def test_fans_of_matrix_kernel_vector_and_scalar():
    assert fans((10, 64)) == (64, 10)
    assert fans((16, 3, 5, 5)) == (3 * 25, 16 * 25)
    assert fans((7,)) == (1, 7)
    assert fans(()) == (1, 1)


@pytest.mark.parametrize(
    ("initializer", "shape", "std", "bound"),
    [
        (Normal(0.02), (400, 500), 0.02, None),
        (Uniform(-3.0, 3.0), (400, 500), 6 / sqrt(12), 3.0),
        (Uniform(3.0, -3.0), (400, 500), 6 / sqrt(12), 3.0),
        (Glorot(), (400, 500), sqrt(2 / 900), sqrt(6 / 900)),
        (Glorot(), (64, 100, 5, 5), sqrt(2 / (164 * 25)), sqrt(6 / (164 * 25))),
        (He(), (400, 500), sqrt(2 / 500), None),
        (He(), (64, 100, 5, 5), sqrt(2 / 2500), None),
    ],
)
def test_moments(initializer, shape, std, bound):
    values = draw(initializer, shape)
    assert abs(values.mean()) < 5 * std / sqrt(values.size)
    assert values.std() == pytest.approx(std, rel=0.02)
    if bound is not None:
        assert bound * 0.999 < np.abs(values).max() <= bound


def test_uniform_keeps_to_its_range():
    values = draw(Uniform(2.0, 3.0), (1000,))
    assert 2.0 <= values.min() < 2.01
    assert 2.99 < values.max() < 3.0


@pytest.mark.parametrize(("shape", "rows"), [((6, 4), 6), ((4, 6), 4), ((5, 5), 5), ((8, 3, 2, 2), 8), ((4,), 4)])
def test_orthogonal(shape, rows):
    Q = draw(Orthogonal(gain=2.0), shape).reshape(rows, -1) / 2.0
    gram = Q @ Q.T if Q.shape[0] <= Q.shape[1] else Q.T @ Q
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-13)


def test_orthogonal_prefers_no_direction():
    """Over all orthogonal matrices each entry has mean 0; without the signs of R, LAPACK's diagonal leans one way."""
    generator = np.random.default_rng(0)
    diagonal = [np.diagonal(Orthogonal().draw((2, 2), generator)) for _ in range(2000)]
    assert np.abs(np.mean(diagonal, axis=0)).max() < 5 * sqrt(0.5 / 2000)

"""The rule that divides a step over threads counts the multiplications of the matrix products."""

from __future__ import annotations

import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph import threads
from tensorflow_lite_bp.graph.threads import ALONE_ANYWAY, COLUMNS, SMALL, Division, division, multiplications, products

TEXT = """
network counted
input x: float[5, T]
parameter M: float[7, 5]
layer twice = dense(3)
a = M @ x + 1
b = a -> twice
c = a -> twice
output y = b + c
"""
GRAPH = Network.from_text(TEXT).graph
ONCE = 4 * (7 * 5 + 2 * 3 * 7)
WEIGHTS = 7 * 5 + 3 * 7 + 3


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available", lambda: 4)


def test_each_matrix_counts_once_for_each_column() -> None:
    assert multiplications(GRAPH, {"T": 4}) == ONCE


def test_each_node_has_its_own_matrices() -> None:
    found = {name: products(GRAPH, node, {"T": 4}) for name, node in GRAPH.nodes.items()}
    assert {name: counts for name, counts in found.items() if counts} == {
        "a.matmul": {"M": 4 * 7 * 5},
        "b.twice.dense": {"twice.dense.weight": 4 * 3 * 7},
        "c.twice.dense": {"twice.dense.weight": 4 * 3 * 7},
    }


def test_a_parameter_that_is_used_element_by_element_is_no_matrix() -> None:
    text = "network a\ninput x: float[5, 3]\nparameter g: float[5, 3]\noutput y = x * g\n"
    assert multiplications(Network.from_text(text).graph, {}) == 0


@pytest.mark.parametrize(("more", "expected"), [(0, Division(1, 1)), (1, Division(4, 1))])
def test_one_thread_for_little_work(more: int, expected: Division) -> None:
    m = SMALL // (3 * ONCE) + more
    assert division(GRAPH, m=m, sizes={"T": 4}, training=True) == expected


def test_products_that_no_library_divides_are_left_alone() -> None:
    largest = 4 * 35
    m = ALONE_ANYWAY // largest
    assert division(GRAPH, m=m, sizes={"T": 4}, training=True) == Division(1, None)
    assert division(GRAPH, m=m, sizes={"T": 4}, training=True, threads=1) == Division(1, None)
    assert division(GRAPH, m=m + 1, sizes={"T": 4}, training=True) == Division(1, 1)


def test_a_step_forward_alone_is_a_third_of_the_work() -> None:
    m = SMALL // (3 * ONCE) + 1
    assert division(GRAPH, m=m, sizes={"T": 4}, training=False) == Division(1, 1)


@pytest.mark.parametrize(("more", "expected"), [(0, Division(1, 3)), (1, Division(3, 1))])
def test_few_columns_for_heavy_weights_are_left_to_the_matrix_library(more: int, expected: Division) -> None:
    m = (COLUMNS * WEIGHTS - 1) // ONCE + more
    assert division(GRAPH, m=m, sizes={"T": 4}, training=True, threads=3) == expected


def test_threads_that_are_given_are_used_whatever_the_work_is() -> None:
    assert division(GRAPH, m=100, sizes={"T": 4}, training=True, threads=2).threads == 2
    assert division(GRAPH, m=1, sizes={"T": 4}, training=True, threads=2).threads == 2
    assert division(GRAPH, m=SMALL, sizes={"T": 4}, training=True, threads=1) == Division(1, 1)


def test_a_mixed_step_is_not_divided() -> None:
    assert division(GRAPH, m=SMALL, sizes={"T": 4}, training=True, threads=3).threads == 3
    assert division(GRAPH, m=SMALL, sizes={"T": 4}, training=True, threads=3, mixed=True) == Division(1, 1)

"""The rule that gives a step its threads counts the multiplications of the matrix products."""

from __future__ import annotations

import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.graph.threads import SMALL, multiplications, threads_for

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


def test_each_matrix_counts_once_for_each_column() -> None:
    graph = Network.from_text(TEXT).graph
    assert multiplications(graph, {"T": 4}) == 4 * (7 * 5 + 2 * 3 * 7)


@pytest.mark.parametrize(("more", "threads"), [(0, 1), (1, None)])
def test_one_thread_for_little_work(more: int, threads: int | None) -> None:
    graph = Network.from_text(TEXT).graph
    m = SMALL // (3 * multiplications(graph, {"T": 4})) + more
    assert threads_for(graph, m, {"T": 4}) == threads

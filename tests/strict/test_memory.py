"""What a layout says of memory, against what the double's pool has given away."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tensorflow_lite_bp import Network
from tensorflow_lite_bp.acceptance import memory
from tensorflow_lite_bp.acceptance.check import Check
from tensorflow_lite_bp.backend import get_backend
from tensorflow_lite_bp.graph.shortage import needed

pytestmark = pytest.mark.double

NET = """network shapes
input x: float[2, 12, 12]
target kind: class(3)
hidden = x -> conv(4, padding = "same") -> relu -> max_pool(2) -> dropout(0.2) -> conv(2) -> flatten
logits = hidden -> dense(3)
loss cross_entropy(logits, kind)
output logits
"""
SMALL = 512 * 40  # an array takes at least 512 bytes of the pool


def used() -> int:
    gc.collect()
    use = get_backend("cupy").memory_use()
    assert use is not None
    return use.used


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_a_step_takes_what_its_layout_says(mode: str) -> None:
    backend, m = get_backend("cupy"), 300
    network = Network.from_text(NET, backend=backend)
    rows = {"x": np.ones((m, 2, 12, 12)), "kind": np.zeros(m, int)}
    backend.release_memory()
    before = used()
    plan = network.plan(mode, rows)
    taken = used()
    for _ in range(4):  # the host comes to be as far ahead as it may
        plan.feed(rows)
        plan.run()
    (shard,) = plan.shards
    assert needed(shard.layout) <= used() - before <= needed(shard.layout) + SMALL
    assert used() == taken, "all of it is taken when the plan is made"
    assert shard.layout.staged_bytes >= 2 * shard.layout.fed_bytes > 10 * SMALL
    del plan, shard
    network.use_threads(2)  # forgets the plans
    assert used() - before <= SMALL


@pytest.mark.parametrize("check", list(memory.checks()), ids=str)
def test_the_acceptance_passes_the_double(check: Check) -> None:
    outcome = check.outcome(get_backend("cupy"))
    assert outcome.state == "passed", outcome.found

"""Splits: every row in one split at most, the fractions asked for, the same mix of classes; and every message whole."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.data import Data
from tensorflow_lite_bp.data.splits.base import largest_remainder
from tensorflow_lite_bp.data.splits.random import Random
from tensorflow_lite_bp.data.splits.stratified import Stratified
from tensorflow_lite_bp.errors import InputError

PERCENT = st.integers(0, 50).map(lambda percent: percent / 100)


def is_partition(splits: dict[str, np.ndarray], rows: int) -> bool:
    """Whether no row is in two splits, and each split is sorted."""
    every = np.concatenate(list(splits.values()))
    in_order = all((np.diff(split) > 0).all() for split in splits.values())
    return in_order and len(set(every.tolist())) == len(every) and every.min() >= 0 and every.max() < rows


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 400), validation=PERCENT, test=PERCENT, unused=PERCENT, seed=st.integers(0, 2**63 - 1))
def test_random_deals_out_fractions(rows: int, validation: float, test: float, unused: float, seed: int) -> None:
    train = round(1 - validation - test - unused, 2)
    assume(train > 0)
    split = Random(train, validation, test, seed)
    try:
        found = split.deal(rows, seed=0, classes=None)
    except InputError:
        assert min(each for each in (train, validation, test) if each) * rows < 1
        return
    assert is_partition(found, rows)
    for name, fraction in {"train": train, "validation": validation, "test": test}.items():
        assert abs(len(found.get(name, ())) - fraction * rows) < 1
        assert (name in found) == (fraction > 0)
    if unused == 0:
        assert sum(map(len, found.values())) == rows


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    validation=PERCENT,
    test=PERCENT,
    seed=st.integers(0, 2**63 - 1),
)
def test_stratified_keeps_the_mix_of_classes(sizes: list[int], validation: float, test: float, seed: int) -> None:
    train = round(1 - validation - test, 2)
    assume(train > 0)
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = len(classes)
    try:
        found = Stratified(train, validation, test, seed).deal(rows, seed=0, classes=classes)
    except InputError:
        assert min(each for each in (train, validation, test) if each) * rows < 1
        return
    assert is_partition(found, rows)
    assert sum(map(len, found.values())) == rows
    for name, fraction in {"train": train, "validation": validation, "test": test}.items():
        assert abs(len(found.get(name, ())) - fraction * rows) < 1
        for number, size in enumerate(sizes):
            count = int((classes[found[name]] == number).sum()) if name in found else 0
            assert abs(count - fraction * size) < 2


def test_stratified_by_hand() -> None:
    classes = np.array([0, 1] * 10 + [2] * 10)
    found = Stratified(0.8, 0.1, 0.1, 3).deal(30, seed=0, classes=classes)
    assert {name: np.bincount(classes[rows]).tolist() for name, rows in found.items()} == {
        "train": [8, 8, 8],
        "validation": [1, 1, 1],
        "test": [1, 1, 1],
    }


@given(st.lists(st.fractions(-1, 20), min_size=2, max_size=4), st.integers(0, 40))
def test_largest_remainder(quotas: list[Fraction], total: int) -> None:
    quotas.append(total - sum(quotas))
    assume(all(quota > -2 for quota in quotas))
    counts = largest_remainder(quotas, total)
    assert sum(counts) == total
    assert min(counts) >= 0
    assert all(abs(count - quota) < len(quotas) for count, quota in zip(counts, quotas, strict=True))


def test_tenths_are_tenths() -> None:
    found = Random(0.7, 0.2, 0.1, 0).deal(10, seed=0, classes=None)  # in float, 0.7 + 0.2 + 0.1 is less than 1
    assert {name: len(rows) for name, rows in found.items()} == {"train": 7, "validation": 2, "test": 1}


def test_the_rest_trains_by_default() -> None:
    found = Random(test=0.25).deal(8, seed=0, classes=None)
    assert {name: len(rows) for name, rows in found.items()} == {"train": 6, "test": 2}


def test_the_seed_decides() -> None:
    def train(split: Random, seed: int) -> list[int]:
        return split.deal(50, seed=seed, classes=None)["train"].tolist()

    assert train(Random(0.5, seed=7), 1) == train(Random(0.5, seed=7), 2)
    assert train(Random(0.5), 1) == train(Random(0.5), 1)
    assert train(Random(0.5), 1) != train(Random(0.5), 2)
    assert train(Random(0.5, seed=7), 0) == train(Random(0.5), 7)


# From files


CSV = "x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(10))


def text(split: str, *, target: str = "target y: class(2)", more: str = "") -> str:
    return f"""
        input x: float[1]
        {target}
        data {{
          source = csv("t.csv"{more})
          x = column("x")
          {"y = column('y')".replace("'", '"') if target else ""}
          {f"split = {split}" if split else ""}
        }}
    """


def test_without_a_split_all_rows_train(load: Callable[..., Data]) -> None:
    data = load(text(""), csv=CSV)
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {"train": list(range(10))}


def test_stratified_finds_the_target(load: Callable[..., Data]) -> None:
    for by in ("", 'by = "y", '):
        data = load(text(f"stratified({by}train = 0.8, test = 0.2)"), csv=CSV)
        assert data.rows["y"][data.splits["test"]].tolist() in ([0, 1], [1, 0])
        assert np.bincount(data.rows["y"][data.splits["train"]]).tolist() == [4, 4]


def test_the_seed_of_the_run_is_the_default(load: Callable[..., Data]) -> None:
    split = "random(train = 0.5, test = 0.5)"
    first, second = (load(text(split), csv=CSV, seed=seed).splits["train"].tolist() for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize(
    ("split", "target", "expected"),
    [
        ("random(train = 0.9, test = 0.2)", "target y: class(2)",
         "the fractions of the split `random` are train = 0.9, test = 0.2; they must add up to at most 1"),
        ("random(validation = 0.5, test = 0.5)", "target y: class(2)",
         "the fractions of the split `random` are validation = 0.5, test = 0.5; they must add up to at most 1 and "
         "leave rows to train on"),
        ("random(train = 0.95, test = 0.05)", "target y: class(2)",
         "the split `random` (train = 0.95, test = 0.05) of 10 rows leaves none for `test`: give it a larger "
         "fraction, or the data more rows"),
        ("stratified(by = \"z\", test = 0.5)", "target y: class(2)",
         'a stratified split goes by a target with one class for each row: `z` is named, and the file has "y"; write '
         "`stratified(by = ...)` with one of them, or `random(...)`"),
        ("stratified(test = 0.5)", "",
         "a stratified split goes by a target with one class for each row: none is named, and the file has none; write "
         "`stratified(by = ...)` with one of them, or `random(...)`"),
    ],
)  # fmt: skip
def test_mistakes(load: Callable[..., Data], split: str, target: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text(split, target=target), csv=CSV)
    assert str(caught.value) == expected

"""Many decimal numbers at once, against Python's own float."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.data.tables.decimals import read_decimals

PLAIN = re.compile(r"[+-]?(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")


def read(fields: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The fields as they lie in a file, one behind the other."""
    text = ",".join(fields) + "\n"
    lengths = np.array([len(field) for field in fields])
    starts = np.cumsum([0, *(lengths[:-1] + 1)])
    return read_decimals(np.frombuffer(text.encode(), dtype=np.uint8), starts, starts + lengths)


def is_plain(field: str) -> bool:
    """Whether the reader promises to read a field."""
    match = PLAIN.fullmatch(field)
    if match is None:
        return False
    whole, fraction, exponent = match.groups()
    power = int(exponent or 0) - len(fraction)
    short = len(exponent.lstrip("+-")) <= 3 if exponent else True
    return 1 <= len(whole) + len(fraction) <= 19 and abs(power) <= 300 and short


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e150, max_value=1e150).map(repr),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.6f}"),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.18e}"),
    st.integers(-(10**18), 10**18).map(str),
    st.from_regex(r"[+-]?[0-9]{0,12}\.?[0-9]{0,8}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
FIELDS = st.one_of(
    NUMBERS, st.text("0123456789.+-eEx ", max_size=24), st.sampled_from(["", "nan", "1_0", "-", "e5", "1e"])
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=12))
def test_reads_what_float_reads(fields: list[str]) -> None:
    values, good = read(fields)
    for field, value, is_good in zip(fields, values, good, strict=True):
        assert is_good == is_plain(field), field
        if is_good:
            exact = float(field)
            assert abs(value - exact) <= 2 * np.spacing(abs(exact)), field


def test_reads_by_hand() -> None:
    values, good = read(["0", "-0.5", "+12.25", ".5", "3.", "6e-05", "1E3", "9999999999999999999", "-7"])
    assert good.all()
    assert values.tolist() == [0.0, -0.5, 12.25, 0.5, 3.0, 6e-05, 1000.0, 1e19, -7.0]


def test_keeps_the_sign_of_zero() -> None:
    values, _ = read(["-0.0"])
    assert np.signbit(values[0])


def test_leaves_everything_else_alone() -> None:
    _, good = read(
        ["", "x", "1 2", "--1", "1-", "1.2.3", "1e2e3", "1e1.5", "e5", "1e", "99999999999999999999", "1e999"]
    )
    assert not good.any()


def test_float32_values_are_the_nearest() -> None:
    numbers = np.random.default_rng(0).normal(size=2000)
    values, good = read([repr(float(value)) for value in numbers])
    assert good.mean() > 0.99  # a few have more than 19 digits, with the zeros behind the dot
    assert np.array_equal(values[good].astype(np.float32), numbers[good].astype(np.float32))

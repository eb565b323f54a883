"""csv files: values against the standard library's reader, every message whole, memory."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorflow_lite_bp.data.files import DataFile
from tensorflow_lite_bp.data.tables import csv as csv_tables
from tensorflow_lite_bp.data.tables.csv import CsvTable
from tensorflow_lite_bp.errors import InputError

EVERY = slice(None)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., CsvTable]:
    """A table of a text or of bytes."""

    def make(
        content: str | bytes,
        *,
        header: bool | None = None,
        delimiter: str = ",",
        missing: tuple[str, ...] = ("", "NA"),
    ) -> CsvTable:
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return CsvTable(DataFile("t.csv", path), header=header, delimiter=delimiter, missing=missing)

    return make


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def no_number(value: str) -> str:
    return (
        f'expected a number, found "{value}"; write one_hot(...) around categories, or name it in the source if it '
        f'stands for a missing value: `missing = ["", "{value}"]`'
    )


# Values


def test_numbers_and_texts(table: Callable[..., CsvTable]) -> None:
    found = table("a,b,name\n1,2.5,x\n-3,4e2,y\n5,,x\n")
    found.load(["b", "a"], ["name"])
    assert found.names == ("a", "b", "name")
    assert found.rows == 3
    assert found.numbers(["a"], EVERY).dtype == np.float32
    np.testing.assert_array_equal(found.numbers(["a", "b"], EVERY), [[1, 2.5], [-3, 400], [5, np.nan]])
    np.testing.assert_array_equal(found.numbers(["b", "a"], np.array([1, 0])), [[400, -3], [2.5, 1]])
    assert found.categories(["name"], EVERY).tolist() == [["x"], ["y"], ["x"]]


@pytest.mark.parametrize("quoted", [False, True])
def test_both_readers_give_the_same(table: Callable[..., CsvTable], quoted: bool) -> None:
    text = "a, b ,c\r\n 1 , NA,x y\r\n\r\n2, 3 , é\r\n-1e-3,inf,NA\r\n"
    found = table(text.replace("x y", '"x y "') if quoted else text)
    found.load(["a", "b"], ["c"])
    np.testing.assert_array_equal(
        found.numbers(["a", "b"], EVERY), np.array([[1, np.nan], [2, 3], [-1e-3, np.inf]], dtype=np.float32)
    )
    assert found.categories(["c"], EVERY).ravel().tolist() == ["x y", "é", None]


def test_reader_changes_in_the_middle_of_a_file(
    table: Callable[..., CsvTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_tables, "_BLOCK", 64)
    monkeypatch.setattr(csv_tables, "_RECORDS", 3)
    rows = [(number, f"plain {number}" if number < 40 else f'"quoted, {number}"') for number in range(80)]
    found = table("a,b\n" + "".join(f"{number},{text}\n" for number, text in rows))
    found.load(["a"], ["b"])
    assert found.numbers(["a"], EVERY).ravel().tolist() == list(range(80))
    assert found.categories(["b"], EVERY).ravel().tolist() == [text.strip('"') for _, text in rows]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=8)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.floats(width=32, allow_nan=False)), min_size=1, max_size=12),
    dialect=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_round_trip_of_what_the_standard_library_writes(
    table: Callable[..., CsvTable], rows: list[tuple[str, str, float]], dialect: int, end: str
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, quoting=dialect, lineterminator=end)
    writer.writerows([("one", "two", "number"), *rows])
    found = table(written.getvalue(), header=True, missing=())
    found.load(["number"], ["one", "two"])
    assert found.categories(["one", "two"], EVERY).tolist() == [[one.strip(), two.strip()] for one, two, _ in rows]
    np.testing.assert_array_equal(
        found.numbers(["number"], EVERY).ravel(), np.array([n for *_, n in rows], dtype=np.float32)
    )


def test_last_line_needs_no_end_and_a_byte_order_mark_does_no_harm(table: Callable[..., CsvTable]) -> None:
    found = table(b"\xef\xbb\xbfa;b\n1;2", delimiter=";")
    found.load(["a", "b"], [])
    assert found.names == ("a", "b")
    assert found.numbers(["a", "b"], EVERY).tolist() == [[1, 2]]


@pytest.mark.parametrize("delimiter", ["\t", " ", "|", ";"])
def test_delimiters(table: Callable[..., CsvTable], delimiter: str) -> None:
    found = table(f"a{delimiter}b\n1{delimiter}2\n", delimiter=delimiter)
    found.load(["b"], ["a"])
    assert found.numbers(["b"], EVERY).tolist() == [[2]]
    assert found.categories(["a"], EVERY).tolist() == [["1"]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ("a", "b")),
        ("1,2\n3,4\n", ("c1", "c2")),
        ("5.1,setosa\n4.9,setosa\n", ("c1", "c2")),
        ("label,0,1\n7,0,0\n", ("label", "0", "1")),
        ("name,town\nAda,London\n", ("name", "town")),
        ("1,NA\n2,3\n", ("c1", "c2")),
    ],
)
def test_looks_for_a_header(table: Callable[..., CsvTable], text: str, names: tuple[str, ...]) -> None:
    assert table(text).names == names


def test_a_header_can_be_said(table: Callable[..., CsvTable]) -> None:
    assert table("0,1\n2,3\n", header=True).names == ("0", "1")
    assert table("a,b\nc,d\n", header=False).names == ("c1", "c2")


def test_a_value_that_float32_cannot_hold_is_infinite(table: Callable[..., CsvTable]) -> None:
    found = table("a\n1e60\n")
    found.load(["a"], [])
    assert np.isinf(found.numbers(["a"], EVERY)).all()


# Mistakes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "t.csv is empty"),
        ("\n\n", "t.csv is empty"),
        ("a,b\n", "t.csv has a header and no rows"),
        ("a,b\n1,2\n3,x\n", 't.csv, row 2 (line 3), column "b": ' + no_number("x")),
        ("a,b\n\n1,2\n\n3,1_0\n", 't.csv, row 2 (line 5), column "b": ' + no_number("1_0")),
        ('a,b\n1,"2\n"\n3,"x"\n', 't.csv, row 2 (line 4), column "b": ' + no_number("x")),
        ("a,b\n1,2\n3\n", "t.csv, row 2 (line 3) has 1 field, and the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "t.csv, row 2 (line 3) has 3 fields, and the header has 2"),
        ("1,2\n3\n", "t.csv, row 2 (line 2) has 1 field, and the first row has 2"),
        ('a,b\n1,"2"\n3\n', "t.csv, row 2 (line 3) has 1 field, and the header has 2"),
        ("a,b,a\n1,2,3\n", 't.csv: columns 1 and 3 are both called "a"; give one of them another name'),
        ('a,b\n1,2\n3,"4\n', "t.csv, row 2 (line 3): a quoted field is never closed"),
        ('a,b\n1,2\n3,"4"x\n', "t.csv, row 2 (line 3): a quoted field goes on behind its closing quote; inside a "
         "field, write a quote twice"),
        ('a,b\n0,1\n1,"' + "x\n" * 70_000 + '"\n', "t.csv, row 2 (line 3): a field is longer than 131,072 "
         "characters; is a quote left open?"),
        ('a,b\n1,2\n"3\n', "t.csv, row 2 (line 3): a quoted field is never closed"),
        ('"a,b\n1,2\n', "t.csv, in the first rows: a quoted field is never closed"),
        ("a,b\r1,2\r3,4\r", "t.csv, in the first rows: a carriage return stands alone; save the file with ordinary "
         "line ends"),
        ("a,b\n1,2\n3,\r4\n", "t.csv, row 2 (line 3): a carriage return stands alone; save the file with ordinary line "
         "ends"),
        (b"a,b\n1,2\n3,\x004\n", "t.csv, line 3 holds a NUL byte, so this is no text file; expected a csv"),
        (b"a,b\n1,2\n3,caf\xe9\n", "t.csv, line 3 is not in UTF-8 (byte 0xe9 at position 6): save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv is in UTF-16: save it as UTF-8"),
        (b"PK\x03\x04...", "t.csv is a zip archive (npz, xlsx, ...); expected a csv, which is plain text"),
        (b"\x1f\x8b\x08...", "t.csv is compressed: unpack it first (gunzip)"),
    ],
)  # fmt: skip
def test_mistakes(table: Callable[..., CsvTable], content: str | bytes, expected: str) -> None:
    def load() -> None:
        found = table(content)
        found.load(found.names, [])

    assert message(load) == expected


def test_a_line_that_is_too_long(table: Callable[..., CsvTable], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "LONGEST_LINE", 100)
    monkeypatch.setattr(csv_tables, "_BLOCK", 10)
    found = table("a\n1\n" + "2" * 200 + "\n3\n")
    assert message(lambda: found.load(["a"], [])) == "t.csv, line 3 is longer than 100 bytes; expected a csv"


def test_too_many_rows_or_columns(table: Callable[..., CsvTable], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "MOST_ROWS", 2)
    monkeypatch.setattr(csv_tables, "MOST_COLUMNS", 2)
    found = table("a\n1\n2\n3\n")
    assert message(lambda: found.load(["a"], [])) == "t.csv has more than 2 rows, the most that a csv may have"
    assert message(lambda: table("a,b,c\n1,2,3\n")) == "t.csv has 3 columns; a csv may have 2"


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("p0,label\n1,2\n", "lable", 't.csv has no column "lable"; did you mean "label"?'),
        ("p0,label\n1,2\n", "LABEL", 't.csv has no column "LABEL"; did you mean "label"?'),
        ("a,b\n1,2\n", "x", 't.csv has no column "x"; it has "a", "b"'),
        ("1,2\n3,4\n", "a", 't.csv has no column "a": its first row was read as data, so its columns are called '
         '"c1" to "c2"; write `header = true` in the source if that row holds names'),
        ("a;b\n1;2\n", "a", 't.csv has no column "a", only "a;b": if its columns are separated by another sign than '
         '",", say so in the source, as in `delimiter = ";"`'),
    ],
)  # fmt: skip
def test_an_unknown_column(table: Callable[..., CsvTable], content: str, name: str, expected: str) -> None:
    assert message(lambda: table(content).require(name)) == expected


def test_a_csv_has_no_arrays(table: Callable[..., CsvTable]) -> None:
    assert message(lambda: table("a\n1\n").array("a")) == (
        't.csv is a csv and has no arrays: write column("a") or columns(...) in place of array("a")'
    )


def test_control_characters_do_not_reach_a_message(table: Callable[..., CsvTable]) -> None:
    found = table("a\n1\n\x1b[31m2\u202e\n")
    expected = 't.csv, row 2 (line 3), column "a": ' + no_number("[31m2")
    assert message(lambda: found.load(["a"], [])) == expected


def test_memory_is_that_of_the_columns(table: Callable[..., CsvTable]) -> None:
    """A file of 20,000 rows is read in twice its array's memory and the space to work on one block."""
    numbers = np.random.default_rng(0).normal(size=(20_000, 50)).round(4)
    rows = "\n".join(",".join(map(str, row)) for row in numbers.tolist())
    found = table(",".join(f"c{column}" for column in range(50)) + "\n" + rows + "\n")
    del rows
    tracemalloc.start()
    found.load(found.names, [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    array = found.numbers(found.names, EVERY)
    np.testing.assert_array_equal(array, numbers.astype(np.float32))
    working_space = 24 << 20
    assert peak < 2 * array.nbytes + working_space

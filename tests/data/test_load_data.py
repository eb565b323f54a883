"""Whole data sections: files found, rows and splits put together, sizes bound, arrays mapped; every message whole."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsl.program import Program
from tensorflow_lite_bp.data import Data, load_data
from tensorflow_lite_bp.data.files import file_inside
from tensorflow_lite_bp.errors import EnvironmentFailure, InputError

Load = Callable[..., Data]
ONE = 'input x: float[1]\ndata { source = csv(%s)\nx = column("a") }'


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def idx(values: list[int], shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(values)


# Sources together


def test_named_files_are_the_splits(load: Load, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("b,a\n9,8\n7,6\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "val.csv").write_text("a\n5\n")
    data = load(ONE % '"t.csv", test = "test.csv", validation = "sub/val.csv"', csv="a,b\n1,2\n3,4\n")
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "train": [0, 1],
        "validation": [2],
        "test": [3, 4],
    }
    assert data.rows["x"].ravel().tolist() == [1, 3, 5, 8, 6]
    content = b"".join((tmp_path / name).read_bytes() for name in ("t.csv", "sub/val.csv", "test.csv"))
    assert data.digest == hashlib.sha256(content).hexdigest()


def test_a_split_divides_the_first_file_only(load: Load, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("a,b\n8,9\n")
    text = ONE.replace("x =", "split = random(train = 0.5, validation = 0.5)\nx =") % '"t.csv", test = "test.csv"'
    data = load(text, csv="a,b\n1,2\n3,4\n")
    assert sorted([*data.splits["train"], *data.splits["validation"]]) == [0, 1]
    assert data.splits["test"].tolist() == [2]


def test_the_digest_of_one_file_is_sha256sums(load: Load) -> None:
    data = load(ONE % '"t.csv"', csv="a,b\n1,2\n")
    assert data.digest == hashlib.sha256(b"a,b\n1,2\n").hexdigest()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(load: Load, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "i").write_bytes(pack(idx(list(range(12)), (3, 2, 2))))
    (tmp_path / "l").write_bytes(pack(idx([1, 0, 1], (3,))))
    (tmp_path / "ti").write_bytes(pack(idx([255] * 4, (1, 2, 2))))
    (tmp_path / "tl").write_bytes(pack(idx([0], (1,))))
    data = load("""
        input image: float[1, 2, 2]
        target digit: class(2)
        data {
          source = idx(images = "i", labels = "l", test_images = "ti", test_labels = "tl")
          image  = array("images") / 255
          digit  = array("labels")
        }
    """)
    assert data.rows["image"].shape == (4, 1, 2, 2)
    np.testing.assert_array_equal(
        data.rows["image"][1, 0], np.array([[4, 5], [6, 7]], dtype=np.float32) / np.float32(255)
    )
    assert data.rows["digit"].tolist() == [1, 0, 1, 0]
    assert data.splits["test"].tolist() == [3]
    assert data.preprocessing.classes == {"digit": ["0", "1"]}


def test_npz(load: Load, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.arange(24.0).reshape(3, 4, 2), y=np.array(["no", "yes", "no"]))
    data = load("""
        input x: float[4, T]
        target y: flag
        data { source = npz("t.npz")
               x = array("x")
               y = column("y") }
    """)
    assert data.rows["x"].dtype == np.float32
    np.testing.assert_array_equal(data.rows["x"], np.arange(24).reshape(3, 4, 2))
    assert data.rows["y"].tolist() == [0, 1, 0]
    assert data.sizes == {"T": 2}


def test_arrays_that_need_no_work_stay_mapped(load: Load, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(2000, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "t.npz", images=images, labels=generator.integers(0, 10, 2000))
    text = """
        input image: float[1, 32, 32]
        target digit: class(10)
        data { source = npz("t.npz")
               image = array("images")
               digit = array("labels") }
    """
    tracemalloc.start()
    data = load(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(data.rows["image"][:, 0], images)
    assert not data.rows["image"].flags.writeable
    assert not data.rows["digit"].flags.writeable
    assert peak < images.nbytes / 2


def test_a_large_csv_takes_less_than_three_times_its_array(load: Load) -> None:
    rows = np.random.default_rng(0).integers(0, 1000, (40_000, 50))
    csv = (
        ",".join(f"c{i}" for i in range(50)) + "\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"
    )
    text = 'input x: float[50]\ndata { source = csv("t.csv")\nx = standardize(columns("c0".."c49")) }'
    load(text, csv=csv)  # what is imported at first use does not count
    tracemalloc.start()
    data = load(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    working_space = 16 << 20  # on one block, whatever the size of the file
    assert peak < 2 * data.rows["x"].nbytes + working_space


def test_sizes_are_bound_by_the_data(load: Load) -> None:
    data = load(
        """
        input x: float[2, T]
        target y: float[T]
        data { source = csv("t.csv")
               x = columns("a".."f")
               y = columns("a".."c") }
        """,
        csv="a,b,c,d,e,f\n1,2,3,4,5,6\n",
    )
    assert data.sizes == {"T": 3}
    assert data.rows["x"].tolist() == [[[1, 2, 3], [4, 5, 6]]]


# Mistakes


def test_sizes_that_disagree(load: Load) -> None:
    text = """
        input x: float[T]
        input y: float[T]
        data { source = csv("t.csv")
               x = columns("a", "b")
               y = column("c") }
    """
    assert message(lambda: load(text, csv="a,b,c\n1,2,3\n")) == (
        "the size T is 2 in `x` and 1 in `y`; it must be the same everywhere"
    )


def test_no_data_section(tmp_path: Path, program: Callable[[str], Program]) -> None:
    assert message(lambda: load_data(program("input x: float[1]"), folder=tmp_path, seed=0)) == (
        "`t` has no data section, so nothing says where its samples are: add `data { ... }`"
    )


def test_arrays_in_another_order(load: Load, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((2, 32, 32, 3), dtype=np.uint8))
    text = 'input x: float[3, 32, 32]\ndata { source = npz("t.npz")\nx = array("x") / 255 }'
    assert message(lambda: load(text)) == (
        "t.net:4: `x` is float[3, 32, 32], and t.npz gives arrays of [32, 32, 3]: declare that shape, and turn it with "
        "`permute` where the network wants another order"
    )


def test_test_rows_of_another_shape(load: Load, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((2, 3, 4)))
    np.savez(tmp_path / "u.npz", x=np.ones((2, 3, 5)))
    text = 'input x: float[3, T]\ndata { source = npz("t.npz", test = "u.npz")\nx = %s }'
    assert message(lambda: load(text % 'array("x")')) == "`x` has rows of [3, 4] in t.npz, and of [3, 5] in u.npz"
    assert message(lambda: load(text % 'standardize(array("x"))')) == (
        "t.net:4: u.npz: `standardize` was fitted to rows of [3, 4], and these are [3, 5]"
    )


def test_a_file_and_a_fraction_for_the_same_split(load: Load, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    text = ONE.replace("x =", "split = random(train = 0.5, test = 0.5)\nx =") % '"t.csv", test = "u.csv"'
    assert message(lambda: load(text, csv="a,b\n1,2\n3,4\n")) == (
        "the source names a file for `test`, and the split deals out rows for it too: keep one of the two"
    )


def test_a_column_that_the_test_file_lacks(load: Load, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("b,c\n1,2\n")
    assert message(lambda: load(ONE % '"t.csv", test = "u.csv"', csv="a,b\n1,2\n")) == (
        'u.csv has no column "a"; it has "b", "c"'
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('csv("t.csv", header = "maybe")', '`header` is "maybe"; expected true, false or "auto"'),
        ('csv("t.csv", delimiter = "::")', '`delimiter` is "::"; expected one sign, such as "," or ";"'),
        ('csv("t.csv", delimiter = "é")', '`delimiter` is "é"; expected one sign, such as "," or ";"'),
        ('idx("t.csv", test_labels = "l")', "`test_labels` is given without `test_images`: name both files, or "
         "neither"),
        ('idx("t.csv")', "t.csv is no idx file, or a damaged one: it does not start as the format does (00 00, a "
         "type, a number of axes)"),
        ('npz("t.csv")', "t.csv is no npz file, or a damaged one (File is not a zip file)"),
    ],
)  # fmt: skip
def test_settings_of_sources(load: Load, source: str, expected: str) -> None:
    text = f'input x: float[1]\ndata {{ source = {source}\nx = column("a") }}'
    assert message(lambda: load(text, csv="a,b\n1,2\n")) == expected


# Files


def test_a_missing_file(load: Load, tmp_path: Path) -> None:
    assert (
        message(lambda: load(ONE % '"no.csv"')) == f'"no.csv" does not exist (looked for {tmp_path.resolve()}/no.csv)'
    )
    assert "does not exist" in message(lambda: load(ONE % '"t.csv/x.csv"', csv="a\n1\n"))


def test_a_folder(load: Load, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert message(lambda: load(ONE % '"d"')) == '"d" is a folder; expected a data file'


def test_a_pipe(load: Load, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    assert message(lambda: load(ONE % '"p"')) == (
        '"p" is no regular file (a pipe or a device): save its content to a file first'
    )


@pytest.mark.parametrize("typed", ["../o.csv", "/etc/hostname", "link.csv", "sub/../../o.csv", "folder/o.csv"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, program: Callable[[str], Program], typed: str) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (tmp_path / "o.csv").write_text("a\n1\n")
    (home / "link.csv").symlink_to(tmp_path / "o.csv")
    (home / "folder").symlink_to(tmp_path)
    assert message(lambda: load_data(program(ONE % f'"{typed}"'), folder=home, seed=0)) == (
        f'"{typed}" leads outside the folder of the .net file, which reads only data that lies with it: copy the file '
        "there, and write its new path"
    )


def test_a_link_inside_the_folder_is_followed(load: Load, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("a,b\n1,2\n")
    (tmp_path / "t.csv").symlink_to("real.csv")
    assert load(ONE % '"t.csv"').rows["x"].tolist() == [[1]]


def test_a_hard_link_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("a\n1\n")
    (tmp_path / "t.csv").hardlink_to(tmp_path / "other")
    assert message(lambda: load(ONE % '"t.csv"')) == (
        '"t.csv" is a hard link, so the same file also lies elsewhere: replace it by a copy (cp '
        "--remove-destination does that)"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(load: Load, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "t.csv").chmod(0)
    with pytest.raises(EnvironmentFailure, match=r'^no permission to read "t\.csv"$'):
        load(ONE % '"t.csv"')


@pytest.mark.parametrize(("typed", "shown"), [("", '""'), ("a\x07b", '"ab"'), ("a\0b", '"ab"')])
def test_what_is_no_path(tmp_path: Path, typed: str, shown: str) -> None:
    assert message(lambda: file_inside(tmp_path, typed)) == f"{shown} is no path of a data file"

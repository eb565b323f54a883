"""A checkpoint holds what was put in; damage, strangers' files and other networks are each one clear sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.training.checkpoint import DamagedCheckpoint, open_checkpoint, write_checkpoint
from tensorflow_lite_bp.training.header import Header

HEADER = Header(
    name="digits.net",
    source="network digits\n# Ω\n",
    overrides=("train.epochs=5",),
    seed=3,
    precision="float32",
    preprocessing='{"image": {"mean": [0.5]}}',
    class_weights={"digit": [1.0, 2.5]},
    data="ab" * 32,
    position={"epoch": 2, "batch": 7, "rate": 0.1 + 0.2, "totals": {"losses": [1 / 3]}},
)
WEIGHTS = {"y.dense.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([0.1, -0.0])}
SLOTS = {"mean": np.linspace(0, 1, 8, dtype=np.float32), "counters": np.array([4, 4, 0])}
SHAPES = {name: array.shape for name, array in WEIGHTS.items()}
LAYOUTS = {name: (array.dtype, array.shape) for name, array in SLOTS.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "last.safetensors"
    write_checkpoint(path, HEADER, WEIGHTS, SLOTS)
    return path


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The head of a safetensors file as an object, and the bytes behind it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(path: Path, head: dict[str, Any] | str, rest: bytes) -> None:
    text = (head if isinstance(head, str) else json.dumps(head)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def message(path: Path, *, shapes: Any = None, slots: Any = None) -> str:
    """What is said about a file that cannot be used."""
    with pytest.raises(InputError) as caught:
        open_checkpoint(path).read(SHAPES if shapes is None else shapes, LAYOUTS if slots is None else slots)
    return str(caught.value).replace(str(path.parent) + "/", "")


def test_what_is_read_is_what_was_written(path: Path) -> None:
    stored = open_checkpoint(path)
    assert stored.header == HEADER
    contents = stored.read(SHAPES, LAYOUTS)
    for found, expected in ((contents.weights, WEIGHTS), (contents.slots, SLOTS)):
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            assert found[name].tobytes() == array.tobytes()


def test_without_expected_slots_only_weights_are_read(path: Path) -> None:
    contents = open_checkpoint(path).read(SHAPES)
    assert contents.weights.keys() == WEIGHTS.keys()
    assert contents.slots == {}


def test_any_reader_of_the_format_opens_it(path: Path) -> None:
    found = load_file(path)
    assert found.keys() == {"y.dense.weight", "b", "slot.mean", "slot.counters"}
    np.testing.assert_array_equal(found["y.dense.weight"], WEIGHTS["y.dense.weight"])
    assert split(path)[0]["__metadata__"]["source"] == HEADER.source


def test_the_same_state_makes_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "again", HEADER, dict(reversed(WEIGHTS.items())), SLOTS)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_weight_may_be_called_like_a_slot(tmp_path: Path) -> None:
    weights = {"slot.dense.weight": np.ones((2, 2), np.float32)}
    write_checkpoint(tmp_path / "c", HEADER, weights, SLOTS)
    contents = open_checkpoint(tmp_path / "c").read({"slot.dense.weight": (2, 2)}, LAYOUTS)
    assert contents.weights.keys() == weights.keys()
    assert contents.slots.keys() == SLOTS.keys()


def test_the_file_that_stood_there_is_kept_under_the_other_name(path: Path) -> None:
    first, previous = path.read_bytes(), path.with_name("last.previous.safetensors")
    write_checkpoint(path, replace(HEADER, seed=4), WEIGHTS, SLOTS, previous=previous)
    assert previous.read_bytes() == first
    assert open_checkpoint(path).header.seed == 4
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputError) as caught:
        write_checkpoint(tmp_path / "c", HEADER, {"b": np.float32([1, value])})
    assert str(caught.value) == (
        f"cannot write `{tmp_path / 'c'}`: its weight `b` holds values that are not finite (NaN or infinity)"
    )
    assert list(tmp_path.iterdir()) == []


# Damage


@pytest.mark.parametrize("left", [0, 3, 8, 100, 900, -1])
def test_a_file_cut_short_anywhere_says_so(path: Path, left: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:left])
    with pytest.raises(DamagedCheckpoint, match="is cut short"):
        open_checkpoint(path)


def test_how_much_is_left_of_a_file_cut_short_is_said(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert message(path) == (
        f"`last.safetensors` is cut short: {len(content) - 1:,} of its {len(content):,} bytes are left"
    )
    path.write_bytes(content[:9])
    (length,) = struct.unpack("<Q", content[:8])
    assert message(path) == (
        f"`last.safetensors` is cut short: 9 bytes are left, and its head alone has {length + 8:,}"
    )


def test_every_flipped_bit_is_found(path: Path) -> None:
    content = path.read_bytes()
    for place in range(0, len(content), 41):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(InputError):
            open_checkpoint(path).read(SHAPES, LAYOUTS)


def test_changed_values_do_not_fit_the_checksum(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert message(path) == "`last.safetensors` is damaged: its checksum does not fit its content"


def test_changed_metadata_does_not_fit_the_checksum(path: Path) -> None:
    head, rest = split(path)
    head["__metadata__"]["seed"] = "4"
    join(path, head, rest)
    assert message(path) == "`last.safetensors` is damaged: its checksum does not fit its content"


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("seed", "[]", "its `seed` is []"),
        ("position", "3", "its `position` is 3"),
        ("overrides", '{"a": 1, "a": 2}', "a key stands twice in one object"),
        ("overrides", "[1]", "its `overrides` is [1]"),
        ("precision", "float16", "its `precision` is 'float16'"),
        ("class_weights", '{"digit": 1}', "its `class_weights` is {'digit': 1}"),
        ("preprocessing", "", "Expecting value: line 1 column 1 (char 0)"),
        ("source", None, "it has no `source`"),
    ],
)
def test_metadata_of_the_wrong_kind_is_damage(path: Path, key: str, text: str | None, said: str) -> None:
    head, rest = split(path)
    head["__metadata__"].pop(key)
    if text is not None:
        head["__metadata__"][key] = text
    join(path, head, rest)
    assert message(path) == f"`last.safetensors` is damaged: its head is not as tflbp writes it ({said})"


# Strangers' files


def test_a_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path / "x.safetensors") == (
        "`x.safetensors` does not exist: expected a checkpoint (.safetensors) as `tflbp train` writes it"
    )


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert message(tmp_path / "runs") == (
        "`runs` is no file: expected a checkpoint (.safetensors) as `tflbp train` writes it"
    )


def test_a_file_of_another_kind(path: Path) -> None:
    path.write_bytes(b"network digits\ninput x: float[3]\n")
    assert message(path) == "`last.safetensors` is no checkpoint: it does not start as a safetensors file does"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{'a'}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "it is no object"),
        ('{"a": {"dtype": "F32"}}', "'data_offsets'"),
        ('{"a": 1, "a": 2}', "a key stands twice in one object"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_head_that_is_no_safetensors_head(path: Path, text: str, said: str) -> None:
    join(path, text, b"")
    assert message(path) == f"`last.safetensors` is no checkpoint: its head is not that of a safetensors file ({said})"


def test_a_safetensors_file_of_another_program(path: Path) -> None:
    path.write_bytes(save(WEIGHTS, {"format": "pt"}))
    assert message(path) == (
        "`last.safetensors` is a safetensors file of another program: expected one that `tflbp train` wrote"
    )


def test_another_format_version(path: Path) -> None:
    head, rest = split(path)
    head["__metadata__"]["format"] = "2"
    join(path, head, rest)
    assert message(path) == (
        "`last.safetensors` has the checkpoint format 2, and this version of tflbp reads 1: use the version of "
        "tensorflow_lite_bp that wrote it"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: entry.update(shape=[0, 1 << 60], data_offsets=[0, 0]), f"an array of the shape [0, {1 << 60}]"),
        (lambda entry: entry.update(shape=[-2, 3]), "an array of the shape [-2, 3]"),
        (lambda entry: entry.update(shape=[2.0, 3]), "an array of the shape [2.0, 3]"),
        (lambda entry: entry.update(dtype="F16"), "'F16'"),
    ],
)
def test_arrays_that_no_checkpoint_holds(path: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    head, rest = split(path)
    change(head["y.dense.weight"])
    join(path, head, rest)
    assert message(path) == f"`last.safetensors` is damaged: its head is not as tflbp writes it ({said})"


def test_overlapping_arrays_are_refused_by_the_library(path: Path) -> None:
    head, rest = split(path)
    head["b"]["data_offsets"], head["slot.mean"]["data_offsets"] = [0, 8], [0, 32]
    join(path, head, rest)
    assert message(path).startswith("`last.safetensors` is damaged: ")


def test_a_weight_that_is_not_finite_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow_lite_bp.training.checkpoint._require_finite", lambda *_: None)
    write_checkpoint(path, HEADER, {**WEIGHTS, "b": np.float32([np.nan, 0])}, SLOTS)
    monkeypatch.undo()
    assert message(path) == (
        "`last.safetensors` cannot be used: its weight `b` holds values that are not finite (NaN or infinity)"
    )


# Another network's


OTHER = "`last.safetensors` is a checkpoint of another network: "


@pytest.mark.parametrize(
    ("shapes", "slots", "said"),
    [
        (
            {"y.dense.weight": (3, 2), "b": (2,)},
            LAYOUTS,
            "`y.dense.weight` is float32 [2, 3] there, expected float32 [3, 2]",
        ),
        ({**SHAPES, "c": (1,)}, LAYOUTS, "it has no `c`"),
        ({"b": (2,)}, LAYOUTS, "it has `y.dense.weight`, and this network has no such array"),
        (SHAPES, {"mean": LAYOUTS["mean"]}, "it has `slot.counters`, and this network has no such array"),
        (SHAPES, {**LAYOUTS, "square": LAYOUTS["mean"]}, "it has no `slot.square`"),
        (
            SHAPES,
            {**LAYOUTS, "counters": (np.dtype(np.float64), (3,))},
            "`slot.counters` is int64 [3] there, expected float64 [3]",
        ),
    ],
)
def test_arrays_of_another_network(path: Path, shapes: Any, slots: Any, said: str) -> None:
    assert message(path, shapes=shapes, slots=slots) == OTHER + said

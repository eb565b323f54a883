"""Every example is checked, formatted, trained as it stands, and does as well as it claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dsl import format_source, read_source
from tensorflow_lite_bp import Network
from tensorflow_lite_bp.table import checked

FOLDER = Path(__file__).parents[2] / "examples"

# split, metric, and the least (or, where it is an error, the most) it has to be
EXPECTED = {
    "xor": ("train", "accuracy", 1.0),
    "iris": ("test", "accuracy", 0.93),
    "digits": ("test", "accuracy", 0.97),
    "penguins": ("test", "r2", 0.8),
    "siamese": ("test", "accuracy", 0.9),
    "articles/columns": ("train", "mae", 0.05),
    "articles/layers": ("test", "r2", 0.85),
    "articles/rows": ("test", "accuracy", 0.85),
    "articles/signals": ("test", "accuracy", 0.93),
    "articles/neurons": ("test", "r2", 0.4),
}
ERRORS = {"mae"}


def path(name):
    return FOLDER / f"{name}.net"


def test_every_example_stands_in_this_file():
    assert {str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.net")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_layout_is_that_of_fmt(name):
    assert format_source(read_source(path(name))) == path(name).read_text()


@pytest.mark.parametrize("name", EXPECTED)
def test_trains_as_it_claims(name):
    split, metric, bound = EXPECTED[name]
    found = Network.from_file(path(name)).fit(threads=1).splits[split][metric]
    assert found <= bound if metric in ERRORS else found >= bound


@pytest.mark.parametrize("name", ["xor", "iris", "digits"])
@pytest.mark.parametrize("seed", [1, 2])
def test_does_not_hang_on_one_seed(name, seed):
    split, metric, bound = EXPECTED[name]
    assert Network.from_file(path(name), seed=seed).fit(threads=1).splits[split][metric] >= bound


def test_same_bits_when_trained_twice():
    first, second = (Network.from_file(path("iris")) for _ in range(2))
    assert first.fit(threads=1).splits == second.fit().splits
    for name in first.weights:
        np.testing.assert_array_equal(first.weights[name], second.weights[name])


def test_readme_names_every_example():
    text = (FOLDER / "README.md").read_text()
    assert all(f"| [{name}.net]({name}.net) |" in text for name in EXPECTED)


@pytest.mark.parametrize("folder", ["data", "articles/data"])
def test_every_data_file_has_its_source_and_licence(folder):
    files = {file.name for file in (FOLDER / folder).iterdir()} - {"README.md"}
    table = [line for line in (FOLDER / folder / "README.md").read_text().splitlines() if line.startswith("| `")]
    described = {word for line in table for word in line.split("|")[1].replace("`", "").replace(",", " ").split()}
    assert files == described
    assert all(line.count("|") == 6 and line.split("|")[5].strip() for line in table)


def test_siamese_pairs_share_no_drawing_between_training_and_test():
    def drawings(name):
        with np.load(FOLDER / "data" / name) as arrays:
            return {drawing.tobytes() for side in ("left", "right") for drawing in arrays[side]}

    assert not drawings("pairs.npz") & drawings("pairs_test.npz")


def test_articles_declare_bare_parameters_only():
    """The weights of these five are the articles' own symbols."""
    for file in (FOLDER / "articles").glob("*.net"):
        program = checked(file)
        assert program.parameters
        assert not [node.op for node in program.nodes if node.op in ("dense", "conv")]

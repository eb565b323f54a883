"""The page of a network as a file: valid HTML, complete, self-contained, the same bytes every time."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pytest

from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.explanation import explain
from tensorflow_lite_bp.explain.notation import notation
from tensorflow_lite_bp.explain.numbers import Numbers, written
from tensorflow_lite_bp.explain.page.arrange import arrange
from tensorflow_lite_bp.explain.page.content import Content, words
from tensorflow_lite_bp.explain.page.drawing import vertices
from tensorflow_lite_bp.explain.page.html import page
from tensorflow_lite_bp.explain.page.markup import html
from tensorflow_lite_bp.explain.translate import View
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.profile import random_rows
from tensorflow_lite_bp.network import Network
from tensorflow_lite_bp.table import checked

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["articles/columns", "siamese", "fashion_resnet"]
DEEP = """network deep
input x: float[64]
target t: class(10)
block unit(y) { return y -> dense(64) -> relu }
h = x -> repeat(49, unit)
logits = h -> dense(10)
loss cross_entropy(logits, t)
"""


@cache
def derivation(name: str) -> Derivation:
    return Derivation(Graph(checked(str(EXAMPLES / f"{name}.net"))))


@cache
def made(name: str, *, lang: str = "en") -> str:
    return page(derivation(name), View(notation("columns")), form="matrix", lang=lang)


def content(name: str, view: str) -> Content:
    book, form, _ = view.split()
    return Content(explain(derivation(name), View(notation(book)), form), vertices(derivation(name)), None, {})


def inside(text: str, name: str) -> str:
    """The text of a script element that holds data."""
    found = re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return found[1]


def unpacked(pool: list[Any], place: int) -> str:
    """The markup at a place of the table, as `Pool` describes it."""
    if isinstance(pool[place], str):
        return html(pool[place])
    tag, attributes, *children = pool[place]
    texts = [pool[at] for at in pool[attributes]]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    given = "".join(f' {name}="{escape(value)}"' for name, value in pairs)
    return f"<{pool[tag]}{given}>{''.join(unpacked(pool, child) for child in children)}</{pool[tag]}>"


def parsed(text: str) -> Any:
    """The document, by a parser that takes nothing that the standard calls an error."""
    from html5lib import HTMLParser

    return HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_html(name: str) -> None:
    tree = parsed(made(name))
    ids = [each.get("id") for each in tree.iter() if each.get("id") is not None]
    assert len(ids) == len(set(ids))
    referred = {word for each in tree.iter() for word in each.get("aria-labelledby", "").split()}
    linked = {each.get("href")[1:] for each in tree.iter() if each.get("href", "#") != "#"}
    assert referred | linked <= set(ids)
    assert {"main", "graph", "forward", "backward", "update"} <= set(ids)


def test_every_part_has_a_name_for_a_screen_reader() -> None:
    tree = parsed(made("siamese"))
    assert tree.find(".//nav").get("aria-label") == "Graph of the network"
    links = [each for each in tree.iter() if "vertex" in each.get("class", "").split()]
    titles = [next(child.text for child in link if child.tag.endswith("title")) for link in links]
    assert titles[:2] == ["left, float[1, 8, 8], input, 1×8·8·m", "right, float[1, 8, 8], input, 1×8·8·m"]
    assert titles[-1] == "binary_cross_entropy, loss"
    assert all(each.get("aria-labelledby") for each in tree.iter() if each.tag in ("article", "section"))
    assert [legend.text for legend in tree.iter("legend")] == ["Notation", "Form", "Language"]
    assert all(label.find("input") is not None and label.find("span").text for label in tree.iter("label"))


@pytest.mark.parametrize("name", NAMES)
def test_every_view_is_in_it(name: str) -> None:
    text = made(name)
    data = json.loads(inside(text, "data"))
    pool = json.loads(zlib.decompress(base64.b64decode(inside(text, "views"))))
    possible = {f"{b} {f}" for b in data["shapes"] for f in ("matrix", "components", "expanded", "differentials")}
    assert {place.rpartition(" ")[0] for place in data["places"]} | data["refused"].keys() >= possible
    for view in ("columns matrix en", "columns expanded zh", "rows components en"):
        assert unpacked(pool, data["places"][view]) == html(content(name, view).markup(view.split()[2]))
    assert html(content(name, "columns matrix en").markup("en")) in text


def test_a_notation_that_refuses_the_network_is_offered_with_its_reason() -> None:
    refused = json.loads(inside(made("fashion_resnet"), "data"))["refused"]
    assert "`body.stage.batch_norm` (batch_norm) needs the whole batch" in refused["neurons matrix"]
    assert "--layout denominator" in json.loads(inside(made("siamese"), "data"))["refused"]["layers differentials"]


def test_nothing_comes_from_elsewhere() -> None:
    text = made("articles/columns")
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/1998/Math/MathML"}
    assert not re.search(r"\b(src|srcset|action|style|on\w+)=|@import|url\(", text)
    assert "default-src 'none'; style-src 'sha256-" in text


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    def written(seed: str) -> bytes:
        out = tmp_path / f"{seed}.html"
        file = str(EXAMPLES / "articles" / "columns.net")
        command = [sys.executable, "-m", "tensorflow_lite_bp", "explain", file, "--format", "html", "-o", str(out)]
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, check=True, capture_output=True)
        return out.read_bytes()

    assert written("1") == written("2")


def test_fifty_layers_stay_under_two_megabytes(tmp_path: Path) -> None:
    file = tmp_path / "deep.net"
    file.write_text(DEEP)
    text = page(Derivation(Graph(checked(str(file)))), View(notation("columns")), form="matrix", lang="en")
    assert len(text.encode()) < 2_000_000
    assert text.count('<article id="forward-') == 2 + 99 + 1  # inputs and targets, layers, the loss


def test_names_are_text(tmp_path: Path) -> None:
    """The name of the file and the lines of its source are shown: they stay text wherever they stand."""
    hostile = "<!--<script><img src=x onerror=alert(1)>&amp;"
    folder = tmp_path / hostile
    folder.mkdir()
    file = folder / "a.net"
    comment = f"# </script><script>alert(1)</script> {hostile} \" '"
    file.write_text(
        f"network a\ninput x: float[2, 4] {comment}\ntarget t: float[2, 4]\n"
        f"y = x -> batch_norm {comment}\nloss mse(y, t) {comment}\n"
    )
    text = page(Derivation(Graph(checked(str(file)))), View(notation("columns")), form="matrix", lang="en")
    tree = parsed(text)
    assert len(list(tree.iter("script"))) == 3
    assert not list(tree.iter("img"))
    assert hostile in "".join(tree.itertext())
    assert hostile in json.loads(inside(text, "data"))["refused"]["layers matrix"]


def test_numbers_stand_with_their_equations(tmp_path: Path) -> None:
    network = Network.from_file(str(EXAMPLES / "xor.net"), seed=1, precision="float64", overrides=["train.batch=2"])
    network.use_threads(1)
    numbers = Numbers(network, random_rows(network, {}))
    text = page(Derivation(network.graph), View(notation("columns")), form="matrix", lang="en", numbers=numbers)
    shown = [each.text for each in parsed(text).iter("pre")]
    assert all("\n".join(written(after)) in shown for after in numbers.updated.values())
    assert len(shown) > 2 * len(network.graph.nodes)


def test_words_are_in_both_languages() -> None:
    assert all(set(texts) == {"en", "zh"} and all(texts.values()) for texts in words().values())
    assert "反向传播" in made("articles/columns", lang="zh")


# The drawing


def test_edges_go_down_and_vertices_do_not_overlap() -> None:
    for name in NAMES:
        placed = vertices(derivation(name))
        found = arrange([vertex.sources for vertex in placed])
        assert all(found.row[a] < found.row[b] for a, b in found.routes)
        assert all(len(route) == found.row[b] - found.row[a] - 1 for (a, b), route in found.routes.items())
        spots = [(row, x) for row, x in zip(found.row, found.x, strict=True)]
        spots += [
            (found.row[a] + 1 + at, x - 0.4) for (a, _), route in found.routes.items() for at, x in enumerate(route)
        ]
        for row, x in spots[: len(placed)]:
            assert sum(other == row and abs(x - place) < 1 for other, place in spots[: len(placed)]) == 1


def test_a_chain_is_straight_beside_a_residual_edge() -> None:
    found = arrange([(), (0,), (1,), (2,), (3, 1), (4,)])
    assert max(found.x) - min(found.x) < 0.001
    assert all(abs(place - found.x[0]) > 0.5 for place in found.routes[1, 4])


def test_a_target_stands_beside_what_it_is_compared_with() -> None:
    found = arrange([(), (), (0,), (2,), (3, 1)])
    assert found.row == [0, 2, 1, 2, 3]

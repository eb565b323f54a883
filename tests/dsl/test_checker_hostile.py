"""Files that nobody means well with: every text gets an answer, quickly, and nothing is raised."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl import Checked, Source, check, render
from dsl.signature import Limits, Table

HEAD = "input x: float[8]\n"
TEXTS = [path.read_text() for path in sorted(Path(__file__).with_name("mistakes").glob("*.net"))]
PIECES = sorted({piece for text in TEXTS for piece in re.findall(r'"[^"\n]*"|\w+|[^\w\s]|\n', text)})


def doubling(first: str, join: str, count: int = 40) -> str:
    """Blocks of which each uses the one before twice."""
    blocks = [
        first,
        *(f"block b{n}(x{n}) {{ return {join.format(x=f'x{n}', b=f'b{n - 1}')} }}" for n in range(1, count)),
    ]
    return HEAD + "\n".join(blocks) + f"\noutput y = x -> b{count - 1}"


def nested(count: int, kind: str) -> str:
    """Blocks or layers of which each holds the one before."""
    items = {
        "block": [f"block b{n}(x{n}) {{ return x{n} -> b{n - 1} }}" for n in range(1, count)],
        "layer": [f"layer b{n} = b{n - 1}" for n in range(1, count)],
    }[kind]
    first = "block b0(x0) { return x0 -> relu }" if kind == "block" else "layer b0 = relu"
    return HEAD + "\n".join([first, *items]) + f"\noutput y = x -> b{count - 1}"


HOSTILE = {
    "doubling nodes": (doubling("block b0(x0) { return x0 -> relu }", "{x} -> {b} -> {b}"), "too-many-nodes"),
    "doubling nothing": (doubling("block b0(x0) { return x0 }", "{x} -> {b} -> {b}"), "too-many-nodes"),
    "doubling sums": (doubling("block b0(x0) { return x0 + x0 }", "{b}({x}) + {b}({x})", 20), "too-many-nodes"),
    "doubling repeats": (HEAD + "output y = x -> repeat(2000, repeat(2000, repeat(0, relu)))", "too-many-nodes"),
    "a million repeats": (HEAD + "output y = x -> repeat(1000000, relu)", "out-of-range"),
    "deep blocks": (nested(2000, "block"), "too-deep"),
    "deep layers": (nested(2000, "layer"), "too-deep"),
    "deep repeats": (HEAD + "output y = x -> " + "repeat(1, " * 5000 + "relu" + ")" * 5000, "too-deep"),
    "deep columns": (HEAD + "output x data { x = " + "-" * 5000 + 'column("a") }', "too-deep"),
    "huge layer": (HEAD + "output y = x -> dense(10^12)", "too-large"),
    "huge input": ("input x: float[10^9, 10^9]\noutput x", "too-large"),
    "huge parameters": (HEAD + "parameter p: float[10^8, 10^8]\noutput y = p * x", "too-large"),
    "many axes": (f"input x: float[{'2, ' * 20000}2]\noutput x", "too-large"),
    "huge power": ("let a = 10 ^ (10 ^ 300)", "constant-too-large"),
    "small power": ("let a = (1 + 1e-300) ^ (10 ^ 300)", "constant-too-large"),
    "odd root": ("let a = 2 ^ (1 / 10 ^ 300)", "inexact-power"),
    "growing constants": ("".join(f"let a{n} = a{n - 1} * a{n - 1}\n" for n in range(1, 500)), "unknown-name"),
    "growing lists": ("let a0 = [1]" + "".join(f" let a{n} = [a{n - 1}] * 2" for n in range(1, 500)), "nested-list"),
    "long list": (f"let a = [{'1, ' * 20000}1]\n{HEAD}output y = x -> reshape(a)", "shape-mismatch"),
    "long names": (f"{HEAD}output {'y' * 300000} = x -> {'z' * 300000}", "unknown-name"),
    "unknown names": (HEAD + " ".join(f"a{n} = q{n}" for n in range(10000)), "unknown-name"),
    "repeated settings": (f"{HEAD}output y = x -> dense(3{', units = 3' * 10000})", "repeated-setting"),
    "many inputs": ("".join(f"input x{n}: flag\n" for n in range(999)) + "data { source = csv }", "missing-columns"),
    "wrong shapes": (HEAD + "".join(f"a{n} = x + (x -> dense({n + 9}))\n" for n in range(1500)), "shape-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_an_answer_quickly(table: Table, name: str) -> None:
    text, code = HOSTILE[name]
    start = perf_counter()
    found = check(Source("example.net", text), Table(table.signatures, Limits(nodes=2000)))
    printed = render(found.diagnostics)
    assert perf_counter() - start < 10  # far more than needed: the machine may be busy
    assert code in {diagnostic.code.name for diagnostic in found.diagnostics}
    assert found.program is None
    assert len(printed) < 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}output y = {'relu(' * 90}x{')' * 90}",
        f"{HEAD}output y = x -> {'repeat(1, ' * 45}relu{')' * 45}",
        f"{HEAD}output y = x -> dense({'-(' * 90}8{')' * 90})",
        nested(45, "block"),
        nested(90, "layer"),
        f'{HEAD}output x data {{ source = csv("a") x = {"standardize(" * 90}column("a"){")" * 90} }}',
    ],
)
def test_the_deepest_that_is_allowed_overflows_nothing(checked: Callable[..., Checked], text: str) -> None:
    assert checked(text).program is not None


def test_long_messages_are_shortened(checked: Callable[..., Checked]) -> None:
    text = f'{HEAD}output {"y" * 5000} = x -> {"z" * 5000} -> dense("{"s" * 5000}", {"k" * 5000} = 1) + q{"q" * 5000}'
    for diagnostic in checked(text).diagnostics:
        assert all(len(line) < 400 for line in str(diagnostic).splitlines())


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A file of this folder with a few pieces taken out, doubled, moved, or put in the place of others."""
    pieces = re.findall(r'"[^"\n]*"|\s+|\w+|[^\w\s]', draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, max(0, len(pieces) - 1)))
        end = draw(st.integers(start, min(len(pieces), start + 12)))
        other = draw(st.integers(0, max(0, len(pieces) - 1)))
        replacement = draw(
            st.one_of(
                st.just([]),
                st.just(pieces[start:end] * 2),
                st.just(pieces[other : other + 8]),
                st.lists(st.sampled_from([*PIECES, " ", "10 ^ 20", "\0", "é", '"']), max_size=4),
            )
        )
        pieces[start:end] = replacement
    return "".join(pieces)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=mutated(), overrides=st.lists(st.sampled_from(PIECES).map(lambda piece: f"train.epochs={piece}"), max_size=1)
)
def test_every_text_has_an_answer(table: Table, text: str, overrides: list[str]) -> None:
    found = check(Source("example.net", text), table, overrides=overrides)
    assert (found.program is None) == any(diagnostic.severity == "error" for diagnostic in found.diagnostics)
    assert render(found.diagnostics).count("\n\n") == len(found.diagnostics)
    json.dumps([diagnostic.to_json() for diagnostic in found.diagnostics])

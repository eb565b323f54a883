"""Settings of the command line in the place of the file's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dsl import Checked, Program, render
from dsl.program import Call

TEXT = """network digits
let width = 16
input  image: float[64]
target digit: class(10)
logits = image -> dense(width) -> relu -> dense(10)
loss cross_entropy(logits, digit)
output logits
data { source = csv("a.csv")  image = columns("p0".."p63")  digit = column("label") }
train { epochs = 30  batch = 64 }
"""


def test_overrides_take_the_place_of_the_file(program: Callable[..., Program]) -> None:
    given = (
        "train.epochs=5",
        "train.optimizer = sgd(0.1, momentum = 0.9)",
        "let.width=8 * 4",
        "export.opset=18",
        'data.source=csv("b.csv", header = false)',
        "data.image=columns(\"q0\"..\"q63\") / 16",
        "train.epochs=6",
        "data.split=random(train = 1)",
    )  # fmt: skip
    found = program(TEXT, *given)
    assert found.train["epochs"] == 6
    assert found.train["batch"] == 64
    assert found.train["optimizer"] == Call("optimizer", "sgd", {"rate": 0.1, "momentum": 0.9})
    assert found.nodes[0].settings["units"] == 32
    assert found.export["opset"] == 18
    assert found.data is not None
    assert found.data.settings["source"] == Call("source", "csv", {"path": "b.csv", "header": False})
    assert found.data.columns["image"].name == "divide"
    assert found.overrides == given


def test_an_override_stands_where_the_file_has_a_mistake(program: Callable[..., Program]) -> None:
    assert program(TEXT.replace("epochs = 30", "epochs = 0"), "train.epochs=1").train["epochs"] == 1


def test_a_section_is_made_when_the_file_has_none(program: Callable[..., Program]) -> None:
    text = "input x: float\nloss mse(x, x)\noutput x"
    assert program(text, "train.epochs=3").train["epochs"] == 3


@pytest.mark.parametrize(
    ("override", "printed"),
    [
        (
            "train.epochs=0",
            "error[out-of-range]: `epochs` of `train` must be at least 1 and at most 1000000, and this is 0\n"
            " --> --set:1:18\n"
            "  |\n"
            "1 | train { epochs = 0 }\n"
            "  |                  ^",
        ),
        (
            "train.epoch=5",
            "error[unknown-setting]: `train` has no setting `epoch`\n"
            " --> --set:1:9\n"
            "  |\n"
            "1 | train { epoch = 5 }\n"
            "  |         ^^^^^\n"
            "  = the settings of `train` are `optimizer`, `schedule`, `batch`, `epochs`, `seed`, `clip_norm`, "
            "`class_weights` and `monitor`\n"
            "  = help: did you mean `epochs`?",
        ),
        (
            "train.monitor=accuracy",
            "error[unknown-name]: `accuracy` is not defined\n"
            " --> --set:1:19\n"
            "  |\n"
            "1 | train { monitor = accuracy }\n"
            "  |                   ^^^^^^^^\n"
            '  = help: put a string in quotes: `"accuracy"`',
        ),
        (
            "let.widht=3",
            "error[unknown-override]: the file has no constant `widht`\n"
            " --> --set:1:1\n"
            "  |\n"
            "1 | let.widht=3\n"
            "  | ^^^^^^^^^\n"
            "  = its constants are `width`\n"
            "  = help: did you mean `width`?",
        ),
        (
            "network.name=3",
            "error[unknown-override]: there is no section `network`\n"
            " --> --set:1:1\n"
            "  |\n"
            "1 | network.name=3\n"
            "  | ^^^^^^^\n"
            "  = settings stand in data, train, export or let",
        ),
        (
            "train.epochs=5 batch=3",
            "error[bad-override]: a setting and a value are needed here\n"
            " --> --set:1:1\n"
            "  |\n"
            "1 | train.epochs=5 batch=3\n"
            "  | ^^^^^^^^^^^^^^^^^^^^^^\n"
            "  = help: write it as `--set train.epochs=5` or `--set let.width=32`",
        ),
        (
            "let.width=3 output image",
            "error[bad-override]: a setting and a value are needed here\n"
            " --> --set:1:1\n"
            "  |\n"
            "1 | let.width=3 output image\n"
            "  | ^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "  = help: write it as `--set train.epochs=5` or `--set let.width=32`",
        ),
    ],
)
def test_what_cannot_be_set_is_said(checked: Callable[..., Checked], override: str, printed: str) -> None:
    found = checked(TEXT, override)
    assert found.program is None
    assert render(found.diagnostics) == f"{printed}\n\n1 mistake"


@pytest.mark.parametrize("override", ["", "=", "train", "train=3", "train.=3", ".epochs=3", "train.epochs=", "let.=1"])
def test_what_is_no_setting_is_said(checked: Callable[..., Checked], override: str) -> None:
    (diagnostic,) = checked(TEXT, override).diagnostics
    assert (diagnostic.code.name, diagnostic.span.source.text) == ("bad-override", override)


@pytest.mark.parametrize(
    "override", ["train.epochs=(", "let.width=3 4", "train.epochs=5 }", 'data.source=csv("a', "let.a b=3"]
)
def test_mistakes_in_the_grammar_of_a_value_are_said(checked: Callable[..., Checked], override: str) -> None:
    found = checked(TEXT, override)
    assert found.program is None
    assert found.diagnostics
    assert {diagnostic.span.source.name for diagnostic in found.diagnostics} == {"--set"}

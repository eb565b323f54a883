"""What is folded is the same but for its indices; what differs, or has a name, is shown."""

from __future__ import annotations

from dsl import Source
from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.fold import folded
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.table import checked

HEAD = "input u: float[4]\ntarget t: float[2]\nblock unit(x, n) { return x -> dense(n) -> tanh }\n"
TAIL = " -> dense(2)\nloss mse(z, t)\noutput z\n"


def folds(body: str) -> dict[str, list[str]]:
    found = folded(Derivation(Graph(checked(Source("deep.net", HEAD + body)))))
    return {name: others for name, others in found.items() if others}


def test_a_repeat_is_shown_once() -> None:
    found = folds(f"z = u -> repeat(4, unit(4)){TAIL}")
    assert found == {
        f"z.repeat.1.unit.{layer}": [f"z.repeat.{n}.unit.{layer}" for n in (2, 3)] for layer in ("dense", "tanh")
    }  # the fourth one's tanh feeds another layer


def test_other_sizes_are_shown() -> None:
    assert folds(f"z = u -> unit(4) -> unit(5) -> unit(6){TAIL}") == {}


def test_other_settings_are_shown() -> None:
    assert folds(f"z = u -> dropout(0.1) -> dropout(0.2) -> dropout(0.3){TAIL}") == {}


def test_names_of_the_file_are_shown() -> None:
    assert folds(f"a = u -> unit(4)\nb = a -> unit(4)\nc = b -> unit(4)\nz = c{TAIL}").keys() <= {"b.unit.dense"}


def test_a_step_that_is_used_elsewhere_too_is_shown() -> None:
    found = folds(f"a = u -> repeat(3, unit(4))\nz = (a + u) -> repeat(3, unit(4)){TAIL}")
    shown = {name for others in found.values() for name in others}
    assert "a.repeat.3.unit.tanh" not in shown


def test_nothing_is_left_out_twice_and_everything_has_its_like() -> None:
    text = f"z = u -> repeat(6, unit(4)){TAIL}"
    derivation = Derivation(Graph(checked(Source("deep.net", HEAD + text))))
    found = folded(derivation)
    hidden = [name for others in found.values() for name in others]
    assert len(hidden) == len(set(hidden))
    ops = {step.name: (step.op, derivation.shapes[step.result]) for step in derivation.steps}
    assert all(ops[name] == ops[other] for name, others in found.items() for other in others)

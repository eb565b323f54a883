"""A derivation ready to be shown: each equation as boxes, with its reason and the line of code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.explain.boxes import Box
from tensorflow_lite_bp.explain.code import CodeLine, code_of
from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.expression import Key
from tensorflow_lite_bp.explain.reading import View
from tensorflow_lite_bp.explain.translate import Line, Section, Translation


@dataclass(frozen=True)
class Shown:
    """One equation: its lines as boxes, why it is so (keys of `rules.RULES`), and where the code computes it."""

    kind: str
    of: Key
    boxes: tuple[Box, ...]
    rules: tuple[str, ...] = ()
    code: tuple[CodeLine, ...] = ()


@dataclass
class Passage:
    """What is shown for one step: its name, what it is, where it stands in the file, and its equations."""

    name: str
    op: str
    place: str
    nodes: Sequence[str]
    inputs: Sequence[str]
    shape: str
    forward: list[Shown]
    backward: list[Shown]
    constants: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Explanation:
    """The whole page: the inputs, the steps in the order of the forward pass, the inputs' gradients, the update."""

    translation: Translation
    beginning: list[Shown]
    passages: list[Passage]
    inputs: list[Shown]
    update: list[Shown]


def explain(derivation: Derivation, view: View, form: str = "matrix") -> Explanation:
    """A network's derivation in a notation and a form.

    Args:
        form: ``matrix``, ``components``, ``expanded`` or ``differentials``.

    Raises:
        InputError: for a combination that cannot be written, with the reason.
    """
    from tensorflow_lite_bp.explain.forms import form_of

    translation = Translation(derivation, view)
    written = form_of(form)

    def shown(line: Line) -> Shown:
        code = tuple(found for node, letter in line.sources for found in code_of(derivation, node, letter))
        return Shown(line.kind, line.of, tuple(written(translation, line)), line.rules, code)

    def passage(section: Section) -> Passage:
        step = derivation.step_of(section.name)
        assert step is not None
        return Passage(
            section.name,
            section.op,
            section.place,
            section.nodes,
            sorted(derivation.inputs_of(step)),
            translation.shape_text(step.result),
            [shown(line) for line in section.forward],
            [shown(line) for line in section.backward],
            section.constants,
            section.words,
        )

    return Explanation(
        translation,
        [shown(line) for line in translation.beginning],
        [passage(section) for section in translation.sections],
        [shown(line) for line in translation.inputs],
        [shown(line) for line in translation.update],
    )


def only(explanation: Explanation, name: str) -> Explanation:
    """The passage of one node, by its name or that of its binding.

    Raises:
        InputError: for a name that is no node, with those that there are.
    """
    from difflib import get_close_matches

    program = explanation.translation.derivation.graph.program
    node = program.names.get(name, name)
    chosen = [passage for passage in explanation.passages if node == passage.name or node in passage.nodes]
    if chosen:
        return replace(explanation, passages=chosen, beginning=[], inputs=[], update=[])
    names = [*program.names, *(passage.name for passage in explanation.passages)]
    close = get_close_matches(name, names, n=1)
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    raise InputError(
        f"no node is named `{name}`: " + (f"did you mean `{close[0]}`?" if close else f"there are {listed}")
    )

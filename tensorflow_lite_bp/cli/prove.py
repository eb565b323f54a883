"""``tflbp prove``: that backward computes the derivative of forward, by algebra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._options import STDIN, Json
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from dsl.program import Program
    from tensorflow_lite_bp.proof.survey import Survey


def prove(
    subject: Annotated[
        str | None, typer.Argument(metavar="[FILE | LAYER]", help="A .net file, or a layer, operator or loss.")
    ] = None,
    *,
    show: Annotated[bool, typer.Option("--show", help="Print every entry as its equation.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Stop looking at entries after this time.")] = 60,
    json: Json = False,
) -> Answer:
    """Prove by algebra that the gradients are right.

    The code itself runs on symbols, and each entry that it writes is held
    against SymPy's derivative. A large network is proved at small sizes.
    Without an argument every layer, operator and loss is proved.

    \b
    Examples:
      tflbp prove dense --show
      tflbp prove examples/articles/columns.net
      tflbp prove
    """
    from time import monotonic

    from tensorflow_lite_bp.backend import get_backend
    from tensorflow_lite_bp.table import table

    get_backend("exact")  # before all else: it says what to install
    table()  # declares everything
    name = None if subject is None else _declared(subject)
    deadline = monotonic() + seconds
    if subject is not None and name is None:
        return _of_file(subject, show=show, deadline=deadline)
    return _of_names(name, show=show, deadline=deadline)


def _declared(subject: str) -> str | None:
    """The name of a layer, an operator or a loss; None for a file.

    Raises:
        InputError: for what is neither.
    """
    from difflib import get_close_matches
    from pathlib import Path

    from tensorflow_lite_bp.proof.survey import names

    known = names()
    if subject in known:
        return subject
    if subject == STDIN or subject.endswith(".net") or "/" in subject or Path(subject).exists():
        return None
    close = get_close_matches(subject, known, n=1)
    hint = f": did you mean `{close[0]}`?" if close else f"; there are {', '.join(known)}"
    raise InputError(f"`{subject}` is no layer, operator or loss, and no .net file{hint}")


def _of_names(name: str | None, *, show: bool, deadline: float) -> Answer:
    from tensorflow_lite_bp.cli._proofs import as_data, survey_text, table_text
    from tensorflow_lite_bp.proof.survey import surveys

    found: list[Survey] = list(surveys(name, deadline=deadline))
    text = table_text(found) if name is None else "\n\n".join(survey_text(survey, show=show) for survey in found)
    if name is None and show:
        text = "\n\n".join([text, *(survey_text(survey, show=True) for survey in found)])
    data = {
        "subjects": [
            {"category": survey.category, "name": survey.name, **as_data(survey.proofs, entries=show)}
            for survey in found
        ]
    }
    return Answer(data, text=text, exit_code=_exit_code([survey.counts for survey in found]))


def _of_file(file: str, *, show: bool, deadline: float) -> Answer:
    from tensorflow_lite_bp.cli._options import source_of
    from tensorflow_lite_bp.cli._proofs import as_data, network_text
    from tensorflow_lite_bp.proof.ledger import count
    from tensorflow_lite_bp.proof.network import network_proofs
    from tensorflow_lite_bp.proof.shrink import small
    from tensorflow_lite_bp.table import checked

    program: Program = checked(source_of(file))
    proved = small(program)
    proofs = network_proofs(proved, deadline=deadline)
    data = {
        "file": file,
        "network": program.name,
        "shrunk": proved is not program,
        "inputs": {variable.name: variable.type.shape for variable in proved.inputs},
        **as_data(proofs, entries=show),
    }
    text = network_text(file, program, proved, proofs, show=show)
    return Answer(data, text=text, exit_code=_exit_code([count(e for p in proofs for e in p.entries)]))


def _exit_code(counts: list[dict[str, int]]) -> int:
    return 1 if any(found["refuted"] for found in counts) else 0

"""What `tflbp prove` prints: tables of verdicts, what they hold for, and the equations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.cli._layout import WIDTH, count, counted, table
from tensorflow_lite_bp.proof.ledger import LEFT, NUMERICAL, PROVED, REFUTED, ROUNDED, VERDICTS, Entry
from tensorflow_lite_bp.proof.ledger import count as verdicts
from tensorflow_lite_bp.proof.survey import Survey, worst

if TYPE_CHECKING:
    from dsl.program import Program
    from tensorflow_lite_bp.proof.derivations import Proof

_SHORT = {
    PROVED: "equal by algebra",
    ROUNDED: "equal up to rounding",
    NUMERICAL: "numerical only",
    REFUTED: "refuted",
    LEFT: "not looked at",
}
_MEANINGS = {
    ROUNDED: "constants of the code have no closed form, and are floats in it",
    NUMERICAL: "algebra did not decide within its bounds, so this is no proof",
    LEFT: "time was up; with a larger --seconds there is more of it",
}
_SHOWN = 3  # refutations, and reasons


def table_text(surveys: Sequence[Survey]) -> str:
    """A line for each layer, operator and loss, and the sums."""
    rows = [("", "examples", "entries", "proved", "not", "verdict")]
    for survey in surveys:
        rows.append((survey.name, str(survey.examples), *_amounts(survey.counts), _SHORT[survey.verdict]))
    total = _added(survey.counts for survey in surveys)
    rows.append(("all", count(sum(survey.examples for survey in surveys)), *_amounts(total), ""))
    proofs = [proof for survey in surveys for proof in survey.proofs]
    return "\n\n".join(filter(None, [table(rows, right={1, 2, 3, 4}), _explanations(proofs), _refutations(proofs)]))


def _amounts(counts: Mapping[str, int]) -> tuple[str, str, str]:
    """Entries, how many of them are proved, and how many not."""
    proved = counts[PROVED] + counts[ROUNDED]
    total = sum(counts.values())
    return count(total), count(proved), count(total - proved) if total - proved else ""


def survey_text(survey: Survey, *, show: bool) -> str:
    """The proofs of one layer, operator or loss, example by example."""
    rows = [("settings", "shapes", "holds", "entries", "verdict")]
    for proofs in survey.by_example:
        first, counts = proofs[0], _added(proof.counts for proof in proofs)
        shapes = " ".join(_shape(shape) for shape in first.shapes)
        holds = f"on {len(proofs)} branches" if first.comparisons else "everywhere"
        rows.append((_setting_out(first), shapes, holds, str(sum(counts.values())), _SHORT[worst(counts)]))
    parts = [_headline(f"{survey.category} {survey.name}", survey.proofs), table(rows, right={3})]
    parts += [_branches(survey.proofs), _explanations(survey.proofs), _refutations(survey.proofs)]
    if show:
        parts += _different({_example(proof): _equations(proof) for proof in survey.by_example[0]})
    return "\n\n".join(filter(None, parts))


def _branches(proofs: Sequence[Proof]) -> str:
    """On which branches, what is frozen, and how constants were read."""
    from tensorflow_lite_bp.proof.notation import written

    lines = [wrapped("branches: " + "; ".join(dict.fromkeys(p.branch for p in proofs if p.comparisons)), indent=2)]
    if not any(proof.comparisons for proof in proofs):
        lines = []
    if any(proof.drawn for proof in proofs):
        lines.append("Random masks are frozen.")
    read = {number: exact for proof in proofs for number, exact in proof.constants.items()}
    if read:
        said = ", ".join(f"{number!r} as {written(exact)}" for number, exact in sorted(read.items()))
        lines.append(wrapped(f"constants read: {said}", indent=2))
    return "\n".join(lines)


def _example(proof: Proof) -> str:
    what = " on ".join(filter(None, [_setting_out(proof), " ".join(map(_shape, proof.shapes))]))
    return wrapped(f"{what}: {proof.branch}", indent=2)


def _setting_out(proof: Proof) -> str:
    """The settings of an example, as a file has them."""
    return ", ".join(f"{name} = {_setting(value)}" for name, value in proof.settings.items())


def network_text(file: str, program: Program, proved: Program, proofs: Sequence[Proof], *, show: bool) -> str:
    """The proofs of a network, array by array, from the loss back."""
    entries: dict[str, list[Entry]] = {}
    for proof in proofs:
        for entry in proof.entries:
            entries.setdefault(entry.of, []).append(entry)
    rows = [("gradient", "entries", "verdict")]
    rows += [(f"∂E/∂{of}", str(len(found)), _SHORT[worst(verdicts(found))]) for of, found in entries.items()]
    parts = [_headline(file, proofs), table(rows, right={1}), _conditions(program, proved, proofs)]
    parts += [_explanations(proofs), _refutations(proofs)]
    if show:
        parts += _different({proof.branch: _equations(proof) for proof in proofs})
    return "\n\n".join(filter(None, parts))


def as_data(proofs: Sequence[Proof], *, entries: bool) -> dict[str, Any]:
    """Proofs for programs; each entry with its equation where asked for, and always where it is refuted."""
    return {
        "counts": _added(proof.counts for proof in proofs),
        "proofs": [
            {
                "settings": {name: getattr(value, "name", value) for name, value in proof.settings.items()},
                "shapes": proof.shapes,
                "holds": proof.branch,
                "comparisons": proof.comparisons,
                "counts": proof.counts,
                "entries": [_entry_data(e) for e in proof.entries if entries or e.verdict == REFUTED],
            }
            for proof in proofs
        ],
    }


def _entry_data(entry: Entry) -> dict[str, Any]:
    from tensorflow_lite_bp.proof.notation import written

    known = entry.derivative is not None
    sides = {"code": written(entry.code), "derivative": written(entry.derivative)} if known else {}
    return {
        "of": entry.of,
        "entry": entry.name,
        "verdict": entry.verdict,
        **sides,
        "note": entry.note,
        "at": entry.point,
    }


def _headline(what: str, proofs: Sequence[Proof]) -> str:
    counts = _added(proof.counts for proof in proofs)
    total = sum(counts.values())
    found = [f"{count(number)} {_SHORT[verdict]}" for verdict, number in counts.items() if number]
    said = f"all {count(total)} entries {_SHORT[worst(counts)]}" if len(found) == 1 else ", ".join(found)
    return f"{what}: {said}"


def _conditions(program: Program, proved: Program, proofs: Sequence[Proof]) -> str:
    """What a network's proof holds for: its sizes, its branch."""
    lines = ["The plan ran as it trains, on 2 samples of symbols"]
    if proved is program:
        lines[0] += ", at the declared sizes."
    else:
        inputs = ", ".join(
            f"{old.name} {_shape(old.type.shape)} → {_shape(new.type.shape)}"
            for old, new in zip(program.inputs, proved.inputs, strict=True)
        )
        lines[0] += f", at small sizes: {inputs}, weights {_weights(program)} → {_weights(proved)}."
    comparisons = max(proof.comparisons for proof in proofs)
    if comparisons:
        branches = "one branch" if len(proofs) == 1 else f"{len(proofs)} branches"
        lines.append(f"Samples decided up to {counted(comparisons, 'comparison')}: it holds on {branches}.")
    else:
        lines.append("Nothing is compared: it holds everywhere.")
    if any(proof.drawn for proof in proofs):
        lines.append("Random masks are frozen.")
    return "\n".join(wrapped(line) for line in lines)


def _weights(program: Program) -> str:
    from tensorflow_lite_bp.graph.graph import Graph

    return count(sum(prod(spec.shape) for spec in Graph(program).weights))


def _explanations(proofs: Sequence[Proof]) -> str:
    """What the verdicts that need a word mean here."""
    lines = []
    for verdict, meaning in _MEANINGS.items():
        notes = {entry.note for proof in proofs for entry in proof.entries if entry.verdict == verdict}
        if notes:
            reasons = "; ".join(sorted(filter(None, notes))[-_SHOWN:])
            lines.append(wrapped(f"{_SHORT[verdict]}: " + ": ".join(filter(None, [meaning, reasons])), indent=2))
    return "\n".join(lines)


def _refutations(proofs: Sequence[Proof]) -> str:
    refuted = [(proof, entry) for proof in proofs for entry in proof.entries if entry.verdict == REFUTED]
    parts = [_refutation(entry, _setting_out(proof)) for proof, entry in refuted[:_SHOWN]]
    if len(refuted) > _SHOWN:
        parts.append(f"… and {count(len(refuted) - _SHOWN)} more of {count(len(refuted))} that are refuted")
    return "\n\n".join(parts)


def _refutation(entry: Entry, where: str) -> str:
    from tensorflow_lite_bp.proof.notation import written

    point = {name: value for name, value in entry.point.items() if name not in ("code", "derivative")}
    values = ", ".join(f"{name} = {value}" for name, value in point.items())
    lines = [
        f"refuted: {entry.name}" + (f", where {where}" if where else ""),
        f"  the code wrote {written(entry.code)}",
        f"  the derivative is {written(entry.derivative)}",
        f"  they are {entry.point['code']} and {entry.point['derivative']}" + (f" at {values}" if values else ""),
    ]
    return "\n".join(wrapped(line, indent=4) for line in lines)


def _equations(proof: Proof) -> str:
    from tensorflow_lite_bp.proof.notation import written

    looked_at = (entry for entry in proof.entries if entry.derivative is not None)
    return "\n".join(wrapped(f"{entry.name} = {written(entry.code)}", indent=4) for entry in looked_at)


def _different(equations: Mapping[str, str]) -> list[str]:
    """Each set of equations under its heading, but once where several are the same."""
    first = {text: heading for heading, text in reversed(list(equations.items()))}
    return [f"{heading}\n{text}" for heading, text in equations.items() if first[text] == heading]


def wrapped(text: str, *, indent: int = 0) -> str:
    """A long line in several that fit, those after the first indented."""
    from textwrap import wrap

    lines = wrap(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = dict.fromkeys(VERDICTS, 0)
    for found in counts:
        for verdict, number in found.items():
            total[verdict] += number
    return total


def _shape(shape: Sequence[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return _shape(value)
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "name", value))

"""``tflbp explain``: the derivation of a declared network, in a textbook's notation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._options import Json, NetFile, Overrides
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.explain.explanation import Explanation
    from tensorflow_lite_bp.explain.numbers import Numbers
    from tensorflow_lite_bp.network import Network

_CHOICES = {
    "layout": ("denominator", "numerator"),
    "reduction": ("loss", "gradient"),
    "through": ("both", "pre", "post"),
    "format": ("text", "markdown", "latex", "html"),
    "lang": ("en", "zh"),
}


def explain(
    file: NetFile,
    *,
    overrides: Overrides,
    notation: Annotated[
        str, typer.Option(metavar="NAME", help="columns, layers, rows, signals or neurons.")
    ] = "columns",
    form: Annotated[
        str, typer.Option(metavar="NAME", help="matrix, components, expanded or differentials.")
    ] = "matrix",
    layout: Annotated[
        str | None,
        typer.Option(metavar="denominator|numerator", help="Whether a derivative lies as its variable does."),
    ] = None,
    reduction: Annotated[
        str | None, typer.Option(metavar="loss|gradient", help="Where the mean over the samples is taken.")
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(metavar="both|pre|post", help="Which derivatives are carried: before activations or behind."),
    ] = None,
    augmented: Annotated[bool, typer.Option("--augmented", help="Put biases into their matrices.")] = False,
    only: Annotated[str | None, typer.Option(metavar="NODE", help="Explain one node.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Show repeated blocks one by one.")] = False,
    numbers: Annotated[bool, typer.Option("--numbers", help="Work one batch through every equation.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Take the batch of --numbers from the file's data.")] = False,
    batch: Annotated[int | None, typer.Option(metavar="N", min=1, help="Samples of --numbers.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the weights and the batch of --numbers.")] = None,
    format: Annotated[str, typer.Option(metavar="text|markdown|latex|html", help="What to write.")] = "text",
    lang: Annotated[str, typer.Option(metavar="en|zh", help="English or Chinese.")] = "en",
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", help="Write to a file.")] = None,
    json: Json = False,
) -> Answer:
    """Derive a network's equations, forward and backward, in a textbook's notation.

    Each equation stands with the shapes of its factors, the rule that gives it and the line of code that computes it.
    The notations are those of the five articles that the framework implements:

    \b
    columns  000  samples are columns, y = W·X + b, a = g(y); the mean in ∂W, ∂b
    layers   001  one sample, a = W·z + b, z = h(a); δ = ∂E/∂a is a row
    rows     002  samples are rows, Z = X W; δ is the direction of descent
    signals  003  one sample, S_in enters a layer, S_out leaves it
    neurons  004  one sample, z = w a + b, a = σ(z); ∇w

    \b
    Examples:
      tflbp explain examples/articles/columns.net
      tflbp explain examples/digits.net --notation rows --only logits
      tflbp explain examples/articles/layers.net --notation layers --lang zh
      tflbp explain examples/xor.net --numbers
      tflbp explain examples/digits.net --format html -o digits.html
    """
    from tensorflow_lite_bp.explain.derivation import Derivation
    from tensorflow_lite_bp.explain.document import document
    from tensorflow_lite_bp.explain.explanation import explain as made
    from tensorflow_lite_bp.explain.explanation import only as one
    from tensorflow_lite_bp.explain.forms import form_of
    from tensorflow_lite_bp.explain.notation import notation as named
    from tensorflow_lite_bp.explain.reading import View
    from tensorflow_lite_bp.graph.graph import Graph
    from tensorflow_lite_bp.table import checked

    _check(layout=layout, reduction=reduction, through=through, format=format, lang=lang)
    form_of(form)
    view = View(named(notation), layout=layout, reduction=reduction, through=through, augmented=augmented)
    if (data or batch is not None or seed is not None) and not numbers:
        raise typer.BadParameter("--data, --batch and --seed say which numbers --numbers shows: give that too")
    derivation = Derivation(Graph(checked(file, overrides=overrides)))
    explanation = made(derivation, view, form)
    if only is not None:
        explanation = one(explanation, only)
    node = explanation.passages[0].name if only is not None else ""
    worked = _numbers(file, overrides, explanation, data=data, batch=batch, seed=seed) if numbers else None
    repeats = _repeats(explanation, full=full or only is not None or numbers)
    if format == "html":
        text = _page(explanation, form=form, lang=lang, numbers=worked, node=node)
    else:
        text = document(explanation, format=format, lang=lang, numbers=worked, repeats=repeats)
    answer = {"file": file, "notation": notation, "form": form, **_data(explanation, worked)}
    if out is None:
        return Answer(answer, text=text, exact=format != "text")
    from tensorflow_lite_bp.files import atomic_write

    with atomic_write(Path(out)) as stream:
        stream.write(text.encode())
    return Answer({**answer, "out": out}, text=f"{out}: {derivation.graph.program.name} as {format}")


def _check(**chosen: str | None) -> None:
    for name, value in chosen.items():
        if value is not None and value not in _CHOICES[name]:
            raise typer.BadParameter(f"--{name} is {' or '.join(_CHOICES[name])}, not `{value}`")


def _repeats(explanation: Explanation, *, full: bool) -> dict[str, list[str]]:
    from tensorflow_lite_bp.explain.fold import folded

    return {} if full else folded(explanation.translation.derivation)


def _page(explanation: Explanation, *, form: str, lang: str, numbers: Numbers | None, node: str) -> str:
    from tensorflow_lite_bp.explain.page.html import page

    translation = explanation.translation
    return page(translation.derivation, translation.view, form=form, lang=lang, numbers=numbers, node=node)


def _numbers(
    file: str, overrides: list[str], explanation: Explanation, *, data: bool, batch: int | None, seed: int | None
) -> Numbers:
    """One batch through the running plan, in one thread and float64."""
    from tensorflow_lite_bp.explain.numbers import Numbers
    from tensorflow_lite_bp.graph.profile import random_rows
    from tensorflow_lite_bp.network import Network

    if not explanation.translation.derivation.graph.losses:
        raise InputError(f"{file}: --numbers works a training step through, and this network has no loss")
    single = explanation.translation.notation.samples == "one"
    samples = batch if batch is not None else (1 if single else 2)
    if single and samples != 1:
        raise InputError(
            f"the notation `{explanation.translation.notation.name}` writes one sample: leave --batch out, or take "
            "`columns` or `rows`"
        )
    network = Network.from_file(file, seed=seed, precision="float64", overrides=[*overrides, f"train.batch={samples}"])
    network.use_threads(1)
    rows = (
        _first_rows(network, file, samples) if data else random_rows(network, dict.fromkeys(network.program.sizes, 3))
    )
    return Numbers(network, rows)


def _first_rows(network: Network, file: str, samples: int) -> dict[str, Any]:
    """The first rows of the training split."""
    from tensorflow_lite_bp.data import load_data

    found = load_data(network.program, folder=Path(file).parent, seed=network.seed)
    chosen = found.splits["train"][:samples]
    return {name: array[chosen] for name, array in found.rows.items()}


def _data(explanation: Explanation, worked: Numbers | None) -> dict[str, Any]:
    """The equations as LaTeX and text, with what belongs to them."""
    from tensorflow_lite_bp.explain.latex import latex
    from tensorflow_lite_bp.explain.text import plain

    def equations(shown: Any) -> list[dict[str, Any]]:
        found = []
        for item in shown:
            values = worked.beside(explanation.translation, item.kind, item.of) if worked is not None else None
            code = [{"place": line.place, "text": line.text} for line in item.code]
            texts = [plain(box) for box in item.boxes]
            found.append(
                {
                    "kind": item.kind,
                    "text": texts,
                    "latex": [latex(box) for box in item.boxes],
                    "rules": item.rules,
                    "code": code,
                }
                | ({"values": values} if values is not None else {})
            )
        return found

    steps = [
        {
            "name": passage.name,
            "op": passage.op,
            "place": passage.place,
            "shape": passage.shape,
            "forward": equations(passage.forward),
            "backward": equations(passage.backward),
        }
        for passage in explanation.passages
    ]
    return {"steps": steps, "inputs": equations(explanation.inputs), "update": equations(explanation.update)}

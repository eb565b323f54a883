"""``tflbp export``: a trained network as an ONNX model that was seen to compute the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import size, table
from tensorflow_lite_bp.cli._options import Json, RunPath

if TYPE_CHECKING:
    from tensorflow_lite_bp.exchange.export import ExportReport


def export(
    run: RunPath,
    *,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="RUN/NAME.onnx by default.")] = None,
    opset: Annotated[
        int | None, typer.Option(metavar="N", help="Version of the ONNX operators, 13 to 21; 17 by default.")
    ] = None,
    raw: Annotated[
        bool | None,
        typer.Option("--raw/--no-raw", help="Leave the preprocessing out: inputs are the file's own tensors."),
    ] = None,
    json: Json = False,
) -> Answer:
    """Write an ONNX model and check that onnxruntime computes the same with it.

    The preprocessing of the data section is built in: the model takes the raw columns. Without a match no file is left.

    \b
    Example:
      tflbp export runs/digits-001 -o digits.onnx
    """
    from tensorflow_lite_bp.cli import _runs

    trained = _runs.load(run)
    network = trained.network
    report = network.export(
        out if out is not None else trained.home / f"{network.program.name}.onnx",
        opset=opset,
        raw=raw,
        sample=trained.table(),
        metrics=trained.metrics(),
    )
    return Answer({"run": run, **report.as_dict()}, text=_text(report))


def _text(report: ExportReport) -> str:
    kinds = {"input": report.inputs, "output": report.outputs}
    tensors = [
        (kind, tensor.name, f"{tensor.dtype}[{', '.join(['batch', *map(str, tensor.shape)])}]")
        for kind, found in kinds.items()
        for tensor in found
    ]
    differences = [
        (difference.output, f"{difference.absolute:.2g}", f"{difference.relative:.2g}")
        for difference in report.differences
    ]
    batches = ", ".join(map(str, report.batches))
    return "\n\n".join(
        [
            f"{report.path}: {size(report.size)}, opset {report.opset}, IR {report.ir_version}, {report.precision}",
            table([("", "name", "type"), *tensors]),
            f"onnxruntime computes the same, for batches of {batches}; the largest differences are",
            table([("output", "absolute", "relative"), *differences], right={1, 2}),
        ]
    )

"""``tflbp check``: every mistake of `.net` files, before a number is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import counted
from tensorflow_lite_bp.cli._options import Json, NetFiles, Overrides, source_of

if TYPE_CHECKING:
    from dsl import Checked, Source


def check(files: NetFiles, *, overrides: Overrides, json: Json = False) -> Answer:
    """Find every mistake in .net files: names, settings, shapes.

    No data is read and no number computed.

    \b
    Examples:
      tflbp check examples/digits.net
      tflbp check *.net --json
    """
    from dsl import check as check_source
    from dsl import render
    from tensorflow_lite_bp.table import table

    sources = [source_of(file) for file in files]
    found = [check_source(source, table(), overrides=overrides) for source in sources]
    reports = [_report(source, checked) for source, checked in zip(sources, found, strict=True)]
    lines = [
        f"{source.name}: network {checked.program.name}, {counted(len(checked.program.nodes), 'node')}, no mistakes"
        for source, checked in zip(sources, found, strict=True)
        if checked.program is not None
    ]
    data: dict[str, Any] = {"files": reports}
    wrong = sum(checked.program is None for checked in found)
    if wrong:
        mistakes = [mistake for report in reports for mistake in report["diagnostics"]]
        message = f"{counted(wrong, 'file')} of {len(files)} with mistakes"
        data["error"] = {"kind": "input", "message": message, "exit_code": 1, "diagnostics": mistakes}
    rendered = render([diagnostic for checked in found for diagnostic in checked.diagnostics])
    return Answer(data, text="\n".join(lines), notes=rendered, exit_code=1 if wrong else 0)


def _report(source: Source, checked: Checked) -> dict[str, Any]:
    return {
        "file": source.name,
        "ok": checked.program is not None,
        "network": checked.program.name if checked.program is not None else None,
        "diagnostics": [diagnostic.to_json() for diagnostic in checked.diagnostics],
    }

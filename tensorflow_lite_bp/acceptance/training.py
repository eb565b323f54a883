"""Whole trainings against NumPy's: the loss and the metrics of every epoch, on the rows trained on and on others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tensorflow_lite_bp.acceptance.check import Check, Failed
from tensorflow_lite_bp.acceptance.networks import TRAIN, TRAINED, VALIDATION, trained
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.training.loop import fit
from tensorflow_lite_bp.training.progress import EpochReport, Reporter

TOLERANCES = {"float32": 1e-4, "float64": 1e-10, "mixed": 1e-2, "mixed_bfloat16": 5e-2}
"""Relative. Sums in another order make some 1e-7, 1e-15, 2e-4 and 3e-3 here (see tests/acceptance)."""
_COUNTED = ("accuracy", "top_k")
"""Metrics that count rows: except in float64 a rounding may move a row or two over the line."""
Curve = list[dict[str, float]]


def checks() -> Iterator[Check]:
    for precision in TOLERANCES:
        for name in TRAINED:
            yield Check("training", f"{name}, {precision}", partial(_against_numpy, name, precision))


def curve(name: str, precision: str, backend: Backend) -> Curve:
    """Loss and metrics of each epoch of one of `networks.TRAINED`, as `fit` reports them."""
    reports: list[EpochReport] = []

    class Listening(Reporter):
        def epoch(self, report: EpochReport) -> None:
            reports.append(report)

    run = trained(name, precision, backend)
    fit(run.network, data=run.data, reporter=Listening())
    return [
        {f"{split} {measure}": value for split, values in _splits(report) for measure, value in values.items()}
        for report in reports
    ]


def _splits(report: EpochReport) -> list[tuple[str, dict[str, float]]]:
    assert report.validation is not None
    return [("train", dict(report.train)), ("validation", dict(report.validation))]


def _against_numpy(name: str, precision: str, backend: Backend) -> str:
    found, expected = curve(name, precision, backend), curve(name, precision, get_backend("numpy"))
    largest = 0.0
    for epoch, (given, wanted) in enumerate(zip(found, expected, strict=True), start=1):
        for measure, value in wanted.items():
            difference = abs(given[measure] - value)
            if not difference <= _allowed(measure, value, precision):
                raise Failed(f"epoch {epoch}: the {measure} is {given[measure]:.9g}, and NumPy's is {value:.9g}")
            if not measure.endswith(_COUNTED):
                largest = max(largest, difference / max(abs(value), 1e-3))
    first, last = found[0]["train loss"], found[-1]["train loss"]
    if not last < first:
        raise Failed(f"nothing was learnt: the loss goes from {first:.4g} to {last:.4g}")
    return f"the loss goes from {first:.4g} to {last:.4g}; largest relative difference {largest:.1e}"


def _allowed(measure: str, value: float, precision: str) -> float:
    if measure.endswith(_COUNTED) and precision != "float64":
        return 2.5 / (TRAIN if measure.startswith("train") else VALIDATION)
    return TOLERANCES[precision] * max(abs(value), 1e-3)

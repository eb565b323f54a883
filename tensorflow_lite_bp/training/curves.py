"""``curves.svg``: loss and metrics over the epochs, training and validation. Drawn when matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tensorflow_lite_bp.training.history import History

_MOST_PANELS = 6
_COLUMNS = 3
_PANEL = (4.2, 3.0)  # width and height, inches
_HEAD = 0.5
# Blue and orange of M. Okabe and K. Ito, Color universal design (2008): told apart by every kind of colour vision;
# the dashes tell them apart in grey.
_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": "#0072B2", "linestyle": "-"},
    "validation": {"color": "#D55E00", "linestyle": (0, (5, 1.5))},
}
_INK, _GRID = "#333333", "#E4E4E4"
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#999999",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "tensorflow_lite_bp",  # the same history gives the same file
}


def write_curves(path: Path, history: History, *, title: str, best_epoch: int) -> bool:
    """Draw one panel for the loss and one for each of the first metrics; False when matplotlib is not installed.

    A dotted line marks the best epoch. Places are fixed: looking for good ones would take longer than drawing.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return False
    measures = [name.removeprefix("train_") for name in history.columns if name.startswith("train_")][:_MOST_PANELS]
    columns = min(len(measures), _COLUMNS)
    rows = -(-len(measures) // columns)
    width, height = _PANEL[0] * columns, _PANEL[1] * rows + _HEAD
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height))
        figure.text(0.12 / width, 1 - 0.15 / height, title, fontsize=12, fontweight="bold", va="top")
        for index, measure in enumerate(measures):
            left, bottom = index % columns * _PANEL[0] + 0.65, (rows - 1 - index // columns) * _PANEL[1] + 0.55
            size = (_PANEL[0] - 0.85) / width, (_PANEL[1] - 0.95) / height
            _draw(figure.add_axes((left / width, bottom / height, *size)), history, measure, best_epoch)
        handles = figure.axes[0].get_legend_handles_labels()
        below_title = (0.0, 1 - 0.28 / height)
        figure.legend(*handles, loc="upper left", bbox_to_anchor=below_title, ncols=3, frameon=False)
        with atomic_write(path) as file:
            figure.savefig(file, format="svg", metadata={"Date": None})
    return True


def _draw(axes: Axes, history: History, measure: str, best_epoch: int) -> None:
    """One panel."""
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(history.rows) + 1)
    alone: dict[str, Any] = (
        {"marker": "o", "markersize": 4} if len(history.rows) == 1 else {}
    )  # a line needs two points
    drawn = {split: f"{split}_{measure}" for split in _STYLES if f"{split}_{measure}" in history.columns}
    for split, column in drawn.items():
        axes.plot(epochs, history.column(column), label=split, linewidth=1.8, **_STYLES[split], **alone)
    axes.axvline(best_epoch, color="#999999", linewidth=1, linestyle=":", zorder=1, label="best epoch")
    if measure == "loss":
        _choose_scale(axes, [value for column in drawn.values() for value in history.column(column)])
    axes.set_title(measure, fontsize=10, loc="left")
    axes.set_xlabel("epoch")
    axes.set_xlim(0, max(len(epochs), 2) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _choose_scale(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis, with plain numbers, when a linear one would show little more than the first epochs."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    smallest, largest = min(values), max(values)
    if smallest > 0 and largest > 30 * smallest:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if largest < 1000 * smallest else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())

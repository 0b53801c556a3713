"""Where figures go: a table for who watches, JSON to compare, a plot to see. All under `benchmarks/results/`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent / "results"


def table(title: str, rows: "Sequence[DataclassInstance]") -> None:
    """Print `rows`, all of one dataclass, under the names of its fields."""
    heads = list(asdict(rows[0]))
    cells = [[head.replace("_", " ") for head in heads], *([_cell(value) for value in asdict(row).values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)), flush=True)


def save(name: str, machine: dict[str, object], figures: Mapping[str, Any], draw: "Sequence[Callable[[Axes], None]]") -> None:
    """Write NAME.json and NAME.png, one panel for each of `draw`."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({"machine": machine} | dict(figures), indent=1, default=_plain) + "\n")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(draw), figsize=(6 * len(draw), 4.2), squeeze=False)
    for panel, axis in zip(draw, axes[0], strict=True):
        panel(axis)
    figure.text(0.01, 0.01, one_line(machine), fontsize=6, color="grey")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(FOLDER / f"{name}.png", dpi=130)
    plt.close(figure)
    print(f"\n{one_line(machine)}\nwritten: {FOLDER / name}.json and .png")


def bars(axis: "Axes", title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Groups of bars side by side, one of each series, with their values on top."""
    width = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        positions = [group + (number - (len(series) - 1) / 2) * width for group in range(len(groups))]
        drawn = axis.bar(positions, values, width, label=label)
        axis.bar_label(drawn, labels=[_cell(value) for value in values], fontsize=7, padding=2)
    axis.set_xticks(range(len(groups)), groups)
    axis.set(title=title, ylabel=unit)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value)} has no form in JSON")


def _cell(value: float | str | None) -> str:
    """Three digits are all that these measurements are good for."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)

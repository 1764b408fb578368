"""The report of price tests: a table of cells, and the picture of what each test is worth and costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.pricing.trial.verdict import TrialVerdict
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import column, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 16
"""Cells in the table and in the picture: those with the largest net value."""

COST = "#b3382c"
"""The colour of what a test costs."""


def grid(verdict: TrialVerdict) -> Grid:
    """Return a line for each cell: its arms, how long the test takes, what it is worth and costs."""
    rows = verdict.trials.head(MOST)
    between = ["" if low is None else f"{low:,.5g} to {high:,.5g}" for low, high in rows.select("lowest", "highest").rows()]
    titles = [
        ("cell", "cell"),
        ("verdict", "verdict"),
        ("arms", "arms"),
        ("prices", "prices"),
        (f"{verdict.period}s", f"{verdict.period}s"),
        ("elasticity", "e"),
        ("standard error today", "±"),
        ("standard error after the test", "± after"),
        ("value of the test", "value"),
        ("cost of the test", "cost"),
        ("net value", "net"),
    ]
    cells = [
        rows["cell"],
        [each.replace("_", " ") for each in rows["verdict"]],
        [str(each) for each in rows["arms"]],
        between,
        ["" if each is None else str(each) for each in rows["periods"]],
        column(rows["elasticity"].to_list()),
        column(rows["stderr"].to_list()),
        column(rows["test_stderr"].to_list()),
        *(column(rows[name].to_list()) for name in ("value", "cost", "net")),
    ]
    left = len(verdict.trials) - len(rows)
    caption = f"Tests of {counted(len(rows), 'cells')}" + (
        f" of {len(verdict.trials):,}; all are in price_tests.csv:" if left else ":"
    )
    return grid_of(titles, list(zip(*cells, strict=True)), names=2, caption=caption)


def draw(verdict: TrialVerdict, path: Path) -> None:
    """Draw what each test is worth and what it costs; cells with the largest net value."""
    save_png(value_figure(verdict), path)


def value_figure(verdict: TrialVerdict) -> Figure | None:
    """Return the figure; None where no test can be planned."""
    from matplotlib.ticker import EngFormatter

    rows = verdict.trials.filter(verdict.trials["net"].is_not_null()).head(MOST)
    if rows.is_empty():
        return None
    figure = new_figure(8.5, 1.5 + 0.3 * max(len(rows), 5))
    axes = figure.subplots()
    for place, row in enumerate(rows.to_dicts()):
        label = "_" if place else "worth"
        axes.barh(place, row["value"], color=FLOOR_COLOUR if row["verdict"] == "test" else GREY, height=0.6, label=label)
        axes.barh(place, -row["cost"], color=COST, height=0.6, label="_" if place else "costs")
        axes.plot(row["net"], place, "|", color=INK, markersize=12, markeredgewidth=1.6, label="_" if place else "net")
    names = [drawable(f"{row['cell']}, {row['periods']} {verdict.period}s", 40) for row in rows.to_dicts()]
    axes.set_yticks(range(len(rows)), names, fontsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0, color=OWN, linewidth=0.8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    unit = f", {verdict.unit}" if verdict.unit else ""
    axes.set_xlabel(
        f"over the test and the {verdict.periods} {verdict.period}s after{unit}; grey: not tested", fontsize=9, color=GREY
    )
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    title = f"{verdict.action}: {verdict.tested} of {counted(verdict.cells, 'cells')}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    tidy(axes, "x")
    return figure


REPORT = TableReport(grid=grid, draw=draw)

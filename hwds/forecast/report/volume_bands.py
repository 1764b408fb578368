"""The report of a decision on volumes: a table of the bands in the back-test, and the picture of the deals."""

from __future__ import annotations

from pathlib import Path

from hwds.forecast.decisions.volumes.verdict import BandRecord, VolumeVerdict
from hwds.forecast.report.volume_plot import volume_figure
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import save_png
from hwds.results.formatting import column
from hwds.statistics.reference_distribution import student_critical

NAMES = {
    "naive": "seasonal naive, summed",
    "committed[independent]": "committed, if months were independent",
    "committed[together]": "committed, sum of the months' quantiles",
    "upside[independent]": "upside, if months were independent",
    "upside[together]": "upside, sum of the months' quantiles",
}
"""Bands where people read."""


def grid(verdict: VolumeVerdict) -> Grid:
    """Return a line for each band in the back-test: the share of deals below it, and its cost as the commitment."""
    lines = verdict.record
    costs = column([line.cost for line in lines])
    titles = [
        ("volume", "volume"),
        ("quantile", ""),
        ("should be below, %", "meant\n%"),
        ("demand below it, %", "below\n%"),
        ("95 %", "95 %"),
        ("cost a deal", "cost\na deal"),
        ("saves against the seasonal naive, %", "saves\n%"),
    ]
    return grid_of(titles, [(*_cells(line), cost, _saving(line)) for line, cost in zip(lines, costs, strict=True)])


def _cells(line: BandRecord) -> tuple[str, ...]:
    level = "" if line.level is None else f"{100 * line.level:.4g}"
    between = f"{100 * line.below_low:.1f} to {100 * line.below_high:.1f}"
    return NAMES.get(line.band, line.band), f"P{level}" if level else "", level, f"{100 * line.below:.1f}", between


def _saving(line: BandRecord) -> str:
    if line.saving is None:
        return ""
    between = ""
    if line.saving_low is not None and line.saving_high is not None:
        half_width = 100 * min(line.saving_high - line.saving, line.saving - line.saving_low)  # the other may reach to 0
        between = f" ± {half_width / student_critical(line.clusters - 1, 0.95):.1f}"
    return f"{100 * line.saving:+.1f}{between}"


def draw(verdict: VolumeVerdict, path: Path) -> None:
    """Draw the deals' bands with actuals, and the record of the bands; nothing where there is no deal."""
    save_png(volume_figure(verdict), path)


REPORT = TableReport(grid=grid, draw=draw)

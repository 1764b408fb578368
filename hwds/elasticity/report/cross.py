"""Tables of cross elasticities: by family with checks of sign and symmetry, and the strongest pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.elasticity.metrics.cross import cross_checks
from hwds.elasticity.protocols.rows.evidence import cross_of
from hwds.elasticity.report.identification import cells_of
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables
from hwds.statistics.reference_distribution import Z95

MOST_PAIRS = 12
"""Pairs in the table: those with the strongest effect."""


def cross_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the cross elasticities of a model by family, and its strongest pairs where pairs differ."""
    cells = cells_of(tables, model)
    if cells.is_empty() or "cross" not in cells.columns:
        return
    cross, stderr, own_stderr = cross_of(cells)
    if cross is None or stderr is None:
        return
    yield _families(cells, cross, stderr)
    if own_stderr is not None:
        yield _strongest(cells, cross, stderr)


def _families(cells: pl.DataFrame, cross: np.ndarray, stderr: np.ndarray) -> Grid:
    titles = [("family", "family"), ("pairs", "pairs"), ("mean cross elasticity", "mean"), ("from least to most", "range")]
    titles += [
        ("mean standard error", "s.e."),
        ("below 0 (surely)", "below 0"),
        ("two ways that differ beyond chance", "asymmetric"),
    ]
    titles += [("markets whose substitutes outweigh own prices", "outweighed")]
    revenue = (cells["units"] * cells["price"]).fill_null(0.0).to_numpy()
    own = cells["elasticity"].fill_null(float("nan")).to_numpy()
    rows = []
    for family in dict.fromkeys(cells["family"].to_list()):
        place = np.flatnonzero((cells["family"] == family).to_numpy())
        part = np.ix_(place, place)
        values, errors = cross[part], stderr[part]
        there = values != 0
        if not there.any():
            continue
        checks = cross_checks(own[place], values, errors, revenue[place])
        rows.append(
            [
                family or "all",
                f"{checks.pairs:,}",
                f"{values[there].mean():.3f}",
                f"{values[there].min():.3f} to {values[there].max():.3f}",
                f"{errors[there].mean():.3f}",
                f"{checks.negative:,} ({checks.surely_negative:,})",
                f"{checks.asymmetric:,} of {checks.two_way:,}",
                f"{checks.outweighed:,} of {checks.markets:,}",
            ]
        )
    caption = "Cross elasticities, of units to a substitute's price: symmetric in revenue without income effects (Slutsky)"
    return grid_of(titles, rows, caption=caption)


def _strongest(cells: pl.DataFrame, cross: np.ndarray, stderr: np.ndarray) -> Grid:
    rows, columns = np.nonzero(cross)
    order = np.argsort(-np.abs(cross[rows, columns]), kind="stable")[:MOST_PAIRS]
    names = cells["series_id"].to_list()
    lines = []
    for row, column in zip(rows[order], columns[order], strict=True):
        value, error = cross[row, column], stderr[row, column]
        interval = f"{value - Z95 * error:.3f} to {value + Z95 * error:.3f}"
        lines.append([names[row], names[column], f"{value:.3f}", interval])
    titles = [("units of", "units of"), ("answer to the price of", "price of"), ("cross elasticity", "elasticity")]
    return grid_of([*titles, ("95 % interval", "interval")], lines, names=2, caption="The strongest pairs")

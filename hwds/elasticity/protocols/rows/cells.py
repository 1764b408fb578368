"""The rows of a run: what a model says of every cell, with what its prices identify and today's offer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from hwds.elasticity.design.columns import CROSS, LAG
from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import FittedElasticities
from hwds.elasticity.models.base import RECENT, recent_units
from hwds.elasticity.notes import note_columns
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES

DRAWS, LAG_DRAWS, CROSS_DRAWS = "draws", "lag_draws", "cross_draws"
"""Columns of joint posterior draws of each cell's `elasticity`, `lag` and `cross`: draw j of all cells is one draw of all."""

COMMON_DRAWS = "cross_common_draws"
"""The column of draws of the slope that all `cross` share, where each pair of substitutes has more of its own."""

IDENTIFICATION = (
    "rows", "price_changes", "distinct_prices", "sd_price", "sd_net", "common", "lead", "lead_p", "lag_correlation",
    "stock_outs", "expected_stderr",
)  # fmt: skip
"""Columns of the identification that stand beside each answer."""


def cell_rows(fitted: FittedElasticities, panel: Panel, draws: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return one row a cell: the fitted table, its identification, today's offer, expected units, notes on the fit and draws.

    Draws of `lag` and `cross` are null where a model does not say how their errors go with those of the elasticities.

    Args:
        fitted: The model.
        panel: The history that it was fitted to.
        draws: Joint draws to keep; 0 for none.
        rng: Draws them.
    """
    known = fitted.identification.rename({"lag": "lag_correlation"}).select(IDENTIFICATION)
    offer = offers(fitted.design, panel).with_columns(pl.Series("units", expected_units(fitted)).fill_nan(None))
    rows = fitted.table.hstack(known).hstack(offer).hstack(fitted.further_columns())
    rows = rows.with_columns(note_columns(fitted.estimates.notes))
    rows = rows.with_columns(pair_columns(fitted))
    return rows.with_columns(_draw_columns(fitted, rows, draws, rng)) if draws else rows


def _draw_columns(fitted: FittedElasticities, rows: pl.DataFrame, draws: int, rng: np.random.Generator) -> list[pl.Series]:
    """Return the columns of joint draws; where pairs of substitutes have elasticities, those of the common slope, too."""
    own, shared = fitted.joint_draws(draws, rng)
    columns, known = [_lists(DRAWS, own)], fitted.estimates
    for name, slope in ((LAG_DRAWS, LAG), (CROSS_DRAWS, CROSS)):
        drawn = np.full_like(own, np.nan)
        if shared is not None and slope in fitted.design.columns:
            place = fitted.design.columns.index(slope)
            drawn[:] = shared[:, [place]]
            drawn[:, (fitted.design.groups < 0) & (slope == CROSS)] = 0.0
            if slope == CROSS and known.pairs is not None:
                columns.append(_lists(COMMON_DRAWS, drawn))
                error = (shared[:, place] - known.theta[place]) / max(known.theta_stderr[place], 1e-300)
                drawn = known.pairs.drawn_totals(error, len(rows), rng)
        if slope == CROSS and known.one_slope:
            drawn = _cross_like_own(rows, own)
        columns.append(_lists(name, drawn))
    return columns


def pair_columns(fitted: FittedElasticities) -> list[pl.Series]:
    """Return for each cell the names of its substitutes, its elasticities to their prices, and `pair_` errors, as lists.

    Of the errors `pair_own_stderr` is the part that is the pair's own. No columns where a model has no elasticities of pairs.
    """
    pairs = fitted.estimates.pairs
    if pairs is None:
        return []
    names = fitted.table[SERIES].gather(pairs.columns).to_list()
    columns = {"substitutes": names, "pair_cross": pairs.value.tolist()}
    columns |= {"pair_stderr": pairs.stderr.tolist(), "pair_own_stderr": pairs.own_stderr.tolist()}
    ends = np.searchsorted(pairs.rows, np.arange(len(fitted.table) + 1))
    kinds = {"substitutes": pl.List(pl.String)}
    return [
        pl.Series(name, [values[a:b] for a, b in pairwise(ends)], kinds.get(name, pl.List(pl.Float64)))
        for name, values in columns.items()
    ]


def _cross_like_own(rows: pl.DataFrame, own: np.ndarray) -> np.ndarray:
    """Return draws of `cross` that are as many standard errors above it as own elasticities are below theirs, shape (D, K)."""
    known = np.flatnonzero(np.isfinite(own).all(axis=0))
    if not len(known):
        return np.full_like(own, np.nan)
    away = own[:, known[0]] - own[:, known[0]].mean()
    cross, stderr = (rows[name].fill_null(0.0).to_numpy() for name in ("cross", "cross_stderr"))
    return np.asarray(cross - stderr * (away / max(away.std(), 1e-300))[:, None])


def _lists(name: str, drawn: np.ndarray) -> pl.Series:
    """Return a column with the draws of each cell, shape (draws, K) as K lists, null where they are not known."""
    lists = [None if np.isnan(values).any() else values.tolist() for values in drawn.T]
    return pl.Series(name, lists, pl.List(pl.Float64))


def offers(design: Design, panel: Panel) -> pl.DataFrame:
    """Return today's `price`, `list_price`, `cost` and the `low` and `high` of prices by cell; null where unknown."""
    columns = {"price": design.last_prices()}
    for role in ("list_price", "cost"):
        name = panel.roles.one(role)
        columns[role] = np.full(len(design), np.nan) if name is None else _last(panel, name)
    price = pl.DataFrame({"cell": design.cell, "price": design.price}).filter(pl.col("price").is_finite())
    ranges = price.group_by("cell").agg(low=pl.col("price").min(), high=pl.col("price").max())
    cells = pl.DataFrame({"cell": np.arange(len(design))}).join(ranges, "cell", "left", maintain_order="left")
    last = [pl.Series(name, values, pl.Float64).fill_nan(None) for name, values in columns.items()]
    return pl.DataFrame(last).hstack(cells.select("low", "high"))


def _last(panel: Panel, name: str) -> np.ndarray:
    values = pl.DataFrame({SERIES: panel.table[SERIES], "value": panel.values(name)}).with_columns(
        pl.col("value").fill_nan(None)
    )
    last = values.group_by(SERIES, maintain_order=True).agg(pl.col("value").drop_nulls().last())
    return last["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def expected_units(fitted: FittedElasticities) -> np.ndarray:
    """Return the units of a period that each cell is expected to sell at today's prices, kept as they are; shape (K,).

    Without a promotion, and with the last value of every other column. Where the model has no answer, the mean of what was
    sold in the last rows. NaN for a cell that has no price in the last `RECENT` periods: it is no longer sold.
    """
    design, known = fitted.design, fitted.estimates
    today = np.log(design.last_prices()) - design.centres
    lag = fitted.table["lag"].to_numpy()
    part = (known.slopes + lag) * today
    last = design.last_columns()
    last[:, [name == LAG or place == design.promotion for place, name in enumerate(design.columns)]] = 0.0
    part = part + known.other_effects(last, np.arange(len(design)))
    units = np.exp(np.clip(known.level + part, -50, 50))
    units = np.where(np.isfinite(units), units, recent_units(design))
    return np.where(_still_sold(design), units, np.nan)


def _still_sold(design: Design) -> np.ndarray:
    """Return which cells have a price in the last `RECENT` periods, shape (K,)."""
    near = np.isfinite(design.price) & (design.period >= design.periods - RECENT)
    return np.bincount(design.cell, near, len(design)) > 0

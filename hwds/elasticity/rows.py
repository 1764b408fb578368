"""The rows of runs: estimates of cells, held-out changes, evidence for prices, notes and
remarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.elasticity.design import CROSS, LAG, DemandDesign, identify, price_column
from hwds.elasticity.fitted import FittedElasticities, number_columns
from hwds.elasticity.models.base import RECENT_ROWS, ElasticityModel, recent_units
from hwds.elasticity.sweeping import group_means, values_before
from hwds.evaluation.panel_folds import Cutoff, future_of, panel_known_at, select_series
from hwds.evaluation.protocol import SEGMENT_COLUMN
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.pricing.demand_evidence import DemandEstimates, TrueDemand
from hwds.results.formatting import counted, is_money
from hwds.results.tables import TRUTH

# Notes: the facts about a fit that stand beside its answers, such as the first stage of
# instruments.

NOTE_PREFIX = "fit_"
"""The prefix of the columns of notes in the rows of a run, each the same number for all cells of a
model.
"""

SPREAD_PREFIX = "sd_"
"""The prefix of standard deviations."""

WEIGHT_PREFIX = "weight_"
"""The prefix of the weights of a stack's members."""

HELD_OUT_PREFIX = "missed_"
"""The prefix of standard deviations of elasticities that networks do not know."""

INSTRUMENT_NOTES = (
    "first_stage_f",
    "price_residual_t",
    "anderson_rubin_low",
    "anderson_rubin_high",
)
"""Notes on instruments that a sentence reads."""

NOTE_MEANINGS = {
    "mean_elasticity": "mean that cells are shrunk to, through their groups",
    "mean_stderr": "its standard error",
    "overdispersion": "a, with the variance mean + a mean^2 of a cell's units",
    "cluster_ratio": "variance of the common slope with clustered errors over that with "
    "independent ones",
    "serial_ratio": "variance of a cell's slope over that with independent periods, by the "
    "correlation of one with the next",
    "first_stage_f": "F of the instruments in the regression of the price on them; below 10 they "
    "are weak",
    "price_residual_t": "t of the part of the price that instruments do not explain; beyond 2, "
    "prices answer demand",
    "common_elasticity": "elasticity of all cells together, with instruments",
    "common_stderr": "its standard error, that of the first stage in it",
    "anderson_rubin_low": "lower end of the common elasticities that Anderson and Rubin's test "
    "does not reject",
    "anderson_rubin_high": "upper end of them; the test is as good with weak instruments",
    "price_slope": "slope of the utility by the price",
    "price_slope_stderr": "its standard error, clustered",
    "nesting": "nesting parameter: 0 for plain logit, near 1 where products of a nest are near "
    "the same",
    "nesting_stderr": "its standard error, clustered",
    "nesting_first_stage_f": "F of the instruments of the share within nests, given the price",
    "rhat": "largest potential scale reduction of an elasticity: beyond 1.05 chains disagree, and "
    "more draws are needed",
    "divergences": "draws whose path left the posterior: more than a few, and model.acceptance "
    "must be nearer to 1",
    "residual_share": "share of the price's variance within cells that the trees leave",
    "clusters": "clusters of errors",
    "sd_cross_family": "standard deviation of what families add to the effect of substitutes",
    "sd_cross_product": "standard deviation of what pairs of products add",
    "sd_cross_pair": "standard deviation of what pairs of cells add",
    "pooled_mean": "mean elasticity of the same cells by elasticity/pooled",
    "outside_pooled": "share of cells whose answer the interval of elasticity/pooled excludes",
    "mean_apart": "mean distance from elasticity/pooled, in its standard errors of the mean",
    "between_networks": "standard deviation of an elasticity between the networks of the ensemble",
    "price_gap_r2": "share of the variance of the next change of price gaps between channels that "
    "is foreseen, held out",
    "arbitrage_skill": "share of the deviance of gaps wide enough for arbitrage that is foreseen, "
    "held out",
    "sd_cell": "standard deviation of cells' elasticities around their groups'",
    "sd_promotion": "standard deviation of cells' promotion effects",
}
"""The meaning of each note."""


NOTE_TITLES = {
    "mean_stderr": "mean elasticity, s.e.",
    "first_stage_f": "first stage, F",
    "price_residual_t": "residual of the price, t",
    "common_stderr": "common elasticity, s.e.",
    "anderson_rubin_low": "Anderson-Rubin, lower end",
    "anderson_rubin_high": "Anderson-Rubin, upper end",
    "price_slope_stderr": "price slope, s.e.",
    "nesting_stderr": "nesting, s.e.",
    "nesting_first_stage_f": "first stage of nests, F",
    "rhat": "R-hat",
    "price_gap_r2": "price gap, R2",
}
"""Titles of the notes whose names do not read well."""


def note_title(name: str) -> str:
    """Return what a note is called."""
    return NOTE_TITLES.get(name, name.replace("_", " "))


def note_meaning(name: str) -> str:
    """Return what a note measures."""
    if name.startswith(WEIGHT_PREFIX):
        return (
            f"weight of {name.removeprefix(WEIGHT_PREFIX)}, learned on price moves that no "
            f"member was fitted to"
        )
    if name.startswith(HELD_OUT_PREFIX):
        return (
            f"standard deviation of what the networks miss of each "
            f"{name.removeprefix(HELD_OUT_PREFIX)}, held out"
        )
    return (
        NOTE_MEANINGS.get(name)
        or f"standard deviation of the elasticities of each {name.removeprefix(SPREAD_PREFIX)}"
    )


def note_columns(notes: Mapping[str, float]) -> list[pl.Expr]:
    """Return a column for each note, null where it is not a number."""
    values = {name: None if np.isnan(value) else float(value) for name, value in notes.items()}
    return [pl.lit(value, pl.Float64).alias(NOTE_PREFIX + name) for name, value in values.items()]


def notes_of(rows: DataFrame) -> dict[str, float | None]:
    """Return the notes of one model's rows by name; those that the model has none of are left out.

    Ends of an Anderson-Rubin interval that are there and null say that the test rejects every
    elasticity.
    """
    if rows.is_empty():
        return {}
    first: dict[str, Any] = rows.row(0, named=True)
    notes = {
        name.removeprefix(NOTE_PREFIX): value
        for name, value in first.items()
        if name.startswith(NOTE_PREFIX)
    }
    weak = notes.get("first_stage_f") is not None and "price_residual_t" in notes
    return {
        name: value
        for name, value in notes.items()
        if value is not None or (weak and name in INSTRUMENT_NOTES)
    }


# The segments of cells.

ROW_SEGMENTS = ("status",)
"""Segments that the rows of an evaluation hold themselves."""


def cell_labels(frame: Panel, column: str) -> DataFrame | None:
    """Return the segment of each cell by a static column; None for one of the rows themselves.

    Raises:
        ConfigError: There is no such column.
    """
    if column in ROW_SEGMENTS:
        return None
    if column not in frame.roles.constant:
        raise ConfigError(
            f"protocol.segments: no static column "
            f"'{column}'{nearest(column, (*frame.roles.constant, *ROW_SEGMENTS))}"
        )
    return frame.table.select(SERIES, col(column).alias(SEGMENT_COLUMN))[frame.offsets[:-1]]


# Remarks on a panel before the first fit: which cells will have no answer of their own, and
# why.

NAMED_CELLS = 5
"""Cells that a remark names."""


def identification_remarks(panel: Panel, model: ElasticityModel) -> list[str]:
    """Return how many cells prices identify, and which do not: one sentence each.

    Args:
        panel: Of the data.
        model: Of the experiment; its columns and effects are taken.
    """
    design = DemandDesign.of(panel, model.terms)
    known = identify(design, by_period=model.by_period)
    sure = int((known["status"] == "identified").sum())
    weak = int((known["status"] == "weak").sum())
    sentences = [
        f"Of {counted(len(known), 'cells')} prices identify {sure:,} by themselves and {weak:,} "
        f"weakly."
    ]
    if design.left_out:
        names = ", ".join(f"'{name}'" for name in design.left_out)
        sentences.append(
            f"The model leaves out {names}: nothing is left of it beside the price, other columns "
            f"and effects."
        )
    for status, words in (
        ("no_variation", "Prices say nothing of the elasticity of"),
        ("endogenous?", "Prices may answer demand in"),
    ):
        cells = known.filter(known["status"] == status)
        if len(cells):
            named = "; ".join(
                f"{row['series_id']}: {row['reason']}" for row in cells.head(NAMED_CELLS).to_dicts()
            )
            sentences.append(
                f"{words} {counted(len(cells), 'cells')} "
                f"({named}{'; ...' if len(cells) > NAMED_CELLS else ''})."
            )
    return sentences


# The rows of a run: what a model says of every cell, with what its prices identify and today's
# offer.

DRAWS, LAG_DRAWS, CROSS_DRAWS = "draws", "lag_draws", "cross_draws"
"""Columns of joint posterior draws of each cell's `elasticity`, `lag` and `cross`: draw j of all
cells is one draw of all.
"""

COMMON_DRAWS = "cross_common_draws"
"""The column of draws of the slope that all `cross` share, where each pair of substitutes has more
of its own.
"""


def cell_rows(
    fitted: FittedElasticities, panel: Panel, draws: int, rng: np.random.Generator
) -> DataFrame:
    """Return one row a cell: the fitted table, its identification, today's offer, expected units,
    notes on the fit and draws.

    Draws of `lag` and `cross` are null where a model does not say how their errors go with those of
    the elasticities.

    Args:
        fitted: The model.
        panel: The history that it was fitted to.
        draws: Joint draws to keep; 0 for none.
        rng: Draws them.
    """
    offer = last_offers(fitted.design, panel).with_columns(
        Series("units", expected_units(fitted)).fill_nan(None)
    )
    rows = fitted.table.hstack(fitted.price_evidence).hstack(offer).hstack(fitted.further_columns())
    rows = rows.with_columns(note_columns(fitted.estimates.notes))
    rows = rows.with_columns(pair_columns(fitted))
    return rows.with_columns(_draw_columns(fitted, rows, draws, rng)) if draws else rows


def _draw_columns(
    fitted: FittedElasticities, rows: DataFrame, draws: int, rng: np.random.Generator
) -> list[Series]:
    """Return the columns of joint draws.

    Where pairs of substitutes have elasticities, those of the common slope, too.
    """
    own, shared = fitted.joint_draws(draws, rng)
    columns, known = [_draw_lists(DRAWS, own)], fitted.estimates
    for name, slope in ((LAG_DRAWS, LAG), (CROSS_DRAWS, CROSS)):
        drawn = np.full_like(own, np.nan)
        if shared is not None and slope in fitted.design.columns:
            place = fitted.design.columns.index(slope)
            drawn[:] = shared[:, [place]]
            drawn[:, (fitted.design.groups < 0) & (slope == CROSS)] = 0.0
            if slope == CROSS and known.pairs is not None:
                columns.append(_draw_lists(COMMON_DRAWS, drawn))
                error = (shared[:, place] - known.theta[place]) / max(
                    known.theta_stderr[place], 1e-300
                )
                drawn = known.pairs.drawn_totals(error, len(rows), rng)
        if slope == CROSS and known.one_slope:
            drawn = _cross_like_own(rows, own)
        columns.append(_draw_lists(name, drawn))
    return columns


def pair_columns(fitted: FittedElasticities) -> list[Series]:
    """Return for each cell the names of its substitutes, its elasticities to their prices, and
    `pair_` errors, as lists.

    Of the errors `pair_own_stderr` is the part that is the pair's own. No columns where a model has
    no elasticities of pairs.
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
        Series(name, [values[a:b] for a, b in pairwise(ends)], kinds.get(name, pl.List(pl.Float64)))
        for name, values in columns.items()
    ]


def _cross_like_own(rows: DataFrame, own: ndarray) -> ndarray:
    """Return draws of `cross` that are as many standard errors above it as own elasticities are
    below theirs, shape (D, K).
    """
    known = np.flatnonzero(np.isfinite(own).all(axis=0))
    if not len(known):
        return np.full_like(own, np.nan)
    away = own[:, known[0]] - own[:, known[0]].mean()
    cross, stderr = (rows[name].fill_null(0.0).to_numpy() for name in ("cross", "cross_stderr"))
    return cross - stderr * (away / max(away.std(), 1e-300))[:, None]


def _draw_lists(name: str, drawn: ndarray) -> Series:
    """Return a column with the draws of each cell, shape (draws, K) as K lists, null where they are
    not known.
    """
    lists = [None if np.isnan(values).any() else values.tolist() for values in drawn.T]
    return Series(name, lists, pl.List(pl.Float64))


def last_offers(design: DemandDesign, panel: Panel) -> DataFrame:
    """Return today's `price`, `list_price`, `cost` and the `low` and `high` of prices by cell.

    Null where unknown.
    """
    columns = {"price": design.last_prices()}
    for role in ("list_price", "cost"):
        name = panel.roles.one(role)
        values = np.full(len(design.cell), np.nan) if name is None else panel.values(name)
        columns[role] = design.last_known(values)
    return DataFrame(number_columns(columns)).hstack(price_ranges(design))


def price_ranges(design: DemandDesign) -> DataFrame:
    """Return the `low` and `high` of the prices of each cell, null where it has none."""
    known = np.where(np.isfinite(design.price), design.price, np.nan)
    price = DataFrame({"cell": design.cell, "price": known}).fill_nan(None)
    ranges = price.group_by("cell", maintain_order=True)
    return ranges.agg(low=col("price").min(), high=col("price").max()).drop("cell")


def expected_units(fitted: FittedElasticities) -> ndarray:
    """Return the units of a period that each cell is expected to sell at today's prices, kept as
    they are; shape (K,).

    Without a promotion, and with the last value of every other column. Where the model has no
    answer, the mean of what was sold in the last rows. NaN for a cell that has no price in the last
    `RECENT` periods: it is no longer sold.
    """
    design, known = fitted.design, fitted.estimates
    today = np.log(design.last_prices()) - design.centres
    lag = fitted.table["lag"].to_numpy()
    part = (known.slopes + lag) * today
    last = design.last_columns()
    last[
        :, [name == LAG or place == design.promotion for place, name in enumerate(design.columns)]
    ] = 0.0
    part = part + known.other_effects(last, np.arange(len(design)))
    units = np.exp(np.clip(known.level + part, -50, 50))
    units = np.where(np.isfinite(units), units, recent_units(design))
    return np.where(_still_sold(design), units, np.nan)


def _still_sold(design: DemandDesign) -> ndarray:
    """Return which cells have a price in the last `RECENT` periods, shape (K,)."""
    near = np.isfinite(design.price) & (design.period >= design.periods - RECENT_ROWS)
    return np.bincount(design.cell, near, len(design)) > 0


# The rows of held-out periods: how demand was predicted to change with prices, and how it
# changed.


def price_scenario(
    frame: Panel, history: Panel, cutoff: Cutoff, horizon: int
) -> tuple[Panel, ndarray]:
    """Return the cells of a history with the rows until the horizon, and which rows are after the
    cutoff.

    What is known once a row has passed is unknown after the cutoff, and before it where it was not
    yet published.

    Args:
        frame: All of the data.
        history: What was known at the cutoff.
        cutoff: The last known instant.
        horizon: Rows after it.
    """
    there = frame.series_ids.is_in(history.series_ids.implode()).to_numpy()
    cells = select_series(frame, np.flatnonzero(there))
    ends = cutoff.ends(cells)
    cut = cells.until(np.minimum(ends + horizon, cells.lengths))
    after = cut.positions >= np.repeat(ends, cut.lengths)
    unknown = [TARGET, *cut.roles.past_only]
    known = panel_known_at(cells, cutoff).table.select(SERIES, TIME, *unknown)
    table = (
        cut.table.drop(unknown)
        .join(known, [SERIES, TIME], "left", maintain_order="left")
        .select(cut.table.columns)
    )
    return replace(cut, table=table, plan=None), after


def change_rows(
    fitted: FittedElasticities,
    frame: Panel,
    history: Panel,
    cutoff: Cutoff,
    horizon: int,
    threshold: float,
    gap: int = 0,
) -> DataFrame:
    """Return one row a cell and held-out period with a price.

    Columns: `cutoff`, `series_id`, `time`; `price_change` (of the log price since the row before);
    `move` (whether it is beyond the threshold, between two held-out periods); `predicted` and
    `actual` change of log units, `units` and `units_before`; `log_units` and `log_predicted` (the
    level, as a mean of logs); the cell's `elasticity`, `status`, `reason` and identification. What
    is not known is null: a change from or to no sale, or across a stock-out.

    Args:
        fitted: To the history.
        frame: All of the data.
        history: What was known at the cutoff.
        cutoff: The last known instant.
        horizon: Rows after it.
        threshold: The least absolute change of a log price that is a move.
        gap: Rows after the cutoff that are not scored.
    """
    asked, after = price_scenario(frame, history, cutoff, horizon)
    cell = asked.series_of_row
    log_demand = fitted.log_demand(asked)
    log_price = np.log(asked.values(str(asked.roles.one("price"))))
    units, out = _realised_units(frame, asked)
    logs, published = (
        np.log(np.where(values > 0, values, np.nan)) for values in (units, asked.target)
    )
    level = log_demand + _log_shift(published, log_demand, cell, after)[cell]
    clear = ~(out | values_before(out.astype(float), cell, 1.0).astype(bool))
    change = log_price - values_before(log_price, cell)
    columns = {
        "price_change": change,
        "predicted": log_demand - values_before(log_demand, cell),
        "actual": np.where(clear, logs - values_before(logs, cell), np.nan),
        "units": np.where(clear, units, np.nan),
        "units_before": np.where(clear, values_before(units, cell), np.nan),
        "log_units": np.where(out, np.nan, logs),
        "log_predicted": level,
        "elasticity": fitted.estimates.slopes[cell],
    }
    rows = asked.table.select(pl.lit(cutoff.label).alias("cutoff"), SERIES, TIME).with_columns(
        *number_columns(columns),
        Series(
            "move",
            (np.abs(np.nan_to_num(change)) > threshold)
            & values_before(after.astype(float), cell, 0.0).astype(bool),
        ),
        *fitted.table.select("status", "reason")[cell],
        *fitted.price_evidence[cell],
    )
    scored = after & (_places_after(after, cell) >= gap)
    return rows.filter(Series(scored & np.isfinite(log_price)))


def _places_after(after: ndarray, cell: ndarray) -> ndarray:
    """Return the number of rows between the cutoff and each row after it in its cell."""
    count = np.cumsum(after)
    starts = np.searchsorted(cell, cell)
    return count - 1 - np.where(starts > 0, count[starts - 1], 0)


def _realised_units(frame: Panel, asked: Panel) -> tuple[ndarray, ndarray]:
    """Return the units of the rows that are asked, and whether there was a stock-out."""
    name = frame.roles.one("stock_out")
    columns = [TARGET, *([name] if name else [])]
    rows = asked.table.select(SERIES, TIME).join(
        frame.table.select(SERIES, TIME, *columns), [SERIES, TIME], "left", maintain_order="left"
    )
    units = rows[TARGET].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    out = rows[name].fill_null(0.0).to_numpy() > 0 if name else np.zeros(len(rows), bool)
    return units, out


def _log_shift(logs: ndarray, log_demand: ndarray, cell: ndarray, after: ndarray) -> ndarray:
    """Return the mean of log units less the log of expected units in a cell's last rows before the
    cutoff, shape (K,).
    """
    gap = np.where(after, np.nan, logs - log_demand)
    there = np.isfinite(gap)
    count = np.cumsum(there[::-1])[::-1]
    ends = np.concatenate([np.flatnonzero(np.diff(cell) != 0) + 1, [len(cell)]])
    later = np.concatenate([count, [0]])[ends][cell]
    recent = there & (count - later <= RECENT_ROWS)
    return group_means(gap[recent], cell[recent], int(cell[-1]) + 1)


# Demand at planned prices: what a fitted model expects to be sold after the last rows.


def demand_beyond(
    fitted: FittedElasticities, panel: Panel, cutoff: Cutoff, horizon: int
) -> DataFrame:
    """Return the units that are expected at the planned prices, a row for each cell and period that
    has one.

    Columns: `series_id`, `cutoff`, `time`, `price`, `elasticity`, `units`; `units_low` and
    `units_high`, at the ends of the elasticity's interval and the same level at the cell's mean
    price: neither the level's error nor that of single weeks is in them; `beyond`, whether the
    price is outside of those observed.

    Args:
        fitted: To all rows of the same cells.
        panel: The rows, with a plan of prices.
        cutoff: Its end.
        horizon: Periods after it.

    Raises:
        DataError: There is no planned price, or the cells are not those that the model was fitted
            to.
    """
    _check_cells(fitted, panel)
    price = price_column(panel)
    future = future_of(panel, np.arange(panel.n_series), cutoff.ends(panel), horizon)
    if future.table[price].null_count() == len(future.table):
        raise DataError(
            f"predict: column '{price}' has no value after {panel.table[TIME].max()!s}; --future "
            f"FILE plans it."
        )
    rows, design = _expected_by_row(fitted, panel_known_at(panel, cutoff), future), fitted.design
    ranges = design.names.select(SERIES).hstack(price_ranges(design))
    outside = (col("price") < col("low")) | (col("price") > col("high"))
    known = rows.join(ranges, SERIES, "left", maintain_order="left").with_columns(beyond=outside)
    names = (SERIES, TIME, "price", "elasticity", "units", "units_low", "units_high", "beyond")
    return known.select(pl.lit(cutoff.label).alias("cutoff"), *names).select(
        SERIES, "cutoff", *names[1:]
    )


def _expected_by_row(fitted: FittedElasticities, history: Panel, future: Panel) -> DataFrame:
    """Return the expected units of the rows of the future that have a price."""
    both = history.followed_by(future)
    cell, price = both.series_of_row, both.values(price_column(both))
    logs, table = fitted.log_demand(both), fitted.table
    away = np.log(price) - fitted.design.centres[cell]
    slope, low, high = (
        table[name].to_numpy()[cell] for name in ("elasticity", "ci_low", "ci_high")
    )
    ends = np.stack([logs + (end - slope) * away for end in (low, high)])
    columns = {
        "price": price,
        "elasticity": slope,
        "units": np.exp(logs),
        "units_low": np.exp(ends.min(axis=0)),
        "units_high": np.exp(ends.max(axis=0)),
    }
    rows = both.table.select(SERIES, TIME).with_columns(number_columns(columns))
    return rows.join(
        future.table.select(SERIES, TIME), [SERIES, TIME], "semi", maintain_order="left"
    ).drop_nulls("price")


def _check_cells(fitted: FittedElasticities, panel: Panel) -> None:
    own, asked = set(fitted.design.names[SERIES].to_list()), set(panel.series_ids.to_list())
    for names, what in (
        (asked - own, "was not there when the model was fitted"),
        (own - asked, "is missing"),
    ):
        if names:
            raise DataError(
                f"dataset: series '{min(names)}' {what}; predict needs the cells that the model "
                f"was fitted to."
            )


# The evidence of a run's cells for decisions on prices.

PERIOD_NAMES = {
    "1w": "week",
    "7d": "week",
    "1d": "day",
    "1mo": "month",
    "3mo": "quarter",
    "1q": "quarter",
    "1y": "year",
}
"""The time in which units of a frequency are counted."""


def demand_estimates_of(rows: DataFrame, panel: Panel, model: str) -> DemandEstimates | None:
    """Return what a model says of every cell that has a price.

    None where the rows have none of this model.

    Args:
        rows: The predictions table of a run, a row a cell and model.
        panel: The data.
        model: Its label.
    """
    if "model" not in rows.columns:
        return None
    own = rows.filter(col("price").is_not_null(), model=model)
    if own.is_empty():
        return None
    cells = own.select(
        col("series_id").alias("cell"),
        col("sku").alias("product"),
        "channel",
        "family",
        "price",
        "list_price",
        "cost",
        col("units").fill_null(0.0),
        "low",
        "high",
        "elasticity",
        "stderr",
        "df",
        "lag",
        col("lag_stderr").fill_null(0.0),
        "status",
        "reason",
    )
    unit = panel.unit if is_money(panel.unit) else ""
    cross, errors, own_errors = cross_elasticities(own)
    return DemandEstimates(
        cells,
        unit=unit,
        period=PERIOD_NAMES.get(panel.frequency.every, "period"),
        draws=_draw_matrix(own, DRAWS),
        draws_lag=_draw_matrix(own, LAG_DRAWS),
        draws_cross=_common_error(own),
        cross=cross,
        cross_stderr=errors,
        cross_own_stderr=own_errors,
        truth=_true_demand(rows, own),
    )


def _draw_matrix(own: DataFrame, name: str) -> ndarray | None:
    """Return the draws of a column, shape (D, K), NaN where a cell has none.

    None where no cell has any.
    """
    if name not in own.columns or own[name].null_count() == len(own):
        return None
    count = int(own[name].list.len().max())  # type: ignore[arg-type]
    blank = [float("nan")] * count
    return np.array([values if values is not None else blank for values in own[name].to_list()]).T


def _common_error(own: DataFrame) -> ndarray | None:
    """Return by how many standard errors the slope that cross elasticities share is off in each
    draw, shape (D,).
    """
    drawn = _draw_matrix(own, COMMON_DRAWS)
    if drawn is None:
        drawn = _draw_matrix(own, CROSS_DRAWS)
    if drawn is None or np.isnan(drawn).any():
        return None
    away = drawn - drawn.mean(axis=0)
    spread = away.std(axis=0)
    place = int(spread.argmax())
    return away[:, place] / spread[place] if spread[place] > 0 else None


OptionalMatrix = ndarray | None


def cross_elasticities(own: DataFrame) -> tuple[OptionalMatrix, OptionalMatrix, OptionalMatrix]:
    """Return the cross elasticities of pairs of cells, their standard errors and the part of these
    that is each pair's own.

    Each of shape (K, K); None without substitutes, the last one where all errors are those of one
    slope. Where a model has no elasticities of pairs, a cell's elasticity to the mean log price of
    its substitutes is spread evenly over them.
    """
    if "substitutes" in own.columns and own["substitutes"].null_count() < len(own):
        return _pair_matrices(own)
    cross, errors = (own[name].fill_null(0.0).to_numpy() for name in ("cross", "cross_stderr"))
    if not cross.any():
        return None, None, None
    family, channel, sku = (own[name].to_numpy() for name in ("family", "channel", "sku"))
    beside = (family[:, None] == family) & (channel[:, None] == channel) & (sku[:, None] != sku)
    count = np.maximum(beside.sum(axis=1, keepdims=True), 1)
    shares = (np.where(beside, each[:, None] / count, 0.0) for each in (cross, errors))
    return next(shares), next(shares), None


def _pair_matrices(own: DataFrame) -> tuple[OptionalMatrix, OptionalMatrix, OptionalMatrix]:
    """Return the matrices of the pairs that the rows list, of substitutes among the rows."""
    names = ["substitutes", "pair_cross", "pair_stderr", "pair_own_stderr"]
    listed = (
        own.select(names)
        .with_row_index("row")
        .drop_nulls("substitutes")
        .explode(names)
        .drop_nulls("substitutes")
    )
    place = DataFrame({"substitutes": own["series_id"], "column": np.arange(len(own))})
    found = listed.join(place, "substitutes", maintain_order="left")
    rows, columns = found["row"].to_numpy(), found["column"].to_numpy()
    matrices = []
    for name in names[1:]:
        matrix = np.zeros((len(own),) * 2)
        matrix[rows, columns] = found[name].to_numpy()
        matrices.append(matrix)
    return matrices[0], matrices[1], matrices[2]


def _true_demand(rows: DataFrame, own: DataFrame) -> TrueDemand | None:
    """Return the true demand of the same cells, where the run knows it."""
    true = own.select("series_id").join(
        rows.filter(model=TRUTH), "series_id", "left", maintain_order="left"
    )
    if not len(true) or true["elasticity"].null_count():
        return None
    cross, *_ = cross_elasticities(true)
    elasticities = np.zeros((len(true),) * 2) if cross is None else cross.copy()
    np.fill_diagonal(elasticities, true["elasticity"].to_numpy())
    return TrueDemand(true["units"].to_numpy(), elasticities, true["lag"].to_numpy())

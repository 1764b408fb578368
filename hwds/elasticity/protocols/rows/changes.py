"""The rows of held-out periods: how demand was predicted to change with prices, and how it changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.elasticity.fitted import FittedElasticities
from hwds.elasticity.models.base import RECENT
from hwds.elasticity.protocols.rows.cells import IDENTIFICATION
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.splitting.cutoffs import Cutoff, known_at, select


def scenario(frame: Panel, history: Panel, cutoff: Cutoff, horizon: int) -> tuple[Panel, np.ndarray]:
    """Return the cells of a history with the rows until the horizon, and which rows are after the cutoff.

    What is known once a row has passed is unknown after the cutoff, and before it where it was not yet published.

    Args:
        frame: All of the data.
        history: What was known at the cutoff.
        cutoff: The last known instant.
        horizon: Rows after it.
    """
    there = frame.series_ids.is_in(history.series_ids.implode()).to_numpy()
    cells = select(frame, np.flatnonzero(there))
    ends = cutoff.ends(cells)
    cut = cells.until(np.minimum(ends + horizon, cells.lengths))
    after = cut.positions >= np.repeat(ends, cut.lengths)
    unknown = [TARGET, *cut.roles.past_only]
    known = known_at(cells, cutoff).table.select(SERIES, TIME, *unknown)
    table = cut.table.drop(unknown).join(known, [SERIES, TIME], "left", maintain_order="left").select(cut.table.columns)
    return replace(cut, table=table, plan=None), after


def change_rows(
    fitted: FittedElasticities,
    frame: Panel,
    history: Panel,
    cutoff: Cutoff,
    horizon: int,
    threshold: float,
    gap: int = 0,
) -> pl.DataFrame:
    """Return one row a cell and held-out period with a price.

    Columns: `cutoff`, `series_id`, `time`; `price_change` (of the log price since the row before); `move` (whether it is
    beyond the threshold, between two held-out periods); `predicted` and `actual` change of log units, `units` and
    `units_before`; `log_units` and `log_predicted` (the level, as a mean of logs); the cell's `elasticity`,
    `status`, `reason` and identification. What is
    not known is null: a change from or to no sale, or across a stock-out.

    Args:
        fitted: To the history.
        frame: All of the data.
        history: What was known at the cutoff.
        cutoff: The last known instant.
        horizon: Rows after it.
        threshold: The least absolute change of a log price that is a move.
        gap: Rows after the cutoff that are not scored.
    """
    asked, after = scenario(frame, history, cutoff, horizon)
    cell = np.repeat(np.arange(asked.n_series), asked.lengths)
    log_demand = fitted.log_demand(asked)
    log_price = np.log(asked.values(str(asked.roles.one("price"))))
    units, out = _realised(frame, asked)
    logs, published = (np.log(np.where(values > 0, values, np.nan)) for values in (units, asked.target))
    level = log_demand + _log_shift(published, log_demand, cell, after)[cell]
    clear = ~(out | _before(out.astype(float), cell, 1.0).astype(bool))
    change = log_price - _before(log_price, cell)
    columns = {
        "price_change": change,
        "predicted": log_demand - _before(log_demand, cell),
        "actual": np.where(clear, logs - _before(logs, cell), np.nan),
        "units": np.where(clear, units, np.nan),
        "units_before": np.where(clear, _before(units, cell), np.nan),
        "log_units": np.where(out, np.nan, logs),
        "log_predicted": level,
        "elasticity": fitted.estimates.slopes[cell],
    }
    known = fitted.identification.rename({"lag": "lag_correlation"}).select(IDENTIFICATION)
    numbers = [pl.Series(name, values, pl.Float64).fill_nan(None) for name, values in columns.items()]
    rows = asked.table.select(pl.lit(cutoff.label).alias("cutoff"), SERIES, TIME).with_columns(
        *numbers,
        pl.Series("move", (np.abs(np.nan_to_num(change)) > threshold) & _before(after.astype(float), cell, 0.0).astype(bool)),
        *(fitted.table[name].gather(cell) for name in ("status", "reason")),
        *(known[name].gather(cell) for name in known.columns),
    )
    scored = after & (_places_after(after, cell) >= gap)
    return rows.filter(pl.Series(scored & np.isfinite(log_price)))


def _places_after(after: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the number of rows between the cutoff and each row after it in its cell."""
    count = np.cumsum(after)
    starts = np.searchsorted(cell, cell)
    return count - 1 - np.where(starts > 0, count[starts - 1], 0)


def _realised(frame: Panel, asked: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the units of the rows that are asked, and whether there was a stock-out."""
    name = frame.roles.one("stock_out")
    columns = [TARGET, *([name] if name else [])]
    rows = asked.table.select(SERIES, TIME).join(
        frame.table.select(SERIES, TIME, *columns), [SERIES, TIME], "left", maintain_order="left"
    )
    units = rows[TARGET].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    out = rows[name].fill_null(0.0).to_numpy() > 0 if name else np.zeros(len(rows), bool)
    return units, out


def _before(values: np.ndarray, cell: np.ndarray, first: float = np.nan) -> np.ndarray:
    """Return the value of the row before in the cell."""
    before = np.concatenate([[first], values[:-1]])
    before[np.concatenate([[True], np.diff(cell) != 0])] = first
    return before


def _log_shift(logs: np.ndarray, log_demand: np.ndarray, cell: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the mean of log units less the log of expected units in a cell's last rows before the cutoff, shape (K,)."""
    gap = np.where(after, np.nan, logs - log_demand)
    there = np.isfinite(gap)
    count = np.cumsum(there[::-1])[::-1]
    ends = np.concatenate([np.flatnonzero(np.diff(cell) != 0) + 1, [len(cell)]])
    later = np.concatenate([count, [0]])[ends][cell]
    recent = there & (count - later <= RECENT)
    cells = int(cell[-1]) + 1
    total, rows = np.bincount(cell[recent], gap[recent], cells), np.bincount(cell[recent], minlength=cells)
    return np.where(rows > 0, total / np.maximum(rows, 1), 0.0)

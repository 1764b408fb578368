"""Identification: how much the prices of each cell say about its elasticity, before anything is estimated."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.sweeping import Sweeper

CHANGE = 0.005
"""The least change of a log price that counts as one."""

FEW_CHANGES, LITTLE = 3, 0.01
"""The number of price changes, and the standard deviation of the log price net of effects, under which a cell is weak."""

WEAK = 1.0
"""The expected standard error of a cell's own estimate above which it is weak."""

LEAST_NOISE = 0.01
"""The least variance of log demand beside that of few units."""

SUSPECT = 0.001
"""The p-value of the correlation of today's demand with the next price under which prices may answer demand."""


def identify(design: Design, *, by_period: bool) -> pl.DataFrame:
    """Return one row a cell of what its prices can say.

    Columns: `series_id`; `rows` to learn from; `units` (mean a period); `price_changes`; `distinct_prices`; `sd_price` (of the
    log price) and `sd_net` (net of cell and period effects and of the model's other columns); `common` (the share of the log
    price's variance that goes when period effects are taken out); `lead` (correlation of today's demand with the next price
    beyond today's: prices that answer demand) and `lead_p` its p-value; `lag` (correlation of the price before, beyond
    today's, with today's demand); `stock_outs` (share of rows); `expected_stderr` (of its own estimate); `status`;
    `reason`.

    Args:
        design: The rows.
        by_period: Whether the model takes period effects out.
    """
    net, common = _net_prices(design, by_period=by_period)
    rows = design.rows
    mean_units = _means(design.units, design.used, design)
    squares = np.bincount(design.cell[design.used], net**2, len(design))
    demand = _demand(design)
    weight = mean_units / (1 + _noise(design, demand, mean_units) * mean_units)
    expected = 1 / np.sqrt(np.maximum(weight * squares, 1e-12))
    changes, distinct = _changes(design)
    lead, lead_p = _lead(design, demand)
    total = np.maximum(np.bincount(design.cell, minlength=len(design)), 1)
    table = pl.DataFrame(
        {
            "series_id": design.names["series_id"],
            "rows": rows,
            "units": mean_units,
            "price_changes": changes,
            "distinct_prices": distinct,
            "sd_price": np.sqrt(_means(design.log_price**2, design.used, design)),
            "sd_net": np.sqrt(squares / np.maximum(rows, 1)),
            "common": common,
            "lead": lead,
            "lead_p": lead_p,
            "lag": _lag(design, demand),
            "stock_outs": np.bincount(design.cell, design.out, len(design)) / total,
            "expected_stderr": np.minimum(expected, 1e6),
        }
    )
    judged = [_judged(row) for row in table.to_dicts()]
    return table.with_columns(
        pl.Series("status", [status for status, _ in judged], pl.String),
        pl.Series("reason", [reason for _, reason in judged], pl.String),
    )


def _judged(row: dict[str, float]) -> tuple[str, str]:
    """Return the status of a cell and why: the first that applies."""
    lead = f"(correlation {row['lead']:.2f}, p {row['lead_p']:.1g})"
    net = "its price moves with that of all cells and the model's columns alone"
    tests = (
        (row["rows"] == 0, "no_variation", "no row has units, a price and all columns of the model"),
        (row["units"] == 0, "no_variation", f"nothing was sold in {row['rows']:.0f} periods"),
        (row["distinct_prices"] < 2, "no_variation", "it had one price"),
        (row["sd_net"] < 1e-4, "no_variation", net),
        (row["lead_p"] < SUSPECT, "endogenous?", f"its next price follows its demand {lead}"),
        (row["price_changes"] < FEW_CHANGES, "weak", f"{row['price_changes']:.0f} price changes"),
        (row["sd_net"] < LITTLE, "weak", f"its log price has a standard deviation of {row['sd_net']:.3f} net of effects"),
        (row["expected_stderr"] > WEAK, "weak", f"its own data would give a standard error of {row['expected_stderr']:.1f}"),
    )
    return next(((status, reason) for applies, status, reason in tests if applies), ("identified", ""))


def _net_prices(design: Design, *, by_period: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return log prices of used rows net of effects and the other columns, and the common share of their variance by cell."""
    used = design.used
    cell = np.unique(design.cell[used], return_inverse=True)[1]
    period = np.unique(design.period[used], return_inverse=True)[1]
    ones = np.ones(int(used.sum()))
    columns = np.column_stack([design.log_price[used], design.x[used]])
    within = Sweeper.of(cell, None).residuals(columns, ones)
    both = Sweeper.of(cell, period).residuals(columns, ones)
    chosen = both if by_period else within
    slopes = np.linalg.lstsq(chosen[:, 1:], chosen[:, 0], rcond=None)[0] if chosen.shape[1] > 1 else np.zeros(0)
    net = chosen[:, 0] - chosen[:, 1:] @ slopes
    total = np.bincount(design.cell[used], within[:, 0] ** 2, len(design))
    rest = np.bincount(design.cell[used], both[:, 0] ** 2, len(design))
    return net, np.clip(1 - rest / np.where(total > 0, total, np.inf), 0.0, 1.0)


def _means(values: np.ndarray, where: np.ndarray, design: Design) -> np.ndarray:
    count = np.bincount(design.cell[where], minlength=len(design))
    return np.bincount(design.cell[where], values[where], len(design)) / np.maximum(count, 1)


def _steps(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Return the change of the log price from the row before, NaN where unknown, and where it is known."""
    change = np.concatenate([[np.nan], np.diff(design.log_price)])
    change[np.concatenate([[True], np.diff(design.cell) != 0])] = np.nan
    return change, np.isfinite(change)


def _changes(design: Design) -> tuple[np.ndarray, np.ndarray]:
    change, there = _steps(design)
    moved = there & (np.abs(change) > CHANGE)
    changes = np.bincount(design.cell, moved, len(design)).astype(np.int64)
    known = design.used
    steps = np.round(design.log_price[known] / CHANGE).astype(np.int64)
    pairs = np.unique(np.column_stack([design.cell[known], steps]), axis=0)
    return changes, np.bincount(pairs[:, 0], minlength=len(design))


def _noise(design: Design, demand: np.ndarray, mean_units: np.ndarray) -> float:
    """Return the variance of log demand beside the 1 / mean of few units, of all cells."""
    rows = design.used & (mean_units[design.cell] > 0)
    if not rows.any():
        return LEAST_NOISE
    few = float(np.mean(1 / (mean_units[design.cell[rows]] + 0.5)))
    return max(float(np.mean(demand[rows] ** 2)) - few, LEAST_NOISE)


def _demand(design: Design) -> np.ndarray:
    """Return log(units + 1/2) net of effects, columns and each cell's own slope of price; NaN where not used."""
    used = design.used
    cell = np.unique(design.cell[used], return_inverse=True)[1]
    period = np.unique(design.period[used], return_inverse=True)[1]
    columns = np.column_stack([np.log(design.units[used] + 0.5), design.log_price[used], design.x[used]])
    swept = Sweeper.of(cell, period).residuals(columns, np.ones(len(cell)))
    slopes = np.linalg.lstsq(swept[:, 1:], swept[:, 0], rcond=None)[0]
    rest, price = swept[:, 0] - swept[:, 1:] @ slopes, swept[:, 1]
    squares = np.bincount(cell, price**2)
    own = np.bincount(cell, rest * price) / np.where(squares > 0, squares, np.inf)
    out = np.full(len(used), np.nan)
    out[used] = rest - own[cell] * price
    return out


def _lead(design: Design, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of today's demand with the next price beyond today's by cell, and its p-value.

    The p-value is 1 for fewer than 8 rows.
    """
    from scipy.special import stdtr

    following = np.concatenate([design.log_price[1:], [np.nan]])
    following[np.concatenate([np.diff(design.cell) != 0, [True]])] = np.nan
    correlation, count = _correlations(design, demand, _beyond_price(design, following))
    free = np.maximum(count - 3, 1)
    t = correlation * np.sqrt(free / np.maximum(1 - correlation**2, 1e-12))
    return correlation, np.where(count >= 8, 2 * stdtr(free, -np.abs(t)), 1.0)


def _lag(design: Design, demand: np.ndarray) -> np.ndarray:
    """Return the correlation of the price before, beyond today's, with today's demand, by cell."""
    before = np.concatenate([[np.nan], design.log_price[:-1]])
    before[np.concatenate([[True], np.diff(design.cell) != 0])] = np.nan
    return _correlations(design, demand, _beyond_price(design, before))[0]


def _beyond_price(design: Design, values: np.ndarray) -> np.ndarray:
    """Return values less their regression on today's price within each cell, NaN where either is unknown."""
    there = np.isfinite(values) & np.isfinite(design.log_price)
    cell = design.cell[there]
    count = np.maximum(np.bincount(cell, minlength=len(design)), 1)
    centred = []
    for each in (values[there], design.log_price[there]):
        centred.append(each - (np.bincount(cell, each, len(design)) / count)[cell])
    squares = np.bincount(cell, centred[1] ** 2, len(design))
    slope = np.bincount(cell, centred[0] * centred[1], len(design)) / np.where(squares > 0, squares, np.inf)
    out = np.full(len(values), np.nan)
    out[there] = centred[0] - slope[cell] * centred[1]
    return out


def _correlations(design: Design, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of two columns within each cell, 0 where one is constant, and the rows it is of."""
    there = np.isfinite(first) & np.isfinite(second)
    count = np.bincount(design.cell[there], minlength=len(design))
    cell = design.cell[there]
    parts = []
    for values in (first[there], second[there]):
        mean = np.bincount(cell, values, len(design)) / np.maximum(count, 1)
        parts.append(values - mean[cell])
    sums = [
        np.bincount(cell, a * b, len(design)) for a, b in ((parts[0], parts[1]), (parts[0], parts[0]), (parts[1], parts[1]))
    ]
    bottom = np.sqrt(sums[1] * sums[2])
    return np.where(bottom > 1e-12, sums[0] / np.maximum(bottom, 1e-300), 0.0), count

"""Design: the rows of a panel as a model of demand reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.elasticity.design.columns import (
    CROSS,
    LAG,
    PAIR,
    Terms,
    lagged,
    log_prices,
    names_of,
    other_columns,
    pair_prices,
    price_column,
    shifters,
    substitute_places,
    substitutes,
    substitutes_price,
)
from hwds.elasticity.design.redundant import independent
from hwds.elasticity.estimation.crossed import Groups
from hwds.elasticity.estimation.layout import Layout
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME


@dataclass(frozen=True, eq=False)
class Design(Serializable):
    """The rows of a panel as arrays, and which of them a model may learn from.

    Attributes:
        names: `series_id`, `sku`, `channel`, `family` of every cell.
        cell, period: Of each row of the panel, shape (rows,).
        periods: How many there are.
        units: NaN where unknown, shape (rows,).
        log_price: Less its cell's mean, NaN without a price, shape (rows,).
        centres: The means of log prices, shape (K,).
        x: Columns with a slope that all cells share, shape (rows, m); a promotion as it is, others less their cell's mean, so
            that 0 stands for an unknown one.
        column_centres: The means of the columns, 0 of those that are prices less a mean or a promotion, shape (K, m).
        columns: Their names.
        left_out: Names of columns that are a combination of others and of effects.
        used: Rows to learn from: units, price and all columns known, and in stock, shape (rows,).
        out: Rows with a stock-out, shape (rows,).
        groups: The group within which each cell has substitutes, -1 for none, shape (K,).
        price: Of each row, shape (rows,).
        season: Periods in a season.
        shifters: Instruments by name, NaN where unknown, each of shape (rows,).
        promotion: The place of the promotion among the columns; None where there is none.
    """

    names: pl.DataFrame
    cell: np.ndarray
    period: np.ndarray
    periods: int
    units: np.ndarray
    log_price: np.ndarray
    centres: np.ndarray
    x: np.ndarray
    column_centres: np.ndarray
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    used: np.ndarray
    out: np.ndarray
    groups: np.ndarray
    price: np.ndarray
    promotion: int | None
    season: int
    shifters: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls,
        panel: Panel,
        terms: Terms,
        controls: Sequence[str] = (),
        *,
        like: Design | None = None,
    ) -> Design:
        """Return the design of a panel.

        Args:
            panel: Prices and units by cell and period.
            terms: Which columns to take.
            controls: More columns of the panel.
            like: The design that a model was fitted to, whose columns and means are taken; None for a new one, whose
                constant columns are left out, as are those that are a combination of the price, others and effects.

        Raises:
            DataError: There is no price, one that is not above 0, units below 0, or no price that ever changes.
        """
        names, price = names_of(panel, terms), panel.values(price_column(panel))
        cell = np.repeat(np.arange(panel.n_series), panel.lengths)
        out = _stock_outs(panel)
        period = panel.table[TIME].rank("dense").cast(pl.Int64).to_numpy() - 1
        units = panel.target
        known = np.isfinite(units) & np.isfinite(price) & ~out
        log_price, centres = log_prices(panel, None if like is None else like.centres, known)
        groups = substitutes(names)
        columns = _columns(panel, replace(terms, pairs=terms.pairs and like is not None), controls, groups, period, log_price)
        telling = _telling(columns, log_price, cell, period if terms.by_period else None, known) if like is None else None
        chosen, left_out = telling if telling is not None else (list(like.columns), ())  # type: ignore[union-attr]
        promotion = panel.roles.one("promotion") or ""
        x = np.column_stack([columns[name] for name in chosen]) if chosen else np.zeros((len(cell), 0))
        as_they_are = [name in (LAG, CROSS, promotion) or name.startswith(PAIR) for name in chosen]
        column_centres = _centres(x, known, cell, as_they_are, len(names)) if like is None else like.column_centres
        x = x - column_centres[cell]
        used = known & np.isfinite(x).all(axis=1)
        design = cls(
            names,
            cell,
            period,
            int(period.max()) + 1,
            units,
            log_price,
            centres,
            x,
            column_centres,
            tuple(chosen),
            left_out,
            used,
            out,
            groups,
            price,
            chosen.index(promotion) if promotion in chosen else None,
            panel.season,
            shifters(panel),
        )
        if like is None:
            design._check()
        return design

    def with_pairs(self) -> Design:
        """Return the design with a column for the price of each substitute of a cell, behind the others."""
        columns = _pair_columns(self.groups, self.cell, self.period, self.log_price)
        x = np.column_stack([self.x, *columns.values()])
        centres = np.column_stack([self.column_centres, np.zeros((len(self), len(columns)))])
        return replace(self, x=x, column_centres=centres, columns=(*self.columns, *columns))

    def substitutes_laid(self) -> np.ndarray:
        """Return the columns of `with_pairs` of the rows to learn from, laid out as cells by periods, shape (n, K, T)."""
        places, rows = substitute_places(self.groups), np.flatnonzero(self.used)
        laid = np.zeros((places.shape[1], len(self), self.periods))
        laid[:, self.cell[rows], self.period[rows]] = pair_prices(places, self.cell, self.period, self.log_price, rows).T
        return laid

    def _check(self) -> None:
        spread = np.abs(np.where(self.used, self.log_price, 0.0))
        if not self.used.any():
            raise DataError("dataset: no row has units, a price and all columns of the model.")
        if float(spread.max()) < 1e-9:
            raise DataError("dataset.roles.price: no cell's price ever changes, so that nothing can be said of elasticities.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> np.ndarray:
        """Rows to learn from by cell, shape (K,)."""
        return np.bincount(self.cell, self.used, len(self)).astype(np.int64)

    def codes(self, name: str) -> np.ndarray:
        """Return the number of each cell's product, channel or family, shape (K,)."""
        return self.names[name].rank("dense").cast(pl.Int64).to_numpy() - 1

    @property
    def crossed(self) -> Groups:
        """The groups that slopes are shrunk to."""
        return Groups.of([(name, self.codes(name)) for name in ("family", "sku", "channel")])

    def layout(self, *, by_period: bool, own: int | None = None) -> Layout:
        """Return the rows to learn from, laid out as cells by periods; `own` is the column whose slope deviates by cell."""
        rows = self.used
        shape = (len(self), self.periods)
        parts = (self.units[rows], self.log_price[rows], self.x[rows], self.cell[rows], self.period[rows])
        return Layout.of(*parts, shape, by_period=by_period, own=own)

    def instruments(self, effect: np.ndarray | None = None, *, by_period: bool = False) -> np.ndarray:
        """Return the instruments that vary within effects, shape (rows, z), their mean of the cell where one is unknown.

        One that is a combination of others, of the columns and of effects is left out.

        Args:
            effect: The effect of each row that is swept out; None for that of cells.
            by_period: Whether period effects are swept out, too.

        Raises:
            DataError: There is none.
        """
        effect = self.cell if effect is None else effect
        chosen = _varying(dict(self.shifters), effect, self.used)
        columns = [np.zeros((len(self.cell), 0))]
        for name in chosen:
            values = self.shifters[name]
            there = np.isfinite(values)
            count = np.maximum(np.bincount(self.cell[there], minlength=len(self)), 1)
            mean = np.bincount(self.cell[there], values[there], len(self)) / count
            columns.append(np.where(there, values, mean[self.cell]))
        known, used = np.column_stack(columns), self.used
        if chosen:
            period = self.period[used] if by_period else None
            known = known[:, independent(self.columns_as_given[used], known[used], effect[used], period)]
        if not known.shape[1]:
            raise DataError(
                "dataset.roles: cost or instrument must be given for a model with instruments, and vary within cells"
                " beside the model's columns and effects."
            )
        return known

    def clusters(self, level: str) -> np.ndarray:
        """Return the cluster of each row, shape (rows,).

        Args:
            level: `period`, `sku_period` (a product in a period), `sku`, `channel` or `cell`.
        """
        if level in ("cell", "period"):
            return self.cell if level == "cell" else self.period
        if level == "sku_period":
            return self.codes("sku")[self.cell] * self.periods + self.period
        return self.codes(level)[self.cell]

    def last_prices(self) -> np.ndarray:
        """Return the last known price of each cell, NaN where it has none, shape (K,)."""
        return _last(self.price, self.cell, len(self))

    def last_columns(self) -> np.ndarray:
        """Return the last known value of each column of each cell, 0 where it has none, shape (K, m)."""
        columns = [np.nan_to_num(_last(values, self.cell, len(self))) for values in self.x.T]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0))

    @property
    def columns_as_given(self) -> np.ndarray:
        """The columns with their means: what compares cells needs them, shape (rows, m)."""
        return self.x + self.column_centres[self.cell]


def _last(values: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    out = np.full(cells, np.nan)
    there = np.isfinite(values)
    out[cell[there]] = values[there]  # of equal places the last counts
    return out


def _columns(
    panel: Panel, terms: Terms, controls: Sequence[str], groups: np.ndarray, period: np.ndarray, log_price: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns that may have a slope that all cells share, by name."""
    columns: dict[str, np.ndarray] = {}
    cell = np.repeat(np.arange(panel.n_series), panel.lengths)
    if terms.lagged_price:
        columns[LAG] = lagged(panel, log_price)
    if terms.substitutes_price and (groups >= 0).any():
        columns[CROSS] = substitutes_price(groups, cell, period, log_price)
    if terms.pairs:
        columns |= _pair_columns(groups, cell, period, log_price)
    return columns | other_columns(panel, controls)


def _pair_columns(groups: np.ndarray, cell: np.ndarray, period: np.ndarray, log_price: np.ndarray) -> dict[str, np.ndarray]:
    """Return the price of each substitute of a row's cell by name, each of shape (rows,)."""
    prices = pair_prices(substitute_places(groups), cell, period, log_price, np.arange(len(cell)))
    return {f"{PAIR}{place + 1}": column for place, column in enumerate(prices.T)}


def _centres(x: np.ndarray, known: np.ndarray, cell: np.ndarray, as_they_are: Sequence[bool], cells: int) -> np.ndarray:
    """Return the means of columns by cell, 0 of those that stay as they are, shape (cells, m)."""
    out = np.zeros((cells, x.shape[1]))
    for place in np.flatnonzero(~np.array(as_they_are, bool)):
        there = known & np.isfinite(x[:, place])
        count = np.maximum(np.bincount(cell[there], minlength=cells), 1)
        out[:, place] = np.bincount(cell[there], x[there, place], cells) / count
    return out


def _stock_outs(panel: Panel) -> np.ndarray:
    name = panel.roles.one("stock_out")
    return np.zeros(len(panel.table), bool) if name is None else np.nan_to_num(panel.values(name)) > 0


def _telling(
    columns: dict[str, np.ndarray], log_price: np.ndarray, cell: np.ndarray, period: np.ndarray | None, known: np.ndarray
) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of columns that vary beside the price, others and effects, and of those that only seem to."""
    varying = _varying(columns, cell, known)
    x = np.column_stack([np.zeros((len(cell), 0)), *(columns[name] for name in varying)])
    rows = np.flatnonzero(known & np.isfinite(x).all(axis=1))
    if not varying or not len(rows):
        return varying, ()
    kept = independent(log_price[rows, None], x[rows], cell[rows], None if period is None else period[rows])
    names = np.array(varying)
    return names[kept].tolist(), tuple(names[~kept].tolist())


def _varying(columns: dict[str, np.ndarray], cell: np.ndarray, known: np.ndarray) -> list[str]:
    """Return the names of columns that vary within some cell."""
    chosen = []
    for name, values in columns.items():
        there = known & np.isfinite(values)
        if not there.any():
            continue
        count = np.maximum(np.bincount(cell[there], minlength=int(cell.max()) + 1), 1)
        mean = np.bincount(cell[there], values[there], int(cell.max()) + 1) / count
        if np.abs(values[there] - mean[cell[there]]).max() > 1e-9:
            chosen.append(name)
    return chosen

"""The design of a model of demand: columns, rows, and what prices identify in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import DataError, nearest
from hwds.core.serialization import Serializable
from hwds.elasticity.crossed import CellLayout, CrossedGroups
from hwds.elasticity.sweeping import Sweeper, group_means, number_groups, values_before
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME

# The columns of a model of demand beside the own price: lagged price, substitutes, promotion,
# competitors, controls.

LAG, CROSS = "lagged_price", "substitutes_price"
"""The names of the log price of the period before, and of the mean log price of a cell's
substitutes.
"""

PAIR = "substitute_"
"""The prefix of columns with the price of one substitute of each cell."""

MOST_PAIRS = 40
"""The most substitutes of a cell of which each has a slope of its own."""

MEASURED_ROLES = (
    "price",
    "list_price",
    "cost",
    "promotion",
    "stock_out",
    "competitor_price",
    "instrument",
)
"""Roles whose columns a model reads by their role; other known-future columns of numbers are
controls.
"""


@dataclass(frozen=True, slots=True)
class DemandTerms(Serializable):
    """The columns that a model takes beside the own price, and where the cells' names stand.

    Attributes:
        sku, channel, family: The static columns that name a cell's product, its channel and the
            product's family.
        lagged_price: Take the own price of the period before.
        substitutes_price: Take the mean price of the family's other products in the channel.
        by_period: Whether period effects are taken out, beside which a column that all cells share
            tells nothing.
        nests: The static column of nests, within which products are closer substitutes; empty for
            none.
        pairs: Take the price of each substitute by itself, too: of a design like another one, to
            predict.
    """

    sku: str = "sku"
    channel: str = "channel"
    family: str = "family"
    lagged_price: bool = True
    substitutes_price: bool = True
    by_period: bool = False
    nests: str = ""
    pairs: bool = False


def price_column(panel: Panel) -> str:
    """Return the column of the price.

    Raises:
        DataError: The panel has none, or a price that is not above 0, or units below 0.
    """
    name = panel.roles.one("price")
    if name is None:
        raise DataError(
            "dataset.roles.price: must be given: an elasticity relates units to a price."
        )
    _refuse(panel, name, panel.values(name) <= 0, "dataset.roles.price", "must be > 0")
    _refuse(panel, "target", panel.target < 0, "dataset.roles.target", "must be >= 0")
    return name


def _refuse(panel: Panel, name: str, bad: ndarray, path: str, rule: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        row = panel.table.row(int(rows[0]), named=True)
        raise DataError(
            f"{path}: series '{row[SERIES]}' has {row[name]:g} at {row['time']}; {rule}."
        )


def cell_names(panel: Panel, terms: DemandTerms) -> DataFrame:
    """Return `series_id`, `sku`, `channel` and `family` of every cell, in order, and `nest` where
    there are nests.

    A cell without a static column of products is a product of its own; without channels or families
    all have one.

    Raises:
        DataError: A name that is not the usual one is no static column.
    """
    first = panel.table[panel.offsets[:-1]]
    usual = DemandTerms()
    columns = {SERIES: first[SERIES]}
    for field in ("sku", "channel", "family"):
        name = getattr(terms, field)
        if name in panel.roles.constant:
            columns[field] = first[name].cast(pl.String).fill_null("")
        elif name != getattr(usual, field):
            raise DataError(
                f"model.{field}: no static column '{name}'{nearest(name, panel.roles.constant)}"
            )
        else:
            columns[field] = (
                first[SERIES]
                if field == "sku"
                else pl.repeat("", len(first), eager=True).alias(field)
            )
    if terms.nests:
        if terms.nests not in panel.roles.constant:
            raise DataError(
                f"model.nests: no static column "
                f"'{terms.nests}'{nearest(terms.nests, panel.roles.constant)}"
            )
        columns["nest"] = first[terms.nests].cast(pl.String).fill_null("")
    return DataFrame(columns)


def log_prices(panel: Panel, centres: ndarray | None, known: ndarray) -> tuple[ndarray, ndarray]:
    """Return log prices less their cell's mean, NaN where there is no price, and these means.

    Args:
        panel: With a price.
        centres: Means to take, shape (K,); None computes them.
        known: The rows that means are of, shape (rows,).
    """
    logs = np.log(panel.values(price_column(panel)))
    cell = panel.series_of_row
    if centres is None:
        there = known & np.isfinite(logs)
        centres = group_means(logs[there], cell[there], panel.n_series)
    return logs - centres[cell], centres


def substitutes(names: DataFrame) -> ndarray:
    """Return the group of each cell within which products are substitutes, -1 for a cell that is
    alone in it; shape (K,).
    """
    if names["family"].n_unique() == 1 and names["family"][0] == "":
        return np.full(len(names), -1)
    group = (
        names.select(pl.struct("family", "channel").rank("dense").cast(pl.Int64) - 1)
        .to_series()
        .to_numpy()
    )
    alone = np.bincount(group)[group] < 2
    return np.where(alone, -1, group)


def substitutes_price(
    group: ndarray, cell: ndarray, period: ndarray, log_price: ndarray
) -> ndarray:
    """Return the mean of the other cells' log prices in the group and period.

    0 where none was sold, shape (rows,).
    """
    there = np.isfinite(log_price) & (group[cell] >= 0)
    periods = int(period.max()) + 1
    place = np.where(there, group[cell] * periods + period, 0)
    total, count = np.bincount(place[there], log_price[there]), np.bincount(place[there])
    sums = np.where(there, np.append(total, 0.0)[place], 0.0) - np.where(there, log_price, 0.0)
    others = np.where(there, np.append(count, 0)[place] - 1, 0)
    return np.where(others > 0, sums / np.maximum(others, 1), 0.0)


def substitute_places(group: ndarray) -> ndarray:
    """Return the places of each cell's substitutes, shape (K, n), -1 beyond their number.

    Raises:
        DataError: A cell has more than `MOST_PAIRS`.
    """
    members = [np.flatnonzero(group == number) for number in range(int(group.max(initial=-1)) + 1)]
    most = max((len(cells) for cells in members), default=1) - 1
    if most > MOST_PAIRS:
        raise DataError(
            f"model.cross: pairs is for at most {MOST_PAIRS} substitutes of a cell, got {most}; "
            f"name smaller families."
        )
    places = np.full((len(group), most), -1)
    for cells in members:
        for cell in cells:
            places[cell, : len(cells) - 1] = cells[cells != cell]
    return places


def pair_prices(
    places: ndarray,
    cell: ndarray,
    period: ndarray,
    log_price: ndarray,
    which: ndarray,
) -> ndarray:
    """Return the log price of each substitute over the number on sale, 0 where it is not on sale,
    shape (rows asked, n).

    Their sum is the mean price of substitutes.

    Args:
        places: See `substitute_places`.
        cell: The cell of each row, shape (rows,).
        period: The period of each row, shape (rows,).
        log_price: Less its cell's mean, NaN without a price, shape (rows,).
        which: The rows that are asked.
    """
    known = np.full((len(places) + 1, int(period.max()) + 1), np.nan)
    known[cell, period] = log_price
    prices = known[places[cell[which]], period[which][:, None]]
    there = np.isfinite(prices)
    return np.where(there, prices, 0.0) / np.maximum(there.sum(axis=1, keepdims=True), 1)


def other_columns(panel: Panel, controls: Sequence[str]) -> dict[str, ndarray]:
    """Return promotion, the logs of competitors' prices and the controls by name, each of shape
    (rows,).
    """
    columns: dict[str, ndarray] = {}
    promotion = panel.roles.one("promotion")
    if promotion is not None:
        columns[promotion] = np.nan_to_num(panel.values(promotion))
    for name in panel.roles.get("competitor_price", ()):
        values = panel.values(name)
        columns[name] = np.log(np.where(values > 0, values, np.nan))
    measured = panel.roles.columns(MEASURED_ROLES)
    own = [name for name in panel.roles.known_future if name not in measured]
    columns |= {name: panel.values(name) for name in (*own, *controls) if name not in columns}
    return columns


def shifters(panel: Panel) -> dict[str, ndarray]:
    """Return the log of the cost and the instruments by name, NaN where unknown, each of shape
    (rows,).
    """
    cost, columns = panel.roles.one("cost"), {}
    if cost is not None:
        values = panel.values(cost)
        columns[cost] = np.log(np.where(values > 0, values, np.nan))
    return columns | {name: panel.values(name) for name in panel.roles.get("instrument", ())}


# Columns that tell nothing: they are a combination of others and of the effects that are taken
# out.

NOTHING_LEFT = 1e-10
"""The sum of squares beside effects and other columns, over that within the first effect, under
which nothing is left.
"""

ROUNDING = 1e-20
"""The sum of squares within effects, over that of the column as it is, under which it is only
rounding.
"""


def independent_columns(
    base: ndarray, columns: ndarray, effect: ndarray, period: ndarray | None
) -> ndarray:
    """Return which columns still vary once effects, a base and the columns before them are taken
    out, shape (k,).

    Args:
        base: Columns that are there anyway, shape (n, b).
        columns: Those that are asked, the first ones first, shape (n, k).
        effect: The effect of each row, that of its cell, shape (n,).
        period: Shape (n,); None for no period effects.
    """
    order = np.argsort(effect, kind="stable")
    code, both = number_groups(effect[order]), np.column_stack([base, columns])[order]
    ones, raw = np.ones(len(code)), np.sum(both**2, axis=0)
    within = np.sum(Sweeper.of(code, None).residuals(both, ones) ** 2, axis=0)
    swept = Sweeper.of(code, None if period is None else number_groups(period[order])).residuals(
        both, ones
    )
    kept, directions = np.zeros(both.shape[1], bool), np.zeros((len(code), 0))
    for place, column in enumerate(swept.T):
        rest = column - directions @ (directions.T @ column)
        size = float(rest @ rest)
        kept[place] = size > max(NOTHING_LEFT * within[place], ROUNDING * raw[place])
        if kept[place]:
            directions = np.column_stack([directions, rest / np.sqrt(size)])
    return kept[base.shape[1] :]


# Design: the rows of a panel as a model of demand reads them.


@dataclass(frozen=True, eq=False)
class DemandDesign(Serializable):
    """The rows of a panel as arrays, and which of them a model may learn from.

    Attributes:
        names: `series_id`, `sku`, `channel`, `family` of every cell.
        cell, period: The cell and the period of each row of the panel, shape (rows,).
        periods: How many there are.
        units: NaN where unknown, shape (rows,).
        log_price: Less its cell's mean, NaN without a price, shape (rows,).
        centres: The means of log prices, shape (K,).
        x: Columns with a slope that all cells share, shape (rows, m); a promotion as it is, others
            less their cell's mean, so that 0 stands for an unknown one.
        column_centres: The means of the columns, 0 of those that are prices less a mean or a
            promotion, shape (K, m).
        columns: Their names.
        left_out: Names of columns that are a combination of others and of effects.
        used: Rows to learn from: units, price and all columns known, and in stock, shape (rows,).
        out: Rows with a stock-out, shape (rows,).
        groups: The group within which each cell has substitutes, -1 for none, shape (K,).
        price: The price of each row, shape (rows,).
        season: Periods in a season.
        shifters: Instruments by name, NaN where unknown, each of shape (rows,).
        promotion: The place of the promotion among the columns; None where there is none.
    """

    names: DataFrame
    cell: ndarray
    period: ndarray
    periods: int
    units: ndarray
    log_price: ndarray
    centres: ndarray
    x: ndarray
    column_centres: ndarray
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    used: ndarray
    out: ndarray
    groups: ndarray
    price: ndarray
    promotion: int | None
    season: int
    shifters: Mapping[str, ndarray]

    @classmethod
    def of(
        cls,
        panel: Panel,
        terms: DemandTerms,
        controls: Sequence[str] = (),
        *,
        like: DemandDesign | None = None,
    ) -> DemandDesign:
        """Return the design of a panel.

        Args:
            panel: Prices and units by cell and period.
            terms: Which columns to take.
            controls: More columns of the panel.
            like: The design that a model was fitted to, whose columns and means are taken; None for
                a new one, whose constant columns are left out, as are those that are a combination
                of the price, others and effects.

        Raises:
            DataError: There is no price, one that is not above 0, units below 0, or no price that
                ever changes.
        """
        names, price = cell_names(panel, terms), panel.values(price_column(panel))
        cell = panel.series_of_row
        out = _stock_outs(panel)
        period = panel.table[TIME].rank("dense").cast(pl.Int64).to_numpy() - 1
        units = panel.target
        known = np.isfinite(units) & np.isfinite(price) & ~out
        log_price, centres = log_prices(panel, None if like is None else like.centres, known)
        groups = substitutes(names)
        columns = _columns(
            panel,
            replace(terms, pairs=terms.pairs and like is not None),
            controls,
            groups,
            period,
            log_price,
        )
        if like is None:
            effect = period if terms.by_period else None
            chosen, left_out = _informative_columns(columns, log_price, cell, effect, known)
        else:
            chosen, left_out = list(like.columns), ()
        promotion = panel.roles.one("promotion") or ""
        x = (
            np.column_stack([columns[name] for name in chosen])
            if chosen
            else np.zeros((len(cell), 0))
        )
        as_they_are = [name in (LAG, CROSS, promotion) or name.startswith(PAIR) for name in chosen]
        column_centres = (
            _centres(x, known, cell, as_they_are, len(names))
            if like is None
            else like.column_centres
        )
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

    def with_pairs(self) -> DemandDesign:
        """Return the design with a column for the price of each substitute of a cell, behind the
        others.
        """
        columns = _pair_columns(self.groups, self.cell, self.period, self.log_price)
        x = np.column_stack([self.x, *columns.values()])
        centres = np.column_stack([self.column_centres, np.zeros((len(self), len(columns)))])
        return replace(self, x=x, column_centres=centres, columns=(*self.columns, *columns))

    def lay_out_substitutes(self) -> ndarray:
        """Return the columns of `with_pairs` of the rows to learn from, laid out as cells by
        periods, shape (n, K, T).
        """
        places, rows = substitute_places(self.groups), np.flatnonzero(self.used)
        laid = np.zeros((places.shape[1], len(self), self.periods))
        laid[:, self.cell[rows], self.period[rows]] = pair_prices(
            places, self.cell, self.period, self.log_price, rows
        ).T
        return laid

    def _check(self) -> None:
        spread = np.abs(np.where(self.used, self.log_price, 0.0))
        if not self.used.any():
            raise DataError("dataset: no row has units, a price and all columns of the model.")
        if float(spread.max()) < 1e-9:
            raise DataError(
                "dataset.roles.price: no cell's price ever changes, so that nothing can be said "
                "of elasticities."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> ndarray:
        """Rows to learn from by cell, shape (K,)."""
        return np.bincount(self.cell, self.used, len(self)).astype(np.int64)

    def codes(self, name: str) -> ndarray:
        """Return the number of each cell's product, channel or family, of `all` 0, shape (K,)."""
        if name == "all":
            return np.zeros(len(self), np.int64)
        return self.names[name].rank("dense").cast(pl.Int64).to_numpy() - 1

    @property
    def crossed(self) -> CrossedGroups:
        """The groups that slopes are shrunk to."""
        return CrossedGroups.of([(name, self.codes(name)) for name in ("family", "sku", "channel")])

    def layout(self, *, by_period: bool, own: int | None = None) -> CellLayout:
        """Return the rows to learn from, laid out as cells by periods.

        `own` is the column whose slope deviates by cell.
        """
        rows = self.used
        shape = (len(self), self.periods)
        parts = (
            self.units[rows],
            self.log_price[rows],
            self.x[rows],
            self.cell[rows],
            self.period[rows],
        )
        return CellLayout.of(*parts, shape, by_period=by_period, own=own)

    def instruments(self, effect: ndarray | None = None, *, by_period: bool = False) -> ndarray:
        """Return the instruments that vary within effects, shape (rows, z), their mean of the cell
        where one is unknown.

        One that is a combination of others, of the columns and of effects is left out.

        Args:
            effect: The effect of each row that is swept out; None for that of cells.
            by_period: Whether period effects are swept out, too.

        Raises:
            DataError: There is none.
        """
        effect = self.cell if effect is None else effect
        chosen = _varying_columns(dict(self.shifters), effect, self.used)
        columns = [np.zeros((len(self.cell), 0))]
        for name in chosen:
            values = self.shifters[name]
            there = np.isfinite(values)
            mean = group_means(values[there], self.cell[there], len(self))
            columns.append(np.where(there, values, mean[self.cell]))
        known, used = np.column_stack(columns), self.used
        if chosen:
            period = self.period[used] if by_period else None
            known = known[
                :,
                independent_columns(self.columns_as_given[used], known[used], effect[used], period),
            ]
        if not known.shape[1]:
            raise DataError(
                "dataset.roles: cost or instrument must be given for a model with instruments, "
                "and vary within cells"
                " beside the model's columns and effects."
            )
        return known

    def clusters(self, level: str) -> ndarray:
        """Return the cluster of each row, shape (rows,).

        Args:
            level: `period`, `sku_period` (a product in a period), `sku`, `channel` or `cell`.
        """
        if level in ("cell", "period"):
            return self.cell if level == "cell" else self.period
        if level == "sku_period":
            return self.codes("sku")[self.cell] * self.periods + self.period
        return self.codes(level)[self.cell]

    def last_known(self, values: ndarray) -> ndarray:
        """Return the last known of the rows' values in each cell, NaN where it has none, shape
        (K,).
        """
        out = np.full(len(self), np.nan)
        there = np.isfinite(values)
        out[self.cell[there]] = values[there]  # of equal places the last counts
        return out

    def last_prices(self) -> ndarray:
        """Return the last known price of each cell, NaN where it has none, shape (K,)."""
        return self.last_known(self.price)

    def last_columns(self) -> ndarray:
        """Return the last known value of each column of each cell, 0 where it has none, shape (K,
        m).
        """
        columns = [np.nan_to_num(self.last_known(values)) for values in self.x.T]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0))

    @property
    def columns_as_given(self) -> ndarray:
        """The columns with their means: what compares cells needs them, shape (rows, m)."""
        return self.x + self.column_centres[self.cell]


def _columns(
    panel: Panel,
    terms: DemandTerms,
    controls: Sequence[str],
    groups: ndarray,
    period: ndarray,
    log_price: ndarray,
) -> dict[str, ndarray]:
    """Return the columns that may have a slope that all cells share, by name."""
    columns: dict[str, ndarray] = {}
    cell = panel.series_of_row
    if terms.lagged_price:
        columns[LAG] = values_before(log_price, cell)
    if terms.substitutes_price and (groups >= 0).any():
        columns[CROSS] = substitutes_price(groups, cell, period, log_price)
    if terms.pairs:
        columns |= _pair_columns(groups, cell, period, log_price)
    return columns | other_columns(panel, controls)


def _pair_columns(
    groups: ndarray, cell: ndarray, period: ndarray, log_price: ndarray
) -> dict[str, ndarray]:
    """Return the price of each substitute of a row's cell by name, each of shape (rows,)."""
    prices = pair_prices(substitute_places(groups), cell, period, log_price, np.arange(len(cell)))
    return {f"{PAIR}{place + 1}": column for place, column in enumerate(prices.T)}


def _centres(
    x: ndarray, known: ndarray, cell: ndarray, as_they_are: Sequence[bool], cells: int
) -> ndarray:
    """Return the means of columns by cell, 0 of those that stay as they are, shape (cells, m)."""
    out = np.zeros((cells, x.shape[1]))
    for place in np.flatnonzero(~np.array(as_they_are, bool)):
        there = known & np.isfinite(x[:, place])
        out[:, place] = group_means(x[there, place], cell[there], cells)
    return out


def _stock_outs(panel: Panel) -> ndarray:
    name = panel.roles.one("stock_out")
    return (
        np.zeros(len(panel.table), bool) if name is None else np.nan_to_num(panel.values(name)) > 0
    )


def _informative_columns(
    columns: dict[str, ndarray],
    log_price: ndarray,
    cell: ndarray,
    period: ndarray | None,
    known: ndarray,
) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of columns that vary beside the price, others and effects, and of those that
    only seem to.
    """
    varying = _varying_columns(columns, cell, known)
    x = np.column_stack([np.zeros((len(cell), 0)), *(columns[name] for name in varying)])
    rows = np.flatnonzero(known & np.isfinite(x).all(axis=1))
    if not varying or not len(rows):
        return varying, ()
    kept = independent_columns(
        log_price[rows, None], x[rows], cell[rows], None if period is None else period[rows]
    )
    names = np.array(varying)
    return names[kept].tolist(), tuple(names[~kept].tolist())


def _varying_columns(columns: dict[str, ndarray], cell: ndarray, known: ndarray) -> list[str]:
    """Return the names of columns that vary within some cell."""
    chosen = []
    for name, values in columns.items():
        there = known & np.isfinite(values)
        if not there.any():
            continue
        mean = group_means(values[there], cell[there], int(cell.max()) + 1)
        if np.abs(values[there] - mean[cell[there]]).max() > 1e-9:
            chosen.append(name)
    return chosen


# Identification: how much the prices of each cell say about its elasticity, before anything is
# estimated.

LEAST_CHANGE = 0.005
"""The least change of a log price that counts as one."""

FEW_CHANGES, LITTLE_VARIATION = 3, 0.01
"""The number of price changes, and the standard deviation of the log price net of effects, under
which a cell is weak.
"""

WEAK_ERROR = 1.0
"""The expected standard error of a cell's own estimate above which it is weak."""

NO_ROW = "no row has units, a price and all columns of the model"
"""Why a cell without a row to learn from has no answer."""

LEAST_NOISE = 0.01
"""The least variance of log demand beside that of few units."""

SUSPECT_P_VALUE = 0.001
"""The p-value of the correlation of today's demand with the next price under which prices may
answer demand.
"""


def identify(design: DemandDesign, *, by_period: bool) -> DataFrame:
    """Return one row a cell of what its prices can say.

    Columns: `series_id`; `rows` to learn from; `units` (mean a period); `price_changes`;
    `distinct_prices`; `sd_price` (of the log price) and `sd_net` (net of cell and period effects
    and of the model's other columns); `common` (the share of the log price's variance that goes
    when period effects are taken out); `lead` (correlation of today's demand with the next price
    beyond today's: prices that answer demand) and `lead_p` its p-value; `lag` (correlation of the
    price before, beyond today's, with today's demand); `stock_outs` (share of rows);
    `expected_stderr` (of its own estimate); `status`; `reason`.

    Args:
        design: The rows.
        by_period: Whether the model takes period effects out.
    """
    net, common = _net_prices(design, by_period=by_period)
    rows = design.rows
    mean_units = _cell_means(design.units, design)
    squares = np.bincount(design.cell[design.used], net**2, len(design))
    demand = _demand_beyond_units(design)
    weight = mean_units / (1 + _demand_noise(design, demand, mean_units) * mean_units)
    expected = 1 / np.sqrt(np.maximum(weight * squares, 1e-12))
    changes, distinct = _price_changes(design)
    lead, lead_p = _lead_correlation(design, demand)
    total = np.maximum(np.bincount(design.cell, minlength=len(design)), 1)
    table = DataFrame(
        {
            "series_id": design.names["series_id"],
            "rows": rows,
            "units": mean_units,
            "price_changes": changes,
            "distinct_prices": distinct,
            "sd_price": np.sqrt(_cell_means(design.log_price**2, design)),
            "sd_net": np.sqrt(squares / np.maximum(rows, 1)),
            "common": common,
            "lead": lead,
            "lead_p": lead_p,
            "lag": _lag_correlation(design, demand),
            "stock_outs": np.bincount(design.cell, design.out, len(design)) / total,
            "expected_stderr": np.minimum(expected, 1e6),
        }
    )
    judged = [_status_and_reason(row) for row in table.to_dicts()]
    return table.with_columns(
        Series("status", [status for status, _ in judged], pl.String),
        Series("reason", [reason for _, reason in judged], pl.String),
    )


def _status_and_reason(row: dict[str, float]) -> tuple[str, str]:
    """Return the status of a cell and why: the first that applies."""
    lead = f"(correlation {row['lead']:.2f}, p {row['lead_p']:.1g})"
    net = "its price moves with that of all cells and the model's columns alone"
    tests = (
        (
            row["rows"] == 0,
            "no_variation",
            NO_ROW,
        ),
        (row["units"] == 0, "no_variation", f"nothing was sold in {row['rows']:.0f} periods"),
        (row["distinct_prices"] < 2, "no_variation", "it had one price"),
        (row["sd_net"] < 1e-4, "no_variation", net),
        (
            row["lead_p"] < SUSPECT_P_VALUE,
            "endogenous?",
            f"its next price follows its demand {lead}",
        ),
        (row["price_changes"] < FEW_CHANGES, "weak", f"{row['price_changes']:.0f} price changes"),
        (
            row["sd_net"] < LITTLE_VARIATION,
            "weak",
            f"its log price has a standard deviation of {row['sd_net']:.3f} net of effects",
        ),
        (
            row["expected_stderr"] > WEAK_ERROR,
            "weak",
            f"its own data would give a standard error of {row['expected_stderr']:.1f}",
        ),
    )
    return next(
        ((status, reason) for applies, status, reason in tests if applies), ("identified", "")
    )


def _net_prices(design: DemandDesign, *, by_period: bool) -> tuple[ndarray, ndarray]:
    """Return log prices of used rows net of effects and the other columns, and the common share of
    their variance by cell.
    """
    used = design.used
    cell = number_groups(design.cell[used])
    period = number_groups(design.period[used])
    ones = np.ones(int(used.sum()))
    columns = np.column_stack([design.log_price[used], design.x[used]])
    within = Sweeper.of(cell, None).residuals(columns, ones)
    both = Sweeper.of(cell, period).residuals(columns, ones)
    chosen = both if by_period else within
    slopes = np.linalg.lstsq(chosen[:, 1:], chosen[:, 0], rcond=None)[0]
    net = chosen[:, 0] - chosen[:, 1:] @ slopes
    total = np.bincount(design.cell[used], within[:, 0] ** 2, len(design))
    rest = np.bincount(design.cell[used], both[:, 0] ** 2, len(design))
    return net, np.clip(1 - rest / np.where(total > 0, total, np.inf), 0.0, 1.0)


def _cell_means(values: ndarray, design: DemandDesign) -> ndarray:
    return group_means(values[design.used], design.cell[design.used], len(design))


def _price_changes(design: DemandDesign) -> tuple[ndarray, ndarray]:
    change = design.log_price - values_before(design.log_price, design.cell)
    moved = np.abs(np.nan_to_num(change)) > LEAST_CHANGE
    changes = np.bincount(design.cell, moved, len(design)).astype(np.int64)
    known = design.used
    steps = np.round(design.log_price[known] / LEAST_CHANGE).astype(np.int64)
    pairs = np.unique(np.column_stack([design.cell[known], steps]), axis=0)
    return changes, np.bincount(pairs[:, 0], minlength=len(design))


def _demand_noise(design: DemandDesign, demand: ndarray, mean_units: ndarray) -> float:
    """Return the variance of log demand beside the 1 / mean of few units, of all cells."""
    rows = design.used & (mean_units[design.cell] > 0)
    if not rows.any():
        return LEAST_NOISE
    few = float(np.mean(1 / (mean_units[design.cell[rows]] + 0.5)))
    return max(float(np.mean(demand[rows] ** 2)) - few, LEAST_NOISE)


def _demand_beyond_units(design: DemandDesign) -> ndarray:
    """Return log(units + 1/2) net of effects, columns and each cell's own slope of price.

    NaN where not used.
    """
    used = design.used
    cell = number_groups(design.cell[used])
    period = number_groups(design.period[used])
    columns = np.column_stack(
        [np.log(design.units[used] + 0.5), design.log_price[used], design.x[used]]
    )
    swept = Sweeper.of(cell, period).residuals(columns, np.ones(len(cell)))
    slopes = np.linalg.lstsq(swept[:, 1:], swept[:, 0], rcond=None)[0]
    rest, price = swept[:, 0] - swept[:, 1:] @ slopes, swept[:, 1]
    squares = np.bincount(cell, price**2)
    own = np.bincount(cell, rest * price) / np.where(squares > 0, squares, np.inf)
    out = np.full(len(used), np.nan)
    out[used] = rest - own[cell] * price
    return out


def _lead_correlation(design: DemandDesign, demand: ndarray) -> tuple[ndarray, ndarray]:
    """Return the correlation of today's demand with the next price beyond today's by cell, and its
    p-value.

    The p-value is 1 for fewer than 8 rows.
    """
    from scipy.special import stdtr

    following = values_before(design.log_price[::-1], design.cell[::-1])[::-1]
    correlation, count = _correlations(design, demand, _beyond_price(design, following))
    free = np.maximum(count - 3, 1)
    t = correlation * np.sqrt(free / np.maximum(1 - correlation**2, 1e-12))
    return correlation, np.where(count >= 8, 2 * stdtr(free, -np.abs(t)), 1.0)


def _lag_correlation(design: DemandDesign, demand: ndarray) -> ndarray:
    """Return the correlation of the price before, beyond today's, with today's demand, by cell."""
    before = values_before(design.log_price, design.cell)
    return _correlations(design, demand, _beyond_price(design, before))[0]


def _beyond_price(design: DemandDesign, values: ndarray) -> ndarray:
    """Return values less their regression on today's price within each cell, NaN where either is
    unknown.
    """
    there = np.isfinite(values) & np.isfinite(design.log_price)
    cell = design.cell[there]
    centred = [
        each[there] - group_means(each[there], cell, len(design))[cell]
        for each in (values, design.log_price)
    ]
    squares = np.bincount(cell, centred[1] ** 2, len(design))
    products = np.bincount(cell, centred[0] * centred[1], len(design))
    slope = products / np.where(squares > 0, squares, np.inf)
    out = np.full(len(values), np.nan)
    out[there] = centred[0] - slope[cell] * centred[1]
    return out


def _correlations(design: DemandDesign, first: ndarray, second: ndarray) -> tuple[ndarray, ndarray]:
    """Return the correlation of two columns within each cell, 0 where one is constant, and the rows
    it is of.
    """
    there = np.isfinite(first) & np.isfinite(second)
    cell, cells = design.cell[there], len(design)
    parts = [each[there] - group_means(each[there], cell, cells)[cell] for each in (first, second)]
    sums = [
        np.bincount(cell, a * b, cells)
        for a, b in ((parts[0], parts[1]), (parts[0], parts[0]), (parts[1], parts[1]))
    ]
    bottom = np.sqrt(sums[1] * sums[2])
    return np.where(bottom > 1e-12, sums[0] / np.maximum(bottom, 1e-300), 0.0), np.bincount(
        cell, minlength=cells
    )

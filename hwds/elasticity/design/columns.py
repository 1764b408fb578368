"""The columns of a model of demand beside the own price: lagged price, substitutes, promotion, competitors, controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.errors import DataError, nearest
from hwds.core.serialization import Serializable
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES

LAG, CROSS = "lagged_price", "substitutes_price"
"""The names of the log price of the period before, and of the mean log price of a cell's substitutes."""

PAIR = "substitute_"
"""The prefix of columns with the price of one substitute of each cell."""

MOST_PAIRS = 40
"""The most substitutes of a cell of which each has a slope of its own."""

MEASURED = ("price", "list_price", "cost", "promotion", "stock_out", "competitor_price", "instrument")
"""Roles whose columns a model reads by their role; other known-future columns of numbers are controls."""


@dataclass(frozen=True, slots=True)
class Terms(Serializable):
    """The columns that a model takes beside the own price, and where the cells' names stand.

    Attributes:
        sku, channel, family: The static columns that name a cell's product, its channel and the product's family.
        lagged_price: Take the own price of the period before.
        substitutes_price: Take the mean price of the family's other products in the channel.
        by_period: Whether period effects are taken out, beside which a column that all cells share tells nothing.
        nests: The static column of nests, within which products are closer substitutes; empty for none.
        pairs: Take the price of each substitute by itself, too: of a design like another one, to predict.
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
        raise DataError("dataset.roles.price: must be given, for an elasticity is that of units to a price.")
    _refuse(panel, name, panel.values(name) <= 0, "dataset.roles.price", "must be > 0")
    _refuse(panel, "target", panel.target < 0, "dataset.roles.target", "must be >= 0")
    return name


def _refuse(panel: Panel, name: str, bad: np.ndarray, path: str, rule: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        row = panel.table.row(int(rows[0]), named=True)
        raise DataError(f"{path}: series '{row[SERIES]}' has {row[name]:g} at {row['time']}; {rule}.")


def names_of(panel: Panel, terms: Terms) -> pl.DataFrame:
    """Return `series_id`, `sku`, `channel` and `family` of every cell, in order, and `nest` where there are nests.

    A cell without a static column of products is a product of its own; without channels or families all have one.

    Raises:
        DataError: A name that is not the usual one is no static column.
    """
    first = panel.table[panel.offsets[:-1]]
    usual = Terms()
    columns = {SERIES: first[SERIES]}
    for field in ("sku", "channel", "family"):
        name = getattr(terms, field)
        if name in panel.roles.constant:
            columns[field] = first[name].cast(pl.String).fill_null("")
        elif name != getattr(usual, field):
            raise DataError(f"model.{field}: no static column '{name}'{nearest(name, panel.roles.constant)}")
        else:
            columns[field] = first[SERIES] if field == "sku" else pl.repeat("", len(first), eager=True).alias(field)
    if terms.nests:
        if terms.nests not in panel.roles.constant:
            raise DataError(f"model.nests: no static column '{terms.nests}'{nearest(terms.nests, panel.roles.constant)}")
        columns["nest"] = first[terms.nests].cast(pl.String).fill_null("")
    return pl.DataFrame(columns)


def log_prices(panel: Panel, centres: np.ndarray | None, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log prices less their cell's mean, NaN where there is no price, and these means.

    Args:
        panel: With a price.
        centres: Means to take, shape (K,); None computes them.
        known: The rows that means are of, shape (rows,).
    """
    logs = np.log(panel.values(price_column(panel)))
    cell = np.repeat(np.arange(panel.n_series), panel.lengths)
    if centres is None:
        there = known & np.isfinite(logs)
        count = np.bincount(cell, there, panel.n_series)
        total = np.bincount(cell, np.where(there, logs, 0.0), panel.n_series)
        centres = np.where(count > 0, total / np.maximum(count, 1), 0.0)
    return logs - centres[cell], centres


def lagged(panel: Panel, values: np.ndarray) -> np.ndarray:
    """Return each row's value of the row before in its series, NaN for the first."""
    before = np.concatenate([[np.nan], values[:-1]])
    before[panel.offsets[:-1]] = np.nan
    return before


def substitutes(names: pl.DataFrame) -> np.ndarray:
    """Return the group of each cell within which products are substitutes, -1 for a cell that is alone in it; shape (K,)."""
    if names["family"].n_unique() == 1 and names["family"][0] == "":
        return np.full(len(names), -1)
    group = names.select(pl.struct("family", "channel").rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    alone = np.bincount(group)[group] < 2
    return np.where(alone, -1, group)


def substitutes_price(group: np.ndarray, cell: np.ndarray, period: np.ndarray, log_price: np.ndarray) -> np.ndarray:
    """Return the mean of the other cells' log prices in the group and period; 0 where none was sold, shape (rows,)."""
    there = np.isfinite(log_price) & (group[cell] >= 0)
    periods = int(period.max()) + 1
    place = np.where(there, group[cell] * periods + period, 0)
    total, count = np.bincount(place[there], log_price[there]), np.bincount(place[there])
    sums = np.where(there, np.append(total, 0.0)[place], 0.0) - np.where(there, log_price, 0.0)
    others = np.where(there, np.append(count, 0)[place] - 1, 0)
    return np.where(others > 0, sums / np.maximum(others, 1), 0.0)


def substitute_places(group: np.ndarray) -> np.ndarray:
    """Return the places of each cell's substitutes, shape (K, n), -1 beyond their number.

    Raises:
        DataError: A cell has more than `MOST_PAIRS`.
    """
    members = [np.flatnonzero(group == number) for number in range(int(group.max(initial=-1)) + 1)]
    most = max((len(cells) for cells in members), default=1) - 1
    if most > MOST_PAIRS:
        raise DataError(
            f"model.cross: pairs is for at most {MOST_PAIRS} substitutes of a cell, got {most}; name smaller families."
        )
    places = np.full((len(group), most), -1)
    for cells in members:
        for cell in cells:
            places[cell, : len(cells) - 1] = cells[cells != cell]
    return places


def pair_prices(
    places: np.ndarray, cell: np.ndarray, period: np.ndarray, log_price: np.ndarray, which: np.ndarray
) -> np.ndarray:
    """Return the log price of each substitute over the number on sale, 0 where it is not on sale, shape (rows asked, n).

    Their sum is the mean price of substitutes.

    Args:
        places: See `substitute_places`.
        cell: Of each row, shape (rows,).
        period: Of each row, shape (rows,).
        log_price: Less its cell's mean, NaN without a price, shape (rows,).
        which: The rows that are asked.
    """
    known = np.full((len(places) + 1, int(period.max()) + 1), np.nan)
    known[cell, period] = log_price
    prices = known[places[cell[which]], period[which][:, None]]
    there = np.isfinite(prices)
    return np.where(there, prices, 0.0) / np.maximum(there.sum(axis=1, keepdims=True), 1)


def other_columns(panel: Panel, controls: Sequence[str]) -> dict[str, np.ndarray]:
    """Return promotion, the logs of competitors' prices and the controls by name, each of shape (rows,)."""
    columns: dict[str, np.ndarray] = {}
    promotion = panel.roles.one("promotion")
    if promotion is not None:
        columns[promotion] = np.nan_to_num(panel.values(promotion))
    for name in panel.roles.get("competitor_price", ()):
        values = panel.values(name)
        columns[name] = np.log(np.where(values > 0, values, np.nan))
    measured = panel.roles.columns(MEASURED)
    own = [name for name in panel.roles.known_future if name not in measured]
    columns |= {name: panel.values(name) for name in (*own, *controls) if name not in columns}
    return columns


def shifters(panel: Panel) -> dict[str, np.ndarray]:
    """Return the log of the cost and the instruments by name, NaN where unknown, each of shape (rows,)."""
    cost, columns = panel.roles.one("cost"), {}
    if cost is not None:
        values = panel.values(cost)
        columns[cost] = np.log(np.where(values > 0, values, np.nan))
    return columns | {name: panel.values(name) for name in panel.roles.get("instrument", ())}

"""Arbitrage: what a row would earn if it were resold elsewhere."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.detection.kernels.past import MarketCells, fill_best_elsewhere
from hwds.detection.reselling import NUMBERS, Reselling
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    Instants,
    Live,
    PastItems,
    RowEvent,
    Value,
    as_float,
    codes_of,
    column_floats,
    drop_past,
    floats_of,
    instants_of,
    known_float,
    require_known_columns,
)
from hwds.frames.table import Table

# Arbitrage as events arrive: the last price of each market.

COLUMNS = (
    "spread",
    "spread_share",
    "loss_at_stake",
    "best_pair_spread",
    "best_pair_share",
    "price_rank",
    "markets_seen",
)

Market = tuple[Any, Any]
"""A channel and its region."""


class LiveArbitrage(Live):
    """The columns of `Arbitrage`.

    Args:
        recipe: The costs of reselling, and the columns of prices.
    """

    columns = floats_of(COLUMNS)
    changing = ("_prices",)
    since_ever = ()

    def __init__(self, recipe: Reselling) -> None:
        self._cost: Any = recipe.cost  # which a number will do for as well
        self._recipe, self._memory = recipe, recipe.seen_days * DAY_MICROSECONDS
        self._prices: defaultdict[Any, dict[Market, PastItems]] = defaultdict(dict)
        self.reach = self._memory

    def forget(self, oldest: int, place: int) -> None:
        """Drop the prices that were seen before."""
        for sku in list(self._prices):
            drop_past(self._prices[sku], oldest)
            if not self._prices[sku]:
                del self._prices[sku]

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the spread to the street, and to other markets as last seen."""
        recipe, values = self._recipe, event.values
        paid = as_float(values.get(recipe.unit_price))
        street = as_float(values.get(recipe.street_price))
        near, far = (self._cost(paid, abroad=abroad) for abroad in (False, True))
        spread, gap = street - far, street - paid
        best, rank, seen = self._elsewhere(event, paid, near, far)
        stake = (0.0 if gap < 0 else gap) * as_float(values.get(recipe.quantity))
        features = (spread, _ratio(spread, paid), stake, best, _ratio(best, paid), rank, seen)
        return [known_float(each) for each in features]

    def _elsewhere(
        self, event: RowEvent, paid: float, near: float, far: float
    ) -> tuple[float, float, float]:
        """Return the best spread to another market, the rank of the price, and the markets seen.

        The price is kept.
        """
        recipe, values = self._recipe, event.values
        sku, channel = values.get(recipe.sku), values.get(recipe.channel)
        if sku is None or channel is None or math.isnan(paid):
            return math.nan, math.nan, math.nan
        region = values.get(recipe.region) if recipe.region is not None else None
        best, rank, seen = math.nan, 1.0, 1.0
        home, markets, time = (channel, region), self._prices[sku], event.time
        for market, prices in markets.items():
            last = prices.upto(time) - 1 if market != home else -1
            if last < 0 or prices.times[last] <= time - self._memory:
                continue
            price = prices.items[last]
            spread = price - (near if market[1] == region else far)
            if not best >= spread:  # which a first one, beside no number, is not
                best = spread
            rank += price < paid
            seen += 1.0
        if home not in markets:
            markets[home] = PastItems()
        markets[home].put(time, paid)
        return best, rank, seen


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


# Arbitrage: what a row would earn if it were resold elsewhere.


class Arbitrage(Reselling, RowFeatures):
    """The margin of a unit if it were resold: on the street, or at the best price seen in another
    channel or region.

    To resell costs freight, and duty and a premium for the risk as shares of the price paid: a
    `spread` is the price there less the price paid and these. A market is a channel in a region;
    within one region no duty is paid. The price of another market is the last one seen there for
    the SKU, among rows that count for this row and are less than `seen_days` old.

    Columns: `spread` to the street price, with duty, and `spread_share` of the price paid;
    `loss_at_stake`, the gap between street price and price paid times the quantity, where it is
    positive (what we lose: the reseller's costs do not lessen it); `best_pair_spread` and
    `best_pair_share`, the largest spread to another market (null where none was seen);
    `price_rank`, 1 where no other market's price is lower; `markets_seen`, this one included.
    """

    def check(self, table: Table) -> None:
        """Refuse a table without a column that is named, or with one that holds no numbers."""
        self.check_columns(table, "features")
        for field in ("sku", "channel", *NUMBERS):
            require_known_columns(table, field, [getattr(self, field)])

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveArbitrage(self)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the seven columns.

        Raises:
            DataError: A row has no time.
        """
        self.check(table)
        moments = instants_of(table)
        paid = column_floats(table, self.unit_price)
        street = column_floats(table, self.street_price)
        best, rank, seen = self._elsewhere(table, moments, paid)
        spread = street - self.cost(paid, abroad=True)
        stake = np.maximum(street - paid, 0) * column_floats(table, self.quantity)
        columns = (spread, _ratios(spread, paid), stake, best, _ratios(best, paid), rank, seen)
        return pl.DataFrame(
            {
                name: pl.Series(values, nan_to_null=True)
                for name, values in zip(COLUMNS, columns, strict=True)
            }
        )

    def _elsewhere(
        self, table: Table, moments: Instants, paid: ndarray
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Return the best spread to another market, the rank of the price, and the markets seen."""
        sku, channel = codes_of(table.data[self.sku]), codes_of(table.data[self.channel])
        region = (
            codes_of(table.data[self.region])
            if self.region is not None
            else np.zeros(len(paid), np.int64)
        )
        there = np.flatnonzero((sku >= 0) & (channel >= 0) & ~np.isnan(paid))
        best, rank, seen = np.full((3, len(paid)), np.nan)
        cells = _cells(moments, there, sku, channel, region)
        costs = self.cost(paid, abroad=False), self.cost(paid, abroad=True)
        links = np.arange(len(there) + 1)
        compiled(fill_best_elsewhere)(
            moments.order,
            moments.time,
            paid,
            *costs,
            cells,
            self.seen_days * DAY_MICROSECONDS,
            links,
            best,
            rank,
            seen,
        )
        return best, rank, seen


def _ratios(above: ndarray, below: ndarray) -> ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _cells(
    moments: Instants, there: ndarray, sku: ndarray, channel: ndarray, region: ndarray
) -> MarketCells:
    """Return the rows `there` by SKU, market and time."""
    market = channel * (region.max(initial=-1) + 2) + region + 1
    keys, inverse = np.unique(
        sku[there] * (market.max(initial=0) + 1) + market[there], return_inverse=True
    )
    first = np.lexsort((moments.place[there], moments.time[there], inverse))
    rows = there[first]
    starts = np.searchsorted(inverse[first], np.arange(len(keys) + 1))
    heads = rows[starts[:-1]]
    cell, slot = np.full(len(sku), -1), np.full(len(sku), -1)
    cell[there], slot[rows] = inverse, np.arange(len(rows))
    skus = np.searchsorted(sku[heads], np.arange(int(sku.max(initial=-1)) + 2))
    return MarketCells(
        rows=rows,
        times=moments.time[rows],
        starts=starts,
        skus=skus,
        sku=sku,
        region=region,
        cell=cell,
        slot=slot,
    )

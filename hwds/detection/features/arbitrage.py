"""Arbitrage: what a row would earn if it were resold elsewhere."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.numba_cache import compiled
from hwds.detection.features.kernels.arbitrage import MarketCells, best_elsewhere
from hwds.detection.features.live.arbitrage import COLUMNS, LiveArbitrage
from hwds.detection.metrics.reselling import NUMBERS, Reselling
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import DAY, codes_of, must_have, numbers_of
from hwds.features.rows.live import Live
from hwds.features.rows.moments import Moments, moments_of
from hwds.frames.table import Table


class Arbitrage(Reselling, RowFeatures):
    """The margin of a unit if it were resold: on the street, or at the best price seen in another channel or region.

    To resell costs freight, and duty and a premium for the risk as shares of the price paid: a `spread` is the price there less
    the price paid and these. A market is a channel in a region; within one region no duty is paid. The price of another market
    is the last one seen there for the SKU, among rows that count for this row and are less than `seen_days` old.

    Columns: `spread` to the street price, with duty, and `spread_share` of the price paid; `loss_at_stake`, the gap between
    street price and price paid times the quantity, where it is positive (what we lose: the reseller's costs do not lessen it);
    `best_pair_spread` and `best_pair_share`, the largest spread to another market (null where none was seen); `price_rank`, 1
    where no other market's price is lower; `markets_seen`, this one included.
    """

    def check(self, table: Table) -> None:
        """Refuse a table without a column that is named, or with one that holds no numbers."""
        self.check_columns(table, "features")
        for field in ("sku", "channel", *NUMBERS):
            must_have(table, field, [getattr(self, field)])

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
        moments = moments_of(table)
        paid, street = numbers_of(table, self.unit_price), numbers_of(table, self.street_price)
        best, rank, seen = self._elsewhere(table, moments, paid)
        spread = street - self.cost(paid, abroad=True)
        stake = np.maximum(street - paid, 0) * numbers_of(table, self.quantity)
        columns = (spread, _of(spread, paid), stake, best, _of(best, paid), rank, seen)
        return pl.DataFrame({name: pl.Series(values, nan_to_null=True) for name, values in zip(COLUMNS, columns, strict=True)})

    def _elsewhere(self, table: Table, moments: Moments, paid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the best spread to another market, the rank of the price, and the markets seen."""
        sku, channel = codes_of(table.data[self.sku]), codes_of(table.data[self.channel])
        region = codes_of(table.data[self.region]) if self.region is not None else np.zeros(len(paid), np.int64)
        there = np.flatnonzero((sku >= 0) & (channel >= 0) & ~np.isnan(paid))
        best, rank, seen = np.full((3, len(paid)), np.nan)
        cells = _cells(moments, there, sku, channel, region)
        costs = self.cost(paid, abroad=False), self.cost(paid, abroad=True)
        links = np.arange(len(there) + 1)
        compiled(best_elsewhere)(
            moments.order, moments.time, paid, *costs, cells, self.seen_days * DAY, links, best, rank, seen
        )
        return best, rank, seen


def _of(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _cells(moments: Moments, there: np.ndarray, sku: np.ndarray, channel: np.ndarray, region: np.ndarray) -> MarketCells:
    """Return the rows `there` by SKU, market and time."""
    market = channel * (region.max(initial=-1) + 2) + region + 1
    keys, inverse = np.unique(sku[there] * (market.max(initial=0) + 1) + market[there], return_inverse=True)
    first = np.lexsort((moments.place[there], moments.time[there], inverse))
    rows = there[first]
    starts = np.searchsorted(inverse[first], np.arange(len(keys) + 1))
    heads = rows[starts[:-1]]
    cell, slot = np.full(len(sku), -1), np.full(len(sku), -1)
    cell[there], slot[rows] = inverse, np.arange(len(rows))
    skus = np.searchsorted(sku[heads], np.arange(int(sku.max(initial=-1)) + 2))
    return MarketCells(
        rows=rows, times=moments.time[rows], starts=starts, skus=skus, sku=sku, region=region, cell=cell, slot=slot
    )

"""The last price of each market as of each row: the compiled loop of Arbitrage."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import helper
from hwds.features.rows.sorted_arrays import upto


class MarketCells(NamedTuple):
    """Rows by cell, which is a SKU in a market; those of one SKU stand side by side, rows in the order of time and arrival.

    Attributes:
        rows: The rows in that order: a slot for each.
        times: When the row of each slot happened.
        starts: The first slot of each cell, and the end.
        skus: The first cell of each SKU, and the end.
        sku: Of each row of the table.
        region: Of each row of the table.
        cell: Of each row of the table, -1 for none.
        slot: Of each row of the table, -1 for none.
    """

    rows: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    skus: np.ndarray
    sku: np.ndarray
    region: np.ndarray
    cell: np.ndarray
    slot: np.ndarray


def best_elsewhere(
    order: np.ndarray,
    time: np.ndarray,
    paid: np.ndarray,
    cost_near: np.ndarray,
    cost_far: np.ndarray,
    market: MarketCells,
    memory: int,
    links: np.ndarray,
    best: np.ndarray,
    rank: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Fill `best`, `rank` and `seen` of each row that has a cell.

    Rows are visited from the last to arrive to the first, and taken out: those left had arrived before. `links` leads from a
    slot, plus 1, to the last one at or before it that is left (a union-find with halved paths).

    Args:
        order: The rows in the order of arrival.
        time: When each row happened.
        paid: The price of each row.
        cost_near: What a unit has cost when it is resold in its region.
        cost_far: What it has when it is resold in another one.
        market: The rows by cell.
        memory: How old a price may be, in the unit of time.
        links: Scratch of shape (n_slots + 1,): 0, 1, 2 ...
        best: The largest spread to another cell of the SKU.
        rank: 1 and the number of other cells whose last price is lower.
        seen: 1 and the number of other cells.
    """
    for place in range(len(order) - 1, -1, -1):
        row = order[place]
        home = market.cell[row]
        if home < 0:
            continue
        rank[row], seen[row] = 1.0, 1.0
        sku = market.sku[row]
        for cell in range(market.skus[sku], market.skus[sku + 1]):
            last = _last(market, links, cell, time[row]) if cell != home else -1
            if last < 0 or time[last] <= time[row] - memory:
                continue
            near = market.region[last] == market.region[row]
            spread = paid[last] - (cost_near[row] if near else cost_far[row])
            if not best[row] >= spread:  # which a first one, beside no number, is not
                best[row] = spread
            rank[row] += paid[last] < paid[row]
            seen[row] += 1.0
        links[market.slot[row] + 1] = market.slot[row]


@helper
def _last(market: MarketCells, links: np.ndarray, cell: int, time: int) -> int:
    """Return the last row left of a cell that happened by a time; -1 where there is none."""
    start = market.starts[cell]
    low = upto(market.times, start, market.starts[cell + 1], time)
    while links[low] != low:
        links[low] = links[links[low]]
        low = links[low]
    return market.rows[low - 1] if low > start else -1

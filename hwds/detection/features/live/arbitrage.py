"""Arbitrage as events arrive: the last price of each market."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hwds.detection.metrics.reselling import Reselling
from hwds.features.rows.columns import DAY
from hwds.features.rows.live import Event, Live, Past, Value, floats_of, known, number

COLUMNS = ("spread", "spread_share", "loss_at_stake", "best_pair_spread", "best_pair_share", "price_rank", "markets_seen")

Market = tuple[Any, Any]
"""A channel and its region."""


class LiveArbitrage(Live):
    """The columns of `Arbitrage`.

    Args:
        recipe: The costs of reselling, and the columns of prices.
    """

    columns = floats_of(COLUMNS)
    changing = ("_prices",)

    def __init__(self, recipe: Reselling) -> None:
        self._cost: Any = recipe.cost  # which a number will do for as well
        self._recipe, self._memory = recipe, recipe.seen_days * DAY
        self._prices: defaultdict[Any, dict[Market, Past]] = defaultdict(dict)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the spread to the street, and to other markets as last seen."""
        recipe, values = self._recipe, event.values
        paid, street = number(values.get(recipe.unit_price)), number(values.get(recipe.street_price))
        near, far = (self._cost(paid, abroad=abroad) for abroad in (False, True))
        spread, gap = street - far, street - paid
        best, rank, seen = self._elsewhere(event, paid, near, far)
        stake = (0.0 if gap < 0 else gap) * number(values.get(recipe.quantity))
        features = (spread, _of(spread, paid), stake, best, _of(best, paid), rank, seen)
        return [known(each) for each in features]

    def _elsewhere(self, event: Event, paid: float, near: float, far: float) -> tuple[float, float, float]:
        """Return the best spread to another market, the rank of the price, and the markets seen; the price is kept."""
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
            markets[home] = Past()
        markets[home].put(time, paid)
        return best, rank, seen


def _of(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan

"""WeeklySales: the weekly units of many simulated products, with prices and promotions, gaps and
young products.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.recipe import NonNegative, Positive, PositiveInt, Seed, Small, UnitInterval
from hwds.core.seeds import stream
from hwds.datasets.base import PanelDataset
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME, Roles

START = date(2021, 1, 4)
"""The Monday of the first week."""

ROLES = Roles(known_future=("price", "promotion"), static=("category",), price="price")

CATEGORIES = ("audio", "cables", "displays", "input", "storage")

SPELL = 6
"""Weeks for which a list price stays."""

PERSISTENCE = 0.97
"""The autocorrelation of a product's own level from week to week."""

YOUNGEST, OLDEST = 10, 90
"""The fewest and the most weeks that a young product has been sold for."""

RAMP = 6.0
"""Weeks in which what is lacking at a launch falls to 1/e of itself."""


class WeeklySales(PanelDataset):
    """Weekly units of simulated products, as a retailer's own file has them: prices, promotions,
    gaps and young products.

    The log of demand is a sum: the product's size, a season that its category shares in part, a
    level of its own that wanders, the response to the price and to promotions, and noise; units are
    Poisson. `price` and `promotion` (0 or 1) are known ahead, `category` is static. A gap is a week
    whose units are unknown. Young products begin inside the data, with a ramp; about half of them
    have no year behind them. The plan holds `horizon` weeks after the last one.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        series: The number of products.
        weeks: The weeks of history of the older products.
        young: Products that begin inside the data, the last ones.
        gaps: The share of weeks whose units are unknown.
        horizon: Weeks of the plan, and to forecast by default.
        units: The median of the products' mean units a week.
        elasticity: The mean of the products' own-price elasticities, without its sign.
        noise: The standard deviation of the log of one week's demand.
        drift: The standard deviation of a week's change of a product's own level, in logs.
    """

    seed: Seed = 0
    series: Annotated[PositiveInt, Le(1_000_000), Small(16)] = 150
    weeks: Annotated[int, Ge(104), Le(2_000), Small(110)] = 150
    young: Annotated[int, Ge(0), Le(1_000_000), Small(3)] = 20
    gaps: UnitInterval = 0.02
    horizon: Annotated[PositiveInt, Le(520)] = 8
    units: Positive = 40.0
    elasticity: NonNegative = 2.0
    noise: Positive = 0.2
    drift: Positive = 0.05

    def load(self) -> Panel:
        """Return the panel, with its plan."""
        table = pl.concat([self._product(number) for number in range(self.series)])
        ahead = col("week") >= self.weeks
        plan = table.filter(ahead).select(SERIES, TIME, col("price", "promotion").cast(pl.Float64))
        history = table.filter(~ahead).drop("week")
        return Panel.build(
            history, Frequency("1w"), roles=ROLES, horizon=self.horizon, plan=plan, unit="units"
        )

    def _product(self, number: int) -> DataFrame:
        """Return the weeks of one product, of the plan too.

        Its draws are its own, so that more products change none.
        """
        draws = stream(self.seed, "weekly_sales", number)
        category = number % len(CATEGORIES)
        about, age = draws.normal(size=8), int(draws.integers(YOUNGEST, OLDEST + 1))
        first = self.weeks - age if number >= self.series - self.young else 0
        week = np.arange(self.weeks + self.horizon)
        relative, promotion = _prices(draws, len(week))
        effects = (-self.elasticity + 0.4 * about[0]) * relative + (
            0.3 + 0.1 * about[1]
        ) * promotion
        moved = self.drift * draws.normal(size=len(week))
        level = np.zeros(len(week))
        for i in range(1, len(week)):
            level[i] = PERSISTENCE * level[i - 1] + moved[i]
        ramp = np.log1p(-0.6 * np.exp(-np.maximum(week - first, 0) / RAMP)) if first else 0.0
        season = _season(self.seed, category, week) + 0.08 * _cycle(draws.normal(size=4), week)
        size = np.log(self.units) + 0.8 * about[2] + 0.15 * about[3] * (week - self.weeks) / 104
        log_demand = (
            size + season + level + effects + ramp + self.noise * draws.normal(size=len(week))
        )
        units = draws.poisson(np.exp(np.minimum(log_demand, 20.0))).astype(float)
        unknown = (draws.random(len(week)) < self.gaps) | (week >= self.weeks)
        unknown &= (week > first) & (week != self.weeks - 1)
        price = np.round(np.exp(3.5 + 0.6 * about[4]) * np.exp(relative), 2)
        monday = np.datetime64(START, "D") + 7 * week
        table = DataFrame(
            {
                SERIES: [f"sku-{number:05d}"] * len(week),
                TIME: Series(monday).cast(pl.Date),
                "target": Series(np.where(unknown, np.nan, units), nan_to_null=True),
                "price": price,
                "promotion": promotion.astype(np.int64),
                "category": [CATEGORIES[category]] * len(week),
                "week": week,
            }
        )
        return table.filter(col("week") >= first)


def _prices(draws: np.random.Generator, weeks: int) -> tuple[ndarray, ndarray]:
    """Return the log of the price over the usual one, and 1 in promoted weeks, which come in pairs.

    Each of shape (weeks,).
    """
    spell = np.cumsum(0.03 * draws.normal(size=weeks // SPELL + 1))[np.arange(weeks) // SPELL]
    begins = draws.random(weeks) < 0.06
    promotion = begins | np.roll(begins, 1)
    discount = draws.choice([0.1, 0.15, 0.2, 0.3], size=weeks)
    depth = np.where(begins, discount, np.roll(discount, 1))
    return spell + np.log1p(-depth * promotion), promotion.astype(float)


def _season(seed: int, category: int, week: ndarray) -> ndarray:
    """Return the season that a category shares: two waves, and the weeks before the holidays."""
    draws = stream(seed, "weekly_sales", "category", category).normal(size=5)
    holidays = np.isin(week % 52, [47, 48, 49, 50]) * (0.4 + 0.1 * draws[4])
    return 0.2 * _cycle(draws[:4], week) + holidays


def _cycle(sizes: ndarray, week: ndarray) -> ndarray:
    """Return two waves a year, of the sizes of their sines and cosines, shape (weeks,)."""
    turn = 2 * np.pi * week / 52
    waves = np.stack([np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)])
    return sizes @ waves

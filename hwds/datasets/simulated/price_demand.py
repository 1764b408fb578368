"""Prices for a device of the simulated world, offered to customers of channels and kinds that
differ in what they would pay.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import polars as pl
from annotated_types import Le, MinLen
from numpy import ndarray
from polars import DataFrame

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Level, NonNegative, PositiveInt, Seed
from hwds.datasets.simulated.price_arms import MarketOffers, PriceWorld
from hwds.datasets.simulated.worlds.hardware import (
    CHANNELS,
    CUSTOMER_KINDS,
    FAMILIES,
    HardwareWorld,
)
from hwds.frames.table import arm_name

KIND_ELASTICITY = {"consumer": -1.2, "small_business": 0.1, "enterprise": 0.9}
"""The addition of a customer's kind to the elasticity of the offer."""


class PriceDemand(PriceWorld):
    """Simulated customers of several channels and kinds who are offered a device at one of several
    prices.

    A segment is a channel and a kind of customer; both are seen. Demand has in every form the
    segment's own-price elasticity at the list price. The best price by segment is known.

    Attributes:
        world_seed: The seed of the simulated world, shared with the other simulators.
        family: The product family; its newest device at the end of the calendar is what is sold.
        channels: Channels, in the order of the catalogue.
        ladder: Prices as shares of the list price.
        demand: `logit`, `linear` (never below 0) or `isoelastic` (never above 1).
        conversion: The share that buys at the list price, over all segments.
        earns: `revenue`, or `margin`: price less the cost of making one.
        unit: The currency of prices.
    """

    world_seed: Seed = 0
    family: str = "laptop"
    channels: Annotated[PositiveInt, Le(len(CHANNELS))] = 4
    ladder: Annotated[tuple[NonNegative, ...], MinLen(2)] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4)
    demand: Literal["logit", "linear", "isoelastic"] = "logit"
    conversion: Level = 0.1
    earns: Literal["revenue", "margin"] = "margin"
    unit: str = "USD"

    def offers(self) -> MarketOffers:
        """Return the device at each price of the ladder, for each channel and kind."""
        names = [family.name for family in FAMILIES]
        if self.family not in names:
            raise ConfigError(
                f"dataset.family: no family '{self.family}'{nearest(self.family, names)}"
            )
        offers = self._device()
        prices = np.round(offers["list_price"][0] * np.array(self.ladder), 2)
        if len(set(prices)) < len(prices):
            raise ConfigError(f"dataset.ladder: must not repeat a price, got {list(self.ladder)}.")
        segments = offers.join(_kinds(), how="cross")
        elasticity = segments["elasticity"].to_numpy() + segments["kind_elasticity"].to_numpy()
        shares = segments["units"].to_numpy() * segments["kind_share"].to_numpy()
        conversions = conversions_at_prices(
            np.array(self.ladder), elasticity[:, None], self.conversion, self.demand
        )
        contexts, columns = _kind_columns(segments)
        return MarketOffers(
            tuple(arm_name(price) for price in prices.tolist()),
            prices - (offers["cost"][0] if self.earns == "margin" else 0.0),
            prices,
            conversions,
            self.unit,
            tuple(
                f"{channel}/{kind}"
                for channel, kind in segments.select("channel", "kind").iter_rows()
            ),
            shares / shares.sum(),
            contexts,
            columns,
        )

    def _device(self) -> DataFrame:
        """Return the newest device of the family in each channel."""
        world = HardwareWorld(self.world_seed, n_families=len(FAMILIES), n_channels=self.channels)
        device = world.skus.filter(pl.col("launch_month") < world.months, family=self.family)[
            "sku"
        ][-1]
        return world.offers.filter(sku=device)


def conversions_at_prices(
    ladder: ndarray, elasticity: ndarray, conversion: float, demand: str
) -> ndarray:
    """Return the share that buys at prices relative to the list price, with the given elasticity
    and share at 1.

    Args:
        ladder: Prices over the list price, shape (K,).
        elasticity: Own-price, at the list price, shape (S, 1).
        conversion: The share that buys at the list price.
        demand: The form of the curve.

    Returns:
        Shape (S, K), between 0 and 1.
    """
    if demand == "linear":
        return np.clip(conversion * (1 + elasticity * (ladder - 1)), 0.0, 1.0)
    if demand == "isoelastic":
        return np.minimum(conversion * ladder**elasticity, 1.0)
    slope = elasticity / (
        1 - conversion
    )  # of the log-odds: the elasticity of a logit share q at price p is slope p (1 - q)
    return 1 / (1 + (1 - conversion) / conversion * np.exp(-slope * (ladder - 1)))


def _kinds() -> DataFrame:
    """Return kinds of customers; their shares are of purchases, not of heads."""
    rows = [
        (kind.name, kind.share * kind.units**0.5, KIND_ELASTICITY[kind.name])
        for kind in CUSTOMER_KINDS
    ]
    return DataFrame(rows, schema=["kind", "kind_share", "kind_elasticity"], orient="row")


def _kind_columns(segments: DataFrame) -> tuple[ndarray, tuple[str, ...]]:
    """Return one column for each channel and kind, 1 where a customer is of it; and their names."""
    columns = {
        f"{name}={value}": (segments[name] == value).to_numpy().astype(float)
        for name in ("channel", "kind")
        for value in segments[name].unique(maintain_order=True)
    }
    return np.column_stack(list(columns.values())), tuple(columns)

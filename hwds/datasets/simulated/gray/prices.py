"""Prices of the gray market: what each channel asks, what the open market pays, and what a reseller gains between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.catalogue import CHANNELS
from hwds.datasets.simulated.demand.law import DemandLaw
from hwds.datasets.simulated.demand.plan import REVIEW, demand_plan, offers_on_sale, reductions
from hwds.datasets.simulated.demand.world import HardwareWorld

FIRST_MONTH = 96
"""The month of the world in which the log begins: by then each family has several generations."""

CHANNEL_NAMES = tuple(channel.name for channel in CHANNELS)
REGIONS = ("north_america", "europe", "asia", "latin_america", "middle_east")
ASKED = np.array([1.0, 1.03, 0.98, 1.05, 1.01])
"""The price of each channel in each region, over the price of the plan."""

PAID = np.array([1.0, 1.04, 0.99, 1.08, 1.04])
"""The price of the open market in each region, over the street price."""

DUTY = np.array([0.0, 0.04, 0.03, 0.10, 0.05])
"""Share of the price paid, on what comes into each region from another."""

FREIGHT = (4.0, 0.008, 0.025)
"""For each unit: currency, share of the street price within the region, and share into another."""

SCARCITY, SCARCE_MONTHS, AGEING = 0.08, 2.0, 0.0025
"""The street price over the list price, in logs: at launch, months to a third of it, and what each month takes off."""

PERSISTENCE, SPREAD = 0.97, 0.045
"""The autocorrelation of the street price from day to day, and its standard deviation, in logs."""


TASTE, BARGAIN = 0.3, 25.0
"""Bargain hunters: the power of a device's demand in their odds, and the weight of its discount."""


@dataclass(frozen=True, eq=False)
class MarketPrices:
    """All prices of the log's days: those of `HardwareDemand`'s plan by channel, and an open market of its own.

    Attributes:
        skus: The devices, as in `HardwareWorld.skus`.
        sku: Of each offer, its row of `skus`, shape (offers,).
        channel: Of each offer, its number in `CHANNEL_NAMES`.
        month: Of each day, counted from the log's first, shape (days,).
        price: Of each offer in each month, before the region's factor; NaN where it is not sold, shape (offers, months).
        promoted: The same, whether there is a promotion.
        chosen: Up to which point of (0, 1) a customer of a channel in a month chooses this offer or one before it: first of
            customers at large, whose odds are the expected demand of `DemandLaw`, then of those who look for bargains, shape
            (2, channels, months, offers).
        list_price: Of each device in each month, shape (skus, months).
        street: Of each device on each day, shape (skus, days).
        gain: The best of all regions' markets, less freight, duty and what is paid, for one unit that is bought in a region:
            shape (regions, offers, days); minus infinity where the offer is not sold. No premium for the risk is taken off.
    """

    skus: pl.DataFrame
    sku: np.ndarray
    channel: np.ndarray
    month: np.ndarray
    price: np.ndarray
    promoted: np.ndarray
    chosen: np.ndarray
    list_price: np.ndarray
    street: np.ndarray
    gain: np.ndarray

    def choose(self, bargain: np.ndarray, channel: np.ndarray, day: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return the offers that customers of these channels take on these days, by uniform numbers."""
        kinds, channels, months, offers = self.chosen.shape
        group = (bargain * channels + channel) * months + self.month[day]
        ladder = (np.arange(kinds * channels * months)[:, None] + self.chosen.reshape(-1, offers)).ravel()
        return np.searchsorted(ladder, group + uniforms, side="right") - group * offers


def market_world(seed: int, days: int, families: int) -> HardwareWorld:
    """Return the world of a log of so many days."""
    return HardwareWorld(seed, FIRST_MONTH + days // 28 + 2, 1, families, len(CHANNELS))


def market_prices(seed: int, days: int, families: int) -> MarketPrices:
    """Return the prices of a log of so many days; more days leave the first ones as they are."""
    world = market_world(seed, days, families)
    offers = offers_on_sale(world)
    plan = demand_plan(world, offers).filter(pl.col("month") >= FIRST_MONTH)
    month = _months(world, days)
    skus = world.skus.join(offers.select("sku").unique(), on="sku", how="semi", maintain_order="left")
    place = {name: row for row, name in enumerate(skus["sku"])}
    sku = np.array([place[name] for name in offers["sku"]])
    channel = np.array([CHANNEL_NAMES.index(name) for name in offers["channel"]])
    price, promoted, interest = _by_month(world, offers, plan)
    list_price = _list_prices(world, offers, sku)
    odds = np.stack([interest, _bargains(interest, price / list_price[sku])])
    street = _street(world, skus, list_price[:, month], days)
    gain = _gains(street[sku], price[:, month])
    return MarketPrices(skus, sku, channel, month, price, promoted, _chosen(odds, channel), list_price, street, gain)


def first_day(world: HardwareWorld) -> datetime:
    """Return midnight before the first order."""
    begun = world.dates(np.array([FIRST_MONTH]))[0]
    return datetime(begun.year, begun.month, begun.day)


def _months(world: HardwareWorld, days: int) -> np.ndarray:
    begin = first_day(world)
    dates = [begin + timedelta(days=day) for day in range(days)]
    return np.array([12 * (date.year - begin.year) + date.month - begin.month for date in dates])


def _by_month(world: HardwareWorld, offers: pl.DataFrame, plan: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return price, promotion and expected demand of each offer in each month of the log."""
    law = DemandLaw.of(world, offers, cannibalisation=0.6, noise=0.18, drift=0.12).take(plan["offer"].to_numpy())
    values = (plan["price"].to_numpy(), plan["promotion"].to_numpy(), np.exp(law.log_interest(plan) + law.log_effects(plan)))
    where = plan["offer"].to_numpy(), plan["month"].to_numpy() - FIRST_MONTH
    tables = np.zeros((3, len(offers), world.months + world.ahead - FIRST_MONTH))
    tables[0] = np.nan
    for table, column in zip(tables, values, strict=True):
        table[where] = column
    return tables[0], tables[1] > 0, tables[2]


def _bargains(interest: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the odds of those to whom a low price counts more than a device, by the price as a share of the list price."""
    return interest**TASTE * np.exp(-BARGAIN * np.nan_to_num(share))


def _chosen(odds: np.ndarray, channel: np.ndarray) -> np.ndarray:
    channel_odds = (channel == np.arange(len(CHANNEL_NAMES))[:, None])[:, None, :] * odds.transpose(0, 2, 1)[:, None]
    below = np.cumsum(channel_odds, axis=3)
    return below / below[..., -1:]


def _list_prices(world: HardwareWorld, offers: pl.DataFrame, sku: np.ndarray) -> np.ndarray:
    """Return the maker's price of each device by month: cut at each review, and once it is succeeded."""
    rows = np.unique(sku, return_index=True)[1]
    devices = offers[rows]
    month = FIRST_MONTH + np.arange(world.months + world.ahead - FIRST_MONTH)
    cuts = reductions(world, devices)
    review = np.clip((month - devices["launch_month"].to_numpy()[:, None]) // REVIEW, 0, cuts.shape[1] - 1)
    succeeded = devices["succeeded_month"].fill_null(world.months + world.ahead).to_numpy()[:, None]
    clearance = devices["launch_cut"].to_numpy()[:, None] * (month > succeeded)
    prices: np.ndarray = (
        devices["list_price"].to_numpy()[:, None] * np.exp(-np.take_along_axis(cuts, review, 1)) * (1 - clearance)
    )
    return np.round(prices)


def _street(world: HardwareWorld, skus: pl.DataFrame, list_price: np.ndarray, days: int) -> np.ndarray:
    """Return street prices by day: scarce at launch, cheaper with age, and an autoregression of each device."""
    age = FIRST_MONTH + np.arange(days) / 30.4 - skus["launch_month"].to_numpy()[:, None]
    premium = SCARCITY * np.exp(-np.maximum(age, 0) / SCARCE_MONTHS) - AGEING * np.maximum(age, 0)
    shocks = np.stack([stream(world.seed, "gray", "street", sku).standard_normal(days) for sku in skus["sku"]])
    course = SPREAD * shocks
    for day in range(1, days):
        course[:, day] = PERSISTENCE * course[:, day - 1] + np.sqrt(1 - PERSISTENCE**2) * course[:, day]
    return np.round(list_price * np.exp(premium + course), 2)


def _gains(street: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Return what one unit gains, shape (regions, offers, days)."""
    fixed, near, far = FREIGHT
    gains = np.full((len(REGIONS), *street.shape), -np.inf)
    for origin, gain in enumerate(gains):
        paid = price * ASKED[origin]
        for there in range(len(REGIONS)):
            abroad = there != origin
            cost = fixed + (far if abroad else near) * street + DUTY[there] * abroad * paid
            np.fmax(gain, street * PAID[there] - cost - paid, out=gain)
    return gains

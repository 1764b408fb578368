"""The calendar of what is known ahead: launches, ends, prices and promotions of every offer."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.datasets.simulated.demand.world import SHORTEST_GAP, HardwareWorld

REVIEW = 6
"""Months between two reductions of a device's price."""

SPELL = 3
"""Months for which a channel keeps a price of its own making, up to 5 % round the maker's."""

DEPTHS = np.array([0.04, 0.07, 0.10])
"""The share of the price that a promotion takes off."""


def offers_on_sale(world: HardwareWorld) -> pl.DataFrame:
    """Return the offers launched by the last month of history, each a series.

    Columns: `series_id` (`phone-2.retail`), those of `HardwareWorld.skus` and `HardwareWorld.offers`, and `succeeded_month`
    (that of the successor's launch, null where none is planned yet).
    """
    successors = world.skus.select(sku="predecessor", succeeded_month="launch_month")
    skus = world.skus.filter(pl.col("launch_month") < world.months).drop("list_price", "cost", "units")
    skus = skus.join(successors, on="sku", how="left", maintain_order="left")
    offers = skus.join(world.offers, on="sku", maintain_order="left")
    return offers.with_columns(series_id=pl.format("{}.{}", "sku", "channel"))


def demand_plan(world: HardwareWorld, offers: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each offer and month on sale, up to its planned end or the end of the plan.

    Columns: `offer` (row of `offers`), `month` and `time`, and what is known ahead: `device_age` and `months_to_end` (in
    months), `successor_launched` (0 or 1), `promotion` (0 or 1),
    `price` (the street price, in currency).
    """
    columns = {name: offers[name].to_numpy() for name in ("launch_month", "end_month", "launch_cut", "street_price")}
    succeeded = offers["succeeded_month"].fill_null(world.months + world.ahead).to_numpy()
    first = np.maximum(columns["launch_month"], 0)
    lengths = np.minimum(columns["end_month"], world.months + world.ahead - 1) - first + 1
    offer = np.repeat(np.arange(len(offers)), lengths)
    month = np.arange(len(offer)) - np.repeat(np.cumsum(lengths) - lengths - first, lengths)
    age, left = month - columns["launch_month"][offer], columns["end_month"][offer] - month
    promotion, discount = _promotions(world, offers, offer, month)
    list_cut = reductions(world, offers)[offer, age // REVIEW]
    clearance = columns["launch_cut"][offer] * (month > succeeded[offer])  # a month after the launch, when stocks are cleared
    price = columns["street_price"][offer] * np.exp(_spells(world, offers)[offer, month // SPELL] - list_cut)
    return pl.DataFrame(
        {
            "offer": offer,
            "month": month,
            "time": world.dates(month),
            "device_age": age,
            "months_to_end": left,
            "successor_launched": (month >= succeeded[offer]).astype(np.int64),
            "promotion": promotion.astype(np.int64),
            "price": np.round(price * (1 - clearance) * (1 - discount)),
        }
    )


def _promotions(
    world: HardwareWorld, offers: pl.DataFrame, offer: np.ndarray, month: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are promoted (more often in November), and the discount."""
    held, depth = _draws(world, offers, "promotions", world.months + world.ahead)[offer, month].T
    november = (month + world.start.month) % 12 == 11
    promoted = held < np.where(november, 0.5, 0.15)
    return promoted, promoted * DEPTHS[(depth * len(DEPTHS)).astype(np.int64)]


def reductions(world: HardwareWorld, offers: pl.DataFrame) -> np.ndarray:
    """Return the log-reductions of each device's price by its n-th review, alike in all channels, shape (offers, reviews)."""
    reviews = (world.months + world.ahead + SHORTEST_GAP) // REVIEW + 1
    draws = {sku: world.uniforms("reductions", sku, shape=(reviews, 1))[:, 0] for sku in offers["sku"].unique()}
    cuts = 0.01 + 0.03 * np.stack([draws[sku] for sku in offers["sku"]])
    return np.cumsum(cuts, axis=1) - cuts[:, :1]


def _spells(world: HardwareWorld, offers: pl.DataFrame) -> np.ndarray:
    """Return the log-deviations of each channel's price, shape (offers, spells)."""
    return 0.1 * (_draws(world, offers, "spells", (world.months + world.ahead) // SPELL + 1)[..., 0] - 0.5)


def _draws(world: HardwareWorld, offers: pl.DataFrame, kind: str, rows: int) -> np.ndarray:
    pairs = offers.select("sku", "channel").iter_rows()
    return np.stack([world.uniforms(kind, sku, channel, shape=(rows, 2)) for sku, channel in pairs])

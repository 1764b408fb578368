"""HardwareWorld: the devices, channels, customers and plants that every embedded simulator stands on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.catalogue import (
    ASSEMBLY_PLANTS,
    CHANNELS,
    CUSTOMER_KINDS,
    FAMILIES,
    OUTAGE_ODDS,
    OUTAGE_SHARES,
    Channel,
    Family,
)

SHORTEST_GAP = 18
"""The fewest months from one generation's launch to the next."""


@dataclass(frozen=True)
class HardwareWorld:
    """Small frozen tables of entities, each drawn from streams of its own kind.

    A stream is named by (seed, "world", kind, entity) and its draws are laid out row by row: more families, channels,
    customers, plants or months, or a new kind of entity, change nothing that was drawn before.

    Attributes:
        seed: The world's seed, not the experiment's: experiments with other seeds are about the same devices.
        months: Months of history from `start`.
        ahead: Months after them whose launches are already planned.
        n_families: The first so many of `catalogue.FAMILIES`.
        n_channels: The first so many of `catalogue.CHANNELS`.
        n_customers: How many customers there are.
        n_plants: How many plants there are, at least `catalogue.ASSEMBLY_PLANTS`.
        start: The first day of month 0.
    """

    seed: int = 0
    months: int = 108
    ahead: int = 12
    n_families: int = 5
    n_channels: int = 4
    n_customers: int = 2_000
    n_plants: int = 3
    start: date = date(2016, 1, 1)

    def uniforms(self, kind: str, *entity: str, shape: tuple[int, int]) -> np.ndarray:
        """Return uniform draws of one entity; more rows leave the first ones as they are."""
        return stream(self.seed, "world", kind, *entity).random(shape)

    def normals(self, kind: str, *entity: str, shape: tuple[int, int]) -> np.ndarray:
        """Return standard normal draws of one entity; more rows leave the first ones as they are."""
        return stream(self.seed, "world", kind, *entity).standard_normal(shape)

    def dates(self, months: np.ndarray) -> pl.Series:
        """Return the first days of months counted from `start`."""
        return pl.Series((np.datetime64(self.start, "M") + months).astype("datetime64[ms]")).cast(pl.Date)

    @cached_property
    def families(self) -> pl.DataFrame:
        """The fields of `catalogue.Family` and the course of its devices, drawn: `ramp` and `decline` (of `DemandLaw`)."""
        rows = []
        for family in FAMILIES[: self.n_families]:
            ramp, decline = self.uniforms("families", family.name, shape=(1, 2))[0]
            rows.append((*family, _between(ramp, 1.0, 2.5), _between(decline, 40.0, 70.0)))
        return pl.DataFrame(rows, schema=["family", *Family._fields[1:], "ramp", "decline"], orient="row")

    @cached_property
    def skus(self) -> pl.DataFrame:
        """Every generation that is on sale or planned between month 0 and the end of the plan.

        Columns: `sku`, `family`, `generation` (from 1), `predecessor` (null for the first), `plant`, `launch` and `end` (the
        first days of its first and last month on sale), `launch_month` and `end_month` (the same, counted from `start`),
        `list_price` and `cost` at launch, `units` (a month over all channels, at its best), `launch_cut` (the share taken off
        its price once it is succeeded).
        """
        table = pl.concat([self._generations(number, family) for number, family in enumerate(FAMILIES[: self.n_families])])
        table = table.filter(pl.col("launch_month") < self.months + self.ahead)
        launch, end = (self.dates(table[name].to_numpy()) for name in ("launch_month", "end_month"))
        return table.with_columns(launch=launch, end=end)

    def _generations(self, number: int, family: Family) -> pl.DataFrame:
        draws = self.uniforms("skus", family.name, shape=((self.months + self.ahead) // SHORTEST_GAP + 3, 6)).T
        gaps = SHORTEST_GAP + _whole(draws[0], 7)
        launch = np.cumsum(gaps) - gaps[0] - _whole(draws[0, :1], SHORTEST_GAP)  # the first is on sale when the calendar begins
        names = [f"{family.name}-{generation}" for generation in range(1, len(launch) + 1)]
        list_price = np.round(family.list_price * np.exp(np.cumsum(_between(draws[1], -0.02, 0.06))))
        return pl.DataFrame(
            {
                "sku": names,
                "family": family.name,
                "generation": np.arange(1, len(launch) + 1),
                "predecessor": [None, *names[:-1]],
                "plant": f"plant-{number % ASSEMBLY_PLANTS + 1}",
                "launch_month": launch,
                "end_month": launch + 46 + _whole(draws[2], 13),
                "list_price": list_price,
                "cost": np.round(list_price * _between(draws[3], 0.40, 0.50), 2),
                "units": family.units * np.exp(np.cumsum(_between(draws[4], -0.15, 0.25))),
                "launch_cut": _between(draws[5], 0.06, 0.16),
            }
        )

    @cached_property
    def channels(self) -> pl.DataFrame:
        """The fields of `catalogue.Channel`, with its season and its promotions scaled by a draw of .85 to 1.15."""
        rows = []
        for channel in CHANNELS[: self.n_channels]:
            season, promotion = _between(self.uniforms("channels", channel.name, shape=(1, 2))[0], 0.85, 1.15)
            rows.append((*channel[:5], channel.promotion * promotion, *(lift * season for lift in channel[6:])))
        return pl.DataFrame(rows, schema=["channel", *Channel._fields[1:]], orient="row")

    @cached_property
    def offers(self) -> pl.DataFrame:
        """Each device in each channel, with its four prices at launch.

        Columns: `sku`, `channel`, `list_price` (recommended by the maker, the same everywhere), `cost` (of making one),
        `subsidy` (what the maker pays for each unit sold here), `street_price` (what the customer pays: the list price less the
        subsidy and the channel's discount), `units` (a month, at its best), `elasticity` (own price), `promotion` (log-lift of
        a promoted month).
        """
        sensitivity = self.families.select("family", pl.col("elasticity").alias("own"))
        pairs = self.skus.join(sensitivity, on="family", maintain_order="left").join(self.channels, how="cross")
        draws = [
            self.uniforms("offers", sku, channel, shape=(1, 3)) for sku, channel in pairs.select("sku", "channel").iter_rows()
        ]
        units, elasticity, promotion = (pl.Series(column) for column in np.concatenate(draws).T)
        return pairs.select(
            "sku",
            "channel",
            "list_price",
            "cost",
            subsidy=(pl.col("list_price") * pl.col("subsidy")).round(2),
            street_price=(pl.col("list_price") * (1 - pl.col("subsidy") - pl.col("discount"))).round(),
            units=pl.col("units") * pl.col("share") * (0.75 + 0.5 * units),
            elasticity=pl.col("own") + pl.col("elasticity") + 0.3 * (elasticity - 0.5),
            promotion=pl.col("promotion") * (0.85 + 0.3 * promotion),
        )

    @cached_property
    def customers(self) -> pl.DataFrame:
        """The customers: `customer`, `kind` (of `catalogue.CUSTOMER_KINDS`), `units` (bought in a year, with a Pareto tail)."""
        kind_draw, size_draw = self.uniforms("customers", shape=(self.n_customers, 2)).T
        kinds = np.searchsorted(np.cumsum([kind.share for kind in CUSTOMER_KINDS])[:-1], kind_draw, side="right")
        return pl.DataFrame(
            {
                "customer": [f"customer-{number}" for number in range(1, self.n_customers + 1)],
                "kind": [CUSTOMER_KINDS[kind].name for kind in kinds],
                "units": np.array([kind.units for kind in CUSTOMER_KINDS])[kinds] * (1 - size_draw) ** -0.6,
            }
        )

    @cached_property
    def plants(self) -> pl.DataFrame:
        """The plants: `plant`, `makes` (`devices` or `parts`), `outage_start` and `outage_stay` (odds of one in a month)."""
        rows = []
        for number in range(1, self.n_plants + 1):
            start, stay = self.uniforms("plants", f"plant-{number}", shape=(1, 2))[0]
            makes = "devices" if number <= ASSEMBLY_PLANTS else "parts"
            rows.append((f"plant-{number}", makes, _between(start, 0.05, 0.09), _between(stay, 0.35, 0.55)))
        return pl.DataFrame(rows, schema=["plant", "makes", "outage_start", "outage_stay"], orient="row")

    @cached_property
    def outages(self) -> np.ndarray:
        """The share of demand that each plant leaves unserved in each month, shape (n_plants, months).

        A Markov chain that begins in its stationary law goes in and out of outage: an outage begins with the odds
        `outage_start` and goes on with the odds `outage_stay`; its share is one of `catalogue.OUTAGE_SHARES`.
        """
        shares = np.zeros((self.n_plants, self.months))
        for row, (plant, _, start, stay) in zip(shares, self.plants.iter_rows(), strict=True):
            draws = self.uniforms("outages", plant, shape=(self.months, 2))
            odds = start / (1 + start - stay)
            for month, (down, size) in enumerate(draws):
                if down < odds:
                    row[month] = OUTAGE_SHARES[np.searchsorted(np.cumsum(OUTAGE_ODDS)[:-1], size, side="right")]
                odds = stay if row[month] else start
        return shares


def _between(uniform: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + (high - low) * uniform


def _whole(uniform: np.ndarray, count: int) -> np.ndarray:
    return (uniform * count).astype(np.int64)

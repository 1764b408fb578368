"""The simulated world of hardware: its catalogue, devices, plan, and the law of its demand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cache, cached_property
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.recipe import Positive, PositiveInt, Seed, Small, Steps
from hwds.core.seeds import stream
from hwds.datasets.base import PanelDataset

# The simulated world's catalogue: product families, channels, kinds of customers, outages.


class ProductFamily(NamedTuple):
    """A product family.

    Attributes:
        name: The first part of its SKUs' names.
        list_price: The list price of its first generation, in currency.
        units: A month over all channels, of one generation at its best.
        elasticity: Own-price elasticity of demand.
        giftable: Scale of its holiday season.
    """

    name: str
    list_price: float
    units: float
    elasticity: float
    giftable: float


class SalesChannel(NamedTuple):
    """A way to the customer.

    Attributes:
        name: The last part of its series' names.
        share: The share of a device's units.
        subsidy: Share of the list price that the maker pays for each unit sold here.
        discount: Share of the list price that the channel forgoes.
        elasticity: Added to the family's.
        promotion: Log-lift of a promoted month, at an unchanged price.
        holiday: Log-lift of December for a family with `giftable` 1.
        school: Log-lift of August.
        quarter: Log-lift of a quarter's last month.
    """

    name: str
    share: float
    subsidy: float
    discount: float
    elasticity: float
    promotion: float
    holiday: float
    school: float
    quarter: float


class CustomerKind(NamedTuple):
    """A kind of customer: its share of all customers and the fewest units that one buys in a
    year.
    """

    name: str
    share: float
    units: float


FAMILIES = (
    ProductFamily("phone", 699, 64_000, -1.7, 1.0),
    ProductFamily("laptop", 1099, 19_000, -1.4, 0.6),
    ProductFamily("tablet", 449, 27_000, -1.9, 1.2),
    ProductFamily("watch", 299, 31_000, -1.8, 1.3),
    ProductFamily("earbuds", 149, 48_000, -2.1, 1.2),
    ProductFamily("console", 399, 16_000, -1.6, 1.5),
    ProductFamily("camera", 549, 9_000, -1.5, 0.9),
    ProductFamily("router", 129, 22_000, -1.2, 0.3),
)
CHANNELS = (
    SalesChannel("retail", 0.36, 0.0, 0.02, 0.0, 0.16, 0.85, 0.22, 0.0),
    SalesChannel("online", 0.30, 0.03, 0.05, -0.4, 0.20, 0.65, 0.16, 0.0),
    SalesChannel("carrier", 0.22, 0.28, 0.0, 0.2, 0.14, 0.42, 0.05, 0.05),
    SalesChannel("enterprise", 0.12, 0.08, 0.06, 0.4, 0.08, -0.18, 0.0, 0.30),
    SalesChannel("education", 0.08, 0.18, 0.02, 0.3, 0.10, -0.20, 0.70, 0.0),
    SalesChannel("export", 0.10, 0.10, 0.08, -0.2, 0.12, 0.25, 0.0, 0.12),
)
CUSTOMER_KINDS = (
    CustomerKind("consumer", 0.90, 0.5),
    CustomerKind("small_business", 0.08, 6.0),
    CustomerKind("enterprise", 0.02, 120.0),
)

ASSEMBLY_PLANTS = 2
"""The first plants assemble devices, the others make parts, so that one more plant moves no family
to another.
"""

OUTAGE_SHARES = (0.15, 0.3, 0.5)
"""The shares of a month's demand that an outage of a plant may leave unserved."""

OUTAGE_ODDS = (0.5, 0.3, 0.2)
"""The odds of each of them in a month of outage."""


# HardwareWorld: the devices, channels, customers and plants that every embedded simulator
# stands on.

SHORTEST_GAP = 18
"""The fewest months from one generation's launch to the next."""


@dataclass(frozen=True)
class HardwareWorld:
    """Small frozen tables of entities, each drawn from streams of its own kind.

    A stream is named by (seed, "world", kind, entity) and its draws are laid out row by row: more
    families, channels, customers, plants or months, or a new kind of entity, change nothing that
    was drawn before.

    Attributes:
        seed: The world's seed, not the experiment's: experiments with other seeds are about the
            same devices.
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

    def uniforms(self, kind: str, *entity: str, shape: tuple[int, int]) -> ndarray:
        """Return uniform draws of one entity; more rows leave the first ones as they are."""
        return stream(self.seed, "world", kind, *entity).random(shape)

    def normals(self, kind: str, *entity: str, shape: tuple[int, int]) -> ndarray:
        """Return standard normal draws of one entity.

        More rows leave the first ones as they are.
        """
        return stream(self.seed, "world", kind, *entity).standard_normal(shape)

    def dates(self, months: ndarray) -> Series:
        """Return the first days of months counted from `start`."""
        return Series((np.datetime64(self.start, "M") + months).astype("datetime64[ms]")).cast(
            pl.Date
        )

    @cached_property
    def families(self) -> DataFrame:
        """The fields of `catalogue.Family` and the course of its devices, drawn: `ramp` and
        `decline` (of `DemandLaw`).
        """
        rows = []
        for family in FAMILIES[: self.n_families]:
            ramp, decline = self.uniforms("families", family.name, shape=(1, 2))[0]
            rows.append((*family, _between(ramp, 1.0, 2.5), _between(decline, 40.0, 70.0)))
        return DataFrame(
            rows, schema=["family", *ProductFamily._fields[1:], "ramp", "decline"], orient="row"
        )

    @cached_property
    def skus(self) -> DataFrame:
        """Every generation that is on sale or planned between month 0 and the end of the plan.

        Columns: `sku`, `family`, `generation` (from 1), `predecessor` (null for the first),
        `plant`, `launch` and `end` (the first days of its first and last month on sale),
        `launch_month` and `end_month` (the same, counted from `start`), `list_price` and `cost` at
        launch, `units` (a month over all channels, at its best), `launch_cut` (the share taken off
        its price once it is succeeded).
        """
        table = pl.concat(
            [
                self._generations(number, family)
                for number, family in enumerate(FAMILIES[: self.n_families])
            ]
        )
        table = table.filter(col("launch_month") < self.months + self.ahead)
        launch, end = (self.dates(table[name].to_numpy()) for name in ("launch_month", "end_month"))
        return table.with_columns(launch=launch, end=end)

    def _generations(self, number: int, family: ProductFamily) -> DataFrame:
        draws = self.uniforms(
            "skus", family.name, shape=((self.months + self.ahead) // SHORTEST_GAP + 3, 6)
        ).T
        gaps = SHORTEST_GAP + _whole(draws[0], 7)
        launch = (
            np.cumsum(gaps) - gaps[0] - _whole(draws[0, :1], SHORTEST_GAP)
        )  # the first is on sale when the calendar begins
        names = [f"{family.name}-{generation}" for generation in range(1, len(launch) + 1)]
        list_price = np.round(
            family.list_price * np.exp(np.cumsum(_between(draws[1], -0.02, 0.06)))
        )
        return DataFrame(
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
    def channels(self) -> DataFrame:
        """The fields of `catalogue.Channel`, with its season and its promotions scaled by a draw of
        .85 to 1.15.
        """
        rows = []
        for channel in CHANNELS[: self.n_channels]:
            season, promotion = _between(
                self.uniforms("channels", channel.name, shape=(1, 2))[0], 0.85, 1.15
            )
            rows.append(
                (
                    *channel[:5],
                    channel.promotion * promotion,
                    *(lift * season for lift in channel[6:]),
                )
            )
        return DataFrame(rows, schema=["channel", *SalesChannel._fields[1:]], orient="row")

    @cached_property
    def offers(self) -> DataFrame:
        """Each device in each channel, with its four prices at launch.

        Columns: `sku`, `channel`, `list_price` (recommended by the maker, the same everywhere),
        `cost` (of making one), `subsidy` (what the maker pays for each unit sold here),
        `street_price` (what the customer pays: the list price less the subsidy and the channel's
        discount), `units` (a month, at its best), `elasticity` (own price), `promotion` (log-lift
        of a promoted month).
        """
        sensitivity = self.families.select("family", own="elasticity")
        pairs = self.skus.join(sensitivity, on="family", maintain_order="left").join(
            self.channels, how="cross"
        )
        draws = [
            self.uniforms("offers", sku, channel, shape=(1, 3))
            for sku, channel in pairs.select("sku", "channel").iter_rows()
        ]
        units, elasticity, promotion = (Series(column) for column in np.concatenate(draws).T)
        return pairs.select(
            "sku",
            "channel",
            "list_price",
            "cost",
            subsidy=(col("list_price") * col("subsidy")).round(2),
            street_price=(col("list_price") * (1 - col("subsidy") - col("discount"))).round(),
            units=col("units") * col("share") * (0.75 + 0.5 * units),
            elasticity=col("own") + col("elasticity") + 0.3 * (elasticity - 0.5),
            promotion=col("promotion") * (0.85 + 0.3 * promotion),
        )

    @cached_property
    def customers(self) -> DataFrame:
        """The customers: `customer`, `kind` (of `catalogue.CUSTOMER_KINDS`), `units` (bought in a
        year, with a Pareto tail).
        """
        kind_draw, size_draw = self.uniforms("customers", shape=(self.n_customers, 2)).T
        kinds = np.searchsorted(
            np.cumsum([kind.share for kind in CUSTOMER_KINDS])[:-1], kind_draw, side="right"
        )
        return DataFrame(
            {
                "customer": [f"customer-{number}" for number in range(1, self.n_customers + 1)],
                "kind": [CUSTOMER_KINDS[kind].name for kind in kinds],
                "units": np.array([kind.units for kind in CUSTOMER_KINDS])[kinds]
                * (1 - size_draw) ** -0.6,
            }
        )

    @cached_property
    def plants(self) -> DataFrame:
        """The plants: `plant`, `makes` (`devices` or `parts`), `outage_start` and `outage_stay`
        (odds of one in a month).
        """
        rows = []
        for number in range(1, self.n_plants + 1):
            start, stay = self.uniforms("plants", f"plant-{number}", shape=(1, 2))[0]
            makes = "devices" if number <= ASSEMBLY_PLANTS else "parts"
            rows.append(
                (f"plant-{number}", makes, _between(start, 0.05, 0.09), _between(stay, 0.35, 0.55))
            )
        return DataFrame(
            rows, schema=["plant", "makes", "outage_start", "outage_stay"], orient="row"
        )

    @cached_property
    def outages(self) -> ndarray:
        """The share of demand that each plant leaves unserved in each month, shape (n_plants,
        months).

        A Markov chain that begins in its stationary law goes in and out of outage: an outage begins
        with the odds `outage_start` and goes on with the odds `outage_stay`; its share is one of
        `catalogue.OUTAGE_SHARES`.
        """
        shares = np.zeros((self.n_plants, self.months))
        for row, (plant, _, start, stay) in zip(shares, self.plants.iter_rows(), strict=True):
            draws = self.uniforms("outages", plant, shape=(self.months, 2))
            odds = start / (1 + start - stay)
            for month, (down, size) in enumerate(draws):
                if down < odds:
                    row[month] = OUTAGE_SHARES[
                        np.searchsorted(np.cumsum(OUTAGE_ODDS)[:-1], size, side="right")
                    ]
                odds = stay if row[month] else start
        return shares


def _between(uniform: ndarray, low: float, high: float) -> ndarray:
    return low + (high - low) * uniform


def _whole(uniform: ndarray, count: int) -> ndarray:
    return (uniform * count).astype(np.int64)


# The law of simulated demand: the true parameters of each series, and what they make of a plan.

RUN_OFF = 6
"""Months before its end over which a device is delisted, in equal steps."""

QUIET_LAUNCH = 0.55
"""The share of its demand that a device lacks in the month of its launch."""

PERSISTENCE = 0.97
"""The autocorrelation of a series' own level from month to month."""

LAUNCH_SPREAD = 0.3
"""The standard deviation of the log of a launch's success."""

VISITS = 8.0
"""Web visits for each unit of demand."""


@dataclass(frozen=True, eq=False)
class DemandLaw:
    """True parameters, one entry for each series.

    Demand in a month is exp(interest + elasticity x + cross mean x of the family's other
    generations on sale in the channel + pull_forward x of the month before + promotion + level +
    noise), x being log(price / street_price). The share 1 - shortage of it is sold. The level is a
    first-order autoregression that starts with the launch's success. Web visits show interest and
    next month's level, with noise of their own. So the logs are linear and normal, and outages a
    Markov chain that is seen: the truth can be computed.

    Attributes:
        units: Units a month at a device's best.
        street_price: At launch, in currency.
        elasticity: The elasticity to the own price.
        cross: Elasticity to the mean price of the family's other generations on sale in the
            channel.
        pull_forward: Elasticity to the own price of the month before.
        promotion: Log-lift of a promoted month at an unchanged price.
        ramp: Months in which what is lacking at launch falls to 1/e of itself.
        decline: Months in which interest falls to 1/e of itself.
        season: Log-lift by calendar month from January, mean zero, shape (series, 12).
        outage_start: The odds that the plant's next month is one of outage after one that was not.
        outage_stay: The same after one that was.
        cannibalisation: The share of interest that goes to the successor from its launch on.
        noise: Standard deviation of the log of one month's demand.
        drift: Standard deviation of a month's change of the level.
        visits_noise: Standard deviation of the log of a month's visits.
    """

    units: ndarray
    street_price: ndarray
    elasticity: ndarray
    promotion: ndarray
    ramp: ndarray
    decline: ndarray
    season: ndarray
    outage_start: ndarray
    outage_stay: ndarray
    cannibalisation: ndarray
    cross: ndarray
    pull_forward: ndarray
    noise: ndarray
    drift: ndarray
    visits_noise: ndarray

    @classmethod
    def of(
        cls,
        world: HardwareWorld,
        offers: DataFrame,
        *,
        cannibalisation: float,
        noise: float,
        drift: float,
        cross: float = 0.0,
        pull_forward: float = 0.0,
    ) -> DemandLaw:
        """Return the law of these offers (a table of `offers_on_sale`)."""
        about = (
            offers.join(
                world.families.select("family", "ramp", "decline", "giftable"),
                on="family",
                maintain_order="left",
            )
            .join(
                world.channels.select("channel", "holiday", "school", "quarter"),
                on="channel",
                maintain_order="left",
            )
            .join(world.plants, on="plant", maintain_order="left")
        )
        by_offer = {
            name: about[name].to_numpy()
            for name in ("units", "street_price", "elasticity", "promotion", "ramp", "decline")
        }
        chain = {name: about[name].to_numpy() for name in ("outage_start", "outage_stay")}
        shared = {"cannibalisation": cannibalisation, "cross": cross, "pull_forward": pull_forward}
        shared |= {"noise": noise, "drift": drift, "visits_noise": 1.25 * noise}
        constant = {name: np.full(len(about), value) for name, value in shared.items()}
        return cls(**by_offer, **chain, **constant, season=_season(about))

    def take(self, series: ndarray) -> DemandLaw:
        """Return the law of these series, or of the rows that belong to them."""
        return replace(
            self, **{field.name: getattr(self, field.name)[series] for field in fields(self)}
        )

    def log_interest(self, plan: DataFrame) -> ndarray:
        """Return the expected log-demand at the launch price without promotion, for a law and a
        plan of the same rows.
        """
        age, left = plan["device_age"].to_numpy(), plan["months_to_end"].to_numpy()
        course = np.log1p(-QUIET_LAUNCH * np.exp(-age / self.ramp)) - age / self.decline
        run_off = np.log(np.clip(left + 1, 1, RUN_OFF + 1) / (RUN_OFF + 1))
        succeeded = np.log1p(-self.cannibalisation) * plan["successor_launched"].to_numpy()
        season = self.season[np.arange(len(plan)), plan["time"].dt.month().to_numpy() - 1]
        return np.log(self.units) + course + run_off + succeeded + season

    def log_effects(self, plan: DataFrame) -> ndarray:
        """Return what price and promotion add to the log-demand of each row."""
        relative = np.log(plan["price"].to_numpy() / self.street_price)
        return self.elasticity * relative + self.promotion * plan["promotion"].to_numpy()

    def log_other_effects(self, plan: DataFrame, offers: DataFrame) -> ndarray:
        """Return what other generations' prices and the month before's add to the log-demand of
        each row of the plan.

        Args:
            plan: The plan of all offers (`demand_plan`), with a law of the same rows.
            offers: The offers.
        """
        relative = Series("x", np.log(plan["price"].to_numpy() / self.street_price))
        about = offers.select("family", "channel")[plan["offer"]]
        rows = plan.select("offer", "month").hstack(about).with_columns(relative)
        beside = ("family", "channel", "month")
        others = (col("x").sum().over(beside) - col("x")) / (pl.len().over(beside) - 1).clip(1)
        before = col("x").shift(1).over("offer", order_by="month").fill_null(col("x"))
        known = rows.select(others=others, before=before)
        return (
            self.cross * known["others"].to_numpy() + self.pull_forward * known["before"].to_numpy()
        )

    def level_variance(self, age: ndarray) -> ndarray:
        """Return the variance of the level so many months after the launch, before anything is
        seen.
        """
        decay = PERSISTENCE ** (2 * age)
        return LAUNCH_SPREAD**2 * decay + self.drift**2 * (1 - decay) / (1 - PERSISTENCE**2)


def _season(about: DataFrame) -> ndarray:
    """Return holidays (by channel and family), back to school and quarter's end (by channel), from
    January, mean zero.
    """
    holiday, school, quarter = np.zeros((3, 12))
    holiday[[9, 10, 11]] = 0.15, 0.7, 1.0
    school[[6, 7, 8]] = 0.4, 1.0, 0.7
    quarter[[2, 5, 8, 11]] = 0.8, 0.9, 0.7, 1.0
    gifts = (about["holiday"] * about["giftable"]).to_numpy()
    season = (
        np.outer(gifts, holiday)
        + np.outer(about["school"], school)
        + np.outer(about["quarter"], quarter)
    )
    return season - season.mean(axis=1, keepdims=True)


# The calendar of what is known ahead: launches, ends, prices and promotions of every offer.

REVIEW = 6
"""Months between two reductions of a device's price."""

SPELL = 3
"""Months for which a channel keeps a price of its own making, up to 5 % round the maker's."""

DEPTHS = np.array([0.04, 0.07, 0.10])
"""The share of the price that a promotion takes off."""


def offers_on_sale(world: HardwareWorld) -> DataFrame:
    """Return the offers launched by the last month of history, each a series.

    Columns: `series_id` (`phone-2.retail`), those of `HardwareWorld.skus` and
    `HardwareWorld.offers`, and `succeeded_month` (that of the successor's launch, null where none
    is planned yet).
    """
    successors = world.skus.select(sku="predecessor", succeeded_month="launch_month")
    skus = world.skus.filter(col("launch_month") < world.months).drop("list_price", "cost", "units")
    skus = skus.join(successors, on="sku", how="left", maintain_order="left")
    offers = skus.join(world.offers, on="sku", maintain_order="left")
    return offers.with_columns(series_id=pl.format("{}.{}", "sku", "channel"))


def demand_plan(world: HardwareWorld, offers: DataFrame) -> DataFrame:
    """Return one row for each offer and month on sale, up to its planned end or the end of the
    plan.

    Columns: `offer` (row of `offers`), `month` and `time`, and what is known ahead: `device_age`
    and `months_to_end` (in months), `successor_launched` (0 or 1), `promotion` (0 or 1), `price`
    (the street price, in currency).
    """
    columns = {
        name: offers[name].to_numpy()
        for name in ("launch_month", "end_month", "launch_cut", "street_price")
    }
    succeeded = offers["succeeded_month"].fill_null(world.months + world.ahead).to_numpy()
    first = np.maximum(columns["launch_month"], 0)
    lengths = np.minimum(columns["end_month"], world.months + world.ahead - 1) - first + 1
    offer = np.repeat(np.arange(len(offers)), lengths)
    month = np.arange(len(offer)) - np.repeat(np.cumsum(lengths) - lengths - first, lengths)
    age, left = month - columns["launch_month"][offer], columns["end_month"][offer] - month
    promotion, discount = _promotions(world, offers, offer, month)
    list_cut = reductions(world, offers)[offer, age // REVIEW]
    clearance = columns["launch_cut"][offer] * (
        month > succeeded[offer]
    )  # a month after the launch, when stocks are cleared
    price = columns["street_price"][offer] * np.exp(
        _spells(world, offers)[offer, month // SPELL] - list_cut
    )
    return DataFrame(
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
    world: HardwareWorld, offers: DataFrame, offer: ndarray, month: ndarray
) -> tuple[ndarray, ndarray]:
    """Return which rows are promoted (more often in November), and the discount."""
    held, depth = _draws(world, offers, "promotions", world.months + world.ahead)[offer, month].T
    november = (month + world.start.month) % 12 == 11
    promoted = held < np.where(november, 0.5, 0.15)
    return promoted, promoted * DEPTHS[(depth * len(DEPTHS)).astype(np.int64)]


def reductions(world: HardwareWorld, offers: DataFrame) -> ndarray:
    """Return the log-reductions of each device's price by its n-th review, alike in all channels,
    shape (offers, reviews).
    """
    reviews = (world.months + world.ahead + SHORTEST_GAP) // REVIEW + 1
    draws = {
        sku: world.uniforms("reductions", sku, shape=(reviews, 1))[:, 0]
        for sku in offers["sku"].unique()
    }
    cuts = 0.01 + 0.03 * np.stack([draws[sku] for sku in offers["sku"]])
    return np.cumsum(cuts, axis=1) - cuts[:, :1]


def _spells(world: HardwareWorld, offers: DataFrame) -> ndarray:
    """Return the log-deviations of each channel's price, shape (offers, spells)."""
    return 0.1 * (
        _draws(world, offers, "spells", (world.months + world.ahead) // SPELL + 1)[..., 0] - 0.5
    )


def _draws(world: HardwareWorld, offers: DataFrame, kind: str, rows: int) -> ndarray:
    pairs = offers.select("sku", "channel").iter_rows()
    return np.stack([world.uniforms(kind, sku, channel, shape=(rows, 2)) for sku, channel in pairs])


# Settings of the world of simulated demand, and the law that it follows.


class DemandSettings(PanelDataset):
    """The settings of a world of devices, of which one or several datasets are made.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        families: Product families, in the order of `catalogue.FAMILIES`.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        months: The months of history of the longest series.
        horizon: Months of the plan, and to forecast by default.
        cannibalisation: The share of demand that a successor takes from its launch on.
        cross: Elasticity to the mean price of the family's other generations on sale in the
            channel.
        pull_forward: Elasticity to the own price of the month before: a cut brings demand forward.
        noise: Standard deviation of the log of one month's demand.
        drift: Standard deviation of a month's change of a series' own level, in logs.
    """

    seed: Seed = 0
    families: Annotated[PositiveInt, Le(len(FAMILIES)), Small(2)] = 4
    channels: Annotated[PositiveInt, Le(len(CHANNELS)), Small(2)] = 4
    months: Annotated[int, Ge(24), Le(1_200), Small(72)] = 108
    horizon: Steps = 12
    cannibalisation: Annotated[float, Ge(0), Lt(1)] = 0.6
    cross: Annotated[float, Ge(0), Le(5)] = 0.0
    pull_forward: Annotated[float, Ge(0), Le(5)] = 0.0
    noise: Positive = 0.18
    drift: Positive = 0.12

    def world(self) -> HardwareWorld:
        """Return the entities that the demand is about."""
        return HardwareWorld(self.seed, self.months, self.horizon, self.families, self.channels)


@cache
def demand_law(dataset: DemandSettings) -> tuple[DataFrame, DemandLaw]:
    """Return the offers of a dataset, each a series, and their law."""
    world = dataset.world()
    offers = offers_on_sale(world)
    names = ("cannibalisation", "cross", "pull_forward", "noise", "drift")
    return offers, DemandLaw.of(world, offers, **{name: getattr(dataset, name) for name in names})


@cache
def price_effects(dataset: DemandSettings) -> DataFrame:
    """Return what other generations' prices and the month before's add to the log-demand of each
    month of the plan.

    Columns `series_id`, `time`, `effect`.
    """
    offers, law = demand_law(dataset)
    plan = demand_plan(dataset.world(), offers)
    effect = law.take(plan["offer"].to_numpy()).log_other_effects(plan, offers)
    return plan.select(offers["series_id"].gather(plan["offer"]), "time", Series("effect", effect))

"""PriceSales: weekly sales of simulated devices by channel and price, with known elasticities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.recipe import Positive, Seed, Small, Steps, UnitInterval
from hwds.core.seeds import stream
from hwds.datasets.base import PanelDataset, Truth
from hwds.datasets.simulated.worlds.hardware import CHANNELS, FAMILIES
from hwds.elasticity.design import CROSS, LAG, DemandDesign, DemandTerms, identify
from hwds.elasticity.fitted import CrossPairs, ElasticityContext, Estimates, FittedElasticities
from hwds.elasticity.models.base import demand_levels
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, Roles

# The cells of simulated sales, a device in a channel, and their true parameters.

GENERATIONS = 5
"""Generations of a family that are on sale side by side."""

MEAN = -2.3
"""The mean elasticity of all cells."""

FAMILY, SKU, CHANNEL, OWN = 0.25, 0.35, 0.25, 0.35
"""Standard deviations of what a family, a device, a channel and a cell add to the mean elasticity.
"""

NEAREST_ZERO = -0.6
"""No true elasticity is nearer to zero."""

LEVEL = 0.6
"""The standard deviation of the log of a cell's mean sales."""

WEEKS = np.array([0.10, 0.15, 0.20, 0.25, 0.40, 0.60, 0.80, 1.0])
"""The shares of all weeks for which a cell may have been sold."""


@dataclass(frozen=True)
class SalesCells:
    """The cells of a world.

    Attributes:
        table: One row a cell: `series_id`, `sku`, `channel`, `family`, `generation`, `list_price`,
            `cost`, `elasticity`, `base` (log of mean sales a week at the list price without
            promotion), `promotion` (log-lift of a promoted week at an unchanged price), `first`
            (its first week), `device` and `shop` (the numbers of its SKU and its channel).
        substitutes: Whether the column's cell is another generation of the row's family in the same
            channel, shape (K, K).
    """

    table: DataFrame
    substitutes: ndarray

    def __len__(self) -> int:
        return len(self.table)

    def parts(self, nearness: float) -> ndarray:
        """Return the weight of each substitute's price, exp(-nearness x the generations between the
        two), shape (K, K).
        """
        generation = self.column("generation")
        apart = np.maximum(np.abs(generation[:, None] - generation) - 1, 0)
        return self.substitutes * np.exp(-nearness * apart)

    def column(self, name: str) -> ndarray:
        """Return a column as an array, shape (K,)."""
        return self.table[name].to_numpy()


def family_names(count: int) -> list[str]:
    """Return so many family names: those of the catalogue, then `phone_2` and on."""
    names = [family.name for family in FAMILIES]
    return [
        names[i % len(names)] + (f"_{i // len(names) + 1}" if i >= len(names) else "")
        for i in range(count)
    ]


def sales_cells(settings: SalesSettings) -> SalesCells:
    """Return the cells of a world: more devices, channels or weeks leave the parameters of the
    others as they are.
    """
    seed, skus, weeks = settings.seed, settings.skus, settings.weeks
    families = -(-skus // GENERATIONS)
    names = family_names(families)
    about = [FAMILIES[i % len(FAMILIES)] for i in range(families)]
    of_family = FAMILY * stream(seed, "price_sales", "families").standard_normal(families)
    of_channel = CHANNEL * stream(seed, "price_sales", "channels").standard_normal(len(CHANNELS))
    of_sku = stream(seed, "price_sales", "skus").standard_normal((skus, 3))
    normal = stream(seed, "price_sales", "cells").standard_normal((skus, len(CHANNELS), 3))
    length = stream(seed, "price_sales", "lengths").integers(0, len(WEEKS), (skus, len(CHANNELS)))
    rows = []
    for device in range(skus):
        family, generation = divmod(device, GENERATIONS)
        list_price = round(
            about[family].list_price * float(np.exp(0.08 * generation + 0.05 * of_sku[device, 1])),
            0,
        )
        cost = round(list_price * float(0.45 + 0.04 * np.tanh(of_sku[device, 2])), 2)
        for shop, channel in enumerate(CHANNELS[: settings.channels]):
            own = normal[device, shop]
            elasticity = (
                MEAN + of_family[family] + of_channel[shop] + SKU * of_sku[device, 0] + OWN * own[0]
            )
            sold = max(round(WEEKS[length[device, shop]] * weeks), min(settings.shortest, weeks))
            sku = f"{names[family]}-{generation + 1}"
            rows.append(
                (
                    f"{sku}.{channel.name}",
                    sku,
                    channel.name,
                    names[family],
                    generation + 1,
                    list_price,
                    cost,
                    min(elasticity, NEAREST_ZERO),
                    float(np.log(settings.units) - LEVEL**2 / 2 + LEVEL * own[1]),
                    settings.promotion_lift * float(np.exp(0.2 * own[2])),
                    weeks - sold,
                    device,
                    shop,
                )
            )
    columns = "series_id sku channel family generation list_price cost elasticity base promotion"
    schema = [*columns.split(), "first", "device", "shop"]
    table = DataFrame(rows, schema=schema, orient="row")
    family_of, shop_of = table["device"].to_numpy() // GENERATIONS, table["shop"].to_numpy()
    same = (family_of[:, None] == family_of) & (shop_of[:, None] == shop_of)
    np.fill_diagonal(same, False)
    return SalesCells(table, same)


# The weeks of simulated sales: season, costs, prices, promotions and the units that were sold.

SPELL = 4
"""Weeks for which a price of its own making stays."""

OWN_PRICE, SKU_PRICE = 0.07, 0.06
"""Standard deviations of the log price of a spell: of a cell alone, and of a device in all
channels.
"""

COST_SHOCK, COST_PERSISTENCE = 0.08, 0.8
"""The stationary standard deviation of a device's log cost, and its autocorrelation from week to
week.
"""

DEPTHS = np.array([0.05, 0.10, 0.15])
"""The share of the price that a promotion takes off."""

REACTION = 0.12
"""The log price that a seller adds for a demand shock of one standard deviation, at an endogeneity
of 1.
"""

WALK = 0.03
"""The standard deviation of a week's change of the demand that all cells share."""

LARGEST = 0.8
"""The largest share of a week that a stock-out takes."""


@dataclass(frozen=True)
class SalesWeeks:
    """Prices and sales by cell and week, each of shape (K, weeks); a cell is sold from its first
    week on.

    Attributes:
        relative: Log of the price over the list price.
        cost: The cost of a unit, in currency.
        promotion: 0 or 1.
        stock_out: The share of the week without stock.
        log_mean: Log of the expected units, stock-outs and a cell's own noise apart.
        units: Sold.
    """

    relative: ndarray
    cost: ndarray
    promotion: ndarray
    stock_out: ndarray
    log_mean: ndarray
    units: ndarray


def sales_weeks(law: SalesSettings, cells: SalesCells) -> SalesWeeks:
    """Draw the weeks of a world.

    A cell's units are Poisson with a gamma-distributed rate (negative binomial with size
    `dispersion`) around exp(base + season + elasticity x + lift promotion + pull_forward x of the
    week before + cannibalisation mean x of the family's other generations in the channel, nearer
    ones with more weight + shared noise), x being the log price over the list price.
    """
    seed, weeks = law.seed, law.weeks
    device, shop = cells.column("device"), cells.column("shop")
    skus = int(device.max()) + 1
    shape = (skus, len(CHANNELS), weeks)
    uniforms = stream(seed, "price_sales", "uniform").random((*shape, 4))[device, shop]
    promoting, deepness, missing, missing_share = np.moveaxis(uniforms, -1, 0)
    season = law.season * seasonal(weeks)
    gamma = _gamma_shocks(law, shape)[device, shop]
    shock = (np.log(gamma) - np.log(gamma).mean()) / max(float(np.log(gamma).std()), 1e-12)
    promoted = promoting < law.promotion_share * (
        1 + season / max(law.season, 1e-12) * (law.season > 0)
    )
    depth = DEPTHS[(deepness * len(DEPTHS)).astype(np.int64)] * promoted
    cost = _costs(seed, skus, weeks)[device]
    relative = (
        _spell_prices(seed, device, shop, weeks)
        + law.seasonal_pricing * season
        + law.pass_through * cost
        + REACTION * law.endogeneity * shock
        + np.log1p(-depth)
    )
    price = np.round(cells.column("list_price")[:, None] * np.exp(relative), 1)
    relative = np.log(price / cells.column("list_price")[:, None])
    sold = np.arange(weeks) >= cells.column("first")[:, None]
    beside = np.where(sold, relative, 0.0)
    parts = cells.parts(law.nearness)
    whole = parts @ sold.astype(float)
    others = parts @ beside / np.where(whole > 0, whole, 1.0)
    before = np.concatenate([relative[:, :1], relative[:, :-1]], axis=1)
    shared = stream(seed, "price_sales", "shared").standard_normal((skus, weeks))
    walk = np.cumsum(WALK * stream(seed, "price_sales", "walk").standard_normal(weeks))
    log_mean = (
        cells.column("base")[:, None]
        + season
        + walk
        + cells.column("elasticity")[:, None] * relative
        + cells.column("promotion")[:, None] * promoted
        + law.pull_forward * before
        + law.cannibalisation * others
        + law.shared_noise * shared[device]
    )
    stock_out = np.where(missing < law.stock_outs, np.maximum(LARGEST * missing_share, 0.05), 0.0)
    units = (
        stream(seed, "price_sales", "sales")
        .poisson(np.exp(log_mean) * gamma * (1 - stock_out))
        .astype(float)
    )
    costs = np.round(cells.column("cost")[:, None] * np.exp(cost), 2)
    return SalesWeeks(relative, costs, promoted.astype(float), stock_out, log_mean, units)


def seasonal(weeks: int) -> ndarray:
    """Return the season of each week: a yearly wave with a peak before its end, between -1 and
    1.
    """
    week = np.arange(weeks)
    return 0.7 * np.cos(2 * np.pi * (week - 48) / 52) + 0.3 * np.cos(4 * np.pi * (week - 48) / 52)


def _spell_prices(seed: int, device: ndarray, shop: ndarray, weeks: int) -> ndarray:
    """Return the part of each log price that stays for a spell: a cell's own and its device's,
    shape (K, weeks).
    """
    skus, spells = int(device.max()) + 1, -(-weeks // SPELL)
    own = stream(seed, "price_sales", "spells").standard_normal((skus, len(CHANNELS), spells))
    of_device = stream(seed, "price_sales", "device_spells").standard_normal((skus, spells))
    by_spell = OWN_PRICE * own[device, shop] + SKU_PRICE * of_device[device]
    return np.repeat(by_spell, SPELL, axis=1)[:, :weeks]


def _costs(seed: int, skus: int, weeks: int) -> ndarray:
    """Return the log of each device's cost over its mean, a stationary autoregression, shape (skus,
    weeks).
    """
    normal = stream(seed, "price_sales", "costs").standard_normal((skus, weeks))
    return _lasting(COST_SHOCK * normal, COST_PERSISTENCE)


def _gamma_shocks(law: SalesSettings, shape: tuple[int, ...]) -> ndarray:
    """Return what multiplies the mean of each cell and week: gamma-distributed, of mean 1."""
    from scipy.special import gammaincinv, ndtr

    if not law.shock_persistence:
        noise = stream(law.seed, "price_sales", "noise")
        return noise.gamma(law.dispersion, 1 / law.dispersion, shape)
    normal = stream(law.seed, "price_sales", "lasting_noise").standard_normal(shape)
    level = ndtr(_lasting(normal, law.shock_persistence))
    return np.asarray(gammaincinv(law.dispersion, level)) / law.dispersion


def _lasting(normal: ndarray, persistence: float) -> ndarray:
    """Return a stationary autoregression on the last axis of independent draws, of their
    variance.
    """
    out = normal.copy()
    for week in range(1, out.shape[-1]):
        fresh = np.sqrt(1 - persistence**2) * normal[..., week]
        out[..., week] = persistence * out[..., week - 1] + fresh
    return out


# Settings of a world of sales by price, and the truth about it.

MULTIPLES = tuple(float(value) for value in np.round(np.arange(0.7, 1.31, 0.05), 2))
"""The multiples of the list price at which the true profit is given."""


class SalesSettings(PanelDataset):
    """The settings of a world of sales by price.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        skus: Devices, five generations a family.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        weeks: The number of weeks of the calendar.
        shortest: The fewest weeks for which a cell is sold.
        units: Mean units of a cell in a week at its list price.
        dispersion: The size of the negative binomial law: the variance is mean + mean^2 / size.
        cannibalisation: Cross elasticity to the mean log price of the family's other generations in
            the channel.
        nearness: How much more a generation takes from a nearer one: a pair's part of
            `cannibalisation` is as exp(-nearness x the generations between them); 0 for equal
            parts.
        pull_forward: Elasticity to the own price of the week before: a cut brings demand forward.
        season: Half the range of the log of demand in a year.
        seasonal_pricing: The log price that sellers add for a log-unit of season: what confounds
            price with season.
        promotion_share: The share of weeks that are promoted at the middle of the season; none at
            its lowest.
        promotion_lift: The mean log-lift of a promoted week at an unchanged price.
        shared_noise: The standard deviation of the log-demand that a device shares in all channels
            of a week.
        endogeneity: How much of demand shocks sellers see and price; 0 for not at all.
        shock_persistence: The correlation of a cell's demand shock with that of the next week.
        pass_through: The share of a cost's change that goes into the price.
        stock_outs: The share of weeks with a stock-out.
        horizon: Weeks to predict by default.
    """

    seed: Seed = 0
    skus: Annotated[int, Ge(2), Le(10_000), Small(10)] = 40
    channels: Annotated[int, Ge(1), Le(len(CHANNELS))] = 4
    weeks: Annotated[int, Ge(10), Le(1_000), Small(60)] = 100
    shortest: Annotated[int, Ge(4), Le(1_000)] = 10
    units: Positive = 5.0
    dispersion: Annotated[float, Gt(0.01), Le(1e6)] = 3.0
    cannibalisation: Annotated[float, Ge(0), Le(5)] = 0.25
    nearness: Annotated[float, Ge(0), Le(5)] = 0.0
    pull_forward: Annotated[float, Ge(0), Le(5)] = 0.2
    season: Annotated[float, Ge(0), Le(2)] = 0.5
    seasonal_pricing: Annotated[float, Ge(-1), Le(1)] = 0.1
    promotion_share: UnitInterval = 0.15
    promotion_lift: Annotated[float, Ge(0), Le(3)] = 0.3
    shared_noise: Annotated[float, Ge(0), Le(2)] = 0.1
    endogeneity: UnitInterval = 0.0
    shock_persistence: Annotated[float, Ge(0), Le(0.99)] = 0.0
    pass_through: UnitInterval = 0.5
    stock_outs: UnitInterval = 0.03
    horizon: Steps = 8

    def parameters(self) -> DataFrame:
        """Return the true parameters of each cell.

        Columns: `series_id`, `sku`, `channel`, `family`, `list_price`, `cost` (at their mean),
        `elasticity`, `promotion` (the log-lift of a promoted week), `pull_forward` and
        `cannibalisation` (elasticities to the own price of the week before and to the mean price of
        substitutes), `units` (expected a week at the list price), `best_price` (of greatest profit,
        other prices as they are: cost e / (1 + e); null where e is -1 or above, where profit grows
        with the price for ever).
        """
        table = self.cells().table
        elasticity = col("elasticity")
        best = pl.when(elasticity < -1).then(col("cost") * elasticity / (1 + elasticity))
        names = "series_id sku channel family list_price cost elasticity promotion"
        return table.select(
            *names.split(),
            pull_forward=pl.lit(self.pull_forward),
            cannibalisation=pl.lit(self.cannibalisation),
            units=col("base").exp(),
            best_price=best,
        )

    def profit_curve(self, multiples: tuple[float, ...] = MULTIPLES) -> DataFrame:
        """Return the true mean profit a week of each cell at multiples of its list price, other
        prices as they are.

        Returns:
            Columns `series_id`, `price`, `units`, `profit`.
        """
        grid = self.parameters().join(DataFrame({"multiple": multiples}), how="cross")
        units = col("units") * col("multiple") ** col("elasticity")
        price = col("list_price") * col("multiple")
        profit = (price - col("cost")) * units
        return grid.select("series_id", price=price, units=units, profit=profit)

    def cross(self) -> ndarray:
        """Return the true cross elasticities, of a row's cell to the price of a column's, with all
        on sale, shape (K, K).
        """
        parts = self.cells().parts(self.nearness)
        return self.cannibalisation * parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)

    def cells(self) -> SalesCells:
        """Return the cells with their true parameters."""
        return sales_cells(self)

    def drawn(self) -> SalesWeeks:
        """Return what happened in each week."""
        return sales_weeks(self, self.cells())


# PriceSalesTruth: the true elasticities of simulated sales, as a model of demand.


class PriceSalesTruth(Truth):
    """The true elasticities of the cells of `price_sales`, with no error: what a model would say
    who knew demand.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: SalesSettings

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the truth of the cells of a history.

        Levels are those at which expected units add up to those sold.
        """
        known = self.dataset.parameters()
        design = DemandDesign.of(history, DemandTerms(), context.controls)
        shared = {LAG: self.dataset.pull_forward, CROSS: self.dataset.cannibalisation}
        pairs = self._pairs(design) if self.dataset.nearness else None
        return known_elasticities(design, known, shared, context, pairs)

    def _pairs(self, design: DemandDesign) -> CrossPairs:
        """Return the true cross elasticities of pairs."""
        names = self.dataset.cells().table[SERIES].to_list()
        place = [names.index(name) for name in design.names[SERIES]]
        cross = self.dataset.cross()[np.ix_(place, place)]
        rows, columns = np.nonzero(cross)
        none = np.zeros(len(rows))
        return CrossPairs(rows, columns, cross[rows, columns], none, none)


def known_elasticities(
    design: DemandDesign,
    known: DataFrame,
    shared: Mapping[str, float],
    context: ElasticityContext,
    pairs: CrossPairs | None = None,
) -> FittedElasticities:
    """Return a model of demand that knows the elasticities.

    Args:
        design: The rows.
        known: `series_id, elasticity, promotion` of each cell; the promotion's slope is their mean.
        shared: The slopes of other columns by name, 0 for those that are not named.
        context: The settings of the run.
        pairs: Cross elasticities, where they differ by pair.
    """
    true = design.names.select(SERIES).join(known, SERIES, "left", maintain_order="left")
    slopes = true["elasticity"].to_numpy()
    by_name = {"promotion": true["promotion"].mean(), **shared}
    theta = np.array([by_name.get(name, 0.0) for name in design.columns], float)
    none, cells = np.zeros(len(design)), len(design)
    estimates = Estimates(
        slopes,
        none,
        np.full(cells, 1.96),
        demand_levels(design, slopes, theta),
        theta,
        np.zeros(len(theta)),
        np.full(cells, np.nan),
        np.ones(cells),
        method="truth",
        pairs=pairs,
    )
    return FittedElasticities.of(
        design, DemandTerms(), estimates, identify(design, by_period=True), context
    )


# PriceSales: weekly sales of simulated devices by channel and price, with known elasticities.

START = date(2023, 1, 2)
"""The Monday of the first week."""

ROLES = Roles(
    known_future=("price", "list_price", "cost", "promotion"),
    past_only=("stock_out",),
    static=("sku", "channel", "family", "generation"),
    level=("family", "channel"),
    price="price",
    list_price="list_price",
    cost="cost",
    promotion="promotion",
    stock_out="stock_out",
)


class PriceSales(SalesSettings):
    """Weekly units of simulated devices by channel, with prices, costs, promotions and stock-outs,
    and known elasticities.

    A series is a cell: a device in a channel, sold for the last 10 to 100 weeks. Units are few
    (negative binomial, 6 a week on average). Prices move by spells of four weeks, with the season,
    with a device's cost, by promotions, and, as `endogeneity` says, with demand shocks that nobody
    else sees. Other generations of the family in the channel are substitutes.
    """

    def load(self) -> Panel:
        """Return the panel."""
        cells, weeks = self.cells(), self.drawn()
        table = _long(cells, weeks, self.weeks)
        return Panel.build(table, Frequency("1w"), roles=ROLES, horizon=self.horizon, unit="units")

    def truth(self, task: str) -> Truth | None:
        """Return the true elasticities, for the protocols that ask for them."""
        return PriceSalesTruth(dataset=self) if task == "elasticity" else None


def _long(cells: SalesCells, weeks: SalesWeeks, count: int) -> DataFrame:
    """Return a row for each cell and week in which it is sold."""
    cell, week = np.nonzero(np.arange(count) >= cells.column("first")[:, None])
    about = cells.table[cell].select(
        "series_id", "sku", "channel", "family", "generation", "list_price"
    )
    monday = Series(np.datetime64(START, "D") + 7 * week).cast(pl.Date)
    price = np.round(about["list_price"].to_numpy() * np.exp(weeks.relative[cell, week]), 1)
    drawn = {
        name: getattr(weeks, name)[cell, week]
        for name in ("cost", "promotion", "stock_out", "units")
    }
    return about.with_columns(
        Series("time", monday),
        Series("price", price),
        **{k: Series(v) for k, v in drawn.items()},
    ).rename({"units": "target"})

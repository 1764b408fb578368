"""The weeks of simulated sales: season, costs, prices, promotions and the units that were sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.catalogue import CHANNELS
from hwds.datasets.simulated.sales.cells import SalesCells

SPELL = 4
"""Weeks for which a price of its own making stays."""

OWN_PRICE, SKU_PRICE = 0.07, 0.06
"""Standard deviations of the log price of a spell: of a cell alone, and of a device in all channels."""

COST_SHOCK, COST_PERSISTENCE = 0.08, 0.8
"""The stationary standard deviation of a device's log cost, and its autocorrelation from week to week."""

DEPTHS = np.array([0.05, 0.10, 0.15])
"""The share of the price that a promotion takes off."""

REACTION = 0.12
"""The log price that a seller adds for a demand shock of one standard deviation, at an endogeneity of 1."""

WALK = 0.03
"""The standard deviation of a week's change of the demand that all cells share."""

LARGEST = 0.8
"""The largest share of a week that a stock-out takes."""


@dataclass(frozen=True)
class SalesLaw:
    """The settings of the law of sales that are the same for all cells; see `PriceSales`."""

    dispersion: float
    cannibalisation: float
    nearness: float
    pull_forward: float
    season: float
    seasonal_pricing: float
    promotion_share: float
    shared_noise: float
    endogeneity: float
    pass_through: float
    stock_outs: float


@dataclass(frozen=True)
class SalesWeeks:
    """Prices and sales by cell and week, each of shape (K, weeks); a cell is sold from its first week on.

    Attributes:
        relative: Log of the price over the list price.
        cost: Of a unit, in currency.
        promotion: 0 or 1.
        stock_out: The share of the week without stock.
        log_mean: Log of the expected units, stock-outs and a cell's own noise apart.
        units: Sold.
    """

    relative: np.ndarray
    cost: np.ndarray
    promotion: np.ndarray
    stock_out: np.ndarray
    log_mean: np.ndarray
    units: np.ndarray


def sales_weeks(seed: int, cells: SalesCells, weeks: int, law: SalesLaw) -> SalesWeeks:
    """Draw the weeks of a world.

    A cell's units are Poisson with a gamma-distributed rate (negative binomial with size `dispersion`) around
    exp(base + season + elasticity x + lift promotion + pull_forward x of the week before + cannibalisation mean x of the
    family's other generations in the channel, nearer ones with more weight + shared noise), x being the log price
    over the list price.
    """
    device, shop = cells.column("device"), cells.column("shop")
    draws = _draws(seed, cells, weeks)
    season = law.season * seasonal(weeks)
    gamma = stream(seed, "price_sales", "noise").gamma(law.dispersion, 1 / law.dispersion, draws.shape_all)[device, shop]
    shock = (np.log(gamma) - np.log(gamma).mean()) / max(float(np.log(gamma).std()), 1e-12)
    promoted = draws.promoted < law.promotion_share * (1 + season / max(law.season, 1e-12) * (law.season > 0))
    depth = DEPTHS[(draws.depth * len(DEPTHS)).astype(np.int64)] * promoted
    cost = draws.cost[device]
    relative = (
        OWN_PRICE * np.repeat(draws.own, SPELL, axis=1)[:, :weeks]
        + SKU_PRICE * np.repeat(draws.device[device], SPELL, axis=1)[:, :weeks]
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
    walk = np.cumsum(WALK * stream(seed, "price_sales", "walk").standard_normal(weeks))
    log_mean = (
        cells.column("base")[:, None]
        + season
        + walk
        + cells.column("elasticity")[:, None] * relative
        + cells.column("promotion")[:, None] * promoted
        + law.pull_forward * before
        + law.cannibalisation * others
        + law.shared_noise * draws.shared[device]
    )
    stock_out = np.where(draws.out < law.stock_outs, np.maximum(LARGEST * draws.out_share, 0.05), 0.0)
    units = stream(seed, "price_sales", "sales").poisson(np.exp(log_mean) * gamma * (1 - stock_out)).astype(float)
    costs = np.round(cells.column("cost")[:, None] * np.exp(cost), 2)
    return SalesWeeks(relative, costs, promoted.astype(float), stock_out, log_mean, units)


def seasonal(weeks: int) -> np.ndarray:
    """Return the season of each week: a yearly wave with a peak before its end, between -1 and 1."""
    week = np.arange(weeks)
    wave = 0.7 * np.cos(2 * np.pi * (week - 48) / 52) + 0.3 * np.cos(4 * np.pi * (week - 48) / 52)
    return np.asarray(wave)


@dataclass(frozen=True)
class _Draws:
    """Standard draws by cell (or device, for `device`, `shared` and `cost`) and week or spell."""

    own: np.ndarray
    device: np.ndarray
    shared: np.ndarray
    cost: np.ndarray
    promoted: np.ndarray
    depth: np.ndarray
    out: np.ndarray
    out_share: np.ndarray
    shape_all: tuple[int, int, int]


def _draws(seed: int, cells: SalesCells, weeks: int) -> _Draws:
    device, shop = cells.column("device"), cells.column("shop")
    skus, spells = int(device.max()) + 1, -(-weeks // SPELL)
    whole = (skus, len(CHANNELS), weeks)
    own = stream(seed, "price_sales", "spells").standard_normal((skus, len(CHANNELS), spells))[device, shop]
    by_device = stream(seed, "price_sales", "device_spells").standard_normal((skus, spells))
    shared = stream(seed, "price_sales", "shared").standard_normal((skus, weeks))
    uniform = stream(seed, "price_sales", "uniform").random((*whole, 4))[device, shop]
    return _Draws(own, by_device, shared, _costs(seed, skus, weeks), *np.moveaxis(uniform, -1, 0), whole)  # type: ignore[call-arg]


def _costs(seed: int, skus: int, weeks: int) -> np.ndarray:
    """Return the log of each device's cost over its mean, a stationary autoregression, shape (skus, weeks)."""
    normal = stream(seed, "price_sales", "costs").standard_normal((skus, weeks))
    cost = np.empty_like(normal)
    cost[:, 0] = COST_SHOCK * normal[:, 0]
    for week in range(1, weeks):
        cost[:, week] = COST_PERSISTENCE * cost[:, week - 1] + COST_SHOCK * np.sqrt(1 - COST_PERSISTENCE**2) * normal[:, week]
    return cost

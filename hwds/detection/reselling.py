"""Reselling: its costs, prices from few sales, and the differences above which it pays."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Days, NonNegative, Recipe, UnitInterval
from hwds.detection.rows import distinct_codes
from hwds.frames.table import Table
from hwds.results.tables import Verdict

# Costs of reselling a unit elsewhere, and the columns of a table that say where it was bought.

NUMBERS = ("quantity", "unit_price", "street_price")
"""Fields that name columns of numbers."""


class Reselling(Recipe):
    """The costs of reselling, and the columns of prices.

    To resell a unit costs freight, and duty and a premium for the risk, both as shares of the price
    paid.

    Attributes:
        freight: The cost of moving one unit.
        duty: The share of the price paid that is due where a unit leaves its region.
        risk: The share of the price paid that a reseller asks for the risk.
        seen_days: The number of days for which a price is remembered.
        sku: The column of what was bought.
        channel: The column of the channel it was bought in.
        region: The column of the region; null where there is but one.
        quantity: The column of the units.
        unit_price: The column of the price paid.
        street_price: The column of the open-market price at that time.
    """

    freight: NonNegative = 10.0
    duty: UnitInterval = 0.05
    risk: UnitInterval = 0.05
    seen_days: Days = 28
    sku: str = "sku"
    channel: str = "channel"
    region: str | None = "region"
    quantity: str = "quantity"
    unit_price: str = "unit_price"
    street_price: str = "street_price"

    def check_columns(self, table: Table, path: str) -> None:
        """Refuse a table without a column that is named, or with one that holds no numbers.

        Args:
            table: The rows.
            path: The path of these fields in the config (`features`).

        Raises:
            ConfigError: With the nearest right name, or what the column holds.
        """
        if not table.roles.get("time"):
            raise ConfigError(
                f"{path}: prices as of a time need the role 'time'; set dataset.roles.time."
            )
        for field in ("sku", "channel", "region", *NUMBERS):
            name = getattr(self, field)
            if name is None:
                continue
            if name not in table.data.columns:
                raise ConfigError(
                    f"{path}.{field}: no column '{name}'{nearest(name, table.data.columns)}"
                )
            kind = table.data.schema[name]
            if field in NUMBERS and not kind.is_numeric():
                raise ConfigError(
                    f"{path}.{field}: column '{name}' must hold numbers, it holds {kind}."
                )

    def cost(self, paid: ndarray, *, abroad: bool) -> ndarray:
        """Return what a unit has cost once it is resold: price paid, freight, risk, and duty where
        that is abroad.
        """
        return paid * (1 + self.risk + (self.duty if abroad else 0.0)) + self.freight

    def lines(self, data: DataFrame) -> DataFrame:
        """Return the columns by one name each: sku, channel, region (empty where there is but one),
        and three of numbers.
        """
        numbers = [col(getattr(self, name)).cast(pl.Float64).alias(name) for name in NUMBERS]
        region = (
            pl.lit("") if self.region is None else col(self.region).cast(pl.String).fill_null("")
        )
        texts = [
            col(getattr(self, name)).cast(pl.String).alias(name) for name in ("sku", "channel")
        ]
        return data.select(*texts, region.alias("region"), *numbers)


# Prices of SKUs in markets from few sales each: drawn to what SKU and market alone say, as far
# as the sales leave open.

SCALES = np.geomspace(0.25, 4.0, 7)
"""Standard deviations of the parts of the prior, over that of all deviations."""

ROUNDS = 100
TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class ShrunkPrices:
    """The posterior of each cell's median price.

    Attributes:
        mean: The mean of the price, shape (n,).
        deviation: Its standard deviation, shape (n,).
        own: The weight of the cell's own sales, from 0 (what SKU and market say) to 1, shape (n,).
    """

    mean: ndarray
    deviation: ndarray
    own: ndarray


def shrink_prices(
    price: ndarray, lines: ndarray, spread: ndarray, sku: ndarray, market: ndarray
) -> ShrunkPrices:
    """Return prices under a prior whose logarithm is the sum of one number for the SKU and one for
    the market.

    The sums are those of least squares, weighted by the variance of deviations from them under
    which the weighted squares of the residuals are what they should be (Paule and Mandel 1982).
    Deviations follow a mixture of normal laws of several scales, whose shares are those of the
    greatest likelihood (Stephens 2017, "False discovery rates: a new deal"): a few prices that are
    far off are then left there. The best of several such prices is not too good on the average, as
    that of raw medians is (Efron 2011, "Tweedie's formula and selection bias"). Where there are no
    more cells than sums, nothing is shrunk.

    Args:
        price: The median of the sales of each cell, > 0, shape (n,).
        lines: Sales of each cell, shape (n,).
        spread: The standard deviation of a sale's log price around its cell's median, shape (n,).
        sku: The number of its SKU, from 0, shape (n,).
        market: The number of its market, from 0, shape (n,).
    """
    logged, error = np.log(price), spread**2 * median_variance_ratio(lines) / lines
    design = np.zeros((len(price), int(sku.max(initial=-1)) + int(market.max(initial=-1)) + 2))
    design[np.arange(len(price)), sku] = 1.0
    design[np.arange(len(price)), int(sku.max(initial=-1)) + 1 + market] = 1.0
    # Degrees of freedom: without any, the sums fit every cell and nothing can be shrunk.
    free = len(price) - int(np.linalg.matrix_rank(design)) if len(price) else 0
    if free <= 0:
        deviation = np.sqrt(error)
        return _price_in_money(logged, deviation, np.ones(len(price)))
    prior = _variance(logged, error, design, free)
    fit, leverage = _fit_sums(logged, error + prior, design)
    parts = prior * SCALES**2
    # Under each part of the prior: the weight of a cell's own sales, then the chance of the part.
    own = np.divide(
        parts,
        parts + error[:, None],
        out=np.ones((len(price), len(parts))),
        where=parts + error[:, None] > 0,
    )
    chance = (
        _part_chances(logged - fit, error[:, None] + parts)
        if prior > 0
        else np.full(own.shape, 1 / len(parts))
    )
    weight = (chance * own).sum(axis=1)
    middle = fit + weight * (logged - fit)
    # The variance within parts, between parts, and of the sums.
    apart = (chance * (own - weight[:, None]) ** 2).sum(axis=1) * (logged - fit) ** 2
    variance = (chance * own).sum(axis=1) * error + apart + (1 - weight) ** 2 * leverage
    return _price_in_money(middle, np.sqrt(variance), weight)


def median_variance_ratio(lines: ndarray) -> ndarray:
    """Return the variance of a median over that of a mean, of normal numbers: exact of 1, of 2 and
    of very many.
    """
    return np.pi * lines / (2 * (lines + np.where(lines % 2 == 1, np.pi / 2 - 1, np.pi - 2)))


def _part_chances(residual: ndarray, variance: ndarray) -> ndarray:
    """Return the chance that each residual is of each part of the prior, shape (n, parts), by the
    EM algorithm.

    Args:
        residual: Shape (n,).
        variance: The variance of a residual under each part, shape (n, parts).
    """
    density = np.exp(-0.5 * residual[:, None] ** 2 / variance) / np.sqrt(variance) + 1e-300
    share = np.full(variance.shape[1], 1 / variance.shape[1])
    for _ in range(ROUNDS):
        chance = share * density
        chance /= chance.sum(axis=1, keepdims=True)
        share = chance.mean(axis=0)
    return chance


def _price_in_money(logged: ndarray, deviation: ndarray, own: ndarray) -> ShrunkPrices:
    mean = np.exp(logged + deviation**2 / 2)
    return ShrunkPrices(mean, mean * deviation, own)


def _variance(logged: ndarray, error: ndarray, design: ndarray, free: int) -> float:
    """Return the variance of deviations from the sums, by bisection."""

    def surplus(prior: float) -> float:
        weights = error + prior
        fit, _ = _fit_sums(logged, weights, design)
        return float(np.sum((logged - fit) ** 2 / np.maximum(weights, 1e-300))) - free

    low, high = 0.0, float(np.var(logged)) + float(error.max()) + 1e-12
    if float(error.min()) > 0 and surplus(0.0) <= 0:
        return 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
        if high - low <= TOLERANCE * (1 + high):
            break
    return (low + high) / 2


def _fit_sums(logged: ndarray, variance: ndarray, design: ndarray) -> tuple[ndarray, ndarray]:
    """Return the weighted least-squares fit, and the variance of each fitted number."""
    weight = 1 / np.sqrt(np.maximum(variance, 1e-18))
    inverse = np.linalg.pinv(design * weight[:, None])
    coefficients = inverse @ (logged * weight)
    spread = design @ inverse
    return design @ coefficients, np.sum(spread**2, axis=1)


# Thresholds of arbitrage: the difference of prices above which buying in one channel and
# selling in another pays.

STREET = "street"
"""The name of the open market among the channels sold in."""

THRESHOLDS = (
    "sku",
    "bought_in",
    "sold_in",
    "from_region",
    "to_region",
    "lines",
    "units",
    "price_paid",
    "price_there",
    "difference",
    "threshold",
    "margin",
    "margin_low",
    "margin_high",
    "margin_seen",
    "weak",
    "pays",
    "pays_below",
)
"""Columns of `resale_thresholds`."""

OWN_SPREAD = 0.5
"""The weight of its own sales below which a price is mostly what its SKU and its market say of it.
"""

LEVEL = 0.95

CELL = ("sku", "channel", "region")


def resale_thresholds(
    lines: DataFrame,
    costs: Reselling,
    least_lines: int = 1,
    pairs: DataFrame | None = None,
    *,
    shrink: bool = True,
) -> DataFrame:
    """Return each SKU and pair of channels, by the best route between two regions, the largest
    margin first.

    Prices are medians of the lines of a SKU in a channel and region, drawn to what the SKU and the
    market say as far as few lines leave them open (`shrunk_prices`): the best of many routes is
    else too good. `threshold` is the difference of prices above which to resell pays, freight +
    (risk + duty) * price_paid, duty where the regions differ or the unit is sold on the street;
    `margin` is what the difference is above it, with its 95 % interval, and `margin_seen` the same
    by the medians as they are; at a price in `bought_in` of `pays_below` or more it would not pay.
    A route is `weak` where either price is of fewer than `least_lines` lines, or mostly not of its
    own.

    Args:
        lines: The lines as `Reselling.lines` gives them.
        costs: The costs of reselling.
        least_lines: Lines below which a price is weak.
        pairs: The costs of reselling between two channels, where they differ: `bought_in, sold_in,
            freight, duty, risk`.
        shrink: Whether prices are drawn; those of a price table are known and are taken as they
            are.

    Returns:
        The columns of `THRESHOLDS`; `lines` and `units` are those bought at the beginning of the
        route.
    """
    cells = _with_shrunk_prices(
        pl.concat([_cells(lines), _street_prices(lines)]), least_lines, shrink
    )
    here = cells.filter(col("channel") != STREET)
    ends = {"channel": "sold_in", "region": "to_region", "price": "price_there"}
    kept = ("seen", "deviation", "weak")
    there = cells.select(
        "sku",
        *(col(name).alias(to) for name, to in ends.items()),
        *(col(n).alias(f"{n}_there") for n in kept),
    )
    bought = here.rename({"channel": "bought_in", "region": "from_region", "price": "price_paid"})
    routes = bought.join(there, on="sku")
    same = (col("bought_in") == col("sold_in")) & (col("from_region") == col("to_region"))
    return _best_routes(routes.filter(~same.fill_null(False)), costs, pairs)


def _cells(lines: DataFrame) -> DataFrame:
    """Return the median price of each SKU in each channel and region, and how far its lines
    spread.
    """
    known = lines.drop_nulls(["sku", "channel", "unit_price"])
    return _median_prices(known.select(*CELL, col("unit_price").alias("price"), "quantity"))


def _street_prices(lines: DataFrame) -> DataFrame:
    """Return the open market of each SKU, which has no region."""
    known = lines.drop_nulls(["sku", "street_price"])
    market = pl.lit(STREET).alias("channel"), pl.lit(None, pl.String).alias("region")
    return _median_prices(
        known.select("sku", *market, col("street_price").alias("price"), "quantity")
    )


def _median_prices(lines: DataFrame) -> DataFrame:
    centre = col("price").median()
    return (
        lines.cast({"price": pl.Float64})
        .group_by(CELL, maintain_order=True)
        .agg(
            lines=pl.len().cast(pl.Int64),
            units=col("quantity").sum(),
            seen=centre,
            squares=((col("price") / centre).log() ** 2).sum(),
        )
    )


def _with_shrunk_prices(cells: DataFrame, least_lines: int, shrink: bool) -> DataFrame:
    """Return the cells with their shrunk prices.

    The spread of lines is that of all cells of a kind, the street or others.
    """
    cells = cells.filter(col("seen") > 0)
    street = col("channel") == STREET
    lines = cells["lines"].to_numpy()
    cells = cells.with_columns(spare=Series(lines - 2 + median_variance_ratio(lines)))
    spare = col("spare").sum().over(street)
    pooled = (col("squares").sum().over(street) / spare).fill_nan(0.0).fill_null(0.0).sqrt()
    wide = cells.with_columns(spread=pl.when(spare > 0).then(pooled).otherwise(0.0))
    shrunk = (
        _shrink_prices(wide)
        if shrink
        else ShrunkPrices(wide["seen"].to_numpy(), np.zeros(len(wide)), np.ones(len(wide)))
    )
    weak = (col("lines") < least_lines) | Series(shrunk.own < OWN_SPREAD)
    return wide.select(
        *CELL,
        "lines",
        "units",
        "seen",
        price=Series(shrunk.mean),
        deviation=Series(shrunk.deviation),
        weak=weak,
    )


def _shrink_prices(cells: DataFrame) -> ShrunkPrices:
    market = cells.select(pl.concat_str("channel", col("region").fill_null(""), separator="\0"))
    return shrink_prices(
        cells["seen"].to_numpy(),
        cells["lines"].to_numpy().astype(float),
        cells["spread"].to_numpy(),
        distinct_codes(cells["sku"]),
        distinct_codes(market.to_series()),
    )


def _best_routes(routes: DataFrame, costs: Reselling, pairs: DataFrame | None) -> DataFrame:
    abroad = (col("from_region") != col("to_region")).fill_null(True)
    usual = {"freight": costs.freight, "duty": costs.duty, "risk": costs.risk}
    if pairs is not None:
        given = pairs.select(
            "bought_in",
            "sold_in",
            *(col(name).cast(pl.Float64) for name in usual if name in pairs.columns),
        )
        routes = routes.join(given, on=["bought_in", "sold_in"], how="left", maintain_order="left")
    own = [
        col(n).fill_null(v) if n in routes.columns else pl.lit(v).alias(n) for n, v in usual.items()
    ]
    routes = routes.with_columns(own)
    share = col("risk") + pl.when(abroad).then(col("duty")).otherwise(0.0)
    far = (
        NormalDist().inv_cdf((1 + LEVEL) / 2)
        * (col("deviation_there") ** 2 + ((1 + share) * col("deviation")) ** 2).sqrt()
    )
    seen = col("seen_there") - col("seen") - col("freight") - share * col("seen")
    priced = routes.with_columns(
        difference=col("price_there") - col("price_paid"),
        threshold=col("freight") + share * col("price_paid"),
        pays_below=(col("price_there") - col("freight")) / (1 + share),
        weak=col("weak") | col("weak_there"),
        margin_seen=seen,
    ).with_columns(margin=col("difference") - col("threshold"))
    ends = {"margin_low": col("margin") - far, "margin_high": col("margin") + far}
    named = ["sku", "bought_in", "sold_in", "from_region", "to_region"]
    ranked = priced.with_columns(**ends).sort(
        "margin", *named, descending=[True, *[False] * len(named)], nulls_last=True
    )
    best = ranked.unique(named[:3], keep="first", maintain_order=True)
    return best.with_columns(pays=col("margin") > 0).select(THRESHOLDS)


# The verdict on where reselling pays, as plain values and a table of pairs.


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """Lines that were reviewed at random, or all that have a label where no chance of a review is
    known.

    Attributes:
        lines: The number of lines.
        share: The share of gray ones, each line for as many as it stands for; None without a line.
    """

    lines: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageVerdict(Verdict):
    """The thresholds of all pairs, and whether lines above them are gray more often.

    Attributes:
        action: `WATCH` where a pair pays, or `NONE`.
        until, days: The day of the last line, and how many days of prices count.
        pairs, paying: SKUs in pairs of channels that have a price in both, and those in which
            reselling pays.
        offers, leaking: SKUs in channels, and those from which it pays to resell anywhere.
        above, below: Lines that were bought where the street paid more than all costs, and all
            others.
        freight, duty, risk: The costs of reselling.
        unit: The unit of money; empty where the data names none.
        thresholds: A row for each pair; see `hwds.detection.reselling.resale_thresholds`.
    """

    action: Literal["WATCH", "NONE"]
    until: str
    days: int
    pairs: int
    paying: int
    offers: int
    leaking: int
    above: Reviewed
    below: Reviewed
    freight: float
    duty: float
    risk: float
    unit: str
    thresholds: DataFrame

    files: ClassVar = {"arbitrage_thresholds": "thresholds"}
    words = """
    {%- set found %}{{ pairs | counted("pairs") }} of SKU and channels{% endset %}
    {%- if not paying -%}
    NONE: reselling pays in none of {{ found }}.
    {%- else %}
    {%- set paid = thresholds.filter(thresholds["pays"]) %}
    {%- set best, sure = paid.row(0, named=true), (paid["margin_low"] > 0).sum() %}
    {%- set weak = paid["weak"].sum() -%}
    WATCH: reselling pays in {{ paying | count }} of {{ found }}
    {%- if sure < paying %}; {{ sure | count }} of them surely (95 %){% endif %}
    {%- if weak %}{{ "," if sure < paying else ";" }} {{ weak | count }} by prices of few sales
    {%- endif %}.

    It pays most with {{ best.sku }}, bought in {{ route(best.bought_in, best.from_region) }} at
    {{ best.price_paid | money(unit) }} and sold
    {% if best.sold_in == street %}on the street{% else %}in
    {{ route(best.sold_in, best.to_region) }}{% endif %}: {{ best.margin | money(unit) }} a unit
    after all costs
    {%- if best.margin_low < best.margin_high %} (95 %:
    {{ best.margin | ends(best.margin_low, best.margin_high, unit) }}){% endif %}
    {%- if best.weak %}, though by few sales{% endif %}, and it would at any price below
    {{ best.pays_below | money(unit) }}.
    {%- endif %}

    {% if above.share is not none and below.share is not none -%}
    Lines bought where the street paid more than all costs were gray in {{ above.share | percent }}
    ({{- above.lines | counted("lines") }} reviewed), others in {{ below.share | percent }}
    ({{- below.lines | count }}).
    {%- endif %}
    """


def route_name(channel: str, region: str | None) -> str:
    """Return a channel in a region."""
    return f"{channel} ({region})" if region else channel

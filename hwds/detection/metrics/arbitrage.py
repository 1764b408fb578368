"""Thresholds of arbitrage: the difference of prices above which buying in one channel and selling in another pays."""

from __future__ import annotations

import polars as pl

from hwds.detection.metrics.reselling import Reselling

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
    "pays",
    "pays_below",
)
"""Columns of `thresholds`."""


def thresholds(lines: pl.DataFrame, costs: Reselling, least_lines: int = 1) -> pl.DataFrame:
    """Return each SKU and pair of channels, by the best route between two regions, the largest margin first.

    Prices are medians of the lines of a SKU in a channel and region. `threshold` is the difference of prices above which to
    resell pays, freight + (risk + duty) * price_paid, duty where the regions differ or the unit is sold on the street;
    `margin` is what the difference is above it; at a price in `bought_in` of `pays_below` or more it would not pay.

    Args:
        lines: As `Reselling.lines` gives them.
        costs: Of reselling.
        least_lines: Prices of fewer lines are not believed.

    Returns:
        The columns of `THRESHOLDS`; `lines` and `units` are those bought at the beginning of the route.
    """
    cell = ["sku", "channel", "region"]
    here = (
        lines.drop_nulls(["sku", "channel", "unit_price"])
        .group_by(cell)
        .agg(
            pl.len().cast(pl.Int64).alias("lines"),
            pl.col("quantity").sum().alias("units"),
            pl.col("unit_price").median().alias("price_paid"),
        )
        .filter(pl.col("lines") >= least_lines)
        .rename({"channel": "bought_in", "region": "from_region"})
    )
    ends = {"sold_in": "bought_in", "to_region": "from_region", "price_there": "price_paid"}
    there = here.select("sku", **{name: pl.col(other) for name, other in ends.items()})
    routes = here.join(pl.concat([there, _street(lines)]), on="sku")
    same = (pl.col("bought_in") == pl.col("sold_in")) & (pl.col("from_region") == pl.col("to_region"))
    return _best(routes.filter(~same.fill_null(False)), costs)


def _street(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the open market of each SKU, which has no region."""
    price = lines.drop_nulls(["sku", "street_price"]).group_by("sku").agg(pl.col("street_price").median().alias("price_there"))
    return price.select("sku", pl.lit(STREET).alias("sold_in"), pl.lit(None, pl.String).alias("to_region"), "price_there")


def _best(routes: pl.DataFrame, costs: Reselling) -> pl.DataFrame:
    abroad = (pl.col("from_region") != pl.col("to_region")).fill_null(True)
    share = costs.risk + pl.when(abroad).then(costs.duty).otherwise(0.0)
    priced = routes.with_columns(
        (pl.col("price_there") - pl.col("price_paid")).alias("difference"),
        (costs.freight + share * pl.col("price_paid")).alias("threshold"),
        ((pl.col("price_there") - costs.freight) / (1 + share)).alias("pays_below"),
    ).with_columns((pl.col("difference") - pl.col("threshold")).alias("margin"))
    named = ["sku", "bought_in", "sold_in", "from_region", "to_region"]
    ranked = priced.sort("margin", *named, descending=[True, *[False] * len(named)], nulls_last=True)
    best = ranked.unique(named[:3], keep="first", maintain_order=True)
    return best.with_columns((pl.col("margin") > 0).alias("pays")).select(THRESHOLDS)

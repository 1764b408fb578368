"""Thresholds of arbitrage: the difference of prices above which buying in one channel and selling in another pays."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import polars as pl

from hwds.detection.metrics.reselling import Reselling
from hwds.detection.metrics.shrunk_prices import ShrunkPrices, of_median, shrunk_prices

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
"""Columns of `thresholds`."""

OWN = 0.5
"""The weight of its own sales below which a price is mostly what its SKU and its market say of it."""

LEVEL = 0.95

CELL = ("sku", "channel", "region")


def thresholds(
    lines: pl.DataFrame, costs: Reselling, least_lines: int = 1, pairs: pl.DataFrame | None = None, *, shrink: bool = True
) -> pl.DataFrame:
    """Return each SKU and pair of channels, by the best route between two regions, the largest margin first.

    Prices are medians of the lines of a SKU in a channel and region, drawn to what the SKU and the market say as far as few
    lines leave them open (`shrunk_prices`): the best of many routes is else too good. `threshold` is the difference of prices
    above which to resell pays, freight + (risk + duty) * price_paid, duty where the regions differ or the unit is sold on the
    street; `margin` is what the difference is above it, with its 95 % interval, and `margin_seen` the same by the medians as
    they are; at a price in `bought_in` of `pays_below` or more it would not pay. A route is `weak` where either price is of
    fewer than `least_lines` lines, or mostly not of its own.

    Args:
        lines: As `Reselling.lines` gives them.
        costs: Of reselling.
        least_lines: Lines below which a price is weak.
        pairs: The costs of reselling between two channels, where they differ: `bought_in, sold_in, freight, duty, risk`.
        shrink: Whether prices are drawn; those of a price table are known and are taken as they are.

    Returns:
        The columns of `THRESHOLDS`; `lines` and `units` are those bought at the beginning of the route.
    """
    cells = _priced(pl.concat([_cells(lines), _street(lines)]), least_lines, shrink)
    here = cells.filter(pl.col("channel") != STREET)
    ends = {"channel": "sold_in", "region": "to_region", "price": "price_there"}
    kept = ("seen", "deviation", "weak")
    there = cells.select(
        "sku", *(pl.col(name).alias(to) for name, to in ends.items()), *(pl.col(n).alias(f"{n}_there") for n in kept)
    )
    bought = here.rename({"channel": "bought_in", "region": "from_region", "price": "price_paid"})
    routes = bought.join(there, on="sku")
    same = (pl.col("bought_in") == pl.col("sold_in")) & (pl.col("from_region") == pl.col("to_region"))
    return _best(routes.filter(~same.fill_null(False)), costs, pairs)


def _cells(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the median price of each SKU in each channel and region, and how far its lines spread."""
    known = lines.drop_nulls(["sku", "channel", "unit_price"])
    return _medians(known.select(*CELL, pl.col("unit_price").alias("price"), "quantity"))


def _street(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the open market of each SKU, which has no region."""
    known = lines.drop_nulls(["sku", "street_price"])
    market = pl.lit(STREET).alias("channel"), pl.lit(None, pl.String).alias("region")
    return _medians(known.select("sku", *market, pl.col("street_price").alias("price"), "quantity"))


def _medians(lines: pl.DataFrame) -> pl.DataFrame:
    centre = pl.col("price").median()
    return (
        lines.cast({"price": pl.Float64})
        .group_by(CELL, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("lines"),
            pl.col("quantity").sum().alias("units"),
            centre.alias("seen"),
            ((pl.col("price") / centre).log() ** 2).sum().alias("squares"),
        )
    )


def _priced(cells: pl.DataFrame, least_lines: int, shrink: bool) -> pl.DataFrame:
    """Return the cells with their shrunk prices; the spread of lines is that of all cells of a kind, the street or others."""
    cells = cells.filter(pl.col("seen") > 0)
    street = pl.col("channel") == STREET
    cells = cells.with_columns(pl.Series("spare", cells["lines"].to_numpy() - 2 + of_median(cells["lines"].to_numpy())))
    spare = pl.col("spare").sum().over(street)
    pooled = (pl.col("squares").sum().over(street) / spare).fill_nan(0.0).fill_null(0.0).sqrt()
    wide = cells.with_columns(pl.when(spare > 0).then(pooled).otherwise(0.0).alias("spread"))
    shrunk = _shrunk(wide) if shrink else ShrunkPrices(wide["seen"].to_numpy(), np.zeros(len(wide)), np.ones(len(wide)))
    weak = (pl.col("lines") < least_lines) | pl.Series(shrunk.own < OWN)
    return wide.select(
        *CELL, "lines", "units", "seen",
        pl.Series("price", shrunk.mean), pl.Series("deviation", shrunk.deviation), weak.alias("weak"),
    )  # fmt: skip


def _shrunk(cells: pl.DataFrame) -> ShrunkPrices:
    market = cells.select(pl.concat_str("channel", pl.col("region").fill_null(""), separator="\0").rank("dense")).to_series()
    codes = (values.to_numpy().astype(np.int64) - 1 for values in (cells["sku"].rank("dense"), market))
    return shrunk_prices(cells["seen"].to_numpy(), cells["lines"].to_numpy().astype(float), cells["spread"].to_numpy(), *codes)


def _best(routes: pl.DataFrame, costs: Reselling, pairs: pl.DataFrame | None) -> pl.DataFrame:
    abroad = (pl.col("from_region") != pl.col("to_region")).fill_null(True)
    usual = {"freight": costs.freight, "duty": costs.duty, "risk": costs.risk}
    if pairs is not None:
        given = pairs.select(
            "bought_in", "sold_in", *(pl.col(name).cast(pl.Float64) for name in usual if name in pairs.columns)
        )
        routes = routes.join(given, on=["bought_in", "sold_in"], how="left", maintain_order="left")
    own = [pl.col(n).fill_null(v) if n in routes.columns else pl.lit(v).alias(n) for n, v in usual.items()]
    routes = routes.with_columns(own)
    share = pl.col("risk") + pl.when(abroad).then(pl.col("duty")).otherwise(0.0)
    far = (
        NormalDist().inv_cdf((1 + LEVEL) / 2)
        * (pl.col("deviation_there") ** 2 + ((1 + share) * pl.col("deviation")) ** 2).sqrt()
    )
    seen = pl.col("seen_there") - pl.col("seen") - pl.col("freight") - share * pl.col("seen")
    priced = routes.with_columns(
        (pl.col("price_there") - pl.col("price_paid")).alias("difference"),
        (pl.col("freight") + share * pl.col("price_paid")).alias("threshold"),
        ((pl.col("price_there") - pl.col("freight")) / (1 + share)).alias("pays_below"),
        (pl.col("weak") | pl.col("weak_there")).alias("weak"),
        seen.alias("margin_seen"),
    ).with_columns((pl.col("difference") - pl.col("threshold")).alias("margin"))
    ends = {"margin_low": pl.col("margin") - far, "margin_high": pl.col("margin") + far}
    named = ["sku", "bought_in", "sold_in", "from_region", "to_region"]
    ranked = priced.with_columns(**ends).sort("margin", *named, descending=[True, *[False] * len(named)], nulls_last=True)
    best = ranked.unique(named[:3], keep="first", maintain_order=True)
    return best.with_columns((pl.col("margin") > 0).alias("pays")).select(THRESHOLDS)

"""The verdict on arbitrage thresholds in words, for a manager."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.detection.decisions.arbitrage.verdict import Reviewed
from hwds.detection.metrics.arbitrage import STREET
from hwds.results.formatting import brief, counted, interval, percent


def sentence(pairs: pl.DataFrame, above: Reviewed, below: Reviewed, unit: str) -> str:
    """Return how many pairs pay, the one that pays most, and whether lines above their threshold are gray more often."""
    paying = pairs.filter("pays")
    if paying.is_empty():
        whole = f"NONE: reselling pays in none of {counted(len(pairs), 'pairs')} of SKU and channels"
    else:
        whole = (
            f"WATCH: reselling pays in {len(paying):,} of {counted(len(pairs), 'pairs')} of SKU and channels;"
            f" {_most(paying.row(0, named=True), unit)}{_weak(paying)}"
        )
    return f"{whole}. {_evidence(above, below)}".strip()


def _weak(paying: pl.DataFrame) -> str:
    """Return how many of the pairs pay surely, and how many rest on few sales."""
    sure, weak = int((paying["margin_low"] > 0).sum()), int(paying["weak"].sum())
    parts = [f"{sure:,} of them surely (95 %)"] if sure < len(paying) else []
    parts += [f"{weak:,} by prices of few sales"] if weak else []
    return f"; {', '.join(parts)}" if parts else ""


def _most(row: dict[str, Any], unit: str) -> str:
    there = "on the street" if row["sold_in"] == STREET else f"in {route(row['sold_in'], row['to_region'])}"
    price, margin, until = (brief(row[name], None, unit) for name in ("price_paid", "margin", "pays_below"))
    open_ = row["margin_low"] < row["margin_high"]
    ends = interval(row["margin"], row["margin_low"], row["margin_high"], unit)[1] if open_ else ""
    sure = f" (95 %: {ends})" if ends else ""
    weak = ", though by few sales" if row["weak"] else ""
    return (
        f"most with {row['sku']}, bought in {route(row['bought_in'], row['from_region'])} at {price} and sold {there}:"
        f" {margin} a unit after all costs{sure}{weak}, and it would at any price below {until}"
    )


def route(channel: str, region: str | None) -> str:
    """Return a channel in a region."""
    return f"{channel} ({region})" if region else channel


def _evidence(above: Reviewed, below: Reviewed) -> str:
    if above.share is None or below.share is None:
        return ""
    many = f"{counted(above.lines, 'lines')} reviewed"
    return (
        f"Lines bought where the street paid more than all costs were gray in {percent(above.share)} ({many}),"
        f" others in {percent(below.share)} ({below.lines:,})."
    )

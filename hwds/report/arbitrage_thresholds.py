"""What a decision on arbitrage thresholds shows: a table of the pairs that pay most, and their picture."""

from __future__ import annotations

from pathlib import Path

from hwds.decisions.arbitrage_words import route
from hwds.report.arbitrage_plot import arbitrage_png
from hwds.report.grid import Grid, grid_of
from hwds.results.arbitrage_verdict import ArbitrageVerdict
from hwds.results.wording import column

MOST = 15
"""Pairs shown."""

MONEY = ("price_paid", "price_there", "difference", "threshold", "margin", "pays_below")


def grid(verdict: ArbitrageVerdict) -> Grid:
    """The pairs with the largest margins."""
    pairs = verdict.thresholds.head(MOST)
    ends = (("bought_in", "from_region"), ("sold_in", "to_region"))
    places = [[route(*pair) for pair in pairs.select(names).iter_rows()] for names in ends]
    money = [column(pairs[name].to_list()) for name in MONEY]
    titles = [
        ("SKU", "SKU"),
        ("bought in", "bought in"),
        ("sold in", "sold in"),
        ("price paid", ""),
        ("price there", ""),
        ("difference", "differ-\nence"),
        ("threshold", "thre-\nshold"),
        ("margin a unit", "margin"),
        ("pays below", "pays\nbelow"),
    ]
    return grid_of(titles, list(zip(pairs["sku"].to_list(), *places, *money, strict=True)), names=3)


def draw(verdict: ArbitrageVerdict, path: Path) -> None:
    """The pairs that pay most, and how many SKUs pay between each two channels; nothing where there is no pair."""
    arbitrage_png(verdict, path)

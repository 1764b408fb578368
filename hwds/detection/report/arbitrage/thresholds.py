"""The report of a decision on arbitrage thresholds: a table of the pairs that pay most, and their picture."""

from __future__ import annotations

from pathlib import Path

from hwds.detection.decisions.arbitrage.sentence import route
from hwds.detection.decisions.arbitrage.verdict import ArbitrageVerdict
from hwds.detection.report.arbitrage.plot import arbitrage_figure
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import save_png
from hwds.results.formatting import column

MOST = 15
"""Pairs shown."""

MONEY = ("price_paid", "price_there", "difference", "threshold", "margin", "pays_below")


def grid(verdict: ArbitrageVerdict) -> Grid:
    """Return the pairs with the largest margins."""
    pairs = verdict.thresholds.head(MOST)
    both = (("bought_in", "from_region"), ("sold_in", "to_region"))
    places = [[route(*pair) for pair in pairs.select(names).iter_rows()] for names in both]
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
        ("95 %", "95 %"),
        ("pays below", "pays\nbelow"),
        ("sales", ""),
    ]
    low, high = (column(pairs[f"margin_{end}"].to_list()) for end in ("low", "high"))
    ends = [f"{a} to {b}" for a, b in zip(low, high, strict=True)]
    sales = ["few" if weak else "" for weak in pairs["weak"]]
    numbers = [*money[:-1], ends, money[-1], sales]
    return grid_of(titles, list(zip(pairs["sku"].to_list(), *places, *numbers, strict=True)), names=3)


def draw(verdict: ArbitrageVerdict, path: Path) -> None:
    """Draw the pairs that pay most, and how many SKUs pay between each two channels; nothing where there is no pair."""
    save_png(arbitrage_figure(verdict), path)


REPORT = TableReport(grid=grid, draw=draw)

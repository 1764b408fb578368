"""Changes of prices: units, revenue and margin that follow, the verdict, words, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.pricing.demand_draws import MOST_LOG_FACTOR, DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import column_texts, counted, interval, percent, probability_text
from hwds.results.tables import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The impact of a change of prices: units, revenue and margin, of the cells whose prices change
# and of their substitutes.

Scope = Literal["cell", "product", "channel"]

ALL_CELLS = "all cells"
"""The name of the scope of all cells together."""

MOST_BEYOND = 0.1
"""The share of the cells whose price may lie beyond the observed ones in a change that is
recommended.
"""

IMPACT_MEASURES = ("units", "revenue", "margin")

IMPACT_COLUMNS: dict[str, Any] = {
    "scope": pl.String,
    "cells": pl.Int64,
    "change": pl.Float64,
    **{f"{name}_now": pl.Float64 for name in IMPACT_MEASURES},
    **{f"{name}{end}": pl.Float64 for name in IMPACT_MEASURES for end in ("", "_low", "_high")},
    "probability_margin_up": pl.Float64,
    **{f"others_{name}": pl.Float64 for name in IMPACT_MEASURES},
    "first_units": pl.Float64,
    "brought_forward": pl.Float64,
    "beyond": pl.Int64,
}
"""Columns of the impacts, a row for each scope and change of price; all of a period.

`units`, `revenue` and `margin` are the changes that stay, with equal-tailed intervals, of the
scope's own cells and all cells that answer to their prices; `others_` are the parts of the latter,
posterior means. `first_units` is what the scope's own cells change by in the first period,
`brought_forward` the part of it that does not stay, for it comes from later periods. `beyond`
counts the cells whose price would lie further outside the observed ones than the band. Margins are
null without costs.
"""


@dataclass(frozen=True, slots=True)
class ImpactTerms:
    """The changes that are asked for.

    Attributes:
        changes: Of prices, as shares.
        scope: Whose prices change together.
        level: Of the intervals.
        deductions: The share of the price that is given back after the invoice.
        band: The largest distance beyond the observed prices, as a share of these.
    """

    changes: tuple[float, ...]
    scope: Scope
    level: float
    deductions: float = 0.0
    band: float = 0.0


def impacts(
    evidence: DemandEstimates, draws: int, rng: np.random.Generator, terms: ImpactTerms
) -> pl.DataFrame:
    """Return the impact of each change on each scope, and on all cells together.

    See `IMPACT_COLUMNS`.

    Cells without an estimate are left out: their prices do not change.

    Args:
        evidence: The cells.
        draws: Of the posterior.
        rng: Of the draws.
        terms: The settings of the changes.
    """
    demand = DemandDraws.of(evidence, draws, rng, objective="profit", deductions=terms.deductions)
    costs = not np.isnan(evidence.column("cost")).any()
    lowest = evidence.column("low") * (1 - terms.band - 1e-9)
    highest = evidence.column("high") * (1 + terms.band + 1e-9)
    rows = []
    for scope, cells in impact_scopes(evidence, terms.scope).items():
        price, answer = demand.price[cells], _ScopeAnswer.of(demand, cells)
        for change in terms.changes:
            moved = price * (1 + change)
            beyond = int(((moved < lowest[cells]) | (moved > highest[cells])).sum())
            row = answer.impact(
                change, terms.level, IMPACT_MEASURES if costs else IMPACT_MEASURES[:2]
            )
            rows.append(
                {"scope": scope, "cells": len(cells), "change": change, "beyond": beyond} | row
            )
    return pl.DataFrame(rows, schema=IMPACT_COLUMNS)


def impact_scopes(evidence: DemandEstimates, scope: Scope) -> dict[str, np.ndarray]:
    """Return the cells with an estimate that change together, all of them first."""
    known = np.flatnonzero(evidence.known)
    names = evidence.cells[scope].to_numpy()
    each = {str(name): known[names[known] == name] for name in dict.fromkeys(names[known].tolist())}
    return {ALL_CELLS: known, **each} if len(known) else {}


@dataclass(frozen=True, eq=False)
class _ScopeAnswer:
    """The units of some cells, and of all that answer to their prices, as these prices move.

    Attributes:
        own: d log units of the scope's cells / d log of its prices, shape (D, n).
        others: The same of the cells that answer, shape (D, m).
        lag: The part of `own` that last period's prices have, shape (D, n); None for none.
        units, price, cost: Of the scope's cells and of the others behind them, shape (n + m,).
        pocket: The share of the price that is kept.
    """

    own: np.ndarray
    others: np.ndarray
    lag: np.ndarray | None
    units: np.ndarray
    price: np.ndarray
    cost: np.ndarray
    pocket: float

    @classmethod
    def of(cls, demand: DemandDraws, cells: np.ndarray) -> _ScopeAnswer:
        """Return how demand answers where the prices of some cells move together."""
        logs, place = demand.answer_to(cells)
        lag = None if demand.lag is None or not demand.lag.any() else demand.lag[:, cells]
        own, others = logs[:, : len(cells)], logs[:, len(cells) :]
        units = demand.units.mean(0)[place]
        return cls(own, others, lag, units, demand.price[place], demand.cost[place], demand.pocket)

    def impact(self, change: float, level: float, measures: Sequence[str]) -> dict[str, Any]:
        """Return the numbers of one change of the scope's prices; see `IMPACT_COLUMNS`."""
        count, moved = self.own.shape[1], np.log1p(change)
        now, then = self._brought(self.price), self._brought(self.price * (1 + change))
        own = _price_factors(self.own, moved) @ then[:count] - now[:count].sum(0)
        others = _price_factors(self.others, moved) @ now[count:] - now[count:].sum(0)
        low, high = np.quantile(own + others, [(1 - level) / 2, (1 + level) / 2], axis=0)
        row: dict[str, Any] = {}
        for place, name in enumerate(measures):
            row |= {f"{name}_now": now[:count, place].sum(), name: (own + others)[:, place].mean()}
            row |= {
                f"{name}_low": low[place],
                f"{name}_high": high[place],
                f"others_{name}": others[:, place].mean(),
            }
        if "margin" in measures:
            row["probability_margin_up"] = (
                (own + others)[:, IMPACT_MEASURES.index("margin")] > 0
            ).mean()
        first = lasting = float(own[:, 0].mean())
        if self.lag is not None:
            units = self.units[:count]
            first = float((_price_factors(self.own - self.lag, moved) @ units).mean() - units.sum())
        return row | {"first_units": first, "brought_forward": first - lasting}

    def _brought(self, prices: np.ndarray) -> np.ndarray:
        """Return what today's units are and bring at some prices, in the order of
        `IMPACT_MEASURES`, shape (n + m, 3).
        """
        return self.units[:, None] * np.column_stack(
            [np.ones(len(prices)), prices, prices * self.pocket - self.cost]
        )


def _price_factors(answer: np.ndarray, moved: float) -> np.ndarray:
    """Return by what units are multiplied where the log of prices moves, shape (D, cells)."""
    factors: np.ndarray = np.exp(np.clip(answer * moved, -MOST_LOG_FACTOR, MOST_LOG_FACTOR))
    return factors


def best_change(rows: pl.DataFrame, confidence: float) -> Mapping[str, Any] | None:
    """Return the change of all prices that brings most margin, of those that bring some surely
    enough and were mostly observed.

    Args:
        rows: The impacts.
        confidence: The least probability that margin rises.
    """
    of_all = rows.filter((pl.col("scope") == ALL_CELLS) & (pl.col("margin") > 0))
    observed = of_all.filter(pl.col("beyond") <= MOST_BEYOND * pl.col("cells"))
    sure = observed.filter(pl.col("probability_margin_up") >= confidence).sort(
        "margin", descending=True
    )
    return sure.row(0, named=True) if len(sure) else None


def rows_at_change(
    rows: pl.DataFrame, change: float, scopes: Sequence[str] = (ALL_CELLS,)
) -> pl.DataFrame:
    """Return the impacts of one change on some scopes."""
    return rows.filter(((pl.col("change") - change).abs() < 1e-9) & pl.col("scope").is_in(scopes))


# The verdict on changes of prices, as plain values and a table of impacts.


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueImpactVerdict(Verdict):
    """The impacts of changes of prices, and the change of all prices together that brings most
    margin.

    Attributes:
        action: `RAISE` or `CUT` where a change of all prices within the observed ones raises margin
            surely enough, else `HOLD`.
        change: That change; None on hold.
        unit, period: Of money, and what is a period.
        scope: Whose prices change together.
        cells, known: How many there are, and how many have an estimate.
        level: Of the intervals.
        confidence: The least probability that margin rises.
        impacts: See `hwds.pricing.revenue_impact.IMPACT_COLUMNS`.
    """

    action: Literal["RAISE", "CUT", "HOLD"]
    change: float | None
    unit: str
    period: str
    scope: Scope
    cells: int
    known: int
    level: float
    confidence: float
    impacts: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; the impacts are a table beside them."""
        return {name: value for name, value in asdict(self).items() if name != "impacts"}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the impacts."""
        return {"revenue_impact": self.impacts}


# The impacts of changes of prices in words, for a manager.


def impact_sentence(
    evidence: DemandEstimates,
    rows: pl.DataFrame,
    best: Mapping[str, Any] | None,
    terms: ImpactTerms,
    confidence: float,
) -> str:
    """Return which change of all prices pays, what usual changes bring, and what is beyond what was
    observed.

    Args:
        evidence: The cells.
        rows: The impacts.
        best: That which brings most margin; None where none is sure.
        terms: The settings of the changes.
        confidence: The least probability that margin rises.
    """
    parts = [
        _best_sentence(evidence, rows, best, confidence),
        *_changes_sentence(evidence, rows, terms),
        _unknown_sentence(evidence),
        evidence.note,
    ]
    return " ".join(filter(None, parts))


def _best_sentence(
    evidence: DemandEstimates, rows: pl.DataFrame, best: Mapping[str, Any] | None, confidence: float
) -> str:
    if rows.is_empty():
        return "HOLD: no cell has an estimate of its elasticity."
    if rows["margin"].null_count():
        return "HOLD: margins are not known, for not all cells have a cost (dataset.roles.cost)."
    if best is None:
        return (
            f"HOLD: no change of all prices to observed ones raises margin with a probability "
            f"of {percent(confidence)}."
        )
    size, ends = interval(
        best["margin"], best["margin_low"], best["margin_high"], evidence.unit, sign=True
    )
    verb = "RAISE" if best["change"] > 0 else "CUT"
    chance = probability_text(best["probability_margin_up"])
    by = percent(abs(best["change"]))
    return (
        f"{verb} all prices by {by}: margin {size} a {evidence.period} ({ends}), up with a "
        f"probability of {chance}."
    )


def _changes_sentence(
    evidence: DemandEstimates, rows: pl.DataFrame, terms: ImpactTerms
) -> list[str]:
    """Return what the changes nearest to -10 % and +10 % bring."""
    said = []
    for wanted in (-0.1, 0.1):
        change = min(
            (each for each in terms.changes if each * wanted > 0),
            key=lambda each: abs(each - wanted),
            default=None,
        )
        found = rows if change is None else rows_at_change(rows, change)
        if change is not None and len(found):
            said.append(_change_words(found.row(0, named=True), evidence.unit))
    return said


def _change_words(row: Mapping[str, Any], unit: str) -> str:
    size, ends = interval(row["revenue"], row["revenue_low"], row["revenue_high"], unit, sign=True)
    moved = f"units {_share_words(row['units'], row['units_now'])}, revenue {size} ({ends})"
    margin = (
        ""
        if row["margin"] is None
        else f", margin {_share_words(row['margin'], row['margin_now'])}"
    )
    forward = row["brought_forward"] / row["first_units"] if row["first_units"] else 0.0
    later = (
        f"; {percent(forward)} of the first period's units only come earlier"
        if row["change"] < 0 and forward > 0.005
        else ""
    )
    beyond = (
        f"; beyond the observed prices in {row['beyond']} of {counted(row['cells'], 'cells')}"
        if row["beyond"]
        else ""
    )
    return f"{ALL_CELLS.capitalize()} {100 * row['change']:+g} %: {moved}{margin}{later}{beyond}."


def _share_words(part: float, whole: float) -> str:
    return f"{100 * part / whole:+.1f} %" if whole else f"{part:+.3g}"


def _unknown_sentence(evidence: DemandEstimates) -> str:
    missing = int((~evidence.known).sum())
    return f"Without an estimate, and so unchanged: {counted(missing, 'cells')}." if missing else ""


# The report of changes of prices: a table of all cells together, and the picture of units,
# revenue and margin by change.

MEASURE_COLOURS = {"units": OWN_COLOUR, "revenue": NAIVE_COLOUR, "margin": FLOOR_COLOUR}


def impact_grid(verdict: RevenueImpactVerdict) -> Grid:
    """Return a line for each change of all prices together.

    Those of each scope are in revenue_impact.csv.
    """
    rows = verdict.impacts.filter(pl.col("scope") == ALL_CELLS)
    shares = {name: _interval_cell(rows, name) for name in IMPACT_MEASURES}
    chances = [
        "" if each is None else f"{100 * each:.0f}" for each in rows["probability_margin_up"]
    ]
    beyond = [
        f"{out} of {cells}" if out else ""
        for out, cells in rows.select("beyond", "cells").iter_rows()
    ]
    titles = [
        ("change of all prices, %", "prices\n%"),
        ("units, %", "units\n%"),
        ("revenue, %", "revenue\n%"),
        ("margin, %", "margin\n%"),
        ("probability that margin rises, %", "P(up)\n%"),
        (f"margin of substitutes a {verdict.period}", ""),
        (f"units a {verdict.period} that only come earlier", ""),
        ("cells beyond the observed prices", "beyond"),
    ]
    cells = [
        [f"{100 * change:+g}" for change in rows["change"]],
        *shares.values(),
        chances,
        column_texts(rows["others_margin"].to_list()),
        column_texts(rows["brought_forward"].to_list()),
        beyond,
    ]
    return grid_of(
        titles,
        list(zip(*cells, strict=True)),
        caption=f"All prices together, a {verdict.period}, what stays:",
    )


def _interval_cell(rows: pl.DataFrame, name: str) -> list[str]:
    """Return a change as a share of today's with its interval: `+12.3 (8.1 to 16.0)`."""
    said = []
    for now, value, low, high in rows.select(
        f"{name}_now", name, f"{name}_low", f"{name}_high"
    ).iter_rows():
        shown = (
            [] if value is None or not now else [100 * each / now for each in (value, low, high)]
        )
        said.append(f"{shown[0]:+.1f} ({shown[1]:.1f} to {shown[2]:.1f})" if shown else "")
    return said


def draw_impact(verdict: RevenueImpactVerdict, path: Path) -> None:
    """Draw units, revenue and margin by the change of all prices, with bands; grey where prices
    were not observed.
    """
    save_png(impact_figure(verdict), path)


def impact_figure(verdict: RevenueImpactVerdict) -> Figure | None:
    """Return the figure, a panel a measure; None where nothing is known."""
    rows = verdict.impacts.filter(pl.col("scope") == ALL_CELLS).sort("change")
    names = [name for name in IMPACT_MEASURES if len(rows) and not rows[name].null_count()]
    if not names:
        return None
    figure = new_figure(3.9 * len(names), 4.0)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw_measure(axes, rows, name, verdict)
    change = (
        "no change is sure to pay" if verdict.change is None else f"{100 * verdict.change:+g} %"
    )
    title = (
        f"{verdict.action}: {change}; {counted(verdict.known, 'prices')} together, a "
        f"{verdict.period}"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw_measure(axes: Axes, rows: pl.DataFrame, name: str, verdict: RevenueImpactVerdict) -> None:
    rows = pl.concat(
        [rows, pl.DataFrame({"change": [0.0], "beyond": [0]})], how="diagonal_relaxed"
    ).sort("change")
    change, colour = 100 * rows["change"].to_numpy(), MEASURE_COLOURS[name]
    shares = [
        100 * (rows[f"{name}{end}"] / rows[f"{name}_now"]).fill_null(0.0).to_numpy()
        for end in ("", "_low", "_high")
    ]
    inside = change[rows["beyond"].to_numpy() == 0]
    for low, high in ((change.min(), inside.min()), (inside.max(), change.max())):
        axes.axvspan(low, high, color=LIGHT, alpha=0.5, linewidth=0)
    axes.fill_between(change, shares[1], shares[2], color=colour, alpha=0.18, linewidth=0)
    axes.plot(change, shares[0], "o-", color=colour, linewidth=1.8, markersize=4)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=INK, linewidth=1.2)
    if verdict.change is not None:
        axes.axvline(100 * verdict.change, color=colour, linewidth=1.2, linestyle="--")
    axes.set_title(f"{name}, %", fontsize=10, loc="left", color=INK)
    axes.set_xlabel(
        "change of prices, %; grey: some cells beyond the observed", fontsize=8, color=GREY
    )
    axes.margins(x=0)
    tidy(axes)


REPORT = TableReport(grid=impact_grid, draw=draw_impact)

"""Changes of prices: units, revenue and margin that follow, the verdict, words, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col

from hwds.pricing.demand_draws import MOST_LOG_FACTOR, DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    headline,
    new_figure,
    tidy,
)
from hwds.results.formatting import counted
from hwds.results.tables import Column, Declared, Verdict

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


def _measure_columns(name: str) -> Iterator[Column]:
    """Yield the columns of a measure: its lasting change, shown as a share of today's, with its
    interval.
    """
    shown = (
        f"{{% if {name} is not none and {name}_now %}}{{{{ ({name} / {name}_now) | change }}}}"
        f" ({{{{ ({name}_low / {name}_now) | share }}}}"
        f" to {{{{ ({name}_high / {name}_now) | share }}}}){{% endif %}}"
    )
    meaning = "The change that stays, of the scope's cells and all that answer to their prices."
    yield Column(name, "number", meaning, f"{name}, %", f"{name}\n%", shown)
    yield Column(f"{name}_low", "number", "The lower end of its interval.")
    yield Column(f"{name}_high", "number", "The upper end.")


IMPACTS = Declared.of(
    Column("scope", "text", "Whose prices change together."),
    Column("cells", "count", "Its cells."),
    Column(
        "change",
        "share",
        "The change of their prices.",
        "change of all prices, %",
        "prices\n%",
        "{{ (100 * change) | written('+g') }}",
    ),
    (Column(f"{name}_now", "number", "Today's, in a period.") for name in IMPACT_MEASURES),
    (column for name in IMPACT_MEASURES for column in _measure_columns(name)),
    Column("probability_margin_up", "share", "", "probability that margin rises, %", "P(up)\n%"),
    Column("others_units", "number", "The part of the units of other cells, posterior mean."),
    Column("others_revenue", "number", "The part of their revenue."),
    Column(
        "others_margin",
        "number",
        "The part of their margin.",
        "margin of substitutes a {{ period }}",
    ),
    Column("first_units", "number", "The change of the scope's own units in the first period."),
    Column(
        "brought_forward",
        "number",
        "The part of it that comes from later periods, and does not stay.",
        "units a {{ period }} that only come earlier",
    ),
    Column(
        "beyond",
        "count",
        "The cells whose price would lie further outside the observed ones than the band.",
        "cells beyond the observed prices",
        "beyond",
        "{% if beyond %}{{ beyond }} of {{ cells }}{% endif %}",
    ),
)
"""A row for each scope and change of price; all of a period. Margins are null without costs."""


@dataclass(frozen=True, slots=True)
class ImpactTerms:
    """The changes that are asked for.

    Attributes:
        changes: The changes of prices, as shares.
        scope: Whose prices change together.
        level: The level of the intervals.
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
) -> DataFrame:
    """Return the impact of each change on each scope, and on all cells together.

    See `IMPACTS`.

    Cells without an estimate are left out: their prices do not change.

    Args:
        evidence: The cells.
        draws: The number of draws of the posterior.
        rng: The random generator of the draws.
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
    return IMPACTS.frame(rows)


def impact_scopes(evidence: DemandEstimates, scope: Scope) -> dict[str, ndarray]:
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

    own: ndarray
    others: ndarray
    lag: ndarray | None
    units: ndarray
    price: ndarray
    cost: ndarray
    pocket: float

    @classmethod
    def of(cls, demand: DemandDraws, cells: ndarray) -> _ScopeAnswer:
        """Return how demand answers where the prices of some cells move together."""
        logs, place = demand.answer_to(cells)
        lag = None if demand.lag is None or not demand.lag.any() else demand.lag[:, cells]
        own, others = logs[:, : len(cells)], logs[:, len(cells) :]
        units = demand.units.mean(0)[place]
        return cls(own, others, lag, units, demand.price[place], demand.cost[place], demand.pocket)

    def impact(self, change: float, level: float, measures: Sequence[str]) -> dict[str, Any]:
        """Return the numbers of one change of the scope's prices; see `IMPACTS`."""
        count, moved = self.own.shape[1], np.log1p(change)
        now, then = self._earnings(self.price), self._earnings(self.price * (1 + change))
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

    def _earnings(self, prices: ndarray) -> ndarray:
        """Return what today's units are and bring at some prices, in the order of
        `IMPACT_MEASURES`, shape (n + m, 3).
        """
        return self.units[:, None] * np.column_stack(
            [np.ones(len(prices)), prices, prices * self.pocket - self.cost]
        )


def _price_factors(answer: ndarray, moved: float) -> ndarray:
    """Return by what units are multiplied where the log of prices moves, shape (D, cells)."""
    return np.exp(np.clip(answer * moved, -MOST_LOG_FACTOR, MOST_LOG_FACTOR))


def best_change(rows: DataFrame, confidence: float) -> Mapping[str, Any] | None:
    """Return the change of all prices that brings most margin, of those that bring some surely
    enough and were mostly observed.

    Args:
        rows: The impacts.
        confidence: The least probability that margin rises.
    """
    of_all = rows.filter(col("margin") > 0, scope=ALL_CELLS)
    observed = of_all.filter(col("beyond") <= MOST_BEYOND * col("cells"))
    sure = observed.filter(col("probability_margin_up") >= confidence).sort(
        "margin", descending=True
    )
    return sure.row(0, named=True) if len(sure) else None


def rows_at_change(
    rows: DataFrame, change: float, scopes: Sequence[str] = (ALL_CELLS,)
) -> DataFrame:
    """Return the impacts of one change on some scopes."""
    return rows.filter(((col("change") - change).abs() < 1e-9) & col("scope").is_in(scopes))


# The verdict on changes of prices, as plain values and a table of impacts.


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueImpactVerdict(Verdict):
    """The impacts of changes of prices, and the change of all prices together that brings most
    margin.

    Attributes:
        action: `RAISE` or `CUT` where a change of all prices within the observed ones raises margin
            surely enough, else `HOLD`.
        change: That change; None on hold.
        unit, period: The unit of money, and what is a period.
        terms: The changes that were asked for.
        cells, known: How many there are, and how many have an estimate.
        confidence: The least probability that margin rises.
        impacts: See `IMPACTS`.
    """

    files: ClassVar = {"revenue_impact": "impacts"}
    stored = ("terms.scope", "terms.level")
    words = """
    {%- macro of_today(part, whole) -%}
    {% if whole %}{{ (part / whole) | change }} %{% else %}{{ part | written("+.3g") }}{% endif %}
    {%- endmacro %}
    {%- if impacts.is_empty() -%}
    HOLD: no cell has an estimate of its elasticity.
    {%- elif impacts["margin"].null_count() -%}
    HOLD: margins are not known, for not all cells have a cost (dataset.roles.cost).
    {%- elif best is none -%}
    HOLD: no change of all prices to observed ones raises margin with a probability of
    {{ confidence | percent }}.
    {%- else -%}
    {{ action }} all prices by {{ best.change | abs | percent }}: margin
    {{ best.margin | size(best.margin_low, best.margin_high, unit, sign=true) }} per {{ period }}
    ({{- best.margin | ends(best.margin_low, best.margin_high, unit, sign=true) }}; probability of a
    gain {{ best.probability_margin_up | chance }}).
    {%- endif %}

    {% for row in usual %}
    {%- set forward = row.brought_forward / row.first_units if row.first_units else 0 -%}
    All cells {{ (100 * row.change) | written("+g") }} %: units
    {{ of_today(row.units, row.units_now) }}, revenue
    {{ row.revenue | size(row.revenue_low, row.revenue_high, unit, sign=true) }}
    ({{- row.revenue | ends(row.revenue_low, row.revenue_high, unit, sign=true) }})
    {%- if row.margin is not none %}, margin {{ of_today(row.margin, row.margin_now) }}{% endif %}
    {%- if row.change < 0 and forward > 0.005 %}; {{ forward | percent }} of the first period's
    units only come earlier{% endif %}
    {%- if row.beyond %}; beyond the observed prices in {{ row.beyond }} of
    {{ row.cells | counted("cells") }}{% endif %}.

    {% endfor %}
    {% if cells > known -%}
    Without an estimate, and so unchanged: {{ (cells - known) | counted("cells") }}.
    {%- endif %}

    {{ note }}
    """

    action: Literal["RAISE", "CUT", "HOLD"]
    change: float | None
    unit: str
    period: str
    terms: ImpactTerms
    cells: int
    known: int
    confidence: float
    impacts: DataFrame

    @property
    def of_all(self) -> DataFrame:
        """The impacts of changes of all prices together."""
        return self.impacts.filter(scope=ALL_CELLS)

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The impact of the change that brings most margin; None on hold."""
        if self.change is None:
            return None
        return rows_at_change(self.impacts, self.change).row(0, named=True)

    @property
    def usual(self) -> list[Mapping[str, Any]]:
        """The impacts of the changes nearest to -10 % and +10 %."""
        rows = self.of_all.to_dicts()
        cuts, rises = ([row for row in rows if row["change"] * way > 0] for way in (-1, 1))
        return [
            min(side, key=lambda row: abs(abs(row["change"]) - 0.1))
            for side in (cuts, rises)
            if side
        ]


# The picture of changes of prices: units, revenue and margin by change.

MEASURE_COLOURS = {"units": OWN_COLOUR, "revenue": NAIVE_COLOUR, "margin": FLOOR_COLOUR}


def impact_figure(verdict: RevenueImpactVerdict) -> Figure | None:
    """Return the figure, a panel a measure; None where nothing is known."""
    rows = verdict.of_all.sort("change")
    names = [name for name in IMPACT_MEASURES if len(rows) and not rows[name].null_count()]
    if not names:
        return None
    figure = new_figure(3.9 * len(names), 4.0)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw_measure(axes, rows, name, verdict)
    change = (
        "no change is sure to pay" if verdict.change is None else f"{100 * verdict.change:+g} %"
    )
    prices = counted(verdict.known, "prices")
    headline(figure, f"{verdict.action}: {change}; {prices} together, a {verdict.period}")
    return figure


def _draw_measure(axes: Axes, rows: DataFrame, name: str, verdict: RevenueImpactVerdict) -> None:
    rows = pl.concat(
        [rows, DataFrame({"change": [0.0], "beyond": [0]})], how="diagonal_relaxed"
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
    axes.margins(x=0)
    beyond = "change of prices, %; grey: some cells beyond the observed"
    tidy(axes, title=f"{name}, %", x=beyond)


REPORT = TableReport(
    columns=IMPACTS,
    rows=lambda verdict: verdict.of_all,
    title="All prices together, a {{ period }}, what stays:",
    figure=impact_figure,
    caption="Units, revenue and margin by the change of all prices, with bands; grey where prices "
    "were not observed",
)

"""Stock decided: how much to hold by the record of held-out periods, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from polars import DataFrame, Series

from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    OWN_COLOUR,
    drawable,
    headline,
    legend_above,
    name_rows,
    new_figure,
    tidy,
)
from hwds.report.words import say, spoken
from hwds.results.formatting import brief, counted, first_to_last
from hwds.results.tables import TRUTH, Column, Declared, Verdict, row_of
from hwds.supply.stock_levels import LAW_SOURCES, StockCases, StockTerms
from hwds.supply.volumes import When

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from dataclasses import replace

import polars as pl
from numpy import ndarray

from hwds.results.tables import with_interval
from hwds.stats.estimates import Estimate, one_minus_ratio, pooled_ratio
from hwds.supply.stock_levels import without_depot

# The record of stock: costs and service in held-out periods, with intervals over series.

# Stock in held-out periods: what would have been on hand and short, had levels been those of
# the forecast.


@dataclass(frozen=True, eq=False)
class StockPaths:
    """The stock of w series over p periods, each of shape (w, p).

    Attributes:
        net: The stock on hand at the end of a period, less what is still owed; of two echelons in
            the store.
        depot: The stock on hand in the depot, 0 without one.
        demand: The demand of the period.
        unserved: The demand of the period that could not be served in it.
        ordered: Whether an order was made for it.
    """

    net: ndarray
    depot: ndarray
    demand: ndarray
    unserved: ndarray
    ordered: ndarray

    def cost(self, terms: StockTerms) -> ndarray:
        """Return the cost of each period, shape (w, p)."""
        held, owed = np.maximum(self.net, 0.0), np.maximum(-self.net, 0.0)
        here = terms.holding * held + terms.depot_holding * self.depot
        return here + terms.shortage * owed + terms.order * self.ordered


def simulate_stock(
    upto: ndarray,
    reorder: ndarray,
    actual: ndarray,
    terms: StockTerms,
    begins: tuple[ndarray, ndarray] | None = None,
) -> StockPaths:
    """Return what happens to stock where what is short is delivered later.

    An order of a period arrives `lead` periods on, and the stock after it meets demand to the end
    of that one. The first `lead` periods, which no level of the forecast reaches, are not counted.
    A newsvendor begins each period anew, and owes nothing.

    Args:
        upto: Levels by period of the order, shape (w, p).
        reorder: The level at or below which one orders, shape (w, p).
        actual: Demand, shape (w, p + lead).
        terms: The rule.
        begins: Stock on hand and on order in the first period, and whether that is after an order,
            each of shape (w,); None for the first level without an order.
    """
    periods, lead = upto.shape[1], terms.reach
    position = np.empty_like(upto, dtype=float)
    ordered = np.zeros(upto.shape, bool)
    position[:, 0], ordered[:, 0] = (upto[:, 0], False) if begins is None else begins
    for t in range(1, periods):
        before = position[:, t - 1] - actual[:, t - 1]
        before = np.zeros(len(before)) if terms.policy == "newsvendor" else before
        ordered[:, t] = (before <= reorder[:, t]) & (before < upto[:, t])
        position[:, t] = np.where(ordered[:, t], upto[:, t], before)
    net = position - _demand_sums(actual, 0, lead + 1, periods)
    demand, depot = actual[:, lead : lead + periods], np.zeros(net.shape)
    return StockPaths(net, depot, demand, np.minimum(demand, np.maximum(-net, 0.0)), ordered)


def _demand_sums(actual: ndarray, first: int, many: int, periods: int) -> ndarray:
    """Return the demand of `many` periods in a row, from each of so many first ones; shape (w,
    periods).
    """
    total = np.concatenate([np.zeros((len(actual), 1)), np.cumsum(actual, axis=1)], axis=1)
    last = first + many
    return total[:, last : last + periods] - total[:, first : first + periods]


def simulate_echelons(
    upto: ndarray, store: ndarray, actual: ndarray, terms: StockTerms
) -> StockPaths:
    """Return what happens to the stock of a depot and a store, each of which orders up to its level
    in each period.

    The depot's order of a period arrives `depot_lead` on; the store then orders what the depot has,
    which arrives `lead` on. What is above a level that has fallen stays until it is asked for.

    Args:
        upto: The level of all stock, by period of the depot's order, shape (w, p).
        store: The level of the store, in the period in which that order arrives, shape (w, p).
        actual: Demand, shape (w, p + depot_lead + lead).
        terms: Costs and lead times.
    """
    periods, early, late = upto.shape[1], terms.depot_lead, terms.lead + 1
    there = _carry_stock(upto, actual[:, :periods]) - _demand_sums(actual, 0, early, periods)
    sent = _carry_stock(store, actual[:, early : early + periods], there)
    net = sent - _demand_sums(actual, early, late, periods)
    last = early + late - 1
    demand, ordered = actual[:, last : last + periods], np.ones(net.shape, bool)
    unserved = np.minimum(demand, np.maximum(-net, 0.0))
    return StockPaths(net, there - sent, demand, unserved, ordered)


def _carry_stock(levels: ndarray, demand: ndarray, there: ndarray | None = None) -> ndarray:
    """Return stock on hand and on order after each order up to a level, as far as there is so much,
    shape (w, p).
    """
    position = np.empty(levels.shape)
    for t in range(levels.shape[1]):
        before = position[:, t - 1] - demand[:, t - 1] if t else levels[:, 0]
        most = np.inf if there is None else there[:, t]
        position[:, t] = np.minimum(np.maximum(levels[:, t], before), most)
    return position


# The record of stock: costs and service reached in held-out periods, of each model, with
# intervals over series.

TEXTBOOK_RULE = "[normal, independent months]"
"""Behind a model's name: levels of its means and deviations by the textbook's rule."""

GOLDEN_RATIO = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, fill the unit interval evenly."""

NO_DEPOT = "[without a depot]"
"""Behind a model's name: all stock in the store, by the lead time of both echelons together."""

RECORD = Declared.of(
    Column("model", "text", "", "levels from", "levels from", "{{ shown_name(model) }}"),
    with_interval(
        Column("cost", "number", "Mean cost of a period.", "cost a period and series", "cost"),
        brief="95 %",
    ),
    with_interval(
        Column(
            "saving",
            "share",
            "1 - the cost of the experiment's own model over that of the first rival.",
            "saves against {{ base }}, %",
            "saves\n%",
            "{{ saving | change }}{% if saving_low is not none %}"
            " ± {{ (50 * (saving_high - saving_low)) | written('.1f') }}{% endif %}",
        ),
        ends="",
    ),
    with_interval(
        Column("service", "share", "", "periods without a shortage, %", "service\n%"),
        ends="95 % of these",
    ),
    with_interval(
        Column("fill", "share", "", "demand served in its period, %", "fill\n%"), ends=""
    ),
    Column("held", "number", "Mean units on hand.", "units held", "held"),
    Column("short", "number", "Mean units owed.", "units owed", "owed"),
    Column("orders", "number", "", "orders a period", "orders", "{{ orders | written('.2f') }}"),
    Column("cases", "count", "Cases with known demand.", "cases", "cases"),
    Column("series", "count", "Series of these."),
    Column("periods", "count", "Periods of these."),
)


def stock_records(
    models: Mapping[str, StockCases], own: str, base: str | None, terms: StockTerms
) -> pl.DataFrame:
    """Return a row for each model, and for the textbook's levels of the experiment's own.

    Args:
        models: The cases of each model by its label; the same ones where they have forecasts.
        own: The experiment's own model.
        base: The model that savings are counted from; None for none.
        terms: The costs.
    """
    paths = {
        name: (cases, _stock_paths(cases, terms, cases.stack("upto")))
        for name, cases in models.items()
        if cases.known.any()
    }
    if own in paths:
        cases = models[own]
        if terms.policy == "two_echelons":
            in_store = _stock_paths(cases, without_depot(terms), cases.alone)
            paths[f"{own}{NO_DEPOT}"] = cases, in_store
        elif terms.policy != "reorder_point":
            paths[f"{own}{TEXTBOOK_RULE}"] = cases, _stock_paths(cases, terms, cases.textbook)
    names = sorted({name for cases in models.values() for name in cases.keys["series"]})
    costs = {
        name: _by_series(names, cases, path.cost(terms)) for name, (cases, path) in paths.items()
    }
    rows = [
        _record_row(name, cases, path, names, costs, base) for name, (cases, path) in paths.items()
    ]
    return RECORD.frame(rows)


def _stock_paths(cases: StockCases, terms: StockTerms, upto: ndarray) -> StockPaths:
    """Return what happened in the cases whose demand is known."""
    known = cases.known
    if terms.policy == "two_echelons":
        return simulate_echelons(
            upto[known], cases.stack("store")[known], cases.actual[known], terms
        )
    reorder = cases.stack("reorder") if terms.policy == "reorder_point" else upto
    return simulate_stock(
        upto[known], reorder[known], cases.actual[known], terms, _case_begins(cases)
    )


def _case_begins(cases: StockCases) -> tuple[ndarray, ndarray] | None:
    """Return where the stock of each known case stands at first, by its long run, evenly over
    cases; None without (s, S).
    """
    known = np.flatnonzero(cases.known).tolist()
    points = [(place, cases.levels[place].point) for place in known]
    stands = [
        point.at((place + 0.5) * GOLDEN_RATIO % 1) for place, point in points if point is not None
    ]
    at, after = zip(*stands, strict=True) if stands else ((), ())
    return (np.array(at), np.array(after)) if stands else None


def _by_series(names: list[str], cases: StockCases, values: ndarray) -> ndarray:
    """Return the mean of a value over the periods of each series, NaN for one without.

    Shape (series,).
    """
    known = cases.keys["series"].filter(pl.Series(cases.known))
    place = pl.Series(names).search_sorted(known).to_numpy()
    total = np.bincount(place, values.sum(axis=1), len(names))
    count = np.bincount(place, minlength=len(names)) * values.shape[1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _record_row(
    name: str,
    cases: StockCases,
    path: StockPaths,
    names: list[str],
    costs: Mapping[str, ndarray],
    base: str | None,
) -> dict[str, object]:
    short = np.maximum(-path.net, 0)
    met, unserved, demand = (
        _by_series(names, cases, each)
        for each in ((path.net >= 0).astype(float), path.unserved, path.demand)
    )
    estimates = {
        "cost": _clip(_series_mean(costs[name]), np.inf),
        "service": _clip(_series_mean(met), 1.0),
        "fill": _share_served(pooled_ratio(unserved, demand)),
    }
    if base is not None and base in costs and name != base:
        estimates["saving"] = one_minus_ratio(costs[name], costs[base])
    row: dict[str, object] = {
        "model": name,
        "cases": int(cases.known.sum()),
        "series": int((~np.isnan(costs[name])).sum()),
        "held": (np.maximum(path.net, 0) + path.depot).mean(),
        "short": short.mean(),
        "orders": path.ordered.mean(),
        "periods": path.net.size,
    }
    for column, each in estimates.items():
        row |= {column: each.value, f"{column}_low": each.low, f"{column}_high": each.high}
    return row


def _series_mean(values: ndarray) -> Estimate:
    """Return the mean over series, NaN counting as undefined."""
    return pooled_ratio(values, np.where(np.isnan(values), np.nan, 1.0))


def _clip(estimate: Estimate, most: float) -> Estimate:
    """Return an estimate with its interval within 0 and `most`: no cost is negative, no share above
    1.
    """
    low, high = (
        None if end is None else min(max(end, 0.0), most) for end in (estimate.low, estimate.high)
    )
    return replace(estimate, low=low, high=high)


def _share_served(lost: Estimate) -> Estimate:
    """Return the share of demand that is served, from the share that is lost."""
    value, low, high = (
        None if each is None else 1 - each for each in (lost.value, lost.high, lost.low)
    )
    return _clip(replace(lost, value=value, low=low, high=high), 1.0)


# The verdict on stock: a table of levels, the record of models, and its words.

LEVELS = Declared.of(
    Column("series", "text", "The series.", "series", "series"),
    Column("cutoff", "text", "The cutoff after which the levels hold."),
    Column("upto", "number", "The level of the first order.", "order up to", "order\nup to"),
    Column(
        "reorder",
        "number",
        "The level at which it is ordered.",
        "reorder at",
        "reorder\nat",
        when="{{ terms.policy == 'reorder_point' }}",
    ),
    Column(
        "store",
        "number",
        "The level of the store.",
        "up to which the store orders from the depot",
        "store\nup to",
        when="{{ terms.policy == 'two_echelons' }}",
    ),
    Column(
        "covered",
        "number",
        "Mean demand that the first order covers.",
        "mean demand that it covers",
        "covers",
    ),
    Column("safety", "number", "The stock beyond that.", "stock beyond that", "safety"),
    Column(
        "fill",
        "share",
        "The expected share of demand served.",
        "expected demand served, %",
        "fill\n%",
    ),
    Column("cost", "number", "Expected cost of a period.", "expected cost a period", "cost"),
    Column("upto_last", "number", "The level of the last order."),
    Column("source", "text", "What couples the steps."),
)

STOCK_RULES = {
    "newsvendor": "the newsvendor's levels",
    "base_stock": "base stock",
    "reorder_point": "reorder points (s, S)",
    "two_echelons": "a depot and a store",
}
"""The rules of replenishment, in words."""

UNTARGETED_RULES = ("reorder_point", "two_echelons")
"""Rules whose service follows from more than the costs of a unit held and of one short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockVerdict(Verdict):
    """The stock of each series, and whether the record allows it.

    Attributes:
        action: `STOCK` or `HOLD`.
        model: The experiment's own.
        base: The model that savings are counted from; None for none.
        terms: The rule of replenishment, what stock costs, and the periods to an arrival.
        target: The share of periods that should end without a shortage.
        error_cost: What a period of a series costs more than with the true law where that is known,
            else than with foresight.
        error_of: `law` or `foresight`.
        cutoff: The cutoff at which the levels are.
        n_series: The number of levels.
        units: The sum of the levels.
        when: `back-test`, or `future` for the periods to come.
        unit: The unit of volumes.
        levels: See `LEVELS`.
        record: See `hwds.supply.stock.RECORD`.
    """

    files: ClassVar = {"stock_record": "record", "stock_levels": "levels"}
    stored = ("terms.policy", "terms.holding", "terms.shortage", "terms.order", "terms.lead")
    words = """
    {%- set own = of(model) %}
    {%- if own is none or rule == "few_cases" -%}
    HOLD: {{ (own.cases if own else 0) | counted("cases") }} of a series at a cutoff with known
    demand are too few to judge levels by.
    {%- else %}
    {{- action }}: {{ own.service | quoted_percent(own.service_low, own.service_high) }} of periods
    ended without a shortage {%- if targeted %}; target {{ target | percent }}{% endif %}
    {%- if rule == "service" %}: the levels are too low{% endif %}
    {%- if rule == "few_series" %}; one series gives no interval{% endif %}.

    {{ replenishment[0] | upper }}{{ replenishment[1:] }} from {{ model }}
    {{ "would have cost" if action == "STOCK" else "cost" }}
    {{ own.cost | quoted(own.cost_low, own.cost_high) }} per period and series
    {%- if own.fill is not none %}, and {{ own.fill | percent }} of demand was served in its period
    {%- endif %}.

    {% if rivals and own.saving_low is not none -%}
    It {{ "saves" if own.saving_low > 0 else "is not shown to save against " ~ base ~ ":" }}
    {{ own.saving | quoted_percent(own.saving_low, own.saving_high) }}
    {%- if own.saving_low > 0 %} against {{ base }}{% endif %}.
    {%- endif %}
    {%- endif %}

    {% if n_series -%}
    The levels of {{ n_series | counted("series") }} after {{ cutoff }} add up to
    {{ units | money(unit) }}; periods are coupled by {{ law }}.
    {%- else %}There is no series to stock.{% endif %}

    {% if rivals and rule != "few_cases" -%}
    Costs of the others: {{ rivals }}.
    {%- endif %}

    {% if own is not none and error_cost is not none %}
    {%- if of(truth) %}The true law of demand would have cost {{ of(truth).cost | brief }}: the
    forecast's error costs {{ error_cost | brief }}.
    {%- elif terms.policy != "reorder_point" %}With foresight stock would cost nothing, so the whole
    cost is that of not knowing demand.{% endif %}
    {%- endif %}
    """
    costs: ClassVar[str] = (
        "{{ terms.holding | written('g') }} a unit held, {{ terms.shortage | written('g') }} one "
        "short{% if terms.order %}, {{ terms.order | written('g') }} an order{% endif %}, lead "
        "time {{ terms.lead }}"
    )

    action: Literal["STOCK", "HOLD"]
    model: str
    base: str | None
    terms: StockTerms
    target: float
    error_cost: float | None
    error_of: Literal["law", "foresight"]
    cutoff: str
    n_series: int
    units: float
    when: When
    unit: str
    levels: DataFrame
    record: DataFrame

    @property
    def replenishment(self) -> str:
        """The rule of replenishment in words."""
        return STOCK_RULES[self.terms.policy]

    @property
    def targeted(self) -> bool:
        """Whether the costs say what service should be."""
        return self.terms.policy not in UNTARGETED_RULES

    @property
    def rivals(self) -> str:
        """The costs of the other models and rules."""
        known = {
            f"{self.model}{TEXTBOOK_RULE}": "the textbook rule on its means",
            f"{self.model}{NO_DEPOT}": "no depot",
            TRUTH: "",
            self.model: "",
        }
        names = {name: known.get(name, name) for name in self.record["model"]}
        rows = zip(names.values(), self.record["cost"], strict=True)
        return ", ".join(f"{name} {brief(cost)}" for name, cost in rows if name)

    def of(self, model: str) -> dict[str, Any] | None:
        """Return the record of a model; None where it has none."""
        return row_of(self.record, model=model)

    def shown_name(self, model: str) -> str:
        """Return the name of a model where people read."""
        return model.replace(TEXTBOOK_RULE, ", textbook rule").replace(NO_DEPOT, ", no depot")


# From cases to the verdict: how much to stock, by the record of held-out periods.


def decide_stock(
    name: str,
    models: Mapping[str, StockCases],
    coming: StockCases,
    model: str,
    terms: StockTerms,
    *,
    unit: str,
    when: When,
) -> StockVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        models: The back-test of each model, the experiment's own first.
        coming: The cases to tell levels of.
        model: The experiment's own.
        terms: The rule.
        unit: The unit of volumes.
        when: Whether the cases to tell are those of the back-test or of the periods to come.
    """
    base = next((label for label in models if label not in (model, TRUTH)), None)
    record = stock_records(models, model, base, terms)
    own, truth = (row_of(record, model=each) for each in (model, TRUTH))
    rule = forbidding_stock_rule(own, terms)
    levels = levels_table(coming)
    verdict = StockVerdict(
        decision=name,
        action="STOCK" if rule == "none" else "HOLD",
        rule=rule,
        model=model,
        base=base,
        terms=terms,
        target=terms.ratio,
        error_cost=own["cost"] - (truth["cost"] if truth else 0.0) if own else None,
        error_of="law" if truth else "foresight",
        cutoff=first_to_last(coming.keys["cutoff"].filter(_at_last(coming.keys))),
        n_series=len(levels),
        units=float(levels["upto"].sum()),
        when=when,
        unit=unit,
        levels=levels,
        record=record,
    )
    sources = {each: coming.sources.count(each) for each in LAW_SOURCES if each in coming.sources}
    most = max(sources, key=lambda each: sources[each], default="")
    return spoken(verdict, law=LAW_SOURCES.get(most, ""), truth=TRUTH)


def forbidding_stock_rule(row: Mapping[str, Any] | None, terms: StockTerms) -> str:
    """Return the rule that forbids to stock by the levels, `none` where none does.

    There must be enough cases, of more than one series, for the interval of service is over series;
    and the share of periods without a shortage must not be shown, at 95 %, to be below what the
    costs ask for.
    """
    if row is None or row["cases"] < terms.least:
        return "few_cases"
    if terms.policy in UNTARGETED_RULES:
        return "none"
    if row["service_high"] is None:
        return "few_series"
    return "service" if row["service_high"] < terms.ratio else "none"


def levels_table(cases: StockCases) -> DataFrame:
    """Return the levels of the last cutoff; see `LEVELS`."""
    rows = []
    for place in _at_last(cases.keys).arg_true():
        levels, case = cases.levels[place], cases.keys.row(place, named=True)
        first = {
            part: float(getattr(levels, part)[0])
            for part in ("upto", "reorder", "store", "covered", "fill", "cost")
        }
        rows.append(
            first
            | {
                "series": str(case["series"]),
                "cutoff": str(case["cutoff"]),
                "safety": first["upto"] - first["covered"],
                "upto_last": float(levels.upto[-1]),
                "source": cases.sources[place],
            }
        )
    return LEVELS.frame(rows).sort("upto", "series", descending=[True, False])


def _at_last(keys: DataFrame) -> Series:
    """Return whether each case is of the last cutoff, or of its series' own last one.

    See `StockCases`.
    """
    clock = keys["moment" if "moment" in keys.columns else "cutoff"]
    return clock == clock.max()


# The report of stock: costs and service of each model in held-out periods, and the levels of
# each series.

MOST_SERIES = 24
"""Series that are shown."""


def record_figure(verdict: StockVerdict) -> Figure | None:
    """Return the figure; None where nothing was back-tested."""
    rows = verdict.record.reverse()
    if rows.is_empty():
        return None
    figure = new_figure(11, 1.9 + 0.42 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colours = [
        OWN_COLOUR if name == verdict.model else FLOOR_COLOUR if name == TRUTH else GREY
        for name in rows["model"]
    ]
    place = np.arange(len(rows))
    left.barh(place, rows["cost"].to_numpy(), color=colours, height=0.62)
    _draw_intervals(left, rows, "cost", 1.0)
    name_rows(left, place, map(verdict.shown_name, rows["model"]), 44)
    left.set_xlim(left=0)
    marks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("service", "periods without a shortage", {"marker": "o", "color": OWN_COLOUR}),
        ("fill", "demand served in its period", {"marker": "|", "color": INK, "markersize": 12}),
    )
    for name, label, style in marks:
        right.plot(100 * rows[name].to_numpy(), place, linestyle="none", label=label, **style)
    _draw_intervals(right, rows, "service", 100.0)
    if verdict.targeted:
        right.axvline(
            100 * verdict.target, color=ALARM_COLOUR, linewidth=1.2, linestyle="--", label="meant"
        )
    right.legend(
        fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3
    )
    costs = say(verdict.costs, verdict)
    tidy(left, "x", title=f"cost a period and series ({costs})")
    tidy(right, "x", title="service, %")
    cases, series = (int(rows[name].max()) for name in ("cases", "series"))  # type: ignore[arg-type]
    cases_shown = f"{counted(cases, 'cases')} of {counted(series, 'series')}"
    headline(figure, f"{verdict.advice}: {cases_shown}")
    return figure


def _draw_intervals(axes: Axes, rows: DataFrame, name: str, scale: float) -> None:
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)


def levels_figure(verdict: StockVerdict) -> Figure | None:
    """Return the figure; None where there is no level."""
    rows = verdict.levels[:MOST_SERIES].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9, 1.8 + 0.24 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))
    covered, upto = rows["covered"].to_numpy(), rows["upto"].to_numpy()
    bars = (
        (np.minimum(covered, upto), 0, LIGHT, "mean demand that it covers"),
        (np.maximum(upto - covered, 0), covered, OWN_COLOUR, "stock beyond that"),
    )
    for width, left, colour, label in bars:
        axes.barh(place, width, left=left, color=colour, height=0.66, label=label)
    strokes = {"reorder_point": ("reorder", "reorder at"), "two_echelons": ("store", "store up to")}
    if verdict.terms.policy in strokes:
        column, label = strokes[verdict.terms.policy]
        axes.plot(
            rows[column].to_numpy(),
            place,
            "|",
            color=INK,
            markersize=10,
            markeredgewidth=1.6,
            label=label,
        )
    name_rows(axes, place, rows["series"], 34)
    legend_above(axes, 3)
    tidy(axes, "x", x=drawable(verdict.unit or "units"))
    axes.set_xlim(left=min(0.0, float(rows["reorder"].min() or 0.0)))  # type: ignore[arg-type]
    shown = counted(verdict.n_series, "levels")
    if len(rows) < verdict.n_series:
        shown = f"{len(rows)} of {verdict.n_series} levels"
    headline(figure, f"{shown} after {verdict.cutoff}")
    return figure


RECORD_REPORT = TableReport(
    columns=RECORD,
    own="{{ model }}",
    title=f"What stock would have cost ({{{{ terms.policy }}}}, {StockVerdict.costs}):",
    figure=record_figure,
    caption="The cost of each model's levels with its interval, and the service that they reached "
    "beside what is meant",
)
LEVELS_REPORT = TableReport(
    columns=LEVELS,
    most=MOST_SERIES,
    title="The largest levels after {{ cutoff }}"
    "{% if shown < rows %}, {{ shown }} of {{ rows }}{% endif %}:",
    figure=levels_figure,
    caption="The largest levels: the mean demand that each covers, and the stock beyond it",
)

"""Stock decided: how much to hold by the record of held-out periods, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    OWN_COLOUR,
    drawable,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import (
    brief,
    column_texts,
    counted,
    first_to_last,
    percent,
    percent_cell,
    quote_interval,
    quote_percent,
)
from hwds.results.tables import TRUTH, Verdict
from hwds.supply.stock_levels import LAW_SOURCES, StockCases, StockPolicy, StockTerms
from hwds.supply.stock_record import NO_DEPOT, TEXTBOOK_RULE, stock_records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on stock, as plain values, a table of levels and the record of models.

LEVEL_COLUMNS = {
    "series": pl.String,
    "cutoff": pl.String,
    "upto": pl.Float64,
    "reorder": pl.Float64,
    "store": pl.Float64,
    "covered": pl.Float64,
    "safety": pl.Float64,
    "fill": pl.Float64,
    "cost": pl.Float64,
    "upto_last": pl.Float64,
    "source": pl.String,
}
"""The columns of levels: the first order's level, reorder point and store's level, the mean demand
that the first covers, the stock beyond that, the expected share of demand served and cost of a
period, the level of the last order, and what couples the months.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockVerdict(Verdict):
    """The stock of each series, and whether the record allows it.

    Attributes:
        action: `STOCK` or `HOLD`.
        model: The experiment's own.
        base: The model that savings are counted from; None for none.
        policy: The rule of replenishment.
        holding, shortage, order, lead: What stock costs, and the periods to an arrival.
        target: The share of periods that should end without a shortage.
        error_cost: What a period of a series costs more than with the true law where that is known,
            else than with foresight.
        error_of: `law` or `foresight`.
        cutoff: At which the levels are.
        n_series: How many levels there are.
        units: The sum of the levels.
        when: `back-test`, or `future` for the periods to come.
        unit: What volumes are counted in.
        levels: See `LEVEL_COLUMNS`.
        record: See `hwds.supply.stock_record.RECORD_COLUMNS`.
    """

    action: Literal["STOCK", "HOLD"]
    model: str
    base: str | None
    policy: StockPolicy
    holding: float
    shortage: float
    order: float
    lead: int
    target: float
    error_cost: float | None
    error_of: Literal["law", "foresight"]
    cutoff: str
    n_series: int
    units: float
    when: Literal["back-test", "future"]
    unit: str
    levels: pl.DataFrame
    record: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; levels and record are tables beside them."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("levels", "record")
        }

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the record and the levels."""
        return {"stock_record": self.record, "stock_levels": self.levels}

    def of(self, model: str) -> dict[str, Any] | None:
        """Return the record of a model; None where it has none."""
        rows = self.record.filter(pl.col("model") == model)
        return rows.row(0, named=True) if len(rows) else None


# A verdict on stock in words, for a manager.

STOCK_RULES = {
    "newsvendor": "the newsvendor's levels",
    "base_stock": "base stock",
    "reorder_point": "reorder points (s, S)",
    "two_echelons": "a depot and a store",
}
"""The rules of replenishment, in words."""


def stock_sentence(verdict: StockVerdict, coming: StockCases) -> str:
    """Return the advice with the cost and service that it reached, what the forecast's error costs,
    and how much to stock.
    """
    return " ".join(
        filter(
            None,
            [
                _advice_sentence(verdict),
                _error_sentence(verdict),
                _rivals_sentence(verdict),
                _levels_sentence(verdict, coming),
            ],
        )
    )


def _advice_sentence(verdict: StockVerdict) -> str:
    own = verdict.of(verdict.model)
    if own is None or verdict.rule == "few_cases":
        cases = 0 if own is None else own["cases"]
        return (
            f"HOLD: {counted(cases, 'cases')} of a series at a cutoff with known demand are "
            f"too few to judge levels by."
        )
    cost, ends = quote_interval(own["cost"], own["cost_low"], own["cost_high"])
    service, between = quote_percent(own["service"], own["service_low"], own["service_high"])
    tense = "would have cost" if verdict.action == "STOCK" else "cost"
    reached = (
        f"{STOCK_RULES[verdict.policy]} from {verdict.model} {tense} {cost}{ends} a period and "
        f"series,"
        f" {service}{between} of periods ended without a shortage"
    )
    meant = (
        ""
        if verdict.policy in ("reorder_point", "two_echelons")
        else f" where {percent(verdict.target)} is meant"
    )
    filled = (
        ""
        if own["fill"] is None
        else f"and {percent(own['fill'])} of demand was served in its period"
    )
    if verdict.rule == "service":
        return f"HOLD: {reached}{meant}: the levels are too low{'; ' if filled else ''}{filled}."
    if verdict.rule == "few_series":
        why = "no interval over series says whether that is enough, for there is one series"
        return f"HOLD: {reached}{meant}{', ' if filled else ''}{filled}: {why}."
    return f"STOCK: {reached}{meant}{', ' if filled else ''}{filled}."


def _error_sentence(verdict: StockVerdict) -> str:
    own, true = verdict.of(verdict.model), verdict.of(TRUTH)
    if own is None or verdict.error_cost is None:
        return ""
    if true is not None:
        law, error = brief(true["cost"]), brief(verdict.error_cost)
        return f"The true law of demand would have cost {law}: the forecast's error costs {error}."
    if verdict.policy == "reorder_point":
        return ""
    return "With foresight stock would cost nothing, so that this is what not knowing demand costs."


def _rivals_sentence(verdict: StockVerdict) -> str:
    rows = [row for row in verdict.record.to_dicts() if row["model"] not in (verdict.model, TRUTH)]
    if not rows or verdict.rule == "few_cases":
        return ""
    said_of = {
        f"{verdict.model}{TEXTBOOK_RULE}": "the textbook rule on its means",
        f"{verdict.model}{NO_DEPOT}": "no depot",
    }
    names = {row["model"]: said_of.get(row["model"], row["model"]) for row in rows}
    said = ", ".join(f"{names[row['model']]} {brief(row['cost'])}" for row in rows)
    own = verdict.of(verdict.model)
    saves = ""
    if own is not None and own["saving_low"] is not None:
        text, ends = quote_percent(own["saving"], own["saving_low"], own["saving_high"])
        shown = "saves" if own["saving_low"] > 0 else "is not shown to save:"
        saves = f"; against {verdict.base} it {shown} {text}{ends}"
    return f"Beside it: {said}{saves}."


def _levels_sentence(verdict: StockVerdict, coming: StockCases) -> str:
    if not verdict.n_series:
        return "There is no series to stock."
    sources = {
        source: coming.sources.count(source) for source in LAW_SOURCES if source in coming.sources
    }
    most = max(sources, key=lambda source: sources[source])
    units = f"{brief(verdict.units)} {verdict.unit}".rstrip()
    return (
        f"The levels of {counted(verdict.n_series, 'series')} after {verdict.cutoff} add up to "
        f"{units}; months are coupled by"
        f" {LAW_SOURCES[most]}."
    )


# From cases to the verdict: how much to stock, by the record of held-out periods.

UNTARGETED_RULES = ("reorder_point", "two_echelons")
"""Rules whose service follows from more than the costs of a unit held and of one short."""


def decide_stock(
    name: str,
    models: Mapping[str, StockCases],
    coming: StockCases,
    model: str,
    terms: StockTerms,
    *,
    unit: str,
    when: Literal["back-test", "future"],
) -> StockVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        models: The back-test of each model, the experiment's own first.
        coming: The cases to tell levels of.
        model: The experiment's own.
        terms: The rule.
        unit: Of volumes.
        when: Whether the cases to tell are those of the back-test or of the periods to come.
    """
    base = next((label for label in models if label not in (model, TRUTH)), None)
    record = stock_records(models, model, base, terms)
    rows = {row["model"]: row for row in record.to_dicts()}
    rule = forbidding_stock_rule(rows.get(model), terms)
    levels = levels_table(coming)
    verdict = StockVerdict(
        decision=name,
        action="STOCK" if rule == "none" else "HOLD",
        rule=rule,
        excluded={},
        sentence="",
        model=model,
        base=base,
        policy=terms.policy,
        holding=terms.holding,
        shortage=terms.shortage,
        order=terms.order,
        lead=terms.lead,
        target=terms.ratio,
        error_cost=None
        if model not in rows
        else rows[model]["cost"] - (rows[TRUTH]["cost"] if TRUTH in rows else 0.0),
        error_of="law" if TRUTH in rows else "foresight",
        cutoff=first_to_last(coming.keys["cutoff"].filter(_at_last(coming.keys))),
        n_series=len(levels),
        units=float(levels["upto"].sum()),
        when=when,
        unit=unit,
        levels=levels,
        record=record,
    )
    return replace(verdict, sentence=stock_sentence(verdict, coming))


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


def levels_table(cases: StockCases) -> pl.DataFrame:
    """Return the levels of the last cutoff; see `LEVELS`."""
    rows = []
    for place in _at_last(cases.keys).arg_true():
        levels, series, cutoff = (
            cases.levels[place],
            cases.keys["series"][place],
            cases.keys["cutoff"][place],
        )
        first = {
            part: float(getattr(levels, part)[0])
            for part in ("upto", "reorder", "store", "covered", "fill", "cost")
        }
        ends = {
            "safety": first["upto"] - first["covered"],
            "upto_last": float(levels.upto[-1]),
            "source": cases.sources[place],
        }
        rows.append({"series": str(series), "cutoff": str(cutoff), **first, **ends})
    return pl.DataFrame(rows, schema=LEVEL_COLUMNS).sort("upto", "series", descending=[True, False])


def _at_last(keys: pl.DataFrame) -> pl.Series:
    """Return whether each case is of the last cutoff, or of its series' own last one.

    See `StockCases`.
    """
    clock = keys["moment" if "moment" in keys.columns else "cutoff"]
    return clock == clock.max()


# The report of stock: costs and service of each model in held-out periods, and the levels of
# each series.

MOST_SERIES = 24
"""Series that are shown."""

TARGET_COLOUR = "#b3382c"
"""The colour of the service that is meant."""


def record_grid(verdict: StockVerdict) -> Grid:
    """Return a line for each model: cost, saving, service and fill rate, units held and owed."""
    rows = verdict.record.to_dicts()
    titles = [
        ("levels from", "levels from"),
        ("cost a period and series", "cost"),
        ("95 %", "95 %"),
        (f"saves against {verdict.base}, %", "saves\n%"),
        ("periods without a shortage, %", "service\n%"),
        ("95 % of these", ""),
        ("demand served in its period, %", "fill\n%"),
        ("units held", "held"),
        ("units owed", "owed"),
        ("orders a period", "orders"),
        ("cases", "cases"),
    ]
    numbers = {
        name: column_texts([row[name] for row in rows])
        for name in ("cost", "cost_low", "cost_high", "held", "short")
    }
    cells = [
        (
            _model_name(row["model"]),
            numbers["cost"][place],
            _interval_words(numbers["cost_low"][place], numbers["cost_high"][place]),
            _saving_words(row),
            percent_cell(row["service"]),
            _interval_words(percent_cell(row["service_low"]), percent_cell(row["service_high"])),
            percent_cell(row["fill"]),
            numbers["held"][place],
            numbers["short"][place],
            f"{row['orders']:.2f}",
            f"{row['cases']:,}",
        )
        for place, row in enumerate(rows)
    ]
    return grid_of(
        titles,
        cells,
        own=verdict.model,
        caption=f"What stock would have cost ({verdict.policy}, {_costs_words(verdict)}):",
    )


def _model_name(model: str) -> str:
    return model.replace(TEXTBOOK_RULE, ", textbook rule").replace(NO_DEPOT, ", no depot")


def _costs_words(verdict: StockVerdict) -> str:
    order = f", {verdict.order:g} an order" if verdict.order else ""
    return (
        f"{verdict.holding:g} a unit held, {verdict.shortage:g} one short{order}, lead time "
        f"{verdict.lead}"
    )


def _interval_words(low: str, high: str) -> str:
    return f"{low} to {high}" if low else ""


def _saving_words(row: dict[str, Any]) -> str:
    if row["saving"] is None:
        return ""
    half = (
        ""
        if row["saving_low"] is None
        else f" ± {50 * (row['saving_high'] - row['saving_low']):.1f}"
    )
    return f"{100 * row['saving']:+.1f}{half}"


def levels_grid(verdict: StockVerdict) -> Grid:
    """Return a line for each of the largest levels; all are in stock_levels.csv."""
    rows = verdict.levels[:MOST_SERIES]
    titles = [
        ("series", "series"),
        ("order up to", "order\nup to"),
        ("reorder at", "reorder\nat"),
        ("up to which the store orders from the depot", "store\nup to"),
        ("mean demand that it covers", "covers"),
        ("stock beyond that", "safety"),
        ("expected demand served, %", "fill\n%"),
        ("expected cost a period", "cost"),
    ]
    cells = zip(
        rows["series"],
        column_texts(rows["upto"].to_list()),
        column_texts(rows["reorder"].to_list())
        if verdict.policy == "reorder_point"
        else [""] * len(rows),
        column_texts(rows["store"].to_list())
        if verdict.policy == "two_echelons"
        else [""] * len(rows),
        *(column_texts(rows[name].to_list()) for name in ("covered", "safety")),
        map(percent_cell, rows["fill"]),
        column_texts(rows["cost"].to_list()),
        strict=True,
    )
    more = f", {len(rows)} of {verdict.n_series}" if len(rows) < verdict.n_series else ""
    return grid_of(titles, list(cells), caption=f"The largest levels after {verdict.cutoff}{more}:")


def draw_record(verdict: StockVerdict, path: Path) -> None:
    """Draw the cost of each model's levels with its interval, and the service that they reached
    beside what is meant.
    """
    save_png(record_figure(verdict), path)


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
    left.set_yticks(
        place,
        [drawable(_model_name(name), 44) for name in rows["model"]],
        fontsize=8.5,
        parse_math=False,
    )
    left.set_title(
        f"cost a period and series ({_costs_words(verdict)})", fontsize=9, loc="left", color=INK
    )
    left.set_xlim(left=0)
    right.plot(
        100 * rows["service"].to_numpy(),
        place,
        "o",
        color=OWN_COLOUR,
        label="periods without a shortage",
    )
    right.plot(
        100 * rows["fill"].to_numpy(),
        place,
        "|",
        color=INK,
        markersize=12,
        label="demand served in its period",
    )
    _draw_intervals(right, rows, "service", 100.0)
    if verdict.policy in ("newsvendor", "base_stock"):
        right.axvline(
            100 * verdict.target, color=TARGET_COLOUR, linewidth=1.2, linestyle="--", label="meant"
        )
    right.set_title("service, %", fontsize=9, loc="left", color=INK)
    right.legend(
        fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3
    )
    for axes in (left, right):
        tidy(axes, "x")
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: {counted(int(rows['cases'].max()), 'cases')} of {counted(int(rows['series'].max()), 'series')}"  # type: ignore[arg-type]
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw_intervals(axes: Axes, rows: pl.DataFrame, name: str, scale: float) -> None:
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)


def draw_levels(verdict: StockVerdict, path: Path) -> None:
    """Draw the largest levels: the mean demand that each covers, and the stock beyond it."""
    save_png(levels_figure(verdict), path)


def levels_figure(verdict: StockVerdict) -> Figure | None:
    """Return the figure; None where there is no level."""
    rows = verdict.levels[:MOST_SERIES].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9, 1.8 + 0.24 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))
    covered, upto = rows["covered"].to_numpy(), rows["upto"].to_numpy()
    axes.barh(
        place,
        np.minimum(covered, upto),
        color=LIGHT,
        height=0.66,
        label="mean demand that it covers",
    )
    axes.barh(
        place,
        np.maximum(upto - covered, 0),
        left=covered,
        color=OWN_COLOUR,
        height=0.66,
        label="stock beyond that",
    )
    if verdict.policy == "reorder_point":
        axes.plot(
            rows["reorder"].to_numpy(),
            place,
            "|",
            color=INK,
            markersize=10,
            markeredgewidth=1.6,
            label="reorder at",
        )
    if verdict.policy == "two_echelons":
        axes.plot(
            rows["store"].to_numpy(),
            place,
            "|",
            color=INK,
            markersize=10,
            markeredgewidth=1.6,
            label="store up to",
        )
    axes.set_yticks(
        place, [drawable(name, 34) for name in rows["series"]], fontsize=8, parse_math=False
    )
    axes.set_xlabel(drawable(verdict.unit or "units"), fontsize=9, color=GREY, parse_math=False)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")
    axes.set_xlim(left=min(0.0, float(rows["reorder"].min() or 0.0)))  # type: ignore[arg-type]
    shown = (
        counted(verdict.n_series, "levels")
        if len(rows) == verdict.n_series
        else f"{len(rows)} of {verdict.n_series} levels"
    )
    figure.suptitle(
        f"{shown} after {verdict.cutoff}",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    return figure


RECORD_REPORT = TableReport(grid=record_grid, draw=draw_record)
LEVELS_REPORT = TableReport(grid=levels_grid, draw=draw_levels)

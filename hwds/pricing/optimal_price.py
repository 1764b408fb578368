"""Recommended prices as a verdict: from draws to gains, tables, words, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_information import (
    GainReached,
    gain_optimism,
    gain_reached,
    information_values,
)
from hwds.pricing.recommended_prices import (
    PriceGuardrails,
    PriceRecommendation,
    keep_prices,
    price_cost_ratio,
)
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    OWN_COLOUR,
    drawable,
    headline,
    name_rows,
    new_figure,
    thousands,
    tidy,
)
from hwds.report.words import spoken
from hwds.results.formatting import counted, percent
from hwds.results.tables import Column, Declared, Verdict, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on recommended prices: a table of cells, the curves of some, and its words.

HOLD_REASONS = {
    "no_estimate": "no estimate of the elasticity",
    "no_variation": "prices that hardly changed",
    "endogenous?": "prices that may answer demand",
    "weak": "prices that hardly identify the elasticity",
    "identified": "not to be changed",
    "below_cost": "sold below its cost",
    "no_units": "no sales",
    "no_room": "a floor above what the step or the observed prices allow",
    "channel_gap": "channels so far apart that no allowed price ends the reselling",
    "capacity": "more sales than the capacity at any allowed price",
    "ladder": "no allowed price within the bounds",
    "not_sure": "a gain that is not sure enough",
    "no_gain": "the best allowed price already",
}
"""Why a cell's price stays."""

FEW_CELLS = 5
"""The cells from which on a share of what they could gain is quoted."""

LITTLE_OPTIMISM = 0.02
"""The share of the gain under which its optimism is not spoken of."""

PRICES = Declared.of(
    Column("cell", "text", "The cell.", "cell", "cell"),
    Column("product", "text", "Its product."),
    Column("channel", "text", "Its channel."),
    Column(
        "status",
        "text",
        "`interior`, `corner`, `undefined_inelastic` or `HOLD`.",
        "status",
        "status",
    ),
    Column(
        "rule",
        "word",
        "What bound the price, or why it stays.",
        "what bound it, or why it stays",
        "bound by",
    ),
    Column("price", "number", "Today's price.", "today's price", "today"),
    Column("recommended", "number", "The recommended price.", "recommended price", "then"),
    Column("change", "change", "The change of the price.", "change, %", "change\n%"),
    Column("lowest", "number", "The lower bound of the price alone."),
    Column("highest", "number", "The upper bound."),
    Column(
        "trail",
        "text",
        "What each guardrail made of the price that would earn most without any.",
        "from no guardrail to the price",
    ),
    Column("price_cost_ratio", "number", "e / (1 + e); null where demand is inelastic."),
    Column("elasticity", "number", "The elasticity."),
    Column("stderr", "number", "Its standard error."),
    Column("units", "number", "Units of a period today."),
    Column("units_then", "number", "Units of a period at all recommended prices."),
    with_interval(
        Column(
            "gain",
            "number",
            "What this change adds to those of all others in a period, optimism not taken off.",
            "gain a {{ period }}",
            "gain",
        ),
        ends="{{ (100 * level) | written('g') }} % interval",
    ),
    Column(
        "probability_gain",
        "share",
        "The probability that it is above 0.",
        "probability of a gain, %",
        "P(gain)\n%",
    ),
    Column(
        "value_of_knowing",
        "number",
        "What to know the elasticity is worth, see `InformationValue`.",
    ),
    Column(
        "value_of_test",
        "number",
        "What a test of it is worth.",
        "value of a test a {{ period }}",
        "test\nworth",
    ),
    Column("evidence", "text", "The status of the estimate."),
    Column("reason", "text", "Its reason."),
)
"""A row a cell; gains and values are of a period."""

CURVES = Declared.of(
    Column("cell", "text", "The cell."),
    Column("price", "number", "Its price."),
    with_interval(Column("units", "number", "Units of a period."), ends=""),
    with_interval(
        Column(
            "objective",
            "number",
            "That of the cell and its substitutes, which stay as recommended.",
        ),
        ends="",
    ),
    Column("today", "number", "Today's price."),
    Column("recommended", "number", "The recommended price."),
    Column("lowest", "number", "The lower bound of the price."),
    Column("highest", "number", "The upper bound."),
)
"""The curves of some cells by their price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalPriceVerdict(Verdict):
    """Recommended prices; money is of a period unless it says otherwise.

    Attributes:
        action: `CHANGE` where any price changes, else `HOLD`.
        rails: The guardrails, with the objective and the least probability for a product to change.
        unit, period: The unit of money, and what is a period.
        cells, changed: How many cells there are, and how many of them change.
        now: The objective at today's prices, posterior mean.
        gain, gain_low, gain_high: What all changes gain: posterior mean and equal-tailed interval,
            less `optimism`.
        optimism: What prices that were chosen by uncertain shared slopes are expected to gain less
            than their draws say.
        probability_gain: That they gain anything.
        level: The level of the intervals.
        statuses, rules: How many cells have each.
        periods: How long the prices are to stand.
        test_stderr: The standard error of an elasticity in the test whose value is reported.
        value_of_knowing, value_of_test: Of each cell's elasticity by itself, others as recommended,
            and of a test of each; summed over all cells and those periods. With substitutes, to
            know all at once may be worth more than the sum.
        reached: What the prices truly gain, where the truth is known.
        prices: See `PRICES`.
        curves: See `CURVES`.
    """

    files: ClassVar = {"optimal_price": "prices", "price_curves": "curves"}
    stored = ("rails.objective", "rails.confidence")
    words = """
    {%- if not changed -%}
    HOLD: no price of {{ cells | counted("cells") }} changes.
    {%- else -%}
    CHANGE {{ changed }} of {{ cells | counted("cells") }}: {{ rails.objective }}
    {{ gain | size(gain_low, gain_high, unit, sign=true) }} per {{ period }}
    {%- if now > 0 %}, {{ (gain / now) | change }} %{% endif %}
    ({{- (100 * level) | written("g") }} %: {{ gain | ends(gain_low, gain_high, unit, sign=true)
    }}){% if weak %}; own prices hardly identify {{ weak }} of them{% endif %}.

    They gain with a probability of {{ probability_gain | chance }}
    {%- if bound %}; most often the {{ bound | word }} bound{% endif %}.

    {% if optimism > little * gain -%}
    {{ optimism | money(unit) }} is taken off the expected gain: prices chosen by uncertain slopes
    gain less than it seems.
    {%- endif %}
    {%- endif %}

    {% if reached and reached.share is not none -%}
    By the true demand they gain {{ reached.gained | money(unit) }} of
    {{ reached.possible | money(unit) }} that are possible within the guardrails:
    {{ reached.share | percent }}
    {%- if reached.share_identified is not none and reached.identified >= few %}
    ({{ reached.share_identified | percent }} of {{ reached.possible_identified | money(unit) }} in
    the {{ reached.identified }} whose prices identify the elasticity){% endif %}.
    {%- endif %}

    {% if excluded -%}
    On hold: {% for rule, held in excluded.items() -%}
    {{ held | length }} ({{ reasons[rule] }}){% if not loop.last %}, {% endif %}
    {%- endfor %}.
    {%- endif %}

    Over {{ periods | counted(period ~ "s") }}, to know the elasticities, each by itself, is worth
    {{ value_of_knowing | money(unit) }} in sum; to test them to ±
    {{ test_stderr | written("g") }}, {{ value_of_test | money(unit) }}.

    {{ note }}
    """
    reasons: ClassVar = HOLD_REASONS
    few: ClassVar = FEW_CELLS
    little: ClassVar = LITTLE_OPTIMISM

    action: Literal["CHANGE", "HOLD"]
    rails: PriceGuardrails
    unit: str
    period: str
    cells: int
    changed: int
    now: float
    gain: float
    gain_low: float
    gain_high: float
    optimism: float
    probability_gain: float
    level: float
    statuses: Mapping[str, int]
    rules: Mapping[str, int]
    periods: int
    test_stderr: float
    value_of_knowing: float
    value_of_test: float
    reached: GainReached | None
    prices: DataFrame
    curves: DataFrame

    @property
    def weak(self) -> int:
        """How many of the cells that change have an elasticity that is hardly identified."""
        changed = self.prices.filter(col("status") != "HOLD")
        return len(changed.filter(evidence="weak"))

    @property
    def bound(self) -> str:
        """The rule that bound most of the prices that change; empty where none did."""
        binding = [rule for rule in self.rules if rule not in HOLD_REASONS and rule != "none"]
        return max(binding, key=lambda rule: self.rules[rule], default="")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, with the shares of what can be reached."""
        plain = Verdict.as_dict(self)
        if self.reached is not None:
            plain["reached"] |= {
                "share": self.reached.share,
                "share_identified": self.reached.share_identified,
            }
        return plain


# From recommended prices to the verdict: gains with intervals, the value of tests, what the
# prices reach, the curves.

MOST_CURVES = 6
"""Cells with curves: those with the largest gain, or else with the largest value of a test."""


def optimal_price_verdict(
    name: str,
    evidence: DemandEstimates,
    made: PriceRecommendation,
    rails: PriceGuardrails,
    *,
    level: float,
    periods: int,
    test_stderr: float,
) -> OptimalPriceVerdict:
    """Return the verdict on recommended prices.

    Args:
        name: The decision's.
        evidence: The cells.
        made: The prices.
        rails: The guardrails.
        level: The level of the intervals.
        periods: How long the prices are to stand.
        test_stderr: The standard error of an elasticity in a test.
    """
    seeming = 0.0 if set(made.status) == {"HOLD"} else gain_optimism(evidence, made)
    sure = float((made.gains > seeming).mean()) >= rails.confidence
    if made.gains.mean() <= seeming or not sure:
        made, seeming = keep_prices(made), 0.0
    prices = _price_rows(evidence, made, level, test_stderr)
    gains, changed = made.gains - seeming, int((prices["status"] != "HOLD").sum())
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    rules = dict(Counter(made.rules))
    verdict = OptimalPriceVerdict(
        decision=name,
        action="CHANGE" if changed else "HOLD",
        rule="none" if changed else max(rules, key=lambda rule: rules[rule]),
        excluded=_held_by_reason(evidence, made),
        rails=rails,
        unit=evidence.unit,
        period=evidence.period,
        cells=len(evidence),
        changed=changed,
        now=float(made.demand.totals(made.demand.price).mean()),
        gain=float(gains.mean()),
        gain_low=float(low),
        gain_high=float(high),
        optimism=seeming,
        probability_gain=float((gains > 0).mean()),
        level=level,
        statuses=dict(Counter(made.status)),
        rules=rules,
        periods=periods,
        test_stderr=test_stderr,
        value_of_knowing=periods * float(prices["value_of_knowing"].sum()),
        value_of_test=periods * float(prices["value_of_test"].sum()),
        reached=gain_reached(evidence, made),
        prices=prices,
        curves=_cell_curves(evidence, made, prices, level),
    )
    return spoken(verdict, note=evidence.note)


def _held_by_reason(
    evidence: DemandEstimates, made: PriceRecommendation
) -> dict[str, tuple[str, ...]]:
    """Return the cells on hold by reason."""
    held: dict[str, list[str]] = {}
    for cell, reason in sorted(made.holds.items()):
        held.setdefault(reason, []).append(evidence.names[cell])
    return {reason: tuple(cells) for reason, cells in held.items()}


def _price_rows(
    evidence: DemandEstimates, made: PriceRecommendation, level: float, stderr: float
) -> DataFrame:
    demand = made.demand
    units = demand.units_at(made.prices).mean(0)
    names = ("cell", "product", "channel", "price", "elasticity", "stderr", "units", "reason")
    rows = []
    for cell, row in enumerate(evidence.cells.iter_rows(named=True)):
        gain = demand.added_by(np.array([cell]), made.prices)
        low, high = np.quantile(gain, [(1 - level) / 2, (1 + level) / 2])
        known, changes = evidence.known[cell], made.status[cell] != "HOLD"
        worth = information_values(made, cell, [stderr])[0] if known else None
        ratio = price_cost_ratio(float(demand.own[:, cell].mean())) if known else None
        rows.append(
            {name: row[name] for name in names}
            | {
                "status": made.status[cell],
                "rule": made.rules[cell],
                "evidence": row["status"],
                "recommended": made.prices[cell],
                "change": made.prices[cell] / row["price"] - 1,
                "lowest": made.bounds.low[cell],
                "highest": made.bounds.high[cell],
                "trail": guardrail_trail(made, cell),
                "price_cost_ratio": ratio,
                "units_then": units[cell],
                "gain": gain.mean(),
                "gain_low": low,
                "gain_high": high,
                "probability_gain": (gain > 0).mean() if changes else None,
                "value_of_knowing": worth and worth.perfect,
                "value_of_test": worth and worth.test,
            }
        )
    return PRICES.frame(rows)


def guardrail_trail(made: PriceRecommendation, cell: int) -> str:
    """Return what each guardrail made of a cell's price, from the one that earns most without any
    to the recommended one.

    `free 166.7 > largest_step 110 > channel_gap 104.2 > allowed 104`. It is `free none` where
    demand is inelastic, so that the price that earns most has no bound; `joint` is the best price
    over all draws, beside those of its substitutes.
    """
    demand, today = made.demand, made.demand.price[cell]
    ratio = price_cost_ratio(float(demand.own[:, cell].mean()))
    cost = demand.cost[cell] / demand.pocket
    free = np.inf if ratio is None else ratio * cost if cost else 0.0
    steps = [("free", f"{free:.4g}" if 0 < free < np.inf else "none")]
    clamps = made.bounds.clamps(cell, float(free))
    steps += [(rule, f"{price:.4g}") for rule, price in clamps]
    boxed = clamps[-1][1] if clamps else free
    if cell in made.holds:
        steps.append((made.holds[cell], f"{today:.4g}"))
    else:
        if abs(made.solved[cell] - boxed) > 1e-3 * today:
            rule = made.rules[cell] if made.rules[cell] in ("channel_gap", "capacity") else "joint"
            steps.append((rule, f"{made.solved[cell]:.4g}"))
        if made.prices[cell] != made.solved[cell]:
            steps.append(("allowed", f"{made.prices[cell]:.6g}"))
    return " > ".join(f"{rule} {price}" for rule, price in steps)


def _cell_curves(
    evidence: DemandEstimates, made: PriceRecommendation, prices: DataFrame, level: float
) -> DataFrame:
    order = _by_gain(prices.with_row_index("place").filter(Series(evidence.known)))
    chosen = order["place"].head(MOST_CURVES)
    frames = [_cell_curve(evidence.names[cell], made, cell, level) for cell in chosen]
    return pl.concat(frames) if frames else CURVES.frame([])


def _by_gain(prices: DataFrame) -> DataFrame:
    """Return the rows by what changes, then the gain, then the value of a test; largest first."""
    order = prices.with_columns(
        moves=col("status") != "HOLD", worth=col("value_of_test").fill_null(0.0)
    )
    return order.sort("moves", "gain", "worth", descending=True, maintain_order=True)


def _cell_curve(name: str, made: PriceRecommendation, cell: int, level: float) -> DataFrame:
    part = made.demand.answering(np.array([cell]), made.prices)[0]
    low, high, today = made.bounds.low[cell], made.bounds.high[cell], made.demand.price[cell]
    ends = min(low, today) - 0.05 * today, max(high, today) + 0.05 * today
    grid = np.linspace(max(ends[0], 0.05 * today), ends[1], 41)
    moved = [np.append(price, part.price[1:]) for price in grid]
    levels = [(1 - level) / 2, (1 + level) / 2]
    columns: dict[str, Any] = {"cell": name, "price": grid}
    for label, draws in (
        ("units", np.stack([part.units_at(each)[:, 0] for each in moved])),
        ("objective", np.stack([part.totals(each) for each in moved])),
    ):
        low_end, high_end = np.quantile(draws, levels, 1)
        columns |= {label: draws.mean(1), f"{label}_low": low_end, f"{label}_high": high_end}
    columns |= {"today": today, "recommended": made.prices[cell], "lowest": low, "highest": high}
    return CURVES.frame(columns)


# The report of recommended prices: a table of cells, and the picture of today's and the
# recommended prices.

MOST_CELLS = 24
"""Cells in the table and in the picture: those with the largest gain, or else with the largest
value of a test.
"""


def cells_to_show(verdict: OptimalPriceVerdict) -> DataFrame:
    """Return the rows in the order in which they are shown: those that change, largest gain first,
    then those on hold by the value of a test, without a change and a gain.
    """
    moved = col("change", "gain", "gain_low", "gain_high")
    return _by_gain(verdict.prices).with_columns(pl.when("moves").then(moved))


def price_figure(verdict: OptimalPriceVerdict) -> Figure:
    """Return the figure: prices relative to today's on the left, gains on the right."""
    rows = cells_to_show(verdict).head(MOST_CELLS)
    figure = new_figure(11.0, 1.6 + 0.28 * max(len(rows), 6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _draw_prices(left, rows)
    _draw_gains(right, rows, verdict)
    name_rows(left, range(len(rows)), rows["cell"], 34)
    left.set_ylim(len(rows) - 0.4, -0.6)
    share = ""
    if verdict.changed and verdict.now > 0:
        share = f", {percent(verdict.gain / verdict.now)} more {verdict.rails.objective}"
    prices = counted(verdict.cells, "prices")
    headline(figure, f"{verdict.action}: {verdict.changed} of {prices}{share}")
    return figure


def _draw_prices(axes: Axes, rows: DataFrame) -> None:
    places, today = np.arange(len(rows)), rows["price"].to_numpy()
    low, high = (100 * (rows[end].to_numpy() / today - 1) for end in ("lowest", "highest"))
    free = low <= high
    axes.hlines(
        places[free],
        low[free],
        high[free],
        color=LIGHT,
        linewidth=7,
        label="within the bounds",
    )
    axes.plot(
        np.zeros(len(rows)),
        places,
        "|",
        color=INK,
        markersize=11,
        markeredgewidth=1.5,
        label="today",
    )
    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["moves"]:
            axes.plot(100 * row["change"], place, "o", color=OWN_COLOUR, markersize=6)
        axes.annotate(
            "" if row["rule"] == "none" else row["rule"].replace("_", " "),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            fontsize=7.5,
            color=GREY,
            va="center",
        )
    axes.plot([], [], "o", color=OWN_COLOUR, label="recommended")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        fontsize=8.5,
        frameon=False,
        borderaxespad=0.2,
    )
    tidy(axes, "x", x="change of the price, %; in grey what bound it, or why it stays")


def _draw_gains(axes: Axes, rows: DataFrame, verdict: OptimalPriceVerdict) -> None:
    from matplotlib.ticker import MaxNLocator

    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["moves"]:
            axes.hlines(place, row["gain_low"], row["gain_high"], color=FLOOR_COLOUR, linewidth=2)
            axes.plot(row["gain"], place, "o", color=FLOOR_COLOUR, markersize=5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    unit = f", {verdict.unit}" if verdict.unit else ""
    axes.xaxis.set_major_locator(MaxNLocator(5))
    thousands(axes.xaxis)
    tidy(axes, "x", x=f"gain a {verdict.period}{unit}, {100 * verdict.level:g} % interval")


PRICES_REPORT = TableReport(
    columns=PRICES,
    rows=cells_to_show,
    most=MOST_CELLS,
    order="cell status rule price recommended change gain gain_low probability_gain value_of_test "
    "trail",
    names=3,
    title="Prices of {{ shown | counted('cells') }}"
    "{% if shown < rows %} of {{ rows | count }}; all are in optimal_price.csv{% endif %}:",
    figure=price_figure,
    caption="Today's and the recommended price of each cell within its bounds, and the gains",
)


# price_curves.png: demand of some cells by their price, and what they and their substitutes
# earn, with bands and bounds.


def curves_figure(verdict: OptimalPriceVerdict) -> Figure | None:
    """Return the figure, a row of two panels for each cell; None where no cell has an estimate."""
    names = verdict.curves["cell"].unique(maintain_order=True).to_list()
    if not names:
        return None
    figure = new_figure(9.5, 0.9 + 2.1 * len(names))
    unit, objective = f", {verdict.unit}" if verdict.unit else "", verdict.rails.objective
    for name, (left, right) in zip(
        names, figure.subplots(len(names), 2, squeeze=False), strict=True
    ):
        curve = verdict.curves.filter(cell=name)
        _draw_curve(left, curve, "units", OWN_COLOUR)
        _draw_curve(right, curve, "objective", FLOOR_COLOUR)
        tidy(left, title=drawable(name, 50), y=f"units a {verdict.period}")
        tidy(right, y=f"{objective} a {verdict.period}{unit}")
    band = f"mean and {100 * verdict.level:g} % band"
    headline(figure, f"Demand by price, and {objective} with substitutes: {band}")
    figure.supxlabel(
        "price, substitutes as recommended; black line: today; dashed: recommended; grey: within "
        "the bounds",
        fontsize=9,
        color=GREY,
    )
    return figure


def _draw_curve(axes: Axes, curve: DataFrame, name: str, colour: str) -> None:
    price = curve["price"].to_numpy()
    axes.axvspan(curve["lowest"][0], curve["highest"][0], color=LIGHT, alpha=0.45, linewidth=0)
    axes.fill_between(
        price,
        curve[f"{name}_low"].to_numpy(),
        curve[f"{name}_high"].to_numpy(),
        color=colour,
        alpha=0.18,
        linewidth=0,
    )
    axes.plot(price, curve[name].to_numpy(), color=colour, linewidth=1.8)
    axes.axvline(curve["today"][0], color=INK, linewidth=1.2)
    if curve["recommended"][0] != curve["today"][0]:
        axes.axvline(curve["recommended"][0], color=colour, linewidth=1.2, linestyle="--")
        nearest = (curve["price"] - curve["recommended"][0]).abs().arg_min()
        axes.plot(curve["recommended"][0], curve[name][nearest], "o", color=colour, markersize=6)
    axes.margins(x=0)


CURVES_REPORT = TableReport(
    figure=curves_figure,
    caption="Units of a cell by its price, and what it and its substitutes earn, with the band of "
    "the draws and the bounds",
)

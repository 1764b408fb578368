"""Recommended prices as a verdict: from draws to gains, tables, words, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.pricing.demand_draws import Objective
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
    interval,
    percent,
    probability_text,
)
from hwds.results.tables import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on recommended prices, as plain values, a table of cells and the curves of some.

PRICE_COLUMNS = {
    "cell": pl.String,
    "product": pl.String,
    "channel": pl.String,
    "status": pl.String,
    "rule": pl.String,
    "price": pl.Float64,
    "recommended": pl.Float64,
    "change": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "trail": pl.String,
    "price_cost_ratio": pl.Float64,
    "elasticity": pl.Float64,
    "stderr": pl.Float64,
    "units": pl.Float64,
    "units_then": pl.Float64,
    "gain": pl.Float64,
    "gain_low": pl.Float64,
    "gain_high": pl.Float64,
    "probability_gain": pl.Float64,
    "value_of_knowing": pl.Float64,
    "value_of_test": pl.Float64,
    "evidence": pl.String,
    "reason": pl.String,
}
"""Columns of the recommended prices, a row a cell.

`status` is `interior`, `corner`, `undefined_inelastic` or `HOLD`; `rule` is what bound the price,
or why it stays. `lowest` and `highest` are the bounds of the price alone. `trail` is what each
guardrail made of the price that would earn most without any. `price_cost_ratio` is e / (1 + e),
null where demand is inelastic. `units` are those of a period today, `units_then` at all recommended
prices. `gain` is what this cell's change adds to those of all others in a period, optimism not
taken off, with an equal-tailed interval and the probability that it is above 0. The values of
information are of a period, see `InformationValue`. `evidence` is the status of the estimate, with
its reason.
"""

CURVE_COLUMNS = {
    "cell": pl.String,
    "price": pl.Float64,
    **{
        f"{name}{end}": pl.Float64
        for name in ("units", "objective")
        for end in ("", "_low", "_high")
    },
    "today": pl.Float64,
    "recommended": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
}
"""Columns of the curves of some cells by their price: units of a period, and the objective of the
cell and its substitutes, which stay as recommended.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalPriceVerdict(Verdict):
    """Recommended prices; money is of a period unless it says otherwise.

    Attributes:
        action: `CHANGE` where any price changes, else `HOLD`.
        objective: `profit` or `revenue`.
        unit, period: Of money, and what is a period.
        cells, changed: How many cells there are, and how many of them change.
        now: The objective at today's prices, posterior mean.
        gain, gain_low, gain_high: What all changes gain: posterior mean and equal-tailed interval,
            less `optimism`.
        optimism: What prices that were chosen by uncertain shared slopes are expected to gain less
            than their draws say.
        probability_gain: That they gain anything.
        confidence: The least probability for a product to change.
        level: Of the intervals.
        statuses, rules: How many cells have each.
        periods: How long the prices are to stand.
        test_stderr: Of an elasticity in the test whose value is reported.
        value_of_knowing, value_of_test: Of each cell's elasticity by itself, others as recommended,
            and of a test of each; summed over all cells and those periods. With substitutes, to
            know all at once may be worth more than the sum.
        reached: What the prices truly gain, where the truth is known.
        prices: See `PRICE_COLUMNS`.
        curves: See `CURVE_COLUMNS`.
    """

    action: Literal["CHANGE", "HOLD"]
    objective: Objective
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
    confidence: float
    level: float
    statuses: Mapping[str, int]
    rules: Mapping[str, int]
    periods: int
    test_stderr: float
    value_of_knowing: float
    value_of_test: float
    reached: GainReached | None
    prices: pl.DataFrame
    curves: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; prices and curves are tables beside them."""
        plain = {
            name: value for name, value in asdict(self).items() if name not in ("prices", "curves")
        }
        if self.reached is not None:
            plain["reached"] |= {
                "share": self.reached.share,
                "share_identified": self.reached.share_identified,
            }
        return plain

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the recommended prices, and the curves of some."""
        return {"optimal_price": self.prices, "price_curves": self.curves}


# A verdict on prices in words, for a manager.

HOLD_REASONS = {
    "no_estimate": "no estimate of the elasticity",
    "no_variation": "prices that hardly changed",
    "endogenous?": "prices that may answer demand",
    "weak": "prices that hardly identify the elasticity",
    "identified": "not to be changed",
    "no_units": "no sales",
    "no_room": "a floor above what the step or the observed prices allow",
    "channel_gap": "channels so far apart that no allowed price ends the reselling",
    "capacity": "more sales than the capacity at any allowed price",
    "ladder": "no allowed price within the bounds",
    "not_sure": "a gain that is not sure enough",
    "no_gain": "the best allowed price already",
}
"""Why a cell's price stays."""

LITTLE_OPTIMISM = 0.02
"""The share of the gain under which its optimism is not spoken of."""


def optimal_price_sentence(verdict: OptimalPriceVerdict, note: str = "") -> str:
    """Return what to do and why, what the uncertainty costs, and what the prices reach where the
    truth is known.
    """
    parts = [
        _change_sentence(verdict),
        _optimism_sentence(verdict),
        _hold_sentence(verdict),
        _information_sentence(verdict),
        _truth_sentence(verdict),
        note,
    ]
    return " ".join(filter(None, parts))


def _change_sentence(verdict: OptimalPriceVerdict) -> str:
    cells = counted(verdict.cells, "cells")
    if not verdict.changed:
        return f"HOLD: no price of {cells} changes."
    size, ends = interval(
        verdict.gain, verdict.gain_low, verdict.gain_high, verdict.unit, sign=True
    )
    share = f", {100 * verdict.gain / verdict.now:+.1f} %" if verdict.now > 0 else ""
    bound = max(
        (rule for rule in verdict.rules if rule not in HOLD_REASONS and rule != "none"),
        key=lambda rule: verdict.rules[rule],
        default="",
    )
    most = f"; most often the {bound.replace('_', ' ')} bound" if bound else ""
    return (
        f"CHANGE {verdict.changed} of {cells}: {verdict.objective} {size} a {verdict.period}{share}"
        f" ({100 * verdict.level:g} %: {ends}), a gain with a probability of "
        f"{probability_text(verdict.probability_gain)}{most}."
    )


def _optimism_sentence(verdict: OptimalPriceVerdict) -> str:
    if not verdict.changed or verdict.optimism <= LITTLE_OPTIMISM * verdict.gain:
        return ""
    seeming = brief(verdict.optimism, None, verdict.unit)
    return (
        f"{seeming} is taken off what the draws say: prices chosen by uncertain slopes gain "
        f"less than it seems."
    )


def _hold_sentence(verdict: OptimalPriceVerdict) -> str:
    reasons = [
        f"{len(cells)} ({HOLD_REASONS[reason]})" for reason, cells in verdict.excluded.items()
    ]
    return f"On hold: {', '.join(reasons)}." if reasons else ""


def _information_sentence(verdict: OptimalPriceVerdict) -> str:
    knowing, test = (
        brief(value, None, verdict.unit)
        for value in (verdict.value_of_knowing, verdict.value_of_test)
    )
    over = counted(verdict.periods, f"{verdict.period}s")
    return (
        f"Over {over}, to know the elasticities, each by itself, is worth {knowing} in sum; to "
        f"test them to"
        f" ± {verdict.test_stderr:g}, {test}."
    )


def _truth_sentence(verdict: OptimalPriceVerdict) -> str:
    record = verdict.reached
    if record is None or record.share is None:
        return ""
    gained, possible = (
        brief(value, None, verdict.unit) for value in (record.gained, record.possible)
    )
    words, alone = "that are possible within the guardrails", ""
    if record.share_identified is not None:
        some = brief(record.possible_identified, None, verdict.unit)
        alone = (
            f" ({percent(record.share_identified)} of {some} in the {record.identified} whose "
            f"prices identify the elasticity)"
        )
    return (
        f"By the true demand they gain {gained} of {possible} {words}: "
        f"{percent(record.share)}{alone}."
    )


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
        level: Of the intervals.
        periods: How long the prices are to stand.
        test_stderr: Of an elasticity in a test.
    """
    seeming = 0.0 if set(made.status) == {"HOLD"} else gain_optimism(evidence, made)
    if made.gains.mean() <= seeming:
        made, seeming = keep_prices(made), 0.0
    prices = _price_rows(evidence, made, level, test_stderr)
    gains, changed = made.gains - seeming, int((prices["status"] != "HOLD").sum())
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    rules = dict(Counter(made.rules))
    silent = OptimalPriceVerdict(
        decision=name,
        action="CHANGE" if changed else "HOLD",
        rule="none" if changed else max(rules, key=lambda rule: rules[rule]),
        excluded=_held_by_reason(evidence, made),
        sentence="",
        objective=rails.objective,
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
        confidence=rails.confidence,
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
    return replace(silent, sentence=optimal_price_sentence(silent, evidence.note))


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
) -> pl.DataFrame:
    demand = made.demand
    units = demand.units_at(made.prices).mean(0)
    rows = []
    for cell, row in enumerate(evidence.cells.iter_rows(named=True)):
        gain = demand.added_by(np.array([cell]), made.prices)
        low, high = np.quantile(gain, [(1 - level) / 2, (1 + level) / 2])
        worth = information_values(made, cell, [stderr])[0] if evidence.known[cell] else None
        changes = made.status[cell] != "HOLD"
        rows.append(
            {
                name: row[name]
                for name in (
                    "cell",
                    "product",
                    "channel",
                    "price",
                    "elasticity",
                    "stderr",
                    "units",
                    "reason",
                )
            }
            | {"status": made.status[cell], "rule": made.rules[cell], "evidence": row["status"]}
            | {"recommended": made.prices[cell], "change": made.prices[cell] / row["price"] - 1}
            | {
                "lowest": made.bounds.low[cell],
                "highest": made.bounds.high[cell],
                "trail": guardrail_trail(made, cell),
            }
            | {
                "price_cost_ratio": price_cost_ratio(float(demand.own[:, cell].mean()))
                if evidence.known[cell]
                else None
            }
            | {"units_then": units[cell], "gain": gain.mean(), "gain_low": low, "gain_high": high}
            | {"probability_gain": (gain > 0).mean() if changes else None}
            | {"value_of_knowing": worth and worth.perfect, "value_of_test": worth and worth.test}
        )
    return pl.DataFrame(rows, schema=PRICE_COLUMNS)


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
        return " > ".join(f"{rule} {price}" for rule, price in steps)
    if abs(made.solved[cell] - boxed) > 1e-3 * today:
        rule = made.rules[cell] if made.rules[cell] in ("channel_gap", "capacity") else "joint"
        steps.append((rule, f"{made.solved[cell]:.4g}"))
    if made.prices[cell] != made.solved[cell]:
        steps.append(("allowed", f"{made.prices[cell]:.6g}"))
    return " > ".join(f"{rule} {price}" for rule, price in steps)


def _cell_curves(
    evidence: DemandEstimates, made: PriceRecommendation, prices: pl.DataFrame, level: float
) -> pl.DataFrame:
    order = (
        prices.with_row_index("place")
        .filter(pl.Series(evidence.known))
        .with_columns(
            moves=pl.col("status") != "HOLD", worth=pl.col("value_of_test").fill_null(0.0)
        )
    )
    chosen = order.sort("moves", "gain", "worth", descending=True, maintain_order=True)[
        "place"
    ].head(MOST_CURVES)
    frames = [_cell_curve(evidence.names[cell], made, cell, level) for cell in chosen]
    return pl.concat(frames) if frames else pl.DataFrame(schema=CURVE_COLUMNS)


def _cell_curve(name: str, made: PriceRecommendation, cell: int, level: float) -> pl.DataFrame:
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
        columns |= {
            label: draws.mean(1),
            **dict(
                zip((f"{label}_low", f"{label}_high"), np.quantile(draws, levels, 1), strict=True)
            ),
        }
    columns |= {"today": today, "recommended": made.prices[cell], "lowest": low, "highest": high}
    return pl.DataFrame(columns, schema=CURVE_COLUMNS)


# The report of recommended prices: a table of cells, and the picture of today's and the
# recommended prices.

MOST_CELLS = 24
"""Cells in the table and in the picture: those with the largest gain, or else with the largest
value of a test.
"""


def cells_to_show(verdict: OptimalPriceVerdict, most: int = MOST_CELLS) -> pl.DataFrame:
    """Return the rows that are shown: those that change, largest gain first, then those on hold by
    the value of a test.
    """
    moves = (pl.col("status") != "HOLD").alias("moves")
    order = verdict.prices.with_columns(moves, worth=pl.col("value_of_test").fill_null(0.0))
    return order.sort("moves", "gain", "worth", descending=True, maintain_order=True).head(most)


def optimal_price_grid(verdict: OptimalPriceVerdict) -> Grid:
    """Return a line for each cell: its prices, what bound them, and the gain of a period with its
    interval.
    """
    rows = cells_to_show(verdict)
    moves = rows["moves"].to_list()
    gains = column_texts(
        [gain if changes else None for gain, changes in zip(rows["gain"], moves, strict=True)]
    )
    chances = ["" if each is None else f"{100 * each:.0f}" for each in rows["probability_gain"]]
    change = [
        f"{100 * each:+.1f}" if changes else ""
        for each, changes in zip(rows["change"], moves, strict=True)
    ]
    titles = [
        ("cell", "cell"),
        ("status", "status"),
        ("what bound it, or why it stays", "bound by"),
        ("today's price", "today"),
        ("recommended price", "then"),
        ("change, %", "change\n%"),
        (f"gain a {verdict.period}", "gain"),
        (f"{100 * verdict.level:g} % interval", ""),
        ("probability of a gain, %", "P(gain)\n%"),
        (f"value of a test a {verdict.period}", "test\nworth"),
        ("from no guardrail to the price", ""),
    ]
    ends = [
        f"{low:,.4g} to {high:,.4g}" if on else ""
        for low, high, on in rows.select("gain_low", "gain_high", "moves").iter_rows()
    ]
    prices, then = (
        column_texts(rows["price"].to_list()),
        column_texts(rows["recommended"].to_list()),
    )
    rules, worth = (
        [rule.replace("_", " ") for rule in rows["rule"]],
        column_texts(rows["value_of_test"].to_list()),
    )
    cells = [
        rows["cell"],
        rows["status"],
        rules,
        prices,
        then,
        change,
        gains,
        ends,
        chances,
        worth,
        rows["trail"],
    ]
    left = len(verdict.prices) - len(rows)
    caption = f"Prices of {counted(len(rows), 'cells')}" + (
        f" of {len(verdict.prices):,}; all are in optimal_price.csv:" if left else ":"
    )
    return grid_of(titles, list(zip(*cells, strict=True)), names=3, caption=caption)


def draw_recommended_prices(verdict: OptimalPriceVerdict, path: Path) -> None:
    """Draw today's and the recommended price of each cell within its bounds, and the gains; cells
    with the largest gain.
    """
    save_png(price_figure(verdict), path)


def price_figure(verdict: OptimalPriceVerdict) -> Figure:
    """Return the figure: prices relative to today's on the left, gains on the right."""
    rows = cells_to_show(verdict)
    figure = new_figure(11.0, 1.6 + 0.28 * max(len(rows), 6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _draw_prices(left, rows)
    _draw_gains(right, rows, verdict)
    left.set_yticks(range(len(rows)), [drawable(name, 34) for name in rows["cell"]], fontsize=8.5)
    left.set_ylim(len(rows) - 0.4, -0.6)
    share = (
        f", {percent(verdict.gain / verdict.now)} more {verdict.objective}"
        if verdict.now > 0
        else ""
    )
    title = (
        f"{verdict.action}: {verdict.changed} of "
        f"{counted(verdict.cells, 'prices')}{share if verdict.changed else ''}"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw_prices(axes: Axes, rows: pl.DataFrame) -> None:
    for place, row in enumerate(rows.iter_rows(named=True)):
        ends = [100 * (row[end] / row["price"] - 1) for end in ("lowest", "highest")]
        if ends[0] <= ends[1]:
            axes.hlines(
                place,
                *ends,
                color=LIGHT,
                linewidth=7,
                label="within the bounds" if not place else "_",
            )
        axes.plot(
            0,
            place,
            "|",
            color=INK,
            markersize=11,
            markeredgewidth=1.5,
            label="today" if not place else "_",
        )
        if row["moves"]:
            axes.plot(100 * row["change"], place, "o", color=OWN_COLOUR, markersize=6)
        words = "" if row["rule"] == "none" else row["rule"].replace("_", " ")
        axes.annotate(
            words,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            fontsize=7.5,
            color=GREY,
            va="center",
        )
    axes.plot([], [], "o", color=OWN_COLOUR, label="recommended")
    axes.set_xlabel(
        "change of the price, %; in grey what bound it, or why it stays", fontsize=9, color=GREY
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        fontsize=8.5,
        frameon=False,
        borderaxespad=0.2,
    )
    tidy(axes, "x")


def _draw_gains(axes: Axes, rows: pl.DataFrame, verdict: OptimalPriceVerdict) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["moves"]:
            axes.hlines(place, row["gain_low"], row["gain_high"], color=FLOOR_COLOUR, linewidth=2)
            axes.plot(row["gain"], place, "o", color=FLOOR_COLOUR, markersize=5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    unit = f", {verdict.unit}" if verdict.unit else ""
    axes.set_xlabel(
        f"gain a {verdict.period}{unit}, {100 * verdict.level:g} % interval", fontsize=9, color=GREY
    )
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(axes, "x")


PRICES_REPORT = TableReport(grid=optimal_price_grid, draw=draw_recommended_prices)


# price_curves.png: demand of some cells by their price, and what they and their substitutes
# earn, with bands and bounds.


def draw_price_curves(verdict: OptimalPriceVerdict, path: Path) -> None:
    """Draw units of a cell by its price, and what it and its substitutes earn, with the band of the
    draws and the bounds.
    """
    save_png(curves_figure(verdict), path)


def curves_figure(verdict: OptimalPriceVerdict) -> Figure | None:
    """Return the figure, a row of two panels for each cell; None where no cell has an estimate."""
    names = verdict.curves["cell"].unique(maintain_order=True).to_list()
    if not names:
        return None
    figure = new_figure(9.5, 0.9 + 2.1 * len(names))
    unit = f", {verdict.unit}" if verdict.unit else ""
    for name, (left, right) in zip(
        names, figure.subplots(len(names), 2, squeeze=False), strict=True
    ):
        curve = verdict.curves.filter(pl.col("cell") == name)
        _draw_curve(left, curve, "units", OWN_COLOUR)
        _draw_curve(right, curve, "objective", FLOOR_COLOUR)
        left.set_title(drawable(name, 50), fontsize=9.5, loc="left", color=INK)
        left.set_ylabel(f"units a {verdict.period}", fontsize=8.5, color=GREY)
        right.set_ylabel(f"{verdict.objective} a {verdict.period}{unit}", fontsize=8.5, color=GREY)
    title = (
        f"Demand by price, and {verdict.objective} with substitutes: mean and "
        f"{100 * verdict.level:g} % band"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    figure.supxlabel(
        "price, substitutes as recommended; black line: today; dashed: recommended; grey: within "
        "the bounds",
        fontsize=9,
        color=GREY,
    )
    return figure


def _draw_curve(axes: Axes, curve: pl.DataFrame, name: str, colour: str) -> None:
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
    tidy(axes)


CURVES_REPORT = TableReport(draw=draw_price_curves)

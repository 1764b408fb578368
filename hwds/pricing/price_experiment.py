"""Price tests: their design, which are worth their cost, what they hand on, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.frames.table import arm_name
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_information import information_values
from hwds.pricing.recommended_prices import (
    SLACK,
    PriceGuardrails,
    PriceRecommendation,
    allowed_prices,
)
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    FLOOR_COLOUR,
    GREY,
    INK,
    OWN_COLOUR,
    headline,
    name_rows,
    new_figure,
    thousands,
    tidy,
)
from hwds.results.formatting import counted
from hwds.results.tables import Column, Declared, Verdict, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# The design of a price test: its arms, how they are randomised, and how well it measures an
# elasticity in which time.

TRIED_LENGTHS = 10
"""Lengths of a test that are tried."""

Randomised = Literal["switchback", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTerms:
    """The terms of a price test.

    Attributes:
        design: `switchback`: all customers of a cell have one price for a block of periods, drawn
            anew for each block. `cluster`: the customers of a cluster (a region, a store) have one
            price throughout.
        arms: How many prices, today's among them.
        block: Periods of a block; the first ones, which the block before still moves, are not read.
        washout: How many these are.
        clusters: How many clusters share the cell's customers.
        noise: The deviation of the log of a period's units beyond chance (Poisson).
        correlation: The correlation of that noise between periods of a block, or of a cluster.
        longest: The most periods.
    """

    design: Randomised
    arms: int
    block: int
    washout: int
    clusters: int
    noise: float
    correlation: float
    longest: int


def arm_prices(
    today: float, low: float, high: float, count: int, rails: PriceGuardrails
) -> ndarray:
    """Return the prices of a test, rising: today's and others evenly spread in the log between two
    bounds, rounded.

    Args:
        today: Today's price.
        low: The lowest allowed one.
        high: The highest.
        count: How many; fewer where rounding leaves fewer.
        rails: Says which prices are allowed.
    """
    low, high = min(low, today), max(high, today)
    spread = np.exp(np.linspace(np.log(low), np.log(high), count))
    others = np.delete(spread, np.argmin(np.abs(np.log(spread / today))))
    if rails.ladder or rails.rounding is not None:
        steps = ((price, allowed_prices(rails, low, high, price)) for price in others)
        others = np.array(
            [step[np.argmin(np.abs(step - price))] for price, step in steps if len(step)]
        )
    apart = others[np.abs(others / today - 1) > SLACK] if len(others) else others
    return np.unique(np.append(apart, today))


def stderr_after(units: float, prices: ndarray, periods: int, terms: TrialTerms) -> float:
    """Return the standard error of an elasticity after some periods of a test.

    Infinite where it is not identified.

    A period's log units vary by 1 / units + noise^2 around a line in log price, of which arms of
    equal share identify the slope: its variance is that over (n var log p). Periods with one noise
    count as fewer: a block of b as b / (1 + (b - 1) r) (Kish's design effect), and so do the
    periods of a cluster, which is read against the periods before the test.

    Args:
        units: Expected in a period, of all clusters together.
        prices: The prices of the arms.
        periods: The number of periods of the test.
        terms: The design.
    """
    spread = float(np.var(np.log(prices)))
    read, blocks = terms.block - terms.washout, periods // terms.block
    if not spread or not units or (terms.design == "switchback" and blocks < len(prices)):
        return inf
    if terms.design == "switchback":
        variance = (
            (1 / units + terms.noise**2 * (1 + (read - 1) * terms.correlation)) / read / blocks
        )
    else:
        own = terms.clusters / units + terms.noise**2 * (1 - terms.correlation)
        variance = (terms.noise**2 * terms.correlation + own / periods) / terms.clusters
    return sqrt(variance / spread)


def trial_lengths(arms: int, terms: TrialTerms) -> list[int]:
    """Return the lengths of a test that are tried: whole blocks, each arm at least once, up to the
    longest.
    """
    block = terms.block if terms.design == "switchback" else 1
    shortest = block * arms if terms.design == "switchback" else 1
    if shortest > terms.longest:
        return []
    tried = np.geomspace(shortest, terms.longest, TRIED_LENGTHS)
    return sorted({int(length // block) * block for length in tried} | {shortest})


# The verdict on price tests: tables of cells and arms, and its words.

LEAST_WORTH = 1e-6
"""The share of what a cell earns during a test under which the test's net value is rounding."""

UNTESTED_REASONS = {
    "no_room": "no two prices are allowed",
    "too_long": "the test would take too long",
    "no_value": "the test costs more than it is worth",
    "later": "others are worth more",
}
"""Why a cell is not tested."""

TRIALS = Declared.of(
    Column("cell", "text", "The cell.", "cell", "cell"),
    Column("product", "text", "Its product."),
    Column("channel", "text", "Its channel."),
    Column(
        "verdict",
        "word",
        "`test`, or why not: `no_room` (no two allowed prices), `too_long` (each arm once takes "
        "more "
        "than the longest), `no_value`, or `later` where enough others come first.",
        "verdict",
        "verdict",
    ),
    Column("elasticity", "number", "The elasticity.", "elasticity", "e"),
    Column("stderr", "number", "Its standard error today.", "standard error today", "±"),
    Column("arms", "count", "The prices of the test.", "arms", "arms"),
    Column(
        "lowest",
        "number",
        "The lowest price.",
        "prices",
        "prices",
        "{% if lowest is not none %}"
        "{{ lowest | written(',.5g') }} to {{ highest | written(',.5g') }}{% endif %}",
    ),
    Column("highest", "number", "The highest price."),
    Column(
        "periods",
        "count",
        "The length with the largest net value.",
        "{{ period }}s",
        "{{ period }}s",
    ),
    Column(
        "test_stderr",
        "number",
        "The standard error of the elasticity after it.",
        "standard error after the test",
        "± after",
    ),
    Column("customers", "number", "The customers that see it."),
    Column(
        "value",
        "number",
        "What the test adds to the prices charged afterwards.",
        "value of the test",
        "value",
    ),
    Column(
        "cost",
        "number",
        "What the arms earn less than the recommended price while it lasts.",
        "cost of the test",
        "cost",
    ),
    Column("net", "number", "The difference.", "net value", "net"),
    Column("ab_plan", "text", "The command that plans the test."),
    Column("bandit", "text", "The command that rehearses a bandit on the arms."),
)
"""A row for each cell with an estimate, the largest net value first."""

ARMS = Declared.of(
    Column("cell", "text", "The cell that is tested."),
    Column("arm", "text", "The name of the arm."),
    Column("price", "number", "Its price."),
    Column("share", "share", "Its share of the customers."),
    Column("conversion", "share", "Its expected conversion."),
    Column("units", "number", "Units of a period at that price."),
    Column(
        "prior_conversions", "number", "Conversions of the prior, as a bandit's `known` has it."
    ),
    Column("prior_refusals", "number", "Refusals of the prior."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict(Verdict):
    """The prices to test, how and how long; money over the test and the periods that follow.

    Attributes:
        action: `TEST` where any test is worth more than it costs, else `HOLD`.
        tested: How many cells are tested.
        cells: How many have an estimate.
        terms: The design.
        periods: How long prices stand after it.
        longest: The periods of the longest of the tests.
        value, cost, net: Of all tests together.
        unit, period: The unit of money, and what is a period.
        trials, arms: See `TRIALS` and `ARMS`.
    """

    files: ClassVar = {"price_tests": "trials", "price_test_arms": "arms"}
    stored = ("terms.design", "terms.block", "terms.washout", "terms.clusters")
    words = """
    {%- if not tested -%}
    HOLD: none of {{ cells | counted("cells") }} is worth a test.
    {%- else -%}
    TEST {{ tested }} of {{ cells | counted("cells") }}: worth {{ value | money(unit) }} over the
    {{ periods }} {{ period }}s after, at a cost of {{ cost | money(unit) }}: net
    {{ net | money(unit) }}.

    First {{ first.cell }}: {{ first.arms }} prices from {{ first.lowest | written(",.5g") }} to
    {{ first.highest | written(",.5g") }} for {{ first.periods | counted(period ~ "s") }}.

    It measures the elasticity, known to ± {{ first.stderr | written(".2f") }}, to ±
    {{ first.test_stderr | written(".2f") }}.

    {% if terms.design == "switchback" -%}
    Switchback: each cell has one price for {{ terms.block | counted(period ~ "s") }} at a time,
    drawn again for each block and the same for all customers.
    {%- if terms.washout %} The first {{ terms.washout | counted(period ~ "s") }} of a block are not
    read.{% endif %}
    {%- else -%}
    Clusters: each of {{ terms.clusters }} has one price throughout, read against the periods
    before.
    {%- endif %}
    {%- endif %}

    {% if excluded -%}
    Not tested: {% for rule, left in excluded.items() -%}
    {{ left | length }} because {{ reasons[rule] }}{% if not loop.last %}; {% endif %}
    {%- endfor %}.
    {%- endif %}

    {{ note }}
    """
    reasons: ClassVar = UNTESTED_REASONS

    action: Literal["TEST", "HOLD"]
    tested: int
    cells: int
    terms: TrialTerms
    periods: int
    longest: int
    value: float
    cost: float
    net: float
    unit: str
    period: str
    trials: DataFrame
    arms: DataFrame

    @property
    def first(self) -> dict[str, Any] | None:
        """The test with the largest net value; None where there is none."""
        return row_of(self.trials, verdict="test")


# The handover of a price test: the arms of `ab_plan`, and what a bandit believes before its
# first customer.

LEAST_COUNT = 0.01
"""The fewest conversions or refusals of a prior."""


def buying_shares(
    prices: ndarray, today: float, elasticities: ndarray, conversion: float
) -> ndarray:
    """Return draws of the share of customers that buy at each price, at most all, shape (D, arms).

    Args:
        prices: The prices of the arms.
        today: At which `conversion` buy.
        elasticities: Draws, shape (D,).
        conversion: The share that buys today.
    """
    draws: ndarray = conversion * (prices / today) ** elasticities[:, None]
    return np.minimum(draws, 1 - 1e-6)


def beta_counts(draws: ndarray, customers: float) -> tuple[float, float]:
    """Return conversions and refusals of the Beta prior with the mean and the variance of some
    draws.

    Args:
        draws: The draws of a conversion.
        customers: The most that the two add up to, for draws say nothing of what customers of a
            test are otherwise.
    """
    mean, variance = float(draws.mean()), float(draws.var())
    weight = customers if variance == 0 else min(mean * (1 - mean) / variance - 1, customers)
    weight = max(weight, LEAST_COUNT)
    return max(weight * mean, LEAST_COUNT), max(weight * (1 - mean), LEAST_COUNT)


def plan_command(
    prices: Sequence[float], today: int, conversions: Sequence[float], unit: str
) -> str:
    """Return the command that plans the test by customers: units, power and least effects, for
    conversion and revenue.

    Args:
        prices: The prices of the arms.
        today: Which of them is today's, the control.
        conversions: Expected, of the arms.
        unit: The unit of money; empty for none.
    """
    order = [today, *(place for place in range(len(prices)) if place != today)]
    first = ([values[place] for place in order] for values in (prices, conversions))
    arms = " ".join(
        f"dataset.{name}={_as_json(values)}"
        for name, values in zip(("prices", "conversions"), first, strict=True)
    )
    return f"python -m hwds +experiment=ab_plan {arms}{_currency_word(unit)}"


def bandit_command(
    prices: Sequence[float],
    conversions: Sequence[float],
    known: Sequence[tuple[float, float]],
    cost: float,
    unit: str,
) -> str:
    """Return the command that rehearses a bandit on the arms, with what is believed of them as its
    prior.

    Args:
        prices: The prices of the arms.
        conversions: Expected, of the arms.
        known: Conversions and refusals of each arm's prior.
        cost: The cost of one unit.
        unit: The unit of money; empty for none.
    """
    named = ",".join(
        f"{arm_name(_six_digits(price))}:{_as_json(counts)}"
        for price, counts in zip(prices, known, strict=True)
    )
    arms = (
        f"dataset.prices={_as_json(prices)} dataset.conversion={_as_json(conversions)} "
        f"dataset.cost={_six_digits(cost):g}"
    )
    words = f"{arms}{_currency_word(unit)}"
    return f'python -m hwds +experiment=price_bandit {words} "model.known={{{named}}}"'


def _currency_word(unit: str) -> str:
    return f" dataset.unit={unit}" if unit.isalpha() else ""


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _as_json(values: Sequence[float]) -> str:
    return json.dumps([_six_digits(value) for value in values], separators=(",", ":"))


# From recommended prices to the tests that are worth more than they cost, with their arms and
# what they hand on.


def price_trials(
    evidence: DemandEstimates,
    made: PriceRecommendation,
    terms: TrialTerms,
    *,
    periods: int,
    most: int,
    conversion: float,
    prior: float,
) -> tuple[DataFrame, DataFrame]:
    """Return the tests of all cells with an estimate, and the arms of those that are worth it.

    See `TRIALS` and `ARMS`.

    Args:
        evidence: The cells.
        made: The prices that are charged without a test.
        terms: The design.
        periods: How long prices stand afterwards.
        most: Tests at once.
        conversion: The share of customers that buys at today's price.
        prior: The customers that a bandit's prior counts at most.
    """
    rows, arms = [], {}
    for cell in np.flatnonzero(evidence.known):
        row, of_cell = _trial_row(evidence, made, int(cell), terms, periods, conversion, prior)
        rows.append(row)
        arms[row["cell"]] = of_cell
    table = TRIALS.frame(rows).sort("net", descending=True, nulls_last=True, maintain_order=True)
    test = pl.col("verdict") == "test"
    later = pl.when(test & (test.cum_sum() > most)).then(pl.lit("later"))
    table = table.with_columns(verdict=later.otherwise(pl.col("verdict")))
    tested = table.filter(verdict="test")["cell"]
    return table, ARMS.frame([arm for cell in tested for arm in arms[cell]])


def _trial_row(
    evidence: DemandEstimates,
    made: PriceRecommendation,
    cell: int,
    terms: TrialTerms,
    periods: int,
    conversion: float,
    prior: float,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    about, bounds = evidence.cells.row(cell, named=True), made.bounds
    names = ("cell", "product", "channel", "elasticity", "stderr")
    row, unit = {name: about[name] for name in names}, evidence.unit
    today, low, high = about["price"], bounds.low[cell], bounds.high[cell]
    prices = arm_prices(today, low, high, terms.arms, made.problem.rails)
    row |= {"arms": len(prices), "lowest": prices.min(), "highest": prices.max()}
    if len(prices) < 2 or low > high:
        return row | {"verdict": "no_room"}, []
    part = made.demand.answering(np.array([cell]), made.prices)[0]
    earned = [float(part.totals(np.append(price, part.price[1:])).mean()) for price in prices]
    now = float(part.totals(part.price).mean())
    loss = max(now - float(np.mean(earned)), 0.0)
    best = _best_length(made, cell, prices, about["units"], loss, terms, periods)
    if best is None:
        return row | {"verdict": "too_long"}, []
    length, stderr, value = best
    cost, as_list = length * loss, prices.tolist()
    arms = _trial_arms(about, prices, made.demand.own[:, cell], conversion, prior)
    chances = [arm["conversion"] for arm in arms]
    known = [(arm["prior_conversions"], arm["prior_refusals"]) for arm in arms]
    nearest = int(np.argmin(np.abs(prices - today)))
    return row | {
        "periods": length,
        "customers": length * about["units"] / conversion,
        "value": value,
        "cost": cost,
        "test_stderr": stderr,
        "net": value - cost,
        "verdict": "test" if is_worth_it(value - cost, length * now) else "no_value",
        "ab_plan": plan_command(as_list, nearest, chances, unit),
        "bandit": bandit_command(as_list, chances, known, about["cost"] or 0.0, unit),
    }, arms


def is_worth_it(net: float, earned: float) -> bool:
    """Return whether a test's net value is more than rounding of what its cell earns meanwhile."""
    return net > LEAST_WORTH * abs(earned)


def _best_length(
    made: PriceRecommendation,
    cell: int,
    prices: ndarray,
    units: float,
    loss: float,
    terms: TrialTerms,
    periods: int,
) -> tuple[int, float, float] | None:
    """Return the length with the largest net value, the standard error it measures to, and its
    value; None without any.
    """
    reached = {
        length: stderr_after(units, prices, length, terms)
        for length in trial_lengths(len(prices), terms)
    }
    stderrs = {length: stderr for length, stderr in reached.items() if isfinite(stderr)}
    worth = information_values(made, cell, list(stderrs.values()))
    tried = [
        (periods * each.test - length * loss, -length, periods * each.test)
        for length, each in zip(stderrs, worth, strict=True)
    ]
    if not tried:
        return None
    _, length, value = max(tried)
    return -length, stderrs[-length], value


def _trial_arms(
    about: Mapping[str, Any],
    prices: ndarray,
    elasticities: ndarray,
    conversion: float,
    prior: float,
) -> list[dict[str, Any]]:
    draws = buying_shares(prices, about["price"], elasticities, conversion)
    arms = []
    for place, price in enumerate(prices):
        bought, refused = beta_counts(draws[:, place], prior)
        chance = float(draws[:, place].mean())
        arms.append(
            {
                "cell": about["cell"],
                "arm": arm_name(float(price)),
                "price": price,
                "share": 1 / len(prices),
                "conversion": chance,
                "units": about["units"] * chance / conversion,
                "prior_conversions": bought,
                "prior_refusals": refused,
            }
        )
    return arms


# The report of price tests: a table of cells, and the picture of what each test is worth and
# costs.

MOST_TRIALS = 16
"""Cells in the table and in the picture: those with the largest net value."""


def value_figure(verdict: TrialVerdict) -> Figure | None:
    """Return the figure; None where no test can be planned."""
    rows = verdict.trials.filter(verdict.trials["net"].is_not_null()).head(MOST_TRIALS)
    if rows.is_empty():
        return None
    figure = new_figure(8.5, 1.5 + 0.3 * max(len(rows), 5))
    axes = figure.subplots()
    places = np.arange(len(rows))
    colours = [FLOOR_COLOUR if verdict == "test" else GREY for verdict in rows["verdict"]]
    axes.barh(places, rows["value"].to_numpy(), color=colours, height=0.6, label="worth")
    axes.barh(places, -rows["cost"].to_numpy(), color=ALARM_COLOUR, height=0.6, label="costs")
    axes.plot(
        rows["net"].to_numpy(),
        places,
        "|",
        color=INK,
        markersize=12,
        markeredgewidth=1.6,
        label="net",
    )
    names = [f"{row['cell']}, {row['periods']} {verdict.period}s" for row in rows.to_dicts()]
    name_rows(axes, places, names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0, color=OWN_COLOUR, linewidth=0.8)
    thousands(axes.xaxis)
    unit = f", {verdict.unit}" if verdict.unit else ""
    over = f"over the test and the {verdict.periods} {verdict.period}s after{unit}"
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    headline(figure, f"{verdict.action}: {verdict.tested} of {counted(verdict.cells, 'cells')}")
    tidy(axes, "x", x=f"{over}; grey: not tested")
    return figure


REPORT = TableReport(
    columns=TRIALS,
    most=MOST_TRIALS,
    order="cell verdict arms lowest periods elasticity stderr test_stderr value cost net",
    names=2,
    title="Tests of {{ shown | counted('cells') }}"
    "{% if shown < rows %} of {{ rows | count }}; all are in price_tests.csv{% endif %}:",
    figure=value_figure,
    caption="What each test is worth and what it costs",
)

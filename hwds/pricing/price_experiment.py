"""Price tests: their design, which are worth their cost, what they hand on, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.frames.table import arm_name
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_information import information_values
from hwds.pricing.recommended_prices import (
    SLACK,
    PriceGuardrails,
    PriceRecommendation,
    allowed_prices,
)
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    OWN_COLOUR,
    drawable,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import brief, column_texts, counted
from hwds.results.tables import Verdict

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
        correlation: Of that noise between periods of a block, or of a cluster.
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
) -> np.ndarray:
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


def stderr_after(units: float, prices: np.ndarray, periods: int, terms: TrialTerms) -> float:
    """Return the standard error of an elasticity after some periods of a test.

    Infinite where it is not identified.

    A period's log units vary by 1 / units + noise^2 around a line in log price, of which arms of
    equal share identify the slope: its variance is that over (n var log p). Periods with one noise
    count as fewer: a block of b as b / (1 + (b - 1) r) (Kish's design effect), and so do the
    periods of a cluster, which is read against the periods before the test.

    Args:
        units: Expected in a period, of all clusters together.
        prices: Of the arms.
        periods: Of the test.
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


# The verdict on price tests, as plain values and tables of cells and arms.

TRIAL_COLUMNS = {
    "cell": pl.String,
    "product": pl.String,
    "channel": pl.String,
    "verdict": pl.String,
    "elasticity": pl.Float64,
    "stderr": pl.Float64,
    "arms": pl.Int64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "periods": pl.Int64,
    "test_stderr": pl.Float64,
    "customers": pl.Float64,
    "value": pl.Float64,
    "cost": pl.Float64,
    "net": pl.Float64,
    "ab_plan": pl.String,
    "bandit": pl.String,
}
"""Columns of the tests, a row a cell with an estimate, the largest net value first.

`verdict` is `test`, or why not: `no_room` (no two allowed prices), `too_long` (each arm once takes
more than the longest), `no_value`, or `later` where enough others come first. `periods` is the
length with the largest net value, after which the elasticity is measured to `test_stderr`. `value`
is what the test adds to the prices charged afterwards, `cost` what the arms earn less than the
recommended price while it lasts, `net` the difference. `ab_plan` and `bandit` are commands that
take the test from here.
"""

ARM_COLUMNS = {
    "cell": pl.String,
    "arm": pl.String,
    "price": pl.Float64,
    "share": pl.Float64,
    "conversion": pl.Float64,
    "units": pl.Float64,
    "prior_conversions": pl.Float64,
    "prior_refusals": pl.Float64,
}
"""Columns of the arms of the cells that are tested: units of a period at that price, the prior as a
bandit's `known` has it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict(Verdict):
    """The prices to test, how and how long; money over the test and the periods that follow.

    Attributes:
        action: `TEST` where any test is worth more than it costs, else `HOLD`.
        tested: How many cells are tested.
        cells: How many have an estimate.
        design: `switchback` or `cluster`.
        block, washout, clusters: Of the design.
        periods: How long prices stand after it.
        longest: The periods of the longest of the tests.
        value, cost, net: Of all tests together.
        unit, period: Of money, and what is a period.
        trials, arms: See `TRIAL_COLUMNS` and `ARM_COLUMNS`.
    """

    action: Literal["TEST", "HOLD"]
    tested: int
    cells: int
    design: Randomised
    block: int
    washout: int
    clusters: int
    periods: int
    longest: int
    value: float
    cost: float
    net: float
    unit: str
    period: str
    trials: pl.DataFrame
    arms: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; tests and arms are tables beside them."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("trials", "arms")
        }

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tests and their arms."""
        return {"price_tests": self.trials, "price_test_arms": self.arms}


# The handover of a price test: the arms of `ab_plan`, and what a bandit believes before its
# first customer.

LEAST_COUNT = 0.01
"""The fewest conversions or refusals of a prior."""


def buying_shares(
    prices: np.ndarray, today: float, elasticities: np.ndarray, conversion: float
) -> np.ndarray:
    """Return draws of the share of customers that buy at each price, at most all, shape (D, arms).

    Args:
        prices: Of the arms.
        today: At which `conversion` buy.
        elasticities: Draws, shape (D,).
        conversion: The share that buys today.
    """
    draws: np.ndarray = conversion * (prices / today) ** elasticities[:, None]
    return np.minimum(draws, 1 - 1e-6)


def beta_counts(draws: np.ndarray, customers: float) -> tuple[float, float]:
    """Return conversions and refusals of the Beta prior with the mean and the variance of some
    draws.

    Args:
        draws: Of a conversion.
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
        prices: Of the arms.
        today: Which of them is today's, the control.
        conversions: Expected, of the arms.
        unit: Of money; empty for none.
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
        prices: Of the arms.
        conversions: Expected, of the arms.
        known: Conversions and refusals of each arm's prior.
        cost: Of one unit.
        unit: Of money; empty for none.
    """
    named = ",".join(
        f"{arm_name(_six_digits(price))}:{_as_json(counts)}"
        for price, counts in zip(prices, known, strict=True)
    )
    arms = (
        f"dataset.prices={_as_json(prices)} dataset.conversion={_as_json(conversions)} "
        f"dataset.cost={_six_digits(cost):g}"
    )
    return f'python -m hwds +experiment=price_bandit {arms}{_currency_word(unit)} "model.known={{{named}}}"'


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
) -> tuple[pl.DataFrame, pl.DataFrame]:
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
    table = pl.DataFrame(rows, schema=TRIAL_COLUMNS).sort(
        "net", descending=True, nulls_last=True, maintain_order=True
    )
    worth = (pl.col("verdict") == "test").cum_sum() <= most
    later = (
        pl.when((pl.col("verdict") == "test") & ~worth)
        .then(pl.lit("later"))
        .otherwise(pl.col("verdict"))
    )
    table = table.with_columns(verdict=later)
    tested = table.filter(pl.col("verdict") == "test")["cell"]
    return table, pl.DataFrame([arm for cell in tested for arm in arms[cell]], schema=ARM_COLUMNS)


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
    row = {name: about[name] for name in ("cell", "product", "channel", "elasticity", "stderr")}
    prices = arm_prices(
        about["price"], bounds.low[cell], bounds.high[cell], terms.arms, made.problem.rails
    )
    row |= {"arms": len(prices), "lowest": prices.min(), "highest": prices.max()}
    if len(prices) < 2 or bounds.low[cell] > bounds.high[cell]:
        return row | {"verdict": "no_room"}, []
    part = made.demand.answering(np.array([cell]), made.prices)[0]
    earned = [float(part.totals(np.append(price, part.price[1:])).mean()) for price in prices]
    loss = max(float(part.totals(part.price).mean()) - float(np.mean(earned)), 0.0)
    best = _best_length(made, cell, prices, about["units"], loss, terms, periods)
    if best is None:
        return row | {"verdict": "too_long"}, []
    length, stderr, value = best
    cost = length * loss
    arms = _trial_arms(about, prices, made.demand.own[:, cell], conversion, prior)
    chances = [arm["conversion"] for arm in arms]
    known = [(arm["prior_conversions"], arm["prior_refusals"]) for arm in arms]
    row |= {
        "periods": length,
        "customers": length * about["units"] / conversion,
        "value": value,
        "cost": cost,
    }
    row["test_stderr"] = stderr
    row |= {"net": value - cost, "verdict": "test" if value > cost else "no_value"}
    row |= {
        "ab_plan": plan_command(
            prices.tolist(), int(np.argmin(np.abs(prices - about["price"]))), chances, evidence.unit
        )
    }
    row |= {
        "bandit": bandit_command(
            prices.tolist(), chances, known, about["cost"] or 0.0, evidence.unit
        )
    }
    return row, arms


def _best_length(
    made: PriceRecommendation,
    cell: int,
    prices: np.ndarray,
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
    values = [
        periods * each.test for each in information_values(made, cell, list(stderrs.values()))
    ]
    tried = [
        (value - length * loss, -length, value)
        for length, value in zip(stderrs, values, strict=True)
    ]
    if not tried:
        return None
    _, length, value = max(tried)
    return -length, stderrs[-length], value


def _trial_arms(
    about: Mapping[str, Any],
    prices: np.ndarray,
    elasticities: np.ndarray,
    conversion: float,
    prior: float,
) -> list[dict[str, Any]]:
    draws = buying_shares(prices, about["price"], elasticities, conversion)
    arms = []
    for place, price in enumerate(prices):
        bought, refused = beta_counts(draws[:, place], prior)
        chance = float(draws[:, place].mean())
        row = {
            "cell": about["cell"],
            "arm": arm_name(float(price)),
            "price": price,
            "share": 1 / len(prices),
        }
        row |= {"conversion": chance, "units": about["units"] * chance / conversion}
        arms.append(row | {"prior_conversions": bought, "prior_refusals": refused})
    return arms


# A verdict on price tests in words, for a manager.

UNTESTED_REASONS = {
    "no_room": "no two prices are allowed",
    "too_long": "the test would take too long",
    "no_value": "the test costs more than it is worth",
    "later": "others are worth more",
}
"""Why a cell is not tested."""


def trial_sentence(verdict: TrialVerdict, note: str = "") -> str:
    """Return which prices to test, how, and what that is worth and costs."""
    left = [
        f"{len(cells)} because {UNTESTED_REASONS[rule]}" for rule, cells in verdict.excluded.items()
    ]
    parts = [
        _test_sentence(verdict),
        _design_sentence(verdict),
        f"Not tested: {'; '.join(left)}." if left else "",
        note,
    ]
    return " ".join(filter(None, parts))


def _test_sentence(verdict: TrialVerdict) -> str:
    if not verdict.tested:
        return f"HOLD: none of {counted(verdict.cells, 'cells')} is worth a test."
    net, value, cost = (
        brief(each, None, verdict.unit) for each in (verdict.net, verdict.value, verdict.cost)
    )
    best = verdict.trials.filter(pl.col("verdict") == "test").row(0, named=True)
    after = f"{verdict.periods} {verdict.period}s after"
    return (
        f"TEST {verdict.tested} of {counted(verdict.cells, 'cells')}: worth {value} over the "
        f"{after}, at a cost of {cost}, so"
        f" {net}; first {best['cell']}, {best['arms']} prices from {best['lowest']:,.5g} to "
        f"{best['highest']:,.5g} for"
        f" {counted(best['periods'], verdict.period + 's')}."
    )


def _design_sentence(verdict: TrialVerdict) -> str:
    if not verdict.tested:
        return ""
    best = verdict.trials.filter(pl.col("verdict") == "test").row(0, named=True)
    to = (
        f"the first measures the elasticity, known to ± {best['stderr']:.2f}, to ± "
        f"{best['test_stderr']:.2f}"
    )
    if verdict.design == "switchback":
        washout = (
            f", the first {counted(verdict.washout, verdict.period + 's')} not read"
            if verdict.washout
            else ""
        )
        return (
            f"Switchback: each cell has one price for "
            f"{counted(verdict.block, verdict.period + 's')} at a time, drawn anew for"
            f" each block{washout}, the same for all customers, so that nobody compares two "
            f"prices; {to}."
        )
    return (
        f"Clusters: each of {verdict.clusters} has one price throughout, read against the periods "
        f"before, so that nobody"
        f" compares two prices; {to}."
    )


# The report of price tests: a table of cells, and the picture of what each test is worth and
# costs.

MOST_TRIALS = 16
"""Cells in the table and in the picture: those with the largest net value."""

COST_COLOUR = "#b3382c"
"""The colour of what a test costs."""


def trial_grid(verdict: TrialVerdict) -> Grid:
    """Return a line for each cell: its arms, how long the test takes, what it is worth and
    costs.
    """
    rows = verdict.trials.head(MOST_TRIALS)
    between = [
        "" if low is None else f"{low:,.5g} to {high:,.5g}"
        for low, high in rows.select("lowest", "highest").rows()
    ]
    titles = [
        ("cell", "cell"),
        ("verdict", "verdict"),
        ("arms", "arms"),
        ("prices", "prices"),
        (f"{verdict.period}s", f"{verdict.period}s"),
        ("elasticity", "e"),
        ("standard error today", "±"),
        ("standard error after the test", "± after"),
        ("value of the test", "value"),
        ("cost of the test", "cost"),
        ("net value", "net"),
    ]
    cells = [
        rows["cell"],
        [each.replace("_", " ") for each in rows["verdict"]],
        [str(each) for each in rows["arms"]],
        between,
        ["" if each is None else str(each) for each in rows["periods"]],
        column_texts(rows["elasticity"].to_list()),
        column_texts(rows["stderr"].to_list()),
        column_texts(rows["test_stderr"].to_list()),
        *(column_texts(rows[name].to_list()) for name in ("value", "cost", "net")),
    ]
    left = len(verdict.trials) - len(rows)
    caption = f"Tests of {counted(len(rows), 'cells')}" + (
        f" of {len(verdict.trials):,}; all are in price_tests.csv:" if left else ":"
    )
    return grid_of(titles, list(zip(*cells, strict=True)), names=2, caption=caption)


def draw_trials(verdict: TrialVerdict, path: Path) -> None:
    """Draw what each test is worth and what it costs; cells with the largest net value."""
    save_png(value_figure(verdict), path)


def value_figure(verdict: TrialVerdict) -> Figure | None:
    """Return the figure; None where no test can be planned."""
    from matplotlib.ticker import EngFormatter

    rows = verdict.trials.filter(verdict.trials["net"].is_not_null()).head(MOST_TRIALS)
    if rows.is_empty():
        return None
    figure = new_figure(8.5, 1.5 + 0.3 * max(len(rows), 5))
    axes = figure.subplots()
    for place, row in enumerate(rows.to_dicts()):
        label = "_" if place else "worth"
        axes.barh(
            place,
            row["value"],
            color=FLOOR_COLOUR if row["verdict"] == "test" else GREY,
            height=0.6,
            label=label,
        )
        axes.barh(
            place, -row["cost"], color=COST_COLOUR, height=0.6, label="_" if place else "costs"
        )
        axes.plot(
            row["net"],
            place,
            "|",
            color=INK,
            markersize=12,
            markeredgewidth=1.6,
            label="_" if place else "net",
        )
    names = [
        drawable(f"{row['cell']}, {row['periods']} {verdict.period}s", 40)
        for row in rows.to_dicts()
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0, color=OWN_COLOUR, linewidth=0.8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    unit = f", {verdict.unit}" if verdict.unit else ""
    axes.set_xlabel(
        f"over the test and the {verdict.periods} {verdict.period}s after{unit}; grey: not tested",
        fontsize=9,
        color=GREY,
    )
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    title = f"{verdict.action}: {verdict.tested} of {counted(verdict.cells, 'cells')}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    tidy(axes, "x")
    return figure


REPORT = TableReport(grid=trial_grid, draw=draw_trials)

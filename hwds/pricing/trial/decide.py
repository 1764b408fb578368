"""From recommended prices to the tests that are worth more than they cost, with their arms and what they hand on."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from hwds.frames.outcomes import arm_name
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.information import values_of
from hwds.pricing.optimum.recommend import PriceRecommendation
from hwds.pricing.trial.design import TrialTerms, arm_prices, lengths, stderr_after
from hwds.pricing.trial.handover import bandit_command, beta_counts, conversions_at, plan_command
from hwds.pricing.trial.verdict import ARMS, TRIALS


def trials_of(
    evidence: DemandEstimates,
    made: PriceRecommendation,
    terms: TrialTerms,
    *,
    periods: int,
    most: int,
    conversion: float,
    prior: float,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the tests of all cells with an estimate, and the arms of those that are worth it; see `TRIALS` and `ARMS`.

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
        row, of_cell = _trial(evidence, made, int(cell), terms, periods, conversion, prior)
        rows.append(row)
        arms[row["cell"]] = of_cell
    table = pl.DataFrame(rows, schema=TRIALS).sort("net", descending=True, nulls_last=True, maintain_order=True)
    worth = (pl.col("verdict") == "test").cum_sum() <= most
    later = pl.when((pl.col("verdict") == "test") & ~worth).then(pl.lit("later")).otherwise(pl.col("verdict"))
    table = table.with_columns(verdict=later)
    tested = table.filter(pl.col("verdict") == "test")["cell"]
    return table, pl.DataFrame([arm for cell in tested for arm in arms[cell]], schema=ARMS)


def _trial(
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
    prices = arm_prices(about["price"], bounds.low[cell], bounds.high[cell], terms.arms, made.problem.rails)
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
    arms = _arms(about, prices, made.demand.own[:, cell], conversion, prior)
    chances = [arm["conversion"] for arm in arms]
    known = [(arm["prior_conversions"], arm["prior_refusals"]) for arm in arms]
    row |= {"periods": length, "customers": length * about["units"] / conversion, "value": value, "cost": cost}
    row["test_stderr"] = stderr
    row |= {"net": value - cost, "verdict": "test" if value > cost else "no_value"}
    row |= {"ab_plan": plan_command(prices.tolist(), int(np.argmin(np.abs(prices - about["price"]))), chances, evidence.unit)}
    row |= {"bandit": bandit_command(prices.tolist(), chances, known, about["cost"] or 0.0, evidence.unit)}
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
    """Return the length with the largest net value, the standard error it measures to, and its value; None without any."""
    reached = {length: stderr_after(units, prices, length, terms) for length in lengths(len(prices), terms)}
    stderrs = {length: stderr for length, stderr in reached.items() if isfinite(stderr)}
    values = [periods * each.test for each in values_of(made, cell, list(stderrs.values()))]
    tried = [(value - length * loss, -length, value) for length, value in zip(stderrs, values, strict=True)]
    if not tried:
        return None
    _, length, value = max(tried)
    return -length, stderrs[-length], value


def _arms(
    about: Mapping[str, Any], prices: np.ndarray, elasticities: np.ndarray, conversion: float, prior: float
) -> list[dict[str, Any]]:
    draws = conversions_at(prices, about["price"], elasticities, conversion)
    arms = []
    for place, price in enumerate(prices):
        bought, refused = beta_counts(draws[:, place], prior)
        chance = float(draws[:, place].mean())
        row = {"cell": about["cell"], "arm": arm_name(float(price)), "price": price, "share": 1 / len(prices)}
        row |= {"conversion": chance, "units": about["units"] * chance / conversion}
        arms.append(row | {"prior_conversions": bought, "prior_refusals": refused})
    return arms

"""From recommended prices to the verdict: gains with intervals, the value of tests, what the prices reach, the curves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.guardrails import Guardrails
from hwds.pricing.optimum.information import values_of
from hwds.pricing.optimum.optimism import optimism
from hwds.pricing.optimum.reached import gain_reached
from hwds.pricing.optimum.recommend import PriceRecommendation, none_changed, price_cost_ratio
from hwds.pricing.optimum.sentence import sentence
from hwds.pricing.optimum.verdict import CURVES, PRICES, OptimalPriceVerdict

MOST_CURVES = 6
"""Cells with curves: those with the largest gain, or else with the largest value of a test."""


def verdict_of(
    name: str,
    evidence: DemandEstimates,
    made: PriceRecommendation,
    rails: Guardrails,
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
    seeming = 0.0 if set(made.status) == {"HOLD"} else optimism(evidence, made)
    if made.gains.mean() <= seeming:
        made, seeming = none_changed(made), 0.0
    prices = _prices(evidence, made, level, test_stderr)
    gains, changed = made.gains - seeming, int((prices["status"] != "HOLD").sum())
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    rules = dict(Counter(made.rules))
    silent = OptimalPriceVerdict(
        decision=name,
        action="CHANGE" if changed else "HOLD",
        rule="none" if changed else max(rules, key=lambda rule: rules[rule]),
        excluded=_excluded(evidence, made),
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
        curves=_curves(evidence, made, prices, level),
    )
    return replace(silent, sentence=sentence(silent, evidence.note))


def _excluded(evidence: DemandEstimates, made: PriceRecommendation) -> dict[str, tuple[str, ...]]:
    """Return the cells on hold by reason."""
    held: dict[str, list[str]] = {}
    for cell, reason in sorted(made.holds.items()):
        held.setdefault(reason, []).append(evidence.names[cell])
    return {reason: tuple(cells) for reason, cells in held.items()}


def _prices(evidence: DemandEstimates, made: PriceRecommendation, level: float, stderr: float) -> pl.DataFrame:
    demand = made.demand
    units = demand.units_at(made.prices).mean(0)
    rows = []
    for cell, row in enumerate(evidence.cells.iter_rows(named=True)):
        gain = demand.added_by(np.array([cell]), made.prices)
        low, high = np.quantile(gain, [(1 - level) / 2, (1 + level) / 2])
        worth = values_of(made, cell, [stderr])[0] if evidence.known[cell] else None
        changes = made.status[cell] != "HOLD"
        rows.append(
            {name: row[name] for name in ("cell", "product", "channel", "price", "elasticity", "stderr", "units", "reason")}
            | {"status": made.status[cell], "rule": made.rules[cell], "evidence": row["status"]}
            | {"recommended": made.prices[cell], "change": made.prices[cell] / row["price"] - 1}
            | {"lowest": made.bounds.low[cell], "highest": made.bounds.high[cell], "trail": trail(made, cell)}
            | {"price_cost_ratio": price_cost_ratio(float(demand.own[:, cell].mean())) if evidence.known[cell] else None}
            | {"units_then": units[cell], "gain": gain.mean(), "gain_low": low, "gain_high": high}
            | {"probability_gain": (gain > 0).mean() if changes else None}
            | {"value_of_knowing": worth and worth.perfect, "value_of_test": worth and worth.test}
        )
    return pl.DataFrame(rows, schema=PRICES)


def trail(made: PriceRecommendation, cell: int) -> str:
    """Return what each guardrail made of a cell's price, from the one that earns most without any to the recommended one.

    `free 166.7 > largest_step 110 > channel_gap 104.2 > allowed 104`. It is `free none` where demand is inelastic, so that the
    price that earns most has no bound; `joint` is the best price over all draws, beside those of its substitutes.
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


def _curves(evidence: DemandEstimates, made: PriceRecommendation, prices: pl.DataFrame, level: float) -> pl.DataFrame:
    order = (
        prices.with_row_index("place")
        .filter(pl.Series(evidence.known))
        .with_columns(moves=pl.col("status") != "HOLD", worth=pl.col("value_of_test").fill_null(0.0))
    )
    chosen = order.sort("moves", "gain", "worth", descending=True, maintain_order=True)["place"].head(MOST_CURVES)
    frames = [_curve(evidence.names[cell], made, cell, level) for cell in chosen]
    return pl.concat(frames) if frames else pl.DataFrame(schema=CURVES)


def _curve(name: str, made: PriceRecommendation, cell: int, level: float) -> pl.DataFrame:
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
            **dict(zip((f"{label}_low", f"{label}_high"), np.quantile(draws, levels, 1), strict=True)),
        }
    columns |= {"today": today, "recommended": made.prices[cell], "lowest": low, "highest": high}
    return pl.DataFrame(columns, schema=CURVES)

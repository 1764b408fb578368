"""The arms of a bandit simulation: what each is worth, how often it was chosen, and what its choice has cost."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import column, fixed, places_of
from hwds.results.tables import TRUTH, Tables

MOST = 30
"""Arms that are shown: those that were chosen most."""

ALIKE = 1e-6
"""To this relative error what arms cost must sum to the policy's regret; else the best arm changes, and no arm has a cost."""

ArmRows = Mapping[str, Mapping[str, Any]]


def arms_grid(tables: Tables, model: str) -> Grid:
    """Return the arms, those chosen most first: true value, share of customers, mean reward of the policy's own customers.

    What an arm costs is its customers times what each brings less than the best arm would: it is shown where these sums are
    the policy's regret, as they are where the best arm is one and the same.

    Args:
        tables: Of one run.
        model: The policy.
    """
    chosen, measured = _arms(tables, "allocation", model), _arms(tables, "arm_value[raw]", model)
    true = {arm: row["value"] for arm, row in _arms(tables, "arm_value[true]", TRUTH).items() if row["value"] is not None}
    if not chosen:
        return Grid(())
    unit, steps = tables.measure("pseudo_regret").measured_in, next(iter(chosen.values()))["step"]
    arms = sorted(chosen, key=lambda arm: -chosen[arm]["value"])
    worth = [*true.values(), *(row["value"] for row in measured.values() if row["value"] is not None)]
    places = places_of(max(map(abs, worth), default=0.0), None, unit)
    costs = _costs(tables, model, chosen, true)
    shown = arms[:MOST]
    regrets = dict(zip(shown, column([costs.get(arm) for arm in shown]), strict=True))
    rows = [
        [
            arm,
            fixed(true.get(arm), places),
            fixed(max(true.values()) - true[arm], places) if arm in true else "",
            fixed(100 * chosen[arm]["value"], 1),
            _ends(chosen[arm], 100, 1),
            fixed(measured[arm]["value"], places) if arm in measured else "",
            _ends(measured[arm], 1, places) if arm in measured else "",
            regrets[arm],
        ]
        for arm in shown
    ]
    titles = ["arm", f"true worth of a customer, {unit}", f"less than the best arm, {unit}", "share of customers, %", "95 %"]
    titles += [f"its customers brought, {unit} each", "95 % of that", f"regret, {unit}"]
    which = f", the {MOST} chosen most" if len(arms) > MOST else ""
    caption = f"Arms under {model}, {steps:,} customers a replication{which}; what was brought is biased by the choice"
    return grid_of([(title, title) for title in titles], rows, caption=caption)


def _arms(tables: Tables, metric: str, model: str) -> ArmRows:
    """Return the last score of each arm."""
    rows = tables.scores.filter(
        (pl.col("metric") == metric) & (pl.col("model") == model) & (pl.col("segment_by") == "arm") & pl.col("fold").is_null()
    )
    return {row["segment"]: row for row in rows.sort("step", nulls_last=True, maintain_order=True).to_dicts()}


def _ends(row: Mapping[str, Any], scale: float, places: int) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return ""
    low, high = (min(max(row[end] * scale, 0.0), 100.0) if scale == 100 else row[end] for end in ("ci_low", "ci_high"))
    return f"{fixed(low, places)} to {fixed(high, places)}"


def _costs(tables: Tables, model: str, chosen: ArmRows, true: Mapping[str, float]) -> dict[str, float]:
    """Return the cost of each arm; nothing where that does not sum to the regret."""
    if set(true) < set(chosen):
        return {}
    best = max(true.values())
    costs = {arm: row["value"] * row["step"] * (best - true[arm]) for arm, row in chosen.items()}
    regret = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret") & (pl.col("model") == model) & (pl.col("aggregate") == "mean")
        & pl.col("step").is_null() & pl.col("fold").is_null() & pl.col("segment").is_null()
    )["value"]  # fmt: skip
    return costs if len(regret) and isclose(sum(costs.values()), regret[0] or 0.0, rel_tol=ALIKE, abs_tol=ALIKE) else {}

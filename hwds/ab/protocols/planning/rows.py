"""The rows of a plan, and what its metrics say of themselves."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from hwds.evaluation.base import Score
from hwds.results.measure import Measure

ROWS = {"metric": pl.String, "label": pl.String, "arm": pl.String, "rule": pl.String, "value": pl.Float64}

REVENUE = "_revenue"
"""The suffix of the metrics of revenue."""


class Line(NamedTuple):
    """One number of a plan.

    Attributes:
        metric: `size`, `units_of_arm`, `effect` ...
        label: Of the outcome: empty for conversion, `revenue`.
        arm: Which; None for all.
        rule: How the interval is to be made.
        value: None where there is no effect to find.
    """

    metric: str
    label: str
    arm: str | None
    rule: str
    value: float | None


def as_plan_scores(rows: pl.DataFrame) -> list[Score]:
    """Return a score for each line."""
    return [
        Score(
            f"{row['metric']}{REVENUE if row['label'] else ''}",
            "mean",
            row["value"],
            ci_method=row["rule"],
            n=1,
            segment_by=None if row["arm"] is None else "arm",
            segment=row["arm"],
            status="ok" if row["value"] is not None else "no_effect",
        )
        for row in rows.to_dicts()
    ]


def plan_measures(power: float, alpha: float, unit: str) -> tuple[Measure, ...]:
    """Return all measures of a plan."""
    return tuple(
        Measure(
            f"{name}{behind}",
            meaning=meaning,
            better="low" if name == "size" else "none",
            units="plans",
            subject=subject,
            measured_in=counted if behind else "",
            beside="always" if name == "size" and behind else "no",
        )
        for name, (meaning, counted) in _meanings(100 * power, alpha, unit).items()
        for behind, subject in (("", "conversion"), (REVENUE, "revenue per visitor"))
    )


def _meanings(percent: float, alpha: float, unit: str) -> dict[str, tuple[str, str]]:
    """Return the meaning of each metric, and the unit of its value for revenue."""
    return {
        "size": (f"units of all arms at which every arm's change is found in {percent:g} % of tests, at alpha {alpha:g}", ""),
        "units": ("units of all arms at which this arm's change is found", ""),
        "units_of_arm": ("units of that arm among them", ""),
        "effect": ("the change that is planned for, of the mean per visitor", unit),
        "change": ("the same as a share of the control's mean", ""),
        "power": ("share of tests that find it, at the size that is given", ""),
        "least_effect": (f"the least change that this size finds in {percent:g} % of tests", unit),
        "least_change": ("the same as a share of the control's mean", ""),
    }

"""The conclusion of a run on remaining lives, in a few sentences."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.frames.runs import Runs
from hwds.lifetime.metrics.measures import TEST
from hwds.results.tables import TRUTH, Tables


def conclusion(runs: Runs | None, tables: Tables, model: str) -> str:
    """Return the error of lives with its interval, what intervals hold, the floor and the rivals, and the official test.

    Args:
        runs: The data; None where it is gone.
        tables: Of the run.
        model: The experiment's own.
    """
    own = tables.headline("rmse_capped", model)
    if own.get("value") is None:
        return ""
    parts = [_error(tables, own, model), _intervals(tables, model), _beside(tables, model), _tested(tables)]
    return " ".join(part for part in parts if part)


def _error(tables: Tables, own: dict[str, Any], model: str) -> str:
    cap = own["metric"].partition("cap=")[2].rstrip("]")
    unit = tables.measure("rmse_capped").measured_in or "cycles"
    whole = tables.headline("rmse_uncapped", model)["value"]
    return (
        f"{model} is off by {own['value']:.1f} {unit}{_interval(own)} in lives of up to {cap}, and by {whole:.1f} in lives"
        f" however long, of {own['n']:,} predictions for {asked_machines(tables)}."
    )


def asked_machines(tables: Tables) -> str:
    """Return which machines were asked for: those of other folds, or those that ran at a review and may be learned from too."""
    rows = tables.predictions
    reviewed = "part" in rows.columns and (rows["part"] == "review").any()
    return "machines that were running" if reviewed else "held-out machines"


def _interval(row: dict[str, Any]) -> str:
    return "" if row.get("ci_low") is None else f" (95 %: {row['ci_low']:.1f} to {row['ci_high']:.1f})"


def _intervals(tables: Tables, model: str) -> str:
    cover, width = tables.headline("coverage", model), tables.headline("width", model)
    if cover.get("value") is None:
        return ""
    return f"Its 90 % intervals are {width['value']:.0f} wide and hold {100 * cover['value']:.0f} % of lives."


def _beside(tables: Tables, model: str) -> str:
    """Return the errors of the other models, best first, and of the truth."""
    lines = tables.overall("rmse_capped").drop_nulls("value").sort("value")
    others = [row for row in lines.to_dicts() if row["model"] not in (model, TRUTH)]
    parts = [f"{row['model']} {row['value']:.1f}" for row in others]
    floor = tables.headline("rmse_capped", TRUTH).get("value")
    parts += [] if floor is None else [f"the truth, which knows all wear, {floor:.1f}"]
    return f"Beside it: {', '.join(parts)}." if parts else ""


def _tested(tables: Tables) -> str:
    """Return the scores of the official test, which one model has; empty where it was not read."""
    rows = tables.scores.filter(pl.col("metric").str.starts_with(f"{TEST}rmse_capped"))
    if rows.is_empty():
        return ""
    row = rows.row(0, named=True)
    whole, nasa = (tables.headline(f"{TEST}{name}", row["model"]) for name in ("rmse_uncapped", "nasa_score"))
    return (
        f"On the official test, read for {row['model']} alone, which the folds put first, the error is"
        f" {row['value']:.2f}{_interval(row)} with the test's lives capped and {whole['value']:.2f} without; NASA's score is"
        f" {nasa['value']:.0f}, of {row['n']} machines."
    )

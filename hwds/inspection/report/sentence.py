"""The conclusion of a run on inspection, in a few sentences."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.inspection.report.judged import judged_images, kinds_of
from hwds.results.tables import TRUTH, Tables


def conclusion(tables: Tables, model: str) -> str:
    """Return what is flagged and named, the hardest kind, what probabilities and a board cost, and the rivals.

    Args:
        tables: Of the run.
        model: The experiment's own.
    """
    rows, own = judged_images(tables, model), tables.headline("recall", model)
    if rows.is_empty() or own.get("value") is None:
        return ""
    parts = [
        _flagged(rows, own, model),
        _named(tables, model),
        _hardest(tables, rows, model),
        _held(tables, model),
        _cost(tables, model),
        _beside(tables, model),
    ]
    return " ".join(part for part in parts if part)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _interval(row: dict[str, Any]) -> str:
    return "" if row.get("ci_low") is None else f" (95 %: {100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f})"


def _budget(own: dict[str, Any]) -> str:
    """Return the budget in the name of a metric, in percent."""
    return f"{100 * float(own['metric'].partition('far=')[2].rstrip(']')):g} %"


def _flagged(rows: pl.DataFrame, own: dict[str, Any], model: str) -> str:
    boards = rows["board"].n_unique()
    return (
        f"{model} flags {_percent(own['value'])} of defects{_interval(own)} where {_budget(own)} of good images are flagged, of"
        f" {len(rows):,} images of {boards:,} boards that it had not seen."
    )


def _named(tables: Tables, model: str) -> str:
    right, error = tables.headline("accuracy", model), tables.headline("ece", model)
    if right.get("value") is None:
        return "It names no kinds."
    return (
        f"It names {_percent(right['value'])} of kinds rightly{_interval(right)}; its probabilities are off by"
        f" {_percent(error['value'])} on average."
    )


def _hardest(tables: Tables, rows: pl.DataFrame, model: str) -> str:
    found = {kind: tables.headline(f"recall_of_{kind}", model) for kind in kinds_of(rows)[1:]}
    known = {kind: score for kind, score in found.items() if score.get("value") is not None}
    if len(known) < 2:
        return ""
    kind = min(known, key=lambda each: known[each]["value"])
    return f"Hardest to see is '{kind}': {_percent(known[kind]['value'])}{_interval(known[kind])}."


def _held(tables: Tables, model: str) -> str:
    recall, alarms = (tables.headline(name, model).get("value") for name in ("recall_held", "false_alarms_held"))
    if recall is None or alarms is None:
        return ""
    flags = f"{_percent(recall)} of defects and {_percent(alarms)} of good images"
    return f"At the threshold that was chosen on other boards it flags {flags}."


def _cost(tables: Tables, model: str) -> str:
    names = ("cost", "cost_passing_all", "cost_rejecting_all")
    own, passing, rejecting = (tables.headline(name, model).get("value") for name in names)
    if own is None or passing is None or rejecting is None:
        return ""
    return f"A board costs {own:.3g}, where passing all costs {passing:.3g} and rejecting all {rejecting:.3g}."


def _beside(tables: Tables, model: str) -> str:
    """Return the recall of the other models, best first, and of the ideal observer."""
    lines = tables.overall("recall").drop_nulls("value").sort("value", descending=True)
    others = [row for row in lines.to_dicts() if row["model"] not in (model, TRUTH)]
    parts = [f"{row['model']} {_percent(row['value'])}" for row in others]
    floor = tables.headline("recall", TRUTH).get("value")
    parts += [] if floor is None else [f"the ideal observer, who knows each image without its noise, {_percent(floor)}"]
    return f"Beside it flag: {', '.join(parts)}." if parts else ""

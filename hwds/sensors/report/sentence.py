"""The conclusion of a run on sensor anomalies, in a few sentences."""

from __future__ import annotations

from typing import Any

from hwds.results.tables import TRUTH, Tables


def conclusion(tables: Tables, model: str) -> str:
    """Return F1 beside that of flagging everything, false and missed alarms, anomalies seen and how late, and the rivals.

    Args:
        tables: Of the run.
        model: The experiment's own.
    """
    own = tables.headline("f1", model)
    if own.get("value") is None:
        far = tables.headline("far", model)
        said = f"{model} calls {_percent(far)} of normal rows anomalous; no row is labelled anomalous."
        return "" if far.get("value") is None else said
    parts = [_rows(tables, own, model), _events(tables, model), _beside(tables, model)]
    return " ".join(part for part in parts if part)


def _rows(tables: Tables, own: dict[str, Any], model: str) -> str:
    gain, everything = tables.headline("f1_gain", model), tables.headline("f1_everything", model)
    far, mar = tables.headline("far", model), tables.headline("mar", model)
    side = "above" if gain["value"] >= 0 else "below"
    return (
        f"{model} finds anomalous rows with F1 {own['value']:.3f}, the mean over {own['n']} runs:"
        f" {abs(gain['value']):.3f} {side} flagging every row{_gain_interval(gain)}, which has {everything['value']:.3f}, while"
        f" flagging none has 0. It calls {_percent(far)} of normal rows anomalous{_interval(far)} and misses {_percent(mar)} of"
        " anomalous ones."
    )


def _percent(row: dict[str, Any]) -> str:
    return "no part" if row.get("value") is None else f"{100 * row['value']:.1f} %"


def _interval(row: dict[str, Any]) -> str:
    if row.get("ci_low") is None:
        return ""
    return f" (95 %: {100 * max(row['ci_low'], 0.0):.1f} to {100 * min(row['ci_high'], 1.0):.1f} %)"


def _gain_interval(row: dict[str, Any]) -> str:
    return "" if row.get("ci_low") is None else f" (95 %: {row['ci_low']:+.3f} to {row['ci_high']:+.3f})"


def _count(row: dict[str, Any]) -> str:
    """Return a share of counted things as their number: of sixteen, `100 %` would sound surer than it is."""
    return f"{round(row['value'] * row['n']):,}"


def _events(tables: Tables, model: str) -> str:
    recall, fresh, late = (tables.headline(name, model) for name in ("event_recall", "fresh_recall", "delay"))
    precision = tables.headline("event_precision", model)
    if recall.get("value") is None:
        return ""
    seen = f"An alarm is on in {_count(recall)} of {recall['n']:,} anomalies, and begins in {_count(fresh)}"
    unit = tables.measure("delay").measured_in or "cycles"
    delay = "" if late.get("value") is None else f", {late['value']:.0f} {unit} after the beginning on average"
    met = "" if precision.get("value") is None else f" {_percent(precision)} of episodes of alarms meet an anomaly."
    return f"{seen}{delay}.{met}"


def _beside(tables: Tables, model: str) -> str:
    """Return F1 of the other models, best first, and of the truth."""
    rows = tables.overall("f1").drop_nulls("value").sort("value", descending=True).to_dicts()
    parts = [f"{row['model']} {row['value']:.3f}" for row in rows if row["model"] not in (model, TRUTH)]
    floor = tables.headline("f1", TRUTH).get("value")
    parts += [] if floor is None else [f"the truth, which knows the law of normal readings, {floor:.3f}"]
    return f"Beside it: {', '.join(parts)}." if parts else ""

"""The log of a policy in production: a row for each decision, in the columns that off-policy evaluation reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from hwds.models.bandit.base import Arms
from hwds.models.bandit.journal import Event

KINDS = {
    "id": pl.Int64,
    "arm": pl.String,
    "value": pl.Float64,
    "segment": pl.Int64,
    "propensity": pl.Float64,
    "outcome": pl.Int64,
    "reward": pl.Float64,
    "exposed_at": pl.Float64,
    "observed_at": pl.Float64,
}


def log_of(events: Iterable[Event], arms: Arms) -> pl.DataFrame:
    """A row for each decision of the events.

    Columns: `id`; `arm`; `value`, what a conversion earns; `segment`; `context_1` and on; `propensity`, null where none was
    asked for; `outcome`, 1 for a conversion, 0 for none, null while it is open; `reward`, the outcome times the value;
    `exposed_at`; `observed_at`, when the outcome was told, null where that was not said or the window closed.
    """
    rows: dict[int, dict[str, Any]] = {}
    waiting: dict[int, float] = {}
    for event in events:
        if "decided" in event:
            rows[event["decided"]] = _row(event, arms)
            waiting[event["decided"]] = event["at"]
        elif "expired" in event:
            for number in [number for number, at in waiting.items() if at < event["expired"]]:
                _close(rows[number], 0, None)
                del waiting[number]
        elif event["told"] == "learned" and event["id"] in waiting:
            _close(rows[event["id"]], int(event["converted"]), event.get("at"))
            del waiting[event["id"]]
    contexts = dict.fromkeys((f"context_{i + 1}" for i in range(arms.contexts.shape[1])), pl.Float64)
    return pl.DataFrame(list(rows.values()), schema={**KINDS, **contexts})


def _row(event: Event, arms: Arms) -> dict[str, Any]:
    context = event.get("context") or arms.contexts[event["segment"]].tolist()
    row = {
        "id": event["decided"],
        "arm": arms.names[event["arm"]],
        "value": float(arms.values[event["arm"]]),
        "segment": event["segment"],
        "propensity": event.get("propensity"),
        "outcome": None,
        "reward": None,
        "exposed_at": event["at"],
        "observed_at": None,
    }
    return row | {f"context_{i + 1}": number for i, number in enumerate(context)}


def _close(row: dict[str, Any], outcome: int, at: float | None) -> None:
    row |= {"outcome": outcome, "reward": outcome * row["value"], "observed_at": at}

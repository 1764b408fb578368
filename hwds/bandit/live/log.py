"""The log of a policy in production: a row for each decision, in the columns that off-policy evaluation reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.bandit.arms import Arms
from hwds.bandit.live.events import Event, LiveBehaviour, LiveState
from hwds.bandit.live.settings import Decision
from hwds.bandit.live.validation import Customer, checked_id
from hwds.core.errors import DataError, ResumeError
from hwds.core.hashing import digest
from hwds.eventlog.log import EventLog
from hwds.eventlog.replayed import ReplayedState

FILE = "events.db"

OLD_FILES = ("journal.jsonl", "state.json")


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
    """Return a row for each decision of the events.

    Columns: `id`; `arm`; `value`, what a conversion earns; `segment`; `context_1` and on; `propensity`, null where none was
    asked for; `outcome`, 1 for a conversion, 0 for none, null while it is open; `reward`, the amount reported, else the outcome
    times the value; `exposed_at`; `observed_at`, when the outcome was reported, null where that was not given or the
    window closed.
    """
    rows: dict[int, dict[str, Any]] = {}
    waiting: dict[int, float] = {}
    for event in events:
        if event.kind == "decision":
            assert event.at is not None
            rows[event.decision], waiting[event.decision] = _row(event, arms), event.at
        elif event.kind == "expiry":
            assert event.at is not None
            for number in [number for number, at in waiting.items() if at < event.at]:
                _close(rows[number], 0, None)
                del waiting[number]
        elif event.kind == "outcome" and event.content["status"] == "learned":
            _close(rows[event.decision], int(event.content["converted"]), event.at, event.content.get("amount"))
            del waiting[event.decision]
    contexts = dict.fromkeys((f"context_{i + 1}" for i in range(arms.contexts.shape[1])), pl.Float64)
    return pl.DataFrame(list(rows.values()), schema={**KINDS, **contexts})


def _row(event: Event, arms: Arms) -> dict[str, Any]:
    content = event.content
    context = content.get("context") or arms.contexts[content["segment"]].tolist()
    row = {
        "id": event.decision,
        "arm": arms.names[content["arm"]],
        "value": float(arms.values[content["arm"]]),
        "segment": content["segment"],
        "propensity": content.get("propensity"),
        "outcome": None,
        "reward": None,
        "exposed_at": event.at,
        "observed_at": None,
    }
    return row | {f"context_{i + 1}": number for i, number in enumerate(context)}


def _close(row: dict[str, Any], outcome: int, at: float | None, amount: float | None = None) -> None:
    row |= {"outcome": outcome, "reward": outcome * row["value"] if amount is None else amount, "observed_at": at}


def earlier_of(log: EventLog, id: str, customer: Customer, active: np.ndarray, arms: Arms) -> Decision | None:
    """Return the decision that bears an id of the caller's, who asks for it again; None where there is none.

    Args:
        log: The log.
        id: The id.
        customer: The customer that it is asked for now.
        active: Whether each arm may be offered now by the caller, shape (K,).
        arms: The arms.

    Raises:
        DataError: The id is none; the decision was on another customer, or of an arm that is not active.
    """
    entry = log.find("decision", checked_id(id))
    if entry is None:
        return None
    content = Event.of(entry).content
    own, arm = customer.context.tolist() if customer.own_context else None, content["arm"]
    if (content["segment"], content.get("context")) != (customer.segment, own):
        raise DataError(f"id: decision '{id}' was made on another customer.")
    if not active[arm]:
        raise DataError(f"id: decision '{id}' was for '{arms.names[arm]}', which `active` lacks.")
    return Decision(entry.place, arms.names[arm], float(arms.values[arm]), content["propensity"], again=True)


def opened(folder: Path, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state that a folder holds, or a new one.

    Raises:
        ResumeError: The folder is damaged, in use, of an older version, or holds another policy.
    """
    terms, old = behaviour.terms, [name for name in OLD_FILES if (folder / name).is_file()]
    if old:
        raise ResumeError(f"{folder}: holds the {old[0]} of an older version of hwds; take another folder.")
    log = EventLog(folder / FILE, "power")
    try:
        saved = log.about("policy")
        if saved is None:
            log.set_about("policy", terms.label)
        else:
            terms.check(saved, folder)
    except BaseException:
        log.close()
        raise
    try:
        return replayed(log, behaviour)
    except ValueError as error:
        raise ResumeError(f"{folder}: its snapshot is of another version ({error}); take another folder.") from error


def replayed(log: EventLog, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state of a log, from its snapshot or from its entries."""
    terms = behaviour.terms
    made_by = {"code": terms.code} if terms.code else {}
    return ReplayedState(log, behaviour, digest(terms.label | made_by), drop=not terms.propensities)

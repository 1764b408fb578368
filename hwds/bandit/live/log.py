"""The events of a policy in production, what each does to its state, and the log of decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import polars as pl
from numpy import ndarray

from hwds.bandit.live.settings import LiveDecision, LiveTerms
from hwds.bandit.live.state import (
    Customer,
    Exposure,
    Exposures,
    PolicyState,
    check_id,
    policy_state_of,
)
from hwds.bandit.models.kernels.base import Arms, BatchKernel, Kernel
from hwds.core.errors import DataError, ResumeError
from hwds.core.files import digest
from hwds.core.questions import Json
from hwds.results.event_log import EventLog, LogEntry
from hwds.results.replayed_state import ReplayedState

# Events of a policy in production, and what each of them does to its state: the same now and
# when a log is replayed.

EventKind = Literal["decision", "outcome", "expiry", "learning", "control"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class LiveEvent(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: A decision, an outcome that was reported, the closing of all exposures before a time,
            or the learning of what was closed, before a batch begins; or a switch that is turned on
            or off: `stopped`, or `retired` and the number of an arm.
        decision: The number of the decision; -1 of none.
        at: Its time; None of an outcome that came without one.
        content: `arm`, `segment`, and as far as known `context` and `propensity` of a decision;
            `status` and `converted` of an outcome, and `amount` where a conversion's was reported.
        name: The caller's own id of a decision; None where it has none.
    """

    kind: EventKind
    decision: int
    at: float | None
    content: Json
    name: str | None = None

    def entry(self) -> LogEntry:
        """Return the entry of a log.

        Where nobody names it it needs no id, for the state refuses what happens twice.
        """
        return LogEntry(self.kind, self.name, self.decision, self.at, _encode(self.content))

    @classmethod
    def of(cls, entry: LogEntry) -> Self:
        """Return the event of an entry."""
        return cls(entry.kind, entry.place, entry.at, json.loads(entry.body), entry.id)  # type: ignore[arg-type]


@dataclass
class LiveState:
    """The state after all events: the policy's own, and its exposures."""

    policy: PolicyState
    exposures: Exposures


@dataclass(frozen=True)
class LiveBehaviour:
    """The transitions of a policy's state by its events (`eventlog.replayed.Behaviour`)."""

    kernel: Kernel | BatchKernel
    arms: Arms
    terms: LiveTerms

    @property
    def learns_amounts(self) -> bool:
        """True where the policy learns from what a conversion brought."""
        return (
            isinstance(self.kernel, Kernel)
            and self.kernel.amounts
            and bool((self.arms.values > 0).all())
        )

    def new(self) -> LiveState:
        """Return the state before the first decision."""
        return LiveState(
            policy_state_of(self.kernel, self.terms.seed, self.terms.batch), Exposures()
        )

    def apply(self, state: LiveState, entry: LogEntry) -> None:
        """Let an entry happen."""
        self.happen(state, LiveEvent.of(entry))

    def happen(self, state: LiveState, event: LiveEvent) -> None:
        """Let an event happen."""
        exposures, content = state.exposures, event.content
        if event.kind == "decision":
            assert event.at is not None
            if self.learns_now(state):  # in a log from before learning was an event
                self._learn(state)
            context = content.get("context")
            exposure = Exposure(
                content["arm"], content["segment"], event.at, context and tuple(context)
            )
            state.policy.offered(exposure.visit(exposures.decisions, self.arms), exposure.arm)
            exposures.open(exposure)
        elif event.kind == "expiry":
            assert event.at is not None
            exposures.expire(event.at)
        elif event.kind == "learning":
            self._learn(state)
        elif event.kind == "control":
            exposures.turn(content["name"], on=content["on"])
        else:
            exposures.close(
                content["status"], event.decision, content["converted"], self._worth(state, event)
            )
        if self.terms.batch == 1:
            self._learn(state)

    def _worth(self, state: LiveState, event: LiveEvent) -> float:
        """Return what a conversion brought over its arm's value, 1 where that was not reported."""
        amount, exposure = event.content.get("amount"), state.exposures.waiting.get(event.decision)
        if amount is None or exposure is None:
            return 1.0
        return float(amount / self.arms.values[exposure.arm])

    def learns_now(self, state: LiveState) -> bool:
        """Return whether the next decision begins a batch, and something was closed that is not
        learned yet.
        """
        return state.exposures.decisions % self.terms.batch == 0 and bool(state.exposures.closed)

    def dump(self, state: LiveState) -> Any:
        """Return the state as a value that can be stored, if the policy's own can."""
        return [state.policy.state, state.exposures]

    def fill(self, state: LiveState, dumped: Any) -> None:
        """Let a new state be a dumped one."""
        learned, state.exposures = dumped
        state.policy.resume(learned)

    def _learn(self, state: LiveState) -> None:
        if state.exposures.closed:
            state.policy.update(state.exposures.taken(self.arms))


# The log of a policy in production: a row for each decision, in the columns that off-policy
# evaluation reads.

EVENTS_FILE = "events.db"

OLD_EVENT_FILES = ("journal.jsonl", "state.json")


LOG_COLUMNS = {
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


def decision_log(events: Iterable[LiveEvent], arms: Arms) -> pl.DataFrame:
    """Return a row for each decision of the events.

    Columns: `id`; `arm`; `value`, what a conversion earns; `segment`; `context_1` and on;
    `propensity`, null where none was asked for; `outcome`, 1 for a conversion, 0 for none, null
    while it is open; `reward`, the amount reported, else the outcome times the value; `exposed_at`;
    `observed_at`, when the outcome was reported, null where that was not given or the window
    closed.
    """
    rows: dict[int, Json] = {}
    waiting: dict[int, float] = {}
    for event in events:
        if event.kind == "decision":
            assert event.at is not None
            rows[event.decision], waiting[event.decision] = _decision_row(event, arms), event.at
        elif event.kind == "expiry":
            assert event.at is not None
            for number in [number for number, at in waiting.items() if at < event.at]:
                _close_row(rows[number], 0, None)
                del waiting[number]
        elif event.kind == "outcome" and event.content["status"] == "learned":
            converted, amount = int(event.content["converted"]), event.content.get("amount")
            _close_row(rows[event.decision], converted, event.at, amount)
            del waiting[event.decision]
    contexts = {f"context_{i + 1}": pl.Float64 for i in range(arms.contexts.shape[1])}
    return pl.DataFrame(list(rows.values()), schema={**LOG_COLUMNS, **contexts})


def _decision_row(event: LiveEvent, arms: Arms) -> Json:
    content = event.content
    context = content.get("context") or arms.contexts[content["segment"]].tolist()
    return dict.fromkeys(LOG_COLUMNS) | {
        "id": event.decision,
        "arm": arms.names[content["arm"]],
        "value": float(arms.values[content["arm"]]),
        "segment": content["segment"],
        "propensity": content.get("propensity"),
        "exposed_at": event.at,
        **{f"context_{i + 1}": number for i, number in enumerate(context)},
    }


def _close_row(row: Json, outcome: int, at: float | None, amount: float | None = None) -> None:
    row |= {
        "outcome": outcome,
        "reward": outcome * row["value"] if amount is None else amount,
        "observed_at": at,
    }


def earlier_decision(
    log: EventLog, id: str, customer: Customer, active: ndarray, arms: Arms
) -> LiveDecision | None:
    """Return the decision that bears an id of the caller's, who asks for it again.

    None where there is none.

    Args:
        log: The log.
        id: The id.
        customer: The customer that it is asked for now.
        active: Whether each arm may be offered now by the caller, shape (K,).
        arms: The arms.

    Raises:
        DataError: The id is none; the decision was on another customer, or of an arm that is not
            active.
    """
    entry = log.find("decision", check_id(id))
    if entry is None:
        return None
    content = LiveEvent.of(entry).content
    own, arm = customer.context.tolist() if customer.own_context else None, content["arm"]
    if (content["segment"], content.get("context")) != (customer.segment, own):
        raise DataError(f"id: decision '{id}' was made on another customer.")
    if not active[arm]:
        raise DataError(f"id: decision '{id}' was for '{arms.names[arm]}', which `active` lacks.")
    return LiveDecision(
        entry.place, arms.names[arm], float(arms.values[arm]), content["propensity"], again=True
    )


def open_state(folder: Path, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state that a folder holds, or a new one.

    Raises:
        ResumeError: The folder is damaged, in use, of an older version, or holds another policy.
    """
    terms, old = behaviour.terms, [name for name in OLD_EVENT_FILES if (folder / name).is_file()]
    if old:
        raise ResumeError(
            f"{folder}: holds the {old[0]} of an older version of hwds; take another folder."
        )
    log = EventLog(folder / EVENTS_FILE, "power")
    try:
        saved = log.metadata("policy")
        if saved is None:
            log.set_metadata("policy", terms.label)
        else:
            terms.check(saved, folder)
    except BaseException:
        log.close()
        raise
    try:
        return replay_state(log, behaviour)
    except ValueError as error:
        raise ResumeError(
            f"{folder}: its snapshot is of another version ({error}); take another folder."
        ) from error


def replay_state(log: EventLog, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state of a log, from its snapshot or from its entries."""
    terms = behaviour.terms
    made_by = {"code": terms.code} if terms.code else {}
    return ReplayedState(log, behaviour, digest(terms.label | made_by), drop=not terms.propensities)

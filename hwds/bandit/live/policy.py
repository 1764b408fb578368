"""LivePolicy: a policy in production, one decision at a time; a crash loses nothing and counts nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from hwds.bandit.arms import Arms
from hwds.bandit.live.events import Event, LiveBehaviour, LiveState
from hwds.bandit.live.exposures import Status
from hwds.bandit.live.log import log_of
from hwds.bandit.live.settings import Decision, LiveTerms
from hwds.bandit.live.validation import INTEGER, Customer, active_of, checked_outcome, checked_time, customer_of
from hwds.bandit.models.kernels.base import BatchKernel, Kernel, Visit
from hwds.core.errors import HwdsError, ResumeError
from hwds.core.hashing import digest
from hwds.eventlog.log import EventLog
from hwds.eventlog.replayed import ReplayedState

FILE = "events.db"
OLD_FILES = ("journal.jsonl", "state.json")


class LivePolicy:
    """A policy that decides for one customer after the other and learns from outcomes as they come.

    A decision opens an exposure; its outcome closes it, once. An exposure is no refusal until its window closes, or until it is
    told. With a folder, what was decided and told is on the disk before the call returns (a write and a sync each), so that
    after `kill -9` at any moment the same call to `Policy.live` goes on, and what was acknowledged counts once. A call that was
    killed before it returned has happened or not: an outcome may be told again, it counts once; a decision that nobody was
    offered ends as a refusal when its window closes. One process uses a folder; its threads may share the object.

    Attributes:
        arms: What the policy knows of the arms.
        terms: How it is used.

    Example:
        >>> arms = Arms(("149", "199"), np.array([149.0, 199.0]), np.zeros((1, 0)))
        >>> live = PriceThompson().live(arms, "prices", seed=1)
        >>> live.outcome(live.decide().id, converted=True)
        'learned'
    """

    def __init__(self, kernel: Kernel | BatchKernel, arms: Arms, folder: Path | None, terms: LiveTerms) -> None:
        """Begin, or continue from the state in the folder.

        Raises:
            ResumeError: The folder is damaged, in use, or holds another policy.
        """
        self.arms, self.terms = arms, terms
        self._behaviour = LiveBehaviour(kernel, arms, terms)
        self._turn = threading.RLock()
        self._closed = False
        self._store = _store(folder, self._behaviour) if folder is not None else None
        self._state: LiveState = self._store.current() if self._store is not None else self._behaviour.new()

    def decide(
        self,
        context: Sequence[float] | np.ndarray | None = None,
        segment: int | None = None,
        active: Sequence[str] | np.ndarray | None = None,
        at: float | None = None,
    ) -> Decision:
        """Choose an arm for a customer.

        Args:
            context: What is seen of the customer, shape (D,); None takes that of the segment.
            segment: The customer's, from 0; may be left out where there is one, or where the context is a segment's own.
            active: The names of the arms that may be offered, or a flag for each; None for all.
            at: The time, in any unit that `window` shares; None for the clock's seconds. It never goes back.

        Raises:
            DataError: An argument is wrong; nothing was decided.
            HwdsError: The log cannot be written; nothing was decided.
        """
        customer = customer_of(self.arms, context, segment)
        allowed = active_of(self.arms, active)
        with self._turn:
            at = checked_time(at, self._state.exposures.clock)
            self._close_before(at)
            if self._behaviour.learns_now(self._state):
                self._happen(Event("learning", -1, None, {}))
            number, visit = self.decisions, self._visit(customer, allowed, at)
            arm = self._state.policy.select(visit)
            content: dict[str, Any] = {"arm": arm, "segment": customer.segment}
            if customer.own_context:
                content["context"] = customer.context.tolist()
            if self.terms.propensities:
                content["propensity"] = float(self._state.policy.chances(visit, self.terms.draws).values[arm])
            self._happen(Event("decision", number, at, content))
            return Decision(number, self.arms.names[arm], float(self.arms.values[arm]), content.get("propensity"))

    def outcome(self, id: int, converted: bool, at: float | None = None) -> Status:
        """Record the outcome of a decision.

        Args:
            id: The decision's.
            converted: Whether the customer bought.
            at: When it was told; None where only decisions and `expire` move the clock.

        Returns:
            `learned`; or why it was not, which `counts` counts: `repeated` (it was told before), `late` (its window had closed,
            so that it counts as refused), `unknown` (no such decision).

        Raises:
            DataError: An argument is wrong.
            HwdsError: The log cannot be written; the outcome is not counted, and can be reported again.
        """
        checked, exposures = checked_outcome(converted), self._state.exposures
        with self._turn:
            if at is not None:
                self._close_before(max(checked_time(at, None), exposures.clock))
            known = isinstance(id, INTEGER) and not isinstance(id, bool)
            status: Status = exposures.status(int(id)) if known else "unknown"
            content = {"status": status, "converted": checked}
            decision = int(id) if status != "unknown" else -1
            self._happen(Event("outcome", decision, float(at) if at is not None else None, content))
            return status

    def expire(self, before: float) -> int:
        """Close every exposure decided before a time, as a refusal, and return their number."""
        with self._turn:
            before = checked_time(before, None)
            closing = self._state.exposures.older(before)
            if closing:
                self._happen(Event("expiry", -1, before, {}))
            return closing

    def chances(
        self,
        context: Sequence[float] | np.ndarray | None = None,
        segment: int | None = None,
        active: Sequence[str] | np.ndarray | None = None,
    ) -> dict[str, float]:
        """Return the probability of each arm to be chosen; of Thompson sampling, the probability that it is the best."""
        customer, allowed = customer_of(self.arms, context, segment), active_of(self.arms, active)
        with self._turn:
            chances = self._state.policy.chances(
                self._visit(customer, allowed, self._state.exposures.clock), self.terms.draws
            ).values
            return dict(zip(self.arms.names, chances.tolist(), strict=True))

    def log(self) -> pl.DataFrame:
        """Return every decision and its outcome, for estimates and off-policy evaluation; see `live_log`.

        Raises:
            HwdsError: It was not kept: that needs a folder, and propensities.
        """
        with self._turn:
            if self._store is None or not self.terms.propensities:
                raise HwdsError("log: nothing is kept without a folder and propensities=True.")
            return log_of(map(Event.of, self._store.log.entries()), self.arms)

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self._state.exposures.decisions

    @property
    def counts(self) -> dict[str, int]:
        """Decisions, `open` ones, conversions, refusals (`expired` among them), and outcomes by what was odd about them."""
        with self._turn:
            return self._state.exposures.counts

    def save(self) -> None:
        """Write a snapshot now, so that a restart replays nothing; it is also written every `terms.snapshot` events."""
        with self._turn:
            if self._store is not None:
                self._store.snapshot()

    def close(self) -> None:
        """Write a snapshot and let the folder go."""
        with self._turn:
            self._closed = True
            if self._store is not None:
                self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _visit(self, customer: Customer, allowed: np.ndarray, at: float) -> Visit:
        return Visit(self.decisions, customer.segment, customer.context, allowed, at)

    def _close_before(self, at: float) -> None:
        if self.terms.window is not None and self._state.exposures.older(at - self.terms.window):
            self._happen(Event("expiry", -1, at - self.terms.window, {}))

    def _happen(self, event: Event) -> None:
        """Write an event to the disk, then apply it to the state: in this order, for the disk is read again after a crash."""
        if self._closed:
            raise HwdsError("the policy was closed; begin it again with Policy.live.")
        if self._store is not None:
            if self._store.behind() >= self.terms.snapshot:
                self._store.snapshot()
            self._store.log.append([event.entry()])
        self._behaviour.happen(self._state, event)


def _store(folder: Path, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
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
        made_by = {"code": terms.code} if terms.code else {}
        return ReplayedState(log, behaviour, digest(terms.label | made_by), drop=not terms.propensities)
    except ValueError as error:
        raise ResumeError(f"{folder}: its snapshot is of another version ({error}); take another folder.") from error

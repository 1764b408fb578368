"""LivePolicy: one decision at a time; a crash loses nothing and counts nothing twice."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.bandit.live.log import (
    LiveBehaviour,
    LiveEvent,
    LiveState,
    decision_log,
    earlier_decision,
    open_state,
    replay_state,
)
from hwds.bandit.live.settings import STOPPED, Guardrails, LiveDecision, LiveTerms
from hwds.bandit.live.state import (
    Customer,
    OutcomeStatus,
    active_arms,
    check_amount,
    check_outcome,
    check_time,
    customer_of,
)
from hwds.bandit.models.kernels.base import Arms, BatchKernel, Kernel, Visit, rehearse
from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.files import digest, digest_bytes
from hwds.core.keys import code_digest
from hwds.core.recipe import Recipe, canonical
from hwds.core.seeds import stream
from hwds.results.event_log import EventLog
from hwds.results.replayed_state import ReplayedState

# Commit: when what was written is on the disk, and how long a call waits for that.


class LogCommit:
    """Brings the entries of a log to the disk: each before its call returns, or within so many
    milliseconds.

    Calls of several threads that wait at once share one wait for the disk. An end of the process
    alone, such as `kill -9`, loses nothing of what was acknowledged either way; the milliseconds
    are those that a loss of power may take.

    Args:
        log: The log.
        lose: The milliseconds; 0 waits for the disk in each call.
    """

    def __init__(self, log: EventLog, lose: float) -> None:
        self._log, self._lose = log, lose / 1000.0
        self._failed: HwdsError | None = None
        self._ended = threading.Event()
        self._since = time.monotonic()
        self._writer = (
            threading.Thread(target=self._write, name="hwds-commit", daemon=True) if lose else None
        )
        if self._writer is not None:
            self._writer.start()

    def check(self) -> None:
        """Refuse to go on where the disk may lack what was acknowledged.

        Raises:
            HwdsError: It could not be written.
        """
        if self._failed is not None:
            raise HwdsError(f"{self._failed} Begin the policy again with Policy.live.")

    def settle(self, number: int) -> None:
        """Wait until the disk has the entries up to a number, or until none that is older than the
        bound waits.

        Raises:
            HwdsError: It could not be written: the policy must be begun again.
        """
        if self._writer is None or time.monotonic() - self._since > self._lose:
            self._sync(number)
        self.check()

    def close(self) -> None:
        """Bring all entries to the disk, and end."""
        self._ended.set()
        if self._writer is not None:
            self._writer.join()
        if self._failed is None:
            self._sync(self._log.last)
        self.check()

    def _write(self) -> None:
        while not self._ended.wait(self._lose / 2) and self._failed is None:
            self._sync(self._log.last)

    def _sync(self, number: int) -> None:
        begun = time.monotonic()
        try:
            self._log.sync(number)
        except HwdsError as error:
            self._failed = error
            return
        self._since = max(self._since, begun)


# LivePolicy: a policy in production, one decision at a time; a crash loses nothing and counts
# nothing twice.


class LivePolicy:
    """A policy that decides for one customer after the other and learns from outcomes as they come.

    A decision opens an exposure; its outcome closes it, once. An exposure is no refusal until its
    window closes, or until it is reported. With a folder, what was decided and reported is on the
    disk before the call returns (a write each, and a sync that calls of several threads share;
    `terms.lose` leaves it for so many milliseconds), so that after `kill -9` at any moment the same
    call to `Policy.live` goes on, and what was acknowledged counts once. A call that was killed
    before it returned has happened or not: an outcome may be reported again, it counts once; a
    decision that nobody was offered ends as a refusal when its window closes. One process uses a
    folder; its threads may share the object.

    Attributes:
        arms: What the policy knows of the arms.
        terms: How it is used.

    Example:
        >>> arms = Arms(("149", "199"), np.array([149.0, 199.0]), np.zeros((1, 0)))
        >>> live = PriceThompson().live(arms, "prices", seed=1)
        >>> live.outcome(live.decide().id, converted=True)
        'learned'
    """

    def __init__(
        self,
        behaviour: Callable[[Arms], LiveBehaviour],
        arms: Arms,
        folder: Path | None,
        guardrails: Guardrails,
    ) -> None:
        """Begin, or continue from the state in the folder.

        Args:
            behaviour: Gives the law of the policy for these arms, and for more of them.
            arms: What is known of the arms.
            folder: Where the state lives; None keeps it in memory.
            guardrails: Limits of what is offered.

        Raises:
            ResumeError: The folder is damaged, in use, or holds another policy.
            ConfigError: The guardrails do not fit the arms, or the switches that the folder holds.
        """
        self._law, self._behaviour = behaviour, behaviour(arms)
        self.arms, self.terms = self._behaviour.arms, self._behaviour.terms
        guardrails.check(self.arms)
        self.guardrails = guardrails
        self._turn, self._calls = threading.RLock(), 0
        self._closed = False
        self._store: ReplayedState[LiveState] | None = None
        self._commit: LogCommit | None = None
        self._state = self._behaviour.new()
        if folder is not None:
            self._store = open_state(folder, self._behaviour)
            self._commit = LogCommit(self._store.log, self.terms.lose)
            self._state = self._store.current()
        try:
            guardrails.check_switches(self.arms, self._state.exposures)
        except ConfigError:
            self.close()
            raise

    def decide(
        self,
        context: Sequence[float] | ndarray | None = None,
        segment: int | None = None,
        active: Sequence[str] | ndarray | None = None,
        at: float | None = None,
        id: str | None = None,
    ) -> LiveDecision:
        """Choose an arm for a customer.

        Args:
            context: What is seen of the customer, shape (D,); None takes that of the segment.
            segment: The customer's, from 0; may be left out where there is one, or where the
                context is a segment's own.
            active: The names of the arms that may be offered, or a flag for each; None for all.
            at: The time, in any unit that `window` shares; None for the clock's seconds. It never
                goes back, and is at most `terms.ahead` ahead of the clock.
            id: The caller's own name of the decision: who asks again by it gets the same one, so
                that a call whose answer was lost can be repeated. It needs a folder, and
                propensities.

        Raises:
            DataError: An argument is wrong, or the id is that of a decision on another customer or
                of an arm that may not be offered here; nothing was decided.
            HwdsError: The log cannot be written, or keeps no ids, or every arm is retired; nothing
                was decided.
        """
        customer = customer_of(self.arms, context, segment)
        allowed = active_arms(self.arms, active)
        with self.together():
            earlier = None
            if id is not None:
                earlier = earlier_decision(self._log("id"), id, customer, allowed, self.arms)
            return earlier or self._decided(customer, allowed, at, id)

    def decide_batch(
        self,
        segments: Sequence[int],
        contexts: Sequence[Sequence[float]] | ndarray | None = None,
        at: float | None = None,
    ) -> list[LiveDecision]:
        """Choose an arm for each of several customers who come at once: they share one wait for the
        disk.

        Args:
            segments: The segment of each customer.
            contexts: What is seen of each; None takes those of their segments.
            at: The time of all.

        Raises:
            DataError: An argument is wrong; nothing was decided.
            HwdsError: The log cannot be written; only the first of them were decided, or none.
        """
        seen = [None] * len(segments) if contexts is None else list(contexts)
        if len(seen) != len(segments):
            raise DataError(
                f"contexts: must be one for each of the {len(segments)} customers, got {len(seen)}."
            )
        customers = [
            customer_of(self.arms, context, segment)
            for context, segment in zip(seen, segments, strict=True)
        ]
        with self.together():
            return [self._decided(customer, self.arms.all_active, at) for customer in customers]

    def number_of(self, id: str) -> int | None:
        """Return the number of the decision that bears an id of the caller's.

        None where there is none.
        """
        with self._turn:
            entry = self._log("number_of").find("decision", id)
            return None if entry is None else entry.place

    def _log(self, what: str) -> EventLog:
        """Return the log of all events.

        Raises:
            HwdsError: Not all are kept.
        """
        if self._store is None or not self.terms.propensities:
            raise HwdsError(
                f"{what}: needs all events, which are kept with a folder and propensities=True."
            )
        return self._store.log

    def _decided(
        self, customer: Customer, active: ndarray, at: float | None, id: str | None = None
    ) -> LiveDecision:
        """Return the decision on one customer, written but not waited for."""
        exposures = self._state.exposures
        at = check_time(at, exposures.clock, self._latest)
        allowed = self.guardrails.offered(self.arms, active, exposures)
        self._close_before(at)
        if self._behaviour.learns_now(self._state):
            self._happen(LiveEvent("learning", -1, None, {}))
        number, visit = self.decisions, self._visit(customer, allowed, at)
        held, current = self._held_out(visit), self.guardrails.current_of(self.arms)
        arm = current if held and current is not None else self._state.policy.select(visit)
        content: dict[str, Any] = {"arm": arm, "segment": customer.segment}
        if customer.own_context:
            content["context"] = customer.context.tolist()
        if self.terms.propensities:
            content["propensity"] = float(self._chances(visit)[arm])
        self._happen(LiveEvent("decision", number, at, content, id))
        return LiveDecision(
            number, self.arms.names[arm], float(self.arms.values[arm]), content.get("propensity")
        )

    def _held_out(self, visit: Visit) -> bool:
        """Return whether a customer is offered the current arm whatever was learned."""
        share = self.guardrails.held_share(self.arms, visit.active, self._state.exposures)
        return share > 0 and stream(self.terms.seed, "holdout", visit.step).random() < share

    def _chances(self, visit: Visit) -> ndarray:
        """Return the chance of each arm to be offered, the lot of the holdout counted in, shape
        (K,).
        """
        share = self.guardrails.held_share(self.arms, visit.active, self._state.exposures)
        current = self.guardrails.current_of(self.arms)
        if share == 1:
            return np.eye(self.arms.count)[current]
        chances = (1 - share) * self._state.policy.chances(visit, self.terms.draws).values
        if current is not None:
            chances[current] += share
        return chances

    @property
    def learns_amounts(self) -> bool:
        """True where an outcome may say what a conversion brought."""
        return self._behaviour.learns_amounts

    @property
    def stopped(self) -> bool:
        """True while all customers are offered the current arm."""
        return self._state.exposures.is_on(STOPPED)

    def stop(self) -> None:
        """Offer the current arm to everyone from now on: the kill switch. Outcomes are learned all
        the same.

        Raises:
            HwdsError: `Guardrails.current` names no arm.
        """
        if self.guardrails.current is None:
            raise HwdsError(
                "stop: Guardrails(current=...) must name the arm that everyone is offered."
            )
        self._switch(STOPPED, on=True)

    def resume(self) -> None:
        """Let the policy choose again."""
        self._switch(STOPPED, on=False)

    def retire(self, arm: str) -> None:
        """Offer an arm no more; outcomes that are still to come are learned.

        Raises:
            DataError: There is no such arm.
            HwdsError: It is the current arm of the guardrails.
        """
        if arm == self.guardrails.current:
            raise HwdsError(f"retire: '{arm}' is the current arm of the guardrails.")
        self._switch(f"retired {self._number(arm)}", on=True)

    def bring_back(self, arm: str) -> None:
        """Offer an arm again that was retired.

        Raises:
            DataError: There is no such arm.
        """
        self._switch(f"retired {self._number(arm)}", on=False)

    def add_arms(self, values: Mapping[str, float]) -> None:
        """Offer further arms from now on.

        What was learned of the others is learned again from the log.

        After a restart `Policy.live` must be given all of them, in this order.

        Args:
            values: What a conversion of each earns, by name.

        Raises:
            ConfigError: A name is taken.
            HwdsError: Not all events are kept: that needs a folder, and propensities.
        """
        names, numbers = (*self.arms.names, *values), [*self.arms.values, *values.values()]
        with self.together():
            log = self._log("add_arms")
            behaviour = self._law(replace(self.arms, names=names, values=np.array(numbers)))
            log.set_metadata("policy", behaviour.terms.label)
            self._store = replay_state(log, behaviour)
            self._behaviour, self.arms, self.terms = behaviour, behaviour.arms, behaviour.terms
            self._state = self._store.current()

    def _number(self, arm: str) -> int:
        if arm not in self.arms.names:
            raise DataError(f"arm: unknown arm {arm!r}{nearest(str(arm), self.arms.names)}")
        return self.arms.names.index(arm)

    def _switch(self, name: str, *, on: bool) -> None:
        with self.together():
            self._happen(LiveEvent("control", -1, None, {"name": name, "on": on}))

    def outcome(
        self, id: int, converted: bool, at: float | None = None, amount: float | None = None
    ) -> OutcomeStatus:
        """Record the outcome of a decision.

        Args:
            id: The decision's.
            converted: Whether the customer bought.
            at: When it was reported; None where only decisions and `expire` move the clock.
            amount: What the conversion brought, such as the value of a basket; None takes the arm's
                value.

        Returns:
            `learned`; or why it was not, which `counts` counts: `repeated` (it was reported
            before), `late` (its window had closed, so that it counts as refused), `unknown` (no
            such decision).

        Raises:
            DataError: An argument is wrong.
            HwdsError: The log cannot be written; the outcome is not counted, and can be reported
                again.
        """
        checked = check_outcome(converted)
        brought = check_amount(amount, checked, learned=self._behaviour.learns_amounts)
        with self.together():
            exposures = self._state.exposures
            if at is not None:
                self._close_before(max(check_time(at, None, self._latest), exposures.clock))
            status = exposures.status(id)
            content: dict[str, Any] = {"status": status, "converted": checked}
            if brought is not None:
                content["amount"] = brought
            decision = int(id) if status != "unknown" else -1
            reported = None if at is None else float(at)
            self._happen(LiveEvent("outcome", decision, reported, content))
            return status

    def status(self, id: int) -> OutcomeStatus:
        """Return the status that an outcome of a decision would have now; see `outcome`."""
        with self._turn:
            return self._state.exposures.status(id)

    def expire(self, before: float) -> int:
        """Close every exposure decided before a time, as a refusal, and return their number."""
        with self.together():
            before = check_time(before, None)
            closing = self._state.exposures.older(before)
            if closing:
                self._happen(LiveEvent("expiry", -1, before, {}))
            return closing

    def chances(
        self,
        context: Sequence[float] | ndarray | None = None,
        segment: int | None = None,
        active: Sequence[str] | ndarray | None = None,
    ) -> dict[str, float]:
        """Return the probability of each arm to be offered, guardrails and switches counted in.

        Without these it is, of Thompson sampling, the probability that an arm is the best.
        """
        customer, asked = customer_of(self.arms, context, segment), active_arms(self.arms, active)
        with self._turn:
            exposures = self._state.exposures
            allowed = self.guardrails.offered(self.arms, asked, exposures)
            chances = self._chances(self._visit(customer, allowed, exposures.clock))
            return dict(zip(self.arms.names, chances.tolist(), strict=True))

    def log(self) -> pl.DataFrame:
        """Return every decision and its outcome, for estimates and off-policy evaluation.

        See `live_log`.

        Raises:
            HwdsError: It was not kept: that needs a folder, and propensities.
        """
        with self._turn:
            return decision_log(map(LiveEvent.of, self._log("log").entries()), self.arms)

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self._state.exposures.decisions

    @property
    def counts(self) -> dict[str, int]:
        """Decisions, `open` ones, conversions, refusals (`expired` among them), and outcomes by
        what was odd about them.
        """
        with self._turn:
            return self._state.exposures.counts

    def save(self) -> None:
        """Write a snapshot now, so that a restart replays nothing.

        It is also written every `terms.snapshot` events.
        """
        with self._turn:
            if self._store is not None:
                self._store.snapshot()

    def close(self) -> None:
        """Write a snapshot and let the folder go."""
        with self._turn:
            if self._commit is not None and not self._closed:
                self._commit.close()
            self._closed = True
            if self._store is not None:
                self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _visit(self, customer: Customer, allowed: ndarray, at: float) -> Visit:
        return Visit(self.decisions, customer.segment, customer.context, allowed, at)

    @property
    def _latest(self) -> float:
        """The latest time that a caller may name: one in milliseconds among seconds would close
        every open offer.
        """
        # by this machine's clock alone: each call could push on the last decision's time by as much
        ahead = self.terms.ahead
        return math.inf if ahead is None else max(time.time() + ahead, self._state.exposures.clock)

    def _close_before(self, at: float) -> None:
        if self.terms.window is not None and self._state.exposures.older(at - self.terms.window):
            self._happen(LiveEvent("expiry", -1, at - self.terms.window, {}))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the calls of a block happen in one turn, and wait for the disk once after them.

        Others may happen meanwhile.

        Raises:
            HwdsError: The log cannot be written.
        """
        with self._turn:
            if self._commit is not None:
                self._commit.check()
            self._calls += 1
            try:
                yield
            finally:
                self._calls -= 1
            last, within = 0 if self._store is None else self._store.log.last, self._calls
        if self._commit is not None and not within:
            self._commit.settle(last)

    def _happen(self, event: LiveEvent) -> None:
        """Write an event, then apply it to the state: in this order, for what was written is read
        again after a crash.
        """
        if self._closed:
            raise HwdsError("the policy was closed; begin it again with Policy.live.")
        if self._store is not None:
            if self._store.entries_behind() >= self.terms.snapshot:
                self._store.snapshot()
            self._store.log.append([event.entry()], wait=False)
        self._behaviour.happen(self._state, event)


# The way a policy goes into production: its arguments are checked, and named by a fingerprint.

MOST_LOST_MS = 60_000
"""Milliseconds of events that a loss of power may take at most."""


def live_policy(
    policy: Recipe,
    kernel: Callable[[Arms], Kernel | BatchKernel],
    arms: Arms,
    folder: Path | None,
    terms: LiveTerms,
    guardrails: Guardrails,
) -> LivePolicy:
    """Return a policy in production: see `Policy.live`."""
    _check_terms(terms)
    code = code_digest([policy], __name__) if folder is not None and terms.propensities else ""

    def behaviour(known: Arms) -> LiveBehaviour:
        checked = check_arms(known)
        law = kernel(checked)
        rehearse(policy.name or type(policy).__name__, law, checked)
        return LiveBehaviour(
            law, checked, replace(terms, fingerprint=policy_fingerprint(policy, checked), code=code)
        )

    return LivePolicy(behaviour, arms, folder, guardrails)


def policy_fingerprint(policy: Recipe, arms: Arms) -> str:
    """Return the digest of the policy's settings and of all that it knows of the arms."""
    arrays = digest_bytes(
        [arms.values.tobytes(), repr(arms.contexts.shape).encode(), arms.contexts.tobytes()]
    )
    late = [arms.delay, arms.window] if arms.delay or arms.window else []
    return digest([canonical(policy), list(arms.names), arms.horizon, arms.range, arrays, *late])


def check_arms(arms: Arms) -> Arms:
    """Return the arms with arrays of the right type.

    Raises:
        ConfigError: Names repeat, numbers are missing or not finite.
    """
    values = np.ascontiguousarray(arms.values, np.float64)
    contexts = np.ascontiguousarray(arms.contexts, np.float64)
    if not arms.names:
        raise ConfigError("arms.names: must name one arm or more.")
    repeated = next((name for name in arms.names if arms.names.count(name) > 1), None)
    if repeated is not None:
        raise ConfigError(f"arms.names: must not repeat '{repeated}'.")
    if values.shape != (arms.count,):
        raise ConfigError(
            f"arms.values: must be one for each of the {arms.count} arms, got {values.size}."
        )
    if contexts.ndim != 2 or not len(contexts):
        raise ConfigError("arms.contexts: must have a row for each segment, one or more.")
    for name, numbers in (("values", values), ("contexts", contexts)):
        if not np.isfinite(numbers).all():
            raise ConfigError(
                f"arms.{name}: must be finite, got {numbers[~np.isfinite(numbers)][0]}."
            )
    return replace(arms, values=values, contexts=contexts)


def _check_terms(terms: LiveTerms) -> None:
    for name in ("batch", "snapshot"):
        if getattr(terms, name) < 1:
            raise ConfigError(f"live.{name}: must be >= 1, got {getattr(terms, name)}.")
    if not 0 <= terms.lose <= MOST_LOST_MS:
        raise ConfigError(
            f"live.lose: must be 0 to {MOST_LOST_MS:,} milliseconds, got {terms.lose:g}."
        )
    if terms.ahead is not None and not terms.ahead >= 0:
        raise ConfigError(f"live.ahead: must be >= 0, got {terms.ahead}.")
    if terms.window is not None and not 0 < terms.window < float("inf"):
        raise ConfigError(f"live.window: must be > 0, got {terms.window}.")

"""LivePolicy: a policy in production, one decision at a time, that a crash costs nothing and tells nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from hwds.errors import HwdsError, ResumeError
from hwds.models.bandit.asking import Asked, active_of, asked_of, checked_outcome, checked_time
from hwds.models.bandit.base import Arms
from hwds.models.bandit.deciding import Law, law_of
from hwds.models.bandit.exposures import Answer, Exposure, Exposures
from hwds.models.bandit.journal import Event, Journal
from hwds.models.bandit.kernel import BatchKernel, Kernel, Visit
from hwds.models.bandit.live_log import log_of
from hwds.models.bandit.packing import pack, unpack
from hwds.models.bandit.terms import Decision, Terms


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

    def __init__(self, kernel: Kernel | BatchKernel, arms: Arms, folder: Path | None, terms: Terms) -> None:
        """Begin, or go on from what the folder holds.

        Raises:
            ResumeError: The folder is damaged, in use, or holds another policy.
        """
        self.arms, self.terms = arms, terms
        self._law: Law = law_of(kernel, terms.seed, terms.batch)
        self._open = Exposures()
        self._turn = threading.RLock()
        self._closed = False
        self._journal = Journal(folder, terms.propensities) if folder is not None else None
        if self._journal is not None:
            try:
                self._resume(self._journal)
            except BaseException:
                self._journal.close()
                raise

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
            HwdsError: The journal cannot be written; nothing was decided.
        """
        asked = asked_of(self.arms, context, segment)
        allowed = active_of(self.arms, active)
        with self._turn:
            at = checked_time(at, self._open.clock)
            self._close_before(at)
            self._learn_if_due()
            visit = self._visit(asked, allowed)
            arm = self._law.select(visit)
            event: Event = {"decided": self.decisions, "arm": arm, "segment": asked.segment, "at": at}
            if asked.own:
                event["context"] = asked.context.tolist()
            if self.terms.propensities:
                event["propensity"] = float(self._law.chances(visit, self.terms.draws).values[arm])
            self._happen(event)
            return Decision(self.decisions - 1, self.arms.names[arm], float(self.arms.values[arm]), event.get("propensity"))

    def outcome(self, id: int, converted: bool, at: float | None = None) -> Answer:
        """Tell what came of a decision.

        Args:
            id: The decision's.
            converted: Whether the customer bought.
            at: When it was told; None where only decisions and `expire` move the clock.

        Returns:
            `learned`; or why it was not, which `counts` counts: `repeated` (it was told before), `late` (its window had closed,
            so that it counts as refused), `unknown` (no such decision).

        Raises:
            DataError: An argument is wrong.
            HwdsError: The journal cannot be written; the outcome is not counted, and can be told again.
        """
        checked = checked_outcome(converted)
        with self._turn:
            if at is not None:
                self._close_before(max(checked_time(at, None), self._open.clock))
            known = isinstance(id, int | np.integer) and not isinstance(id, bool)
            told: Answer = self._open.answer(int(id)) if known else "unknown"
            event: Event = {"told": told, "converted": checked} | ({"id": int(id)} if told != "unknown" else {})
            event |= {"at": float(at)} if at is not None else {}
            self._happen(event)
            return told

    def expire(self, before: float) -> int:
        """Close every exposure decided before a time, as a refusal; how many there were."""
        with self._turn:
            before = checked_time(before, None)
            closing = self._open.older(before)
            if closing:
                self._happen({"expired": before})
            return closing

    def chances(
        self,
        context: Sequence[float] | np.ndarray | None = None,
        segment: int | None = None,
        active: Sequence[str] | np.ndarray | None = None,
    ) -> dict[str, float]:
        """The chance of each arm by what was learned so far; of Thompson sampling, the probability that it is the best."""
        asked, allowed = asked_of(self.arms, context, segment), active_of(self.arms, active)
        with self._turn:
            found = self._law.chances(self._visit(asked, allowed), self.terms.draws).values
            return dict(zip(self.arms.names, found.tolist(), strict=True))

    def log(self) -> pl.DataFrame:
        """Every decision and what came of it: what estimates and off-policy evaluation read, see `live_log`.

        Raises:
            HwdsError: It was not kept: that needs a folder, and propensities.
        """
        with self._turn:
            if self._journal is None or not self.terms.propensities:
                raise HwdsError("log: nothing is kept without a folder and propensities=True.")
            return log_of(self._journal.all(), self.arms)

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self._open.decisions

    @property
    def counts(self) -> dict[str, int]:
        """Decisions, `open` ones, conversions, refusals (`expired` among them), and outcomes by what was odd about them."""
        with self._turn:
            return self._open.counts

    @property
    def state(self) -> dict[str, Any]:
        """Everything, as JSON; the policy's own state in it is None where it is none (see `packing`)."""
        with self._turn:
            return {**self.terms.label, "law": self._law.packed(), "exposures": pack(self._open)}

    def save(self) -> None:
        """Write a snapshot now, so that a restart reads no journal; it is also written every `terms.snapshot` events."""
        with self._turn:
            state = self.state
            if self._journal is not None and (state["law"] is not None or not self._journal.number):
                self._journal.replace(state)

    def close(self) -> None:
        """Write a snapshot and let the folder go."""
        with self._turn:
            if self._journal is not None and not self._closed:
                self.save()
                self._journal.close()
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _visit(self, asked: Asked, allowed: np.ndarray) -> Visit:
        return Visit(self.decisions, asked.segment, asked.context, allowed)

    def _close_before(self, at: float) -> None:
        if self.terms.window is not None and self._open.older(at - self.terms.window):
            self._happen({"expired": at - self.terms.window})

    def _happen(self, event: Event) -> None:
        """Bring an event to the disk, then to the state: in this order, for what is on the disk will be learned again."""
        if self._closed:
            raise HwdsError("the policy was closed; begin it again with Policy.live.")
        if self._journal is not None:
            if self._journal.kept and self._journal.kept % self.terms.snapshot == 0:
                self.save()
            self._journal.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        """What an event does: the same now and after a restart."""
        if "decided" in event:
            self._learn_if_due()
            context = event.get("context")
            exposure = Exposure(event["arm"], event["segment"], event["at"], context and tuple(context))
            self._open.open(exposure)
        elif "expired" in event:
            self._open.expire(event["expired"])
        else:
            self._open.close(event["told"], event.get("id"), event["converted"])
        if self.terms.batch == 1:
            self._learn()

    def _learn_if_due(self) -> None:
        if self.decisions % self.terms.batch == 0:
            self._learn()

    def _learn(self) -> None:
        self._law.update(self._open.taken(self.arms))

    def _resume(self, journal: Journal) -> None:
        saved = journal.snapshot()
        if saved is None:
            self.save()
            return
        self.terms.check(saved, journal.folder)
        try:
            if saved["law"] is not None:
                self._law.unpack(saved["law"])
            self._open = unpack(saved["exposures"])
        except (KeyError, ValueError, AttributeError) as error:
            raise ResumeError(f"{journal.folder}: state.json is of another version ({error}).") from error
        for event in journal.events():
            self._apply(event)

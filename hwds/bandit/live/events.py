"""Events of a policy in production, and what each of them does to its state: the same now and when a log is replayed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from hwds.bandit.arms import Arms
from hwds.bandit.live.exposures import Exposure, Exposures
from hwds.bandit.live.policy_state import PolicyState, policy_state_of
from hwds.bandit.live.settings import LiveTerms
from hwds.bandit.models.kernels.base import BatchKernel, Kernel
from hwds.eventlog.entry import Entry

Kind = Literal["decision", "outcome", "expiry", "learning", "control"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: A decision, an outcome that was reported, the closing of all exposures before a time, or the learning of what was
            closed, before a batch begins; or a switch that is turned on or off: `stopped`, or `retired` and the number of
            an arm.
        decision: The number of the decision; -1 of none.
        at: Its time; None of an outcome that came without one.
        content: `arm`, `segment`, and as far as known `context` and `propensity` of a decision; `status` and `converted` of an
            outcome, and `amount` where a conversion's was reported.
        name: The caller's own id of a decision; None where it has none.
    """

    kind: Kind
    decision: int
    at: float | None
    content: dict[str, Any]
    name: str | None = None

    def entry(self) -> Entry:
        """Return the entry of a log; where nobody names it it needs no id, for the state refuses what happens twice."""
        return Entry(self.kind, self.name, self.decision, self.at, _encode(self.content))

    @classmethod
    def of(cls, entry: Entry) -> Self:
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
        return isinstance(self.kernel, Kernel) and self.kernel.amounts and bool((self.arms.values > 0).all())

    def new(self) -> LiveState:
        """Return the state before the first decision."""
        return LiveState(policy_state_of(self.kernel, self.terms.seed, self.terms.batch), Exposures())

    def apply(self, state: LiveState, entry: Entry) -> None:
        """Let an entry happen."""
        self.happen(state, Event.of(entry))

    def happen(self, state: LiveState, event: Event) -> None:
        """Let an event happen."""
        exposures, content = state.exposures, event.content
        if event.kind == "decision":
            assert event.at is not None
            if self.learns_now(state):  # in a log from before learning was an event
                self._learn(state)
            context = content.get("context")
            exposure = Exposure(content["arm"], content["segment"], event.at, context and tuple(context))
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
            exposures.close(content["status"], event.decision, content["converted"], self._worth(state, event))
        if self.terms.batch == 1:
            self._learn(state)

    def _worth(self, state: LiveState, event: Event) -> float:
        """Return what a conversion brought over its arm's value, 1 where that was not reported."""
        amount, exposure = event.content.get("amount"), state.exposures.waiting.get(event.decision)
        return 1.0 if amount is None or exposure is None else float(amount / self.arms.values[exposure.arm])

    def learns_now(self, state: LiveState) -> bool:
        """Return whether the next decision begins a batch, and something was closed that is not learned yet."""
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

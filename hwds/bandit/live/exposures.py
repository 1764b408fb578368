"""Exposures: the decisions whose outcome is not known yet, and what became of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.live.policy_state import Seen
from hwds.bandit.live.validation import INTEGER
from hwds.bandit.models.kernels.base import Visit
from hwds.core.serialization import Serializable

Status = Literal["learned", "repeated", "late", "unknown"]
"""The status of a reported outcome: learned, or why it is not."""


@dataclass(frozen=True, slots=True)
class Exposure(Serializable):
    """A decision that waits for its outcome; a context of its own, where it was not its segment's."""

    arm: int
    segment: int
    at: float
    context: tuple[float, ...] | None = None

    def visit(self, decision: int, arms: Arms) -> Visit:
        """Return the customer with all arms on offer: which of them were is not stored, as nothing learns from it."""
        context = np.array(self.context) if self.context else arms.contexts[self.segment]
        return Visit(decision, self.segment, context, arms.all_active, self.at)


@dataclass(slots=True)
class Exposures(Serializable):
    """The record of all decisions: they are numbered, so that one bit each remembers for ever that its outcome was reported.

    Attributes:
        decisions: So far.
        clock: The time of the last decision.
        last: The highest decision that was answered.
        waiting: Exposures by decision, in their order.
        closed: What the policy has not learned yet: decision, exposure, outcome.
        answered: A bit for each decision whose outcome was reported, eight a number.
        tally: What happened how often.
    """

    decisions: int = 0
    clock: float = float("-inf")
    last: int = -1
    waiting: dict[int, Exposure] = field(default_factory=dict)
    closed: list[tuple[int, Exposure, float]] = field(default_factory=list)
    answered: bytearray = field(default_factory=lambda: bytearray(1024))
    tally: dict[str, int] = field(default_factory=dict)

    def open(self, exposure: Exposure) -> None:
        """Add a decision."""
        self.waiting[self.decisions] = exposure
        self.decisions += 1
        self._count(f"shown {exposure.arm}")
        self.clock = max(self.clock, exposure.at)
        if self.decisions > 8 * len(self.answered):
            self.answered.extend(bytes(len(self.answered)))

    def shown(self, arms: int) -> np.ndarray:
        """Return how many customers each arm was offered to, shape (arms,)."""
        return np.array([self.tally.get(f"shown {arm}", 0) for arm in range(arms)], float)

    def turn(self, switch: str, *, on: bool) -> None:
        """Turn a switch: `stopped`, or `retired` and an arm's number."""
        self.tally[switch] = int(on)

    def is_on(self, switch: str) -> bool:
        """Return whether a switch is on."""
        return bool(self.tally.get(switch, 0))

    def status(self, decision: Any) -> Status:
        """Return what an outcome of a decision would be now; whatever is no whole number is unknown."""
        if isinstance(decision, bool) or not isinstance(decision, INTEGER) or not 0 <= decision < self.decisions:
            return "unknown"
        if decision in self.waiting:
            return "learned"
        return "repeated" if self.answered[decision // 8] >> (decision % 8) & 1 else "late"

    def close(self, status: Status, decision: int, converted: bool, worth: float = 1.0) -> None:
        """Count an outcome, and keep it to be learned where it closes an exposure.

        Args:
            status: What the outcome is.
            decision: The number of the decision.
            converted: Whether the customer bought.
            worth: What a conversion brought over the arm's value.
        """
        if status != "learned":
            self._count(status)
            return
        self.closed.append((decision, self.waiting.pop(decision), worth if converted else 0.0))
        self.answered[decision // 8] |= 1 << decision % 8
        self._count("conversions" if converted else "refusals")
        if decision < self.last:
            self._count("out_of_order")
        self.last = max(self.last, decision)

    def older(self, before: float) -> int:
        """Return how many of the oldest were decided before a time; times never go back."""
        count = 0
        for exposure in self.waiting.values():
            if exposure.at >= before:
                break
            count += 1
        return count

    def expire(self, before: float) -> None:
        """Close the exposures as refusals."""
        for decision in list(self.waiting)[: self.older(before)]:
            self.closed.append((decision, self.waiting.pop(decision), 0.0))
            self._count("refusals")
            self._count("expired")

    def taken(self, arms: Arms) -> list[Seen]:
        """Return what is to be learned, in the order in which it was closed; it is returned once."""
        taken, self.closed = self.closed, []
        return [Seen(exposure.visit(decision, arms), exposure.arm, outcome) for decision, exposure, outcome in taken]

    @property
    def counts(self) -> dict[str, int]:
        """Return the count of each kind of event, zeros included."""
        names = ("conversions", "refusals", "expired", "out_of_order", "repeated", "late", "unknown")
        return {"decisions": self.decisions, "open": len(self.waiting)} | {name: self.tally.get(name, 0) for name in names}

    def _count(self, name: str) -> None:
        self.tally[name] = self.tally.get(name, 0) + 1

"""Exposures: the decisions whose outcome is not known yet, and what was told of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hwds.models.bandit.base import Arms
from hwds.models.bandit.deciding import Seen
from hwds.models.bandit.kernel import Visit

Answer = Literal["learned", "repeated", "late", "unknown"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """A decision that waits for its outcome; a context of its own, where it was not its segment's."""

    arm: int
    segment: int
    at: float
    context: tuple[float, ...] | None = None

    def seen(self, arms: Arms) -> np.ndarray:
        """What was seen of the customer, shape (D,)."""
        return np.array(self.context) if self.context else arms.contexts[self.segment]

    def offered(self, arms: Arms) -> np.ndarray:
        """All arms, shape (K,): which of them were on offer is not kept, as nothing learns from it."""
        return np.ones(arms.count, bool)


@dataclass(slots=True)
class Exposures:
    """Decisions are numbered, so that one bit each tells for ever whether an outcome is told twice.

    Attributes:
        decisions: So far.
        clock: The time of the last decision.
        last: The highest decision that was answered.
        waiting: Exposures by decision, in their order.
        closed: What the policy has not learned yet: decision, exposure, outcome.
        answered: A bit for each decision whose outcome was told, eight a number.
        tally: What happened how often.
    """

    decisions: int = 0
    clock: float = float("-inf")
    last: int = -1
    waiting: dict[int, Exposure] = field(default_factory=dict)
    closed: list[tuple[int, Exposure, float]] = field(default_factory=list)
    answered: np.ndarray = field(default_factory=lambda: np.zeros(1024, np.uint8))
    tally: dict[str, int] = field(default_factory=dict)

    def open(self, exposure: Exposure) -> None:
        """One more decision."""
        self.waiting[self.decisions] = exposure
        self.decisions += 1
        self.clock = max(self.clock, exposure.at)
        if self.decisions > 8 * self.answered.size:
            self.answered = np.concatenate([self.answered, np.zeros_like(self.answered)])

    def answer(self, decision: int) -> Answer:
        """What an outcome of a decision is now."""
        if not 0 <= decision < self.decisions:
            return "unknown"
        if decision in self.waiting:
            return "learned"
        return "repeated" if self.answered[decision // 8] >> (decision % 8) & 1 else "late"

    def close(self, told: Answer, decision: int | None, converted: bool) -> None:
        """Count an outcome, and keep it to be learned where it closes an exposure."""
        if told != "learned" or decision is None:
            self._count(told)
            return
        self.closed.append((decision, self.waiting.pop(decision), 1.0 if converted else 0.0))
        self.answered[decision // 8] |= np.uint8(1 << decision % 8)
        self._count("conversions" if converted else "refusals")
        if decision < self.last:
            self._count("out_of_order")
        self.last = max(self.last, decision)

    def older(self, before: float) -> int:
        """How many of the oldest were decided before a time; times never go back, so that the first younger one ends it."""
        count = 0
        for exposure in self.waiting.values():
            if exposure.at >= before:
                break
            count += 1
        return count

    def expire(self, before: float) -> None:
        """Close those as refusals."""
        for decision in list(self.waiting)[: self.older(before)]:
            self.closed.append((decision, self.waiting.pop(decision), 0.0))
            self._count("refusals")
            self._count("expired")

    def taken(self, arms: Arms) -> list[Seen]:
        """What is to be learned, in the order in which it was closed; it is taken once."""
        taken, self.closed = self.closed, []
        return [
            Seen(Visit(decision, held.segment, held.seen(arms), held.offered(arms)), held.arm, outcome)
            for decision, held, outcome in taken
        ]

    @property
    def counts(self) -> dict[str, int]:
        """All of them, zeros too."""
        names = ("conversions", "refusals", "expired", "out_of_order", "repeated", "late", "unknown")
        return {"decisions": self.decisions, "open": len(self.waiting)} | {name: self.tally.get(name, 0) for name in names}

    def _count(self, name: str) -> None:
        self.tally[name] = self.tally.get(name, 0) + 1

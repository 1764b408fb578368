"""The tier of one event as it arrives, by the rule that an alert policy chose last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hwds.core.seeds import stream_key
from hwds.detection.decisions.alerts.terms import BLOCK, PASS, RANDOM, REVIEW, TIERS, AlertTerms

UNIFORMS = 2**32
"""The number of values of a random number of an event."""


class TierOf(NamedTuple):
    """The tier of an event, and the money that it is expected to save beside letting the event pass."""

    tier: str
    expected_gain: float


@dataclass(frozen=True, slots=True)
class AlertTiers:
    """The rule of a run's alert policy for events that arrive one at a time.

    A tier is `block`, `review`, `random_review` or `pass`. `review` is what is worth a review: how many a day there is room for
    is known at its end, and those with the largest expected gain come first. Whether an event is in the random stream follows
    from its id and the seed.

    Attributes:
        terms: Costs and tiers.
        multiplier: Of what a wrong block costs.
        floor: The least expected gain of a review.
        seed: Of the experiment.
        amount: The column of what is at stake.
    """

    terms: AlertTerms
    multiplier: float
    floor: float
    seed: int
    amount: str

    @classmethod
    def chosen(cls, terms: AlertTerms, verdict: Mapping[str, Any] | None, seed: int, amount: str) -> AlertTiers:
        """Return the rule of the last window of a stored verdict, or the formula's own where nothing was decided."""
        choices = (verdict or {}).get("chosen") or [{"multiplier": 1.0, "floor": 0.0}]
        return cls(terms, float(choices[-1]["multiplier"]), float(choices[-1]["floor"]), seed, amount)

    def tier(self, id: str, probability: float | None, stake: float | None) -> TierOf | None:
        """Return the tier of an event; None where its probability or its stake is not known."""
        if probability is None or stake is None:
            return None
        chance, loss = np.array([probability]), np.array([float(stake)])
        blocked = self.terms.blocks(chance, loss, self.multiplier) & ("block" in self.terms.tiers)
        gain = self.terms.gain(chance, loss, blocked, self.multiplier)[0]
        action = BLOCK if blocked[0] else PASS
        if "review" in self.terms.tiers and gain >= self.floor:
            action = REVIEW
        elif action == PASS and "random_review" in self.terms.tiers and self._uniform(id) < self.terms.random_reviews:
            action = RANDOM
        passed, done = (self.terms.cost(np.array([each], np.int8), chance, loss)[0] for each in (PASS, action))
        return TierOf(TIERS.get(action, "pass"), float(passed - done))

    def _uniform(self, id: str) -> float:
        return stream_key(self.seed, "alert policy", "live", id) % UNIFORMS / UNIFORMS

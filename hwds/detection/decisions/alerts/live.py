"""The tier of one event as it arrives, by the rule that an alert policy chose last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    @classmethod
    def stored(cls, stored: Mapping[str, Any] | None) -> AlertTiers | None:
        """Return the rule of a bundle's `decision.json`; None where it has none."""
        if not stored or stored.get("kind") != "alerts":
            return None
        rule = dict(stored["tiers"])
        terms: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in rule["terms"].items()
        }
        return cls(**rule | {"terms": AlertTerms(**terms)})

    def tier(self, id: str, probability: float | None, stake: float | None) -> TierOf | None:
        """Return the tier of an event; None where its probability or its stake is not known."""
        return self.tiers([id], None if probability is None else np.array([probability]), [stake])[0]

    def tiers(self, ids: Sequence[str], probability: np.ndarray | None, stakes: Sequence[float | None]) -> list[TierOf | None]:
        """Return the tiers of several events, each as if it stood alone.

        Args:
            ids: Of the events.
            probability: Of being gray, shape (n,); None where it is not known.
            stakes: At stake, None where it is not known.
        """
        said: list[TierOf | None] = [None] * len(ids)
        known = [place for place, stake in enumerate(stakes) if stake is not None and probability is not None]
        if not known or probability is None:
            return said
        chance, loss = probability[known], np.array([stakes[place] for place in known], float)
        action = self._actions([ids[place] for place in known], chance, loss)
        sides = np.concatenate([np.full(len(known), PASS), action])
        passed, done = self.terms.cost(sides, np.tile(chance, 2), np.tile(loss, 2)).reshape(2, -1)
        for place, each, gain in zip(known, action.tolist(), (passed - done).tolist(), strict=True):
            said[place] = TierOf(TIERS.get(each, "pass"), gain)
        return said

    def _actions(self, ids: Sequence[str], chance: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the codes of the actions, shape (n,)."""
        blocked = self.terms.blocks(chance, loss, self.multiplier) & ("block" in self.terms.tiers)
        action = np.where(blocked, BLOCK, PASS)
        if "review" in self.terms.tiers:
            gain = self.terms.gain(chance, loss, blocked, self.multiplier)
            action = np.where(gain >= self.floor, REVIEW, action)
        if "random_review" in self.terms.tiers:
            for place in np.flatnonzero(action == PASS).tolist():
                if self._uniform(ids[place]) < self.terms.random_reviews:
                    action[place] = RANDOM
        return action

    def _uniform(self, id: str) -> float:
        return stream_key(self.seed, "alert policy", "live", id) % UNIFORMS / UNIFORMS

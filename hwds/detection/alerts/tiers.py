"""Tiers of alerts: the terms of a decision, and the tier of one event as it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.questions import Fields, Json
from hwds.core.seeds import stream_key

# Terms of a decision on alerts: costs, thresholds, and the cost of an action.

Tier = Literal["block", "review", "random_review"]

PASS, REVIEW, RANDOM, BLOCK = range(4)
"""Codes of the actions on a row."""

TIERS: dict[int, Tier] = {BLOCK: "block", REVIEW: "review", RANDOM: "random_review"}
"""The names of actions; a row that is passed has none."""


@dataclass(frozen=True, slots=True)
class AlertTerms:
    """The rule and its rivals; see `AlertPolicy` for the fields. `guarded` is empty where the data
    has no kinds.
    """

    wrong_block: float
    review_cost: float
    review_recall: float
    capacity: int
    random_reviews: float
    tiers: tuple[Tier, ...]
    multipliers: tuple[float, ...]
    floors: tuple[float, ...]
    today: tuple[float, ...]
    z: float
    guarded: tuple[str, ...]
    most_guarded: float
    least_positives: int
    resamples: int

    def block_from(self, loss: ndarray, multiplier: float | ndarray = 1.0) -> ndarray:
        """Return the probability from which a block costs less than to pass: W / (W + loss), W the
        cost of a wrong one.

        p loss >= (1 - p) W (Elkan 2001, "The foundations of cost-sensitive learning"); the
        multiplier is one of W. This is what tables show; rows are blocked by `blocks`, the same
        inequality without the division.
        """
        wrong = multiplier * self.wrong_block
        return wrong / (wrong + loss)

    def review_from(self, loss: ndarray, floor: float) -> ndarray:
        """Return the probability from which a review is expected to gain at least the floor.

        Above 1 where none can.
        """
        with np.errstate(divide="ignore"):
            return (self.review_cost + floor) / (self.review_recall * loss)

    def block_always_from(
        self, loss: ndarray, multiplier: float = 1.0, floor: float = 0.0
    ) -> ndarray:
        """Return the probability from which a block is expected to cost less than a review, too."""
        wrong = multiplier * self.wrong_block
        surely = (wrong - self.review_cost - floor) / (wrong + (1 - self.review_recall) * loss)
        return np.maximum(surely, self.block_from(loss, multiplier))

    def blocks(self, probability: ndarray, loss: ndarray, multiplier: float = 1.0) -> ndarray:
        """Return a mask of the rows that are blocked."""
        return probability * loss >= multiplier * (1 - probability) * self.wrong_block

    def gain(
        self,
        probability: ndarray,
        loss: ndarray,
        blocked: ndarray,
        multiplier: float = 1.0,
    ) -> ndarray:
        """Return the expected saving of a review over the action without it: p x loss x recall -
        cost where that is to pass.

        Args:
            probability: The probability of being gray.
            loss: The money at stake in each row.
            blocked: Mask of the rows that would be blocked.
            multiplier: The multiplier of a wrong block's cost.
        """
        otherwise = np.where(
            blocked, multiplier * (1 - probability) * self.wrong_block, probability * loss
        )
        return otherwise - probability * loss * (1 - self.review_recall) - self.review_cost

    def parts(
        self, action: ndarray, gray: ndarray, loss: ndarray
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Return the missed loss, the wrong blocks and the reviews of each row.

        A review costs what it costs, keeps `review_recall` of the loss of a gray row, and lets an
        honest one pass.

        Args:
            action: The action on each row.
            gray: 1 or 0, or the probability of 1 for what is expected.
            loss: The money at stake in each row.
        """
        looked = (action == REVIEW) | (action == RANDOM)
        saved = np.where(action == BLOCK, 1.0, np.where(looked, self.review_recall, 0.0))
        missed = gray * loss * (1 - saved)
        wrong = np.where(action == BLOCK, (1 - gray) * self.wrong_block, 0.0)
        return missed, wrong, np.where(looked, self.review_cost, 0.0)

    def cost(self, action: ndarray, gray: ndarray, loss: ndarray) -> ndarray:
        """Return the sum of the parts."""
        missed, wrong, reviews = self.parts(action, gray, loss)
        return missed + wrong + reviews


# The tier of one event as it arrives, by the rule that an alert policy chose last.

UNIFORMS = 2**32
"""The number of values of a random number of an event."""


class TierOf(NamedTuple):
    """The tier of an event, and the money that it is expected to save beside letting the event
    pass.
    """

    tier: str
    expected_gain: float


@dataclass(frozen=True, slots=True)
class AlertTiers:
    """The rule of a run's alert policy for events that arrive one at a time.

    A tier is `block`, `review`, `random_review` or `pass`. `review` is what is worth a review: how
    many a day there is room for is known at its end, and those with the largest expected gain come
    first. Whether an event is in the random stream follows from its id and the seed.

    Attributes:
        terms: Costs and tiers.
        multiplier: The multiplier of the cost of a wrong block.
        floor: The least expected gain of a review.
        seed: The seed of the experiment.
        amount: The column of what is at stake.
    """

    terms: AlertTerms
    multiplier: float
    floor: float
    seed: int
    amount: str

    @classmethod
    def chosen(
        cls, terms: AlertTerms, verdict: Fields | None, seed: int, amount: str
    ) -> AlertTiers:
        """Return the rule of the last window of a stored verdict, or the formula's own where
        nothing was decided.
        """
        choices = (verdict or {}).get("chosen") or [{"multiplier": 1.0, "floor": 0.0}]
        return cls(
            terms, float(choices[-1]["multiplier"]), float(choices[-1]["floor"]), seed, amount
        )

    @classmethod
    def stored(cls, stored: Fields | None) -> AlertTiers | None:
        """Return the rule of a bundle's `decision.json`; None where it has none."""
        if not stored or stored.get("kind") != "alerts":
            return None
        rule = dict(stored["tiers"])
        terms: Json = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in rule["terms"].items()
        }
        return cls(**rule | {"terms": AlertTerms(**terms)})

    def as_dict(self) -> Json:
        """Return the rule as a bundle's `decision.json` has it."""
        return {"kind": "alerts", "tiers": asdict(self)}

    def tiers(
        self, ids: Sequence[str], probability: ndarray | None, stakes: Sequence[float | None]
    ) -> list[TierOf | None]:
        """Return the tiers of several events, each as if it stood alone.

        Args:
            ids: The ids of the events.
            probability: The probability of being gray, shape (n,); None where it is not known.
            stakes: The money at stake in each event, None where it is not known.
        """
        answers: list[TierOf | None] = [None] * len(ids)
        known = [
            place
            for place, stake in enumerate(stakes)
            if stake is not None and probability is not None
        ]
        if not known or probability is None:
            return answers
        chance, loss = probability[known], np.array([stakes[place] for place in known], float)
        action = self._actions([ids[place] for place in known], chance, loss)
        sides = np.concatenate([np.full(len(known), PASS), action])
        passed, done = self.terms.cost(sides, np.tile(chance, 2), np.tile(loss, 2)).reshape(2, -1)
        for place, each, gain in zip(known, action.tolist(), (passed - done).tolist(), strict=True):
            answers[place] = TierOf(TIERS.get(each, "pass"), gain)
        return answers

    def _actions(self, ids: Sequence[str], chance: ndarray, loss: ndarray) -> ndarray:
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

"""Terms of a decision on alerts: costs, thresholds, and the cost of an action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Tier = Literal["block", "review", "random_review"]

PASS, REVIEW, RANDOM, BLOCK = range(4)
"""Codes of the actions on a row."""

TIERS: dict[int, Tier] = {BLOCK: "block", REVIEW: "review", RANDOM: "random_review"}
"""The names of actions; a row that is passed has none."""


@dataclass(frozen=True, slots=True)
class AlertTerms:
    """The rule and its rivals; see `AlertPolicy` for the fields. `guarded` is empty where the data has no kinds."""

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

    def block_from(self, loss: np.ndarray, multiplier: float | np.ndarray = 1.0) -> np.ndarray:
        """Return the probability from which a block costs less than to pass: W / (W + loss), W the cost of a wrong one.

        p loss >= (1 - p) W (Elkan 2001, "The foundations of cost-sensitive learning"); the multiplier is one of W. This is what
        tables show; rows are blocked by `blocks`, the same inequality without the division.
        """
        wrong = multiplier * self.wrong_block
        return wrong / (wrong + loss)

    def review_from(self, loss: np.ndarray, floor: float = 0.0) -> np.ndarray:
        """Return the probability from which a review is expected to gain at least the floor; above 1 where none can."""
        with np.errstate(divide="ignore"):
            return (self.review_cost + floor) / (self.review_recall * loss)

    def block_always_from(self, loss: np.ndarray, multiplier: float = 1.0, floor: float = 0.0) -> np.ndarray:
        """Return the probability from which a block is expected to cost less than a review, too."""
        wrong = multiplier * self.wrong_block
        surely = (wrong - self.review_cost - floor) / (wrong + (1 - self.review_recall) * loss)
        return np.maximum(surely, self.block_from(loss, multiplier))

    def blocks(self, probability: np.ndarray, loss: np.ndarray, multiplier: float = 1.0) -> np.ndarray:
        """Return a mask of the rows that are blocked."""
        return probability * loss >= multiplier * (1 - probability) * self.wrong_block

    def gain(self, probability: np.ndarray, loss: np.ndarray, blocked: np.ndarray, multiplier: float = 1.0) -> np.ndarray:
        """Return the expected saving of a review over the action without it: p x loss x recall - cost where that is to pass.

        Args:
            probability: Of being gray.
            loss: At stake.
            blocked: Mask of the rows that would be blocked.
            multiplier: Of a wrong block's cost.
        """
        otherwise = np.where(blocked, multiplier * (1 - probability) * self.wrong_block, probability * loss)
        return otherwise - probability * loss * (1 - self.review_recall) - self.review_cost

    def parts(self, action: np.ndarray, gray: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the missed loss, the wrong blocks and the reviews of each row.

        A review costs what it costs, keeps `review_recall` of the loss of a gray row, and lets an honest one pass.

        Args:
            action: What is done.
            gray: 1 or 0, or the probability of 1 for what is expected.
            loss: At stake.
        """
        looked = (action == REVIEW) | (action == RANDOM)
        saved = np.where(action == BLOCK, 1.0, np.where(looked, self.review_recall, 0.0))
        missed = gray * loss * (1 - saved)
        wrong = np.where(action == BLOCK, (1 - gray) * self.wrong_block, 0.0)
        return missed, wrong, np.where(looked, self.review_cost, 0.0)

    def cost(self, action: np.ndarray, gray: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the sum of the parts."""
        missed, wrong, reviews = self.parts(action, gray, loss)
        return missed + wrong + reviews

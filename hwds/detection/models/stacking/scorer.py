"""The fitted stack of classifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwds.core.serialization import Serializable
from hwds.detection.models.calibration.calibrators import Calibrator
from hwds.detection.models.classify.base import Contributions
from hwds.frames.base import RowReader

NEAR = 1e-9
"""Scores that are nearer than this are at one place of a curve."""


@dataclass(frozen=True, eq=False)
class Member(Serializable):
    """A scorer, and the map from its scores to log odds.

    Attributes:
        scorer: Orders rows.
        scale: From scores to log odds.
    """

    scorer: Any
    scale: Calibrator

    def odds(self, rows: RowReader) -> np.ndarray:
        """Return log odds, shape (n,)."""
        return self.scale.odds(self.scorer.score(rows))

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input to the log odds.

        Where these are no line in the score, its inputs' parts are stretched alike, so that they add up (the rescale rule of
        Shrikumar, Greenside and Kundaje 2017).
        """
        raw: Contributions = self.scorer.explain(rows)
        score = raw.base + raw.values.sum(axis=1)
        base, nearby = self.scale.odds(np.array([raw.base, raw.base + NEAR]))
        far = np.abs(score - raw.base) > NEAR
        moved = np.where(far, score - raw.base, NEAR)
        stretch = np.where(far, self.scale.odds(score) - base, nearby - base) / moved
        return replace(raw, base=float(base), values=raw.values * stretch[:, None])


@dataclass(frozen=True, eq=False)
class StackScorer(Serializable):
    """Members and their weights.

    Attributes:
        members: In the order of the weights.
        weights: At least 0, of sum 1.
        shift: Added to the weighted sum.
    """

    members: tuple[Member, ...]
    weights: np.ndarray
    shift: float

    def score(self, rows: RowReader) -> np.ndarray:
        """Return the weighted sum of log odds."""
        total = np.full(rows.height, self.shift)
        for member, weight in self._weighted_members():
            total = total + weight * member.odds(rows)
        return total

    def explain(self, rows: RowReader) -> Contributions:
        """Return the weighted sum of the contributions of the members' inputs, by the name of the input."""
        base, parts, records = self.shift, dict[str, np.ndarray](), dict[str, str]()
        for member, weight in self._weighted_members():
            contributions = member.explain(rows)
            base += weight * contributions.base
            records |= contributions.records
            for name, values in zip(contributions.names, contributions.values.T, strict=True):
                parts[name] = parts.get(name, 0.0) + weight * values
        values = np.column_stack(list(parts.values())) if parts else np.zeros((rows.height, 0))
        return Contributions(tuple(parts), base, values, records)

    def _weighted_members(self) -> list[tuple[Member, float]]:
        """Return the members of a positive weight."""
        return [pair for pair in zip(self.members, self.weights.tolist(), strict=True) if pair[1] > 0]

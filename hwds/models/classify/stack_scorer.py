"""What a stack of classifiers learned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from hwds.frames.table import Table
from hwds.models.classify.base import Contributions
from hwds.models.classify.calibration import Calibrator
from hwds.stored import load_fitted, save_fitted

NEAR = 1e-9
"""Scores that are nearer than this are at one place of a curve."""


@dataclass(frozen=True, eq=False)
class Member:
    """A scorer, and what makes log odds of its scores.

    Attributes:
        scorer: Orders rows.
        scale: From scores to log odds.
    """

    scorer: Any
    scale: Calibrator

    def odds(self, rows: Table) -> np.ndarray:
        """Log odds, shape (n,)."""
        return self.scale.odds(self.scorer.score(rows))

    def explain(self, rows: Table) -> Contributions:
        """What each input adds to the log odds.

        Where these are no line in the score, its inputs' parts are stretched alike, so that they add up (the rescale rule of
        Shrikumar, Greenside and Kundaje 2017).
        """
        own: Contributions = self.scorer.explain(rows)
        score = own.base + own.values.sum(axis=1)
        base, nearby = self.scale.odds(np.array([own.base, own.base + NEAR]))
        far = np.abs(score - own.base) > NEAR
        moved = np.where(far, score - own.base, NEAR)
        stretch = np.where(far, self.scale.odds(score) - base, nearby - base) / moved
        return Contributions(own.names, float(base), own.values * stretch[:, None])


@dataclass(frozen=True, eq=False)
class StackScorer:
    """Members and their weights.

    Attributes:
        members: In the order of the weights.
        weights: At least 0, of sum 1.
        shift: Added to the weighted sum.
    """

    members: tuple[Member, ...]
    weights: np.ndarray
    shift: float

    def score(self, rows: Table) -> np.ndarray:
        """The weighted sum of log odds."""
        total = np.full(rows.height, self.shift)
        for member, weight in self._asked():
            total = total + weight * member.odds(rows)
        return total

    def explain(self, rows: Table) -> Contributions:
        """The weighted sum of what the members' inputs add, by the name of the input."""
        base, found = self.shift, dict[str, np.ndarray]()
        for member, weight in self._asked():
            own = member.explain(rows)
            base += weight * own.base
            for name, values in zip(own.names, own.values.T, strict=True):
                found[name] = found.get(name, 0.0) + weight * values
        values = np.column_stack(list(found.values())) if found else np.zeros((rows.height, 0))
        return Contributions(tuple(found), base, values)

    def _asked(self) -> list[tuple[Member, float]]:
        """Members that weigh something."""
        return [pair for pair in zip(self.members, self.weights.tolist(), strict=True) if pair[1] > 0]

    def save(self, folder: Path) -> None:
        """Each member in a folder of its own."""
        for number, member in enumerate(self.members):
            save_fitted(member.scorer, folder / f"member-{number}")
            save_fitted(member.scale, folder / f"scale-{number}")
        (folder / "stack.json").write_text(json.dumps({"weights": self.weights.tolist(), "shift": self.shift}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        told = json.loads((folder / "stack.json").read_text())
        numbers = range(len(told["weights"]))
        members = tuple(Member(load_fitted(folder / f"member-{i}"), load_fitted(folder / f"scale-{i}")) for i in numbers)
        return cls(members, np.array(told["weights"]), told["shift"])

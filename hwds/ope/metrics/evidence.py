"""Evidence: a log and what the target policy would have done, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl


@dataclass(frozen=True, eq=False)
class LogEvidence:
    """The input of an off-policy estimator.

    Attributes:
        reward: What came of each row, shape (n,).
        action: The number of the arm that was logged, shape (n,).
        target: The target policy's probability of each arm in each row, shape (n, arms).
        propensity: With which probability (of a continuous price: density) the log chose, shape (n,); None where unknown.
        predicted: A reward model's expectation of each arm, fitted without the row, shape (n, arms).
        largest_weight: What no weight exceeds, since the log promises a least propensity; None where it promises none.
        price: The logged price, shape (n,).
        target_price: The price of each of the target's choices, shape (n, arms) or (1, arms).
        arms: The arms' names.
        table: The log's columns.
    """

    reward: np.ndarray
    action: np.ndarray
    target: np.ndarray
    propensity: np.ndarray | None = None
    predicted: np.ndarray | None = None
    largest_weight: float | None = None
    price: np.ndarray | None = None
    target_price: np.ndarray | None = None
    arms: tuple[str, ...] = ()
    table: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def target_logged(self) -> np.ndarray:
        """The target policy's probability of the arm that was logged, shape (n,)."""
        return self.target[np.arange(len(self.action)), self.action]

    @property
    def weights(self) -> np.ndarray:
        """Importance weights: the target's probability of the logged arm over the log's own, shape (n,)."""
        assert self.propensity is not None
        return self.target_logged / self.propensity

    @property
    def expected(self) -> np.ndarray:
        """The reward model's expectation of the target policy in each row, shape (n,)."""
        assert self.predicted is not None
        return np.sum(self.target * self.predicted, axis=1)

    @property
    def errors(self) -> np.ndarray:
        """Reward minus what the reward model expected of the logged arm, shape (n,)."""
        assert self.predicted is not None
        return self.reward - self.predicted[np.arange(len(self.action)), self.action]

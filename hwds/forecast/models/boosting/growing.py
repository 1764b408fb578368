"""Growing a booster: as many rounds as do good on rows that it has not seen, then anew on all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from hwds.core.watching.learning import learning_curve
from hwds.forecast.models.windows.rows import TrainingRows
from hwds.learners.boosting.observing import observed

ROBUST = 1.0
"""Errors beyond this, in seasonal changes, pull as much as this."""

FLAT = 0.01
"""The share of the least loss on the last rows within which a later round counts as good: one window is no finer measure."""

EARLY_ROWS = 40_000
"""The most rows of a booster that chooses the rounds at a faster pace: so coarse a choice needs no more."""


class Early(NamedTuple):
    """The booster of the rows before the last horizon.

    Attributes:
        booster: XGBoost's.
        rounds: The rounds of it that forecast the last horizon well.
    """

    booster: Any
    rounds: int

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return what it says after those rounds, shape (rows,)."""
        return np.asarray(self.booster.inplace_predict(inputs, iteration_range=(0, self.rounds)))


@dataclass(frozen=True)
class Growing:
    """The settings of boosting.

    Attributes:
        settings: XGBoost's parameters.
        trees: The most rounds.
        patience: Rounds without a better loss on the last rows after which growing stops; 0 always grows `trees` rounds.
        robust: Whether Huber's loss is learned, instead of XGBoost's own objective.
        pace: How many times as fast the booster learns that chooses the rounds; those of the booster of all rows are then as
            many times as many, the latest of those that are as good as the best.
        turns: The parts of all rows that trees of quantiles learn from by turns; see `Turns`.
    """

    settings: Mapping[str, Any]
    trees: int
    patience: int
    robust: bool = False
    pace: int = 1
    turns: int = 1

    @property
    def smooth(self) -> bool:
        """Whether the absolute loss is smoothed: what is learned is then near the median, and not it."""
        return bool(self.settings["objective"] == "reg:pseudohubererror")

    def grow(self, rows: TrainingRows, last: TrainingRows) -> tuple[bytes, Early | None]:
        """Return the booster of all rows, and that of the rows before the last horizon, which chose the rounds, if any."""
        early = self.early(rows, last)
        return bytes(self.train(self.matrix(rows), self.rounds(early)).save_raw("ubj")), early

    def rounds(self, early: Early | None) -> int:
        """Return the rounds of the booster of all rows."""
        return early.rounds * self.pace if early is not None else self.trees

    def early(self, rows: TrainingRows, last: TrainingRows) -> Early | None:
        """Return the booster of the rows before the last horizon, grown until its forecasts of that horizon got no better."""
        before = self._before(rows)
        if not (self.patience and len(before.target) and len(last.target)):
            return None
        train, losses = self.matrix(before), dict[str, Any]()
        booster = self._hasty().train(train, max(self.trees // self.pace, 1), self.matrix(last, train), losses)
        if self.pace == 1:
            return Early(booster, int(booster.best_iteration) + 1)
        loss = np.array(next(iter(losses["stop"].values())))
        return Early(booster, int(np.flatnonzero(loss <= loss.min() * (1 + FLAT))[-1]) + 1)

    def _before(self, rows: TrainingRows) -> TrainingRows:
        """Return the rows before the last horizon, evenly thinned where they are many."""
        known = np.flatnonzero(~rows.late)
        if self.pace > 1 and len(known) > EARLY_ROWS:
            known = known[np.linspace(0, len(known) - 1, EARLY_ROWS).astype(np.int64)]
        return rows.take(known)

    def _hasty(self) -> Growing:
        if self.pace == 1:
            return self
        settings = dict(self.settings) | {"eta": min(self.settings["eta"] * self.pace, 1.0)}
        return replace(self, settings=settings, patience=max(self.patience // self.pace, 1))

    def train(self, train: Any, rounds: int, stop: Any = None, losses: dict[str, Any] | None = None) -> Any:
        """Grow a booster.

        Args:
            train: The matrix of its rows.
            rounds: The most rounds.
            stop: The matrix of the rows by which growing stops; None grows all rounds.
            losses: Is given the losses of those rows.
        """
        import xgboost

        options: dict[str, Any] = {}
        if stop is not None:
            options = {"evals": [(stop, "stop")], "early_stopping_rounds": self.patience, "verbose_eval": False}
            options["evals_result"] = losses
        if self.robust:
            options |= {"obj": bounded_pull, "custom_metric": absolute_loss}
        curve = learning_curve("booster" if stop is not None else "booster, all rows", "round")
        return xgboost.train(dict(self.settings), train, rounds, **observed(options, train, curve))

    def matrix(self, rows: TrainingRows, like: Any = None) -> Any:
        """Return rows as XGBoost reads them, in the bins of another matrix where one is given."""
        import xgboost

        options = {"max_bin": self.settings["max_bin"], "nthread": self.settings["nthread"]}
        return xgboost.QuantileDMatrix(rows.inputs, rows.target, ref=like, **options)


def bounded_pull(forecast: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of Huber's loss (1964, "Robust estimation of a location parameter") with a constant curvature.

    XGBoost's own objective sets leaves to medians once the tree is grown, which breaks monotone constraints; so do LightGBM's
    and CatBoost's (microsoft/LightGBM#3371, catboost/catboost#1896).
    """
    return np.clip(forecast - data.get_label(), -ROBUST, ROBUST), np.ones_like(forecast)


def absolute_loss(forecast: np.ndarray, data: Any) -> tuple[str, float]:
    """Return the mean absolute loss, for growing to be stopped by."""
    return "mae", float(np.abs(data.get_label() - forecast).mean())

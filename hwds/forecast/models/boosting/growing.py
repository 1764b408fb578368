"""Growing a booster: as many rounds as do good on rows that it has not seen, then anew on all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.watching.learning import learning_curve
from hwds.forecast.models.windows.rows import TrainingRows
from hwds.learners.boosting.observing import observed

STEEPNESS = 2.0
"""The pull of a plain pinball step, in 1 / seasonal change: 1 over the usual density of what the seasonal naive misses."""


@dataclass(frozen=True)
class Growing:
    """The settings of boosting.

    Attributes:
        settings: XGBoost's parameters.
        trees: The most rounds.
        patience: Rounds without a better loss on the last rows after which growing stops; 0 always grows `trees` rounds.
        plain: Levels to learn by plain steps down the pinball loss; empty where XGBoost's own objective is used.
    """

    settings: Mapping[str, Any]
    trees: int
    patience: int
    plain: tuple[float, ...] = ()

    def grow(self, rows: TrainingRows, last: TrainingRows) -> tuple[bytes, Any]:
        """Return the booster of all rows, and that of the rows before the last horizon, which chose the rounds, if any."""
        early = self._early(rows, last)
        rounds = int(early.best_iteration) + 1 if early is not None else self.trees
        return bytes(self._train(self._matrix(rows), rounds).save_raw("ubj")), early

    def _early(self, rows: TrainingRows, last: TrainingRows) -> Any:
        """Return the booster of the rows before the last horizon, grown until its forecasts of that horizon got no better."""
        before = rows.take(~rows.late)
        if not (self.patience and len(before.target) and len(last.target)):
            return None
        train = self._matrix(before)
        return self._train(train, self.trees, self._matrix(last, train))

    def _train(self, train: Any, rounds: int, stop: Any = None) -> Any:
        import xgboost

        options: dict[str, Any] = {}
        if stop is not None:
            options = {"evals": [(stop, "stop")], "early_stopping_rounds": self.patience, "verbose_eval": False}
        if self.plain:
            options |= {"obj": plain_pinball(self.plain), "custom_metric": pinball_metric(self.plain)}
        curve = learning_curve("booster" if stop is not None else "booster, all rows", "round")
        return xgboost.train(dict(self.settings), train, rounds, **observed(options, train, curve))

    def _matrix(self, rows: TrainingRows, like: Any = None) -> Any:
        import xgboost

        target = np.repeat(rows.target[:, None], len(self.plain), 1) if self.plain else rows.target
        options = {"max_bin": self.settings["max_bin"], "nthread": self.settings["nthread"]}
        return (
            xgboost.QuantileDMatrix(rows.inputs, target, **options)
            if like is None
            else xgboost.QuantileDMatrix(rows.inputs, target, ref=like, **options)
        )


def plain_pinball(levels: tuple[float, ...]) -> Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray]]:
    """Return the gradient of the pinball loss with a constant curvature.

    XGBoost's own quantile objective sets leaves to quantiles once the tree is grown, which breaks monotone constraints; so do
    LightGBM's and CatBoost's (microsoft/LightGBM#3371, catboost/catboost#1896).
    """

    def objective(forecast: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        target = data.get_label().reshape(len(forecast), -1)
        gradient = STEEPNESS * ((forecast.reshape(target.shape) > target) - np.array(levels))
        return gradient.astype(np.float32), np.ones_like(target)

    return objective


def pinball_metric(levels: tuple[float, ...]) -> Callable[[np.ndarray, Any], tuple[str, float]]:
    """Return the mean pinball loss over the levels, for growing to be stopped by."""

    def metric(forecast: np.ndarray, data: Any) -> tuple[str, float]:
        target = data.get_label().reshape(len(forecast), -1)
        error = target - forecast.reshape(target.shape)
        return "pinball", float(np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error).mean())

    return metric

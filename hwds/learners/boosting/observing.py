"""Observing a booster that grows: its losses by round, where a run asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.core.watching.learning import LearningCurve


def observed(options: Mapping[str, Any], train: Any, curve: LearningCurve) -> dict[str, Any]:
    """Return options of `xgboost.train` by which each round is reported; as they are where nobody asks.

    The rows that stop the growing stay the last that are evaluated, so that they go on deciding it; no tree depends on this.

    Args:
        options: With `evals`, of which the last is reported as the validation, and `callbacks` where there are some.
        train: The matrix that is learned from.
        curve: Where the losses go.
    """
    if not curve.wanted:
        return dict(options)
    from xgboost.callback import TrainingCallback

    class Reporting(TrainingCallback):
        """Reports the last metric of the rows that are learned from, and of those that are not."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Report a round; growing goes on."""
            losses = {rows: float(list(metrics.values())[-1][-1]) for rows, metrics in evals_log.items()}
            own = losses.pop("train")
            curve.report(epoch + 1, own, next(iter(losses.values()), None))
            return False

    evals = [(train, "train"), *options.get("evals", ())]
    return {**options, "evals": evals, "callbacks": [*options.get("callbacks", ()), Reporting()], "verbose_eval": False}

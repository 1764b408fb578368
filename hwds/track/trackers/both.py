"""Both trackers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwds.track.trackers.base import Tracker
from hwds.track.trackers.mlflow import Mlflow
from hwds.track.trackers.wandb import Wandb


class Both(Tracker):
    """W&B and MLflow; where one of them fails the other goes on.

    Attributes:
        wandb: The settings of W&B.
        mlflow: The settings of MLflow.
    """

    wandb: Wandb = Wandb()
    mlflow: Mlflow = Mlflow()

    def parts(self) -> tuple[Tracker, ...]:
        """Return each tracker, with the group of both where it has none of its own, and all metrics
        where both have them.
        """
        named = {"wandb": self.wandb, "mlflow": self.mlflow}
        return tuple(self._part(part, {"name": name}) for name, part in named.items())

    def _part(self, part: Tracker, named: Mapping[str, Any]) -> Tracker:
        """Return a tracker with its name, and with the group and the metrics of both."""
        metrics = "all" if self.metrics == "all" else part.metrics
        return replace(part, **named, group=part.group or self.group, metrics=metrics)

"""Both trackers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwds.track.trackers.base import Tracker
from hwds.track.trackers.mlflow import Mlflow
from hwds.track.trackers.wandb import Wandb


class Both(Tracker):
    """Mirror in W&B and MLflow; if one of them fails, the other goes on.

    Attributes:
        wandb: The settings of W&B.
        mlflow: The settings of MLflow.
    """

    imports = ("mlflow", "wandb")
    wandb: Wandb = Wandb()
    mlflow: Mlflow = Mlflow()

    def parts(self) -> tuple[Tracker, ...]:
        """Return each tracker, with the group of both where it has none of its own, and all metrics
        where both have them.
        """
        both: dict[str, Tracker] = {"wandb": self.wandb, "mlflow": self.mlflow}
        every: dict[str, Any] = {"metrics": "all"} if self.metrics == "all" else {}
        return tuple(
            replace(part, group=part.group or self.group, **every | {"name": name})
            for name, part in both.items()
        )

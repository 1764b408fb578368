"""Both trackers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwds.tracking.trackers.base import Tracker
from hwds.tracking.trackers.mlflow import Mlflow
from hwds.tracking.trackers.wandb import Wandb


class Both(Tracker):
    """W&B and MLflow; where one of them fails the other goes on.

    Attributes:
        wandb: The settings of W&B.
        mlflow: The settings of MLflow.
    """

    wandb: Wandb = Wandb()
    mlflow: Mlflow = Mlflow()

    def parts(self) -> tuple[Tracker, ...]:
        """Return each tracker, with the group of both where it has none of its own."""
        named = {"wandb": self.wandb, "mlflow": self.mlflow}
        every = self.metrics == "all"
        changes: dict[str, dict[str, Any]] = {
            name: {"name": name, "group": part.group or self.group} for name, part in named.items()
        }
        parts = (replace(part, **changes[name]) for name, part in named.items())
        return tuple(replace(part, metrics="all") if every else part for part in parts)

"""Both trackers."""

from __future__ import annotations

from dataclasses import replace

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
        changes = {name: {"name": name, "group": part.group or self.group} for name, part in named.items()}
        return tuple(replace(part, **changes[name]) for name, part in named.items())

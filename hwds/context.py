"""Context: what a model knows besides the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from hwds.frames.features import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles
from hwds.seeds import stream, stream_key

Device = Literal["auto", "cpu", "gpu"]


class Features(Protocol):
    """A feature set as a model sees it."""

    def columns(self, roles: PanelRoles, horizon: int) -> Plan:
        """The features it computes for a panel with these roles, or a refusal."""

    def compute(self, panel: Panel) -> Panel:
        """The panel with the columns of the plan added; rows after the history have a null target."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is handed to a model with the data. No stream is named by the model, so rivals meet the same luck.

    Attributes:
        seed: The experiment's seed.
        fold: The name of the fold: what it may know (`2023-12-01`), so that adding folds changes no stream.
        levels: The quantile levels asked for, rising.
        season: Rows in a season.
        horizon: Steps to forecast.
        features: The feature set, for models that use one.
        cpus: Threads that the model may use.
        device: Where Keras and XGBoost compute.
    """

    seed: int
    fold: str = ""
    levels: tuple[float, ...] = ()
    season: int = 1
    horizon: int = 1
    features: Features | None = None
    cpus: int = 1
    device: Device = "cpu"

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """The generator of one purpose in this fold."""
        return stream(self.seed, self.fold, *purpose)

    def seed_for(self, *purpose: str | int) -> int:
        """A seed below 2**31 for a library that wants a number."""
        return stream_key(self.seed, self.fold, *purpose) % 2**31

"""VolumeDecision: the part that decisions by the joint law of forecasts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from polars import DataFrame

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.decisions.base import Decision, VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.results.tables import Tables, Verdict
from hwds.supply.volumes import Deals, DealWindows, VolumeTerms, When, deal_windows


@dataclass(frozen=True, eq=False)
class RunForecasts:
    """The forecasts of a run that volumes are decided from.

    Attributes:
        tables: The result tables of the run.
        frame: The data of the run.
        model: The label of the experiment's own model.
        protocol: The protocol that wrote the tables.
        coming: The forecasts of the steps after the data; None to decide on the back-test.
    """

    tables: Tables
    frame: Panel
    model: str
    protocol: VolumeEvidence
    coming: DataFrame | None

    @property
    def when(self) -> When:
        """Whether the decision is on the back-test or on the steps after the data."""
        return "back-test" if self.coming is None else "future"

    def of(self, model: str) -> DataFrame:
        """Return the forecasts of a model in the back-test."""
        rows = self.tables.predictions
        return rows.filter(model=model) if rows.width else rows

    def windows(
        self,
        rows: DataFrame,
        deal: Sequence[str],
        steps: tuple[int, int] | None = None,
        *,
        paths: bool,
    ) -> DealWindows:
        """Return the windows of the forecasts of a model; see `deal_windows`.

        Args:
            rows: The forecasts.
            deal: The columns whose values make a deal.
            steps: The first and the last step of a deal; None for all that are forecast.
            paths: Whether to take sample paths.
        """
        steps = steps or self.protocol.volume_steps(self.frame)
        evidence = self.protocol.volume_evidence(rows, self.frame)
        return deal_windows(evidence, self.frame, steps, deal, paths=paths)

    def deals(self, windows: DealWindows, past: DealWindows, terms: VolumeTerms) -> Deals:
        """Return the sums of windows, coupled by the errors of past windows."""
        seed = int(self.tables.scores["seed"][0])
        return Deals(windows, past, terms, seed, calibrated=self.protocol.calibrated)


class VolumeDecision(Decision):
    """A decision on volumes: by one method on the back-test and on the steps after the data."""

    tasks = ("forecast",)
    foresees = True

    def decide(
        self, tables: Tables, frame: Panel, model: str, protocol: Evaluation[Any, Any]
    ) -> Verdict | None:
        """Return the verdict on the last cutoff of the back-test.

        See `Decision.decide`. None where the model has no forecast.
        """
        assert isinstance(protocol, VolumeEvidence)
        return self.decide_volumes(RunForecasts(tables, frame, model, protocol, None))

    def foresee(
        self,
        forecasts: DataFrame,
        tables: Tables,
        frame: Panel,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> Verdict | None:
        """Return the verdict on the steps to come, by the record of the back-test.

        See `Decision.foresee`.
        """
        assert isinstance(protocol, VolumeEvidence)
        run = RunForecasts(tables, frame, model, protocol, forecasts)
        return None if forecasts.is_empty() else self.decide_volumes(run)

    def decide_volumes(self, run: RunForecasts) -> Verdict | None:
        """Return the verdict; None where the model has no forecast."""
        raise NotImplementedError(f"{type(self).__name__}.decide_volumes")


def check_rising_levels(committed: float, base: float, upside: float) -> None:
    """Refuse levels of volumes that do not rise.

    Raises:
        ConfigError: The base does not lie between the others.
    """
    if not committed < base < upside:
        raise ConfigError(
            f"decision.base: must lie between committed and upside, got {committed:g}, {base:g}, "
            f"{upside:g}."
        )


def check_deal_columns(frame: Panel, columns: Iterable[tuple[str, str]]) -> None:
    """Refuse columns that are neither static nor levels of the data.

    Args:
        frame: The data.
        columns: The setting that names each column, and its name.

    Raises:
        ConfigError: With the nearest name.
    """
    known = (*frame.roles.static, *frame.roles.level)
    for setting, column in columns:
        if column not in known:
            raise ConfigError(
                f"decision.{setting}: no static or level column '{column}'{nearest(column, known)}"
            )


def least_demand(frame: Panel) -> float:
    """Return the least demand in the data; infinite without any."""
    return float(np.nanmin(frame.target, initial=np.inf))


def check_positive_demand(decision: str, frame: Panel) -> None:
    """Refuse demand below 0.

    Raises:
        ConfigError: With the least demand.
    """
    least = least_demand(frame)
    if least < 0:
        raise ConfigError(f"dataset: demand must be >= 0 for decision '{decision}', got {least:g}.")

"""VolumeBands: how much to commit to, for the sum of the months of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from annotated_types import Len

from hwds.core.errors import ConfigError
from hwds.core.recipe import Amount, Draws, Level, Names, Positive, PositiveInt, Small, Steps
from hwds.evaluation.decisions.base import VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.supply.decisions.base import (
    RunForecasts,
    VolumeDecision,
    check_deal_columns,
    check_rising_levels,
    least_demand,
)
from hwds.supply.volume_bands import VolumeVerdict, volume_verdict
from hwds.supply.volumes import DealWindows, VolumeTerms, has_paths

Months = Annotated[tuple[Steps, ...], Len(2, 2)]


class VolumeBands(VolumeDecision):
    """The volume of a deal to commit to, to plan with and to be ready for: quantiles of the sum
    over its months.

    A deal is a series, or all series with the same values of some columns, over the steps of one
    cutoff. The quantile of a sum is not the sum of the months' quantiles, which is right only for
    months that move as one. If the run keeps sample paths (`protocol.paths`), their sums are taken.
    If `protocol.intervals` are calibrated, the sums are of draws from the calibrated quantiles in
    the rank order of the paths. Otherwise draws of each month, from its own quantiles, are put in
    the rank order of past error vectors (Schaake shuffle): the actual value minus the median,
    divided by the width between the outermost quantiles, pooled over series, from windows with a
    known outcome at the deal's cutoff. Between its levels a quantile function is a line over the
    normal score of the level, and goes on beyond them with the slope of the two outermost. Series
    of one deal are coupled by windows of one past cutoff. If `protocol.reconcile` makes forecasts
    add up, deals use the dataset's own series.

    COMMIT where the back-test does not show that demand is below the commitment more often than is
    meant; HOLD with the rule that bound otherwise: `no_backtest`, `few_vectors`, `few_deals` or
    `coverage`.

    Attributes:
        committed: The level of the volume to commit to: the share of deals in which demand may be
            below it.
        base: The level of the volume to plan with.
        upside: The level of the volume to be ready for.
        over: The cost of a unit that was committed and not demanded (stock written off,
            take-or-pay).
        under: The cost of a unit that was demanded and not committed (lost margin, expedited
            freight).
        deal: Static or level columns whose values make one deal of several series; empty for each
            series alone.
        months: The first and the last step of a deal; null for all that are scored.
        coupling: `paths` or `errors`; null takes paths where the run has them.
        floor: The lower bound of a month's demand; null where it may be negative.
        draws: The number of draws of each sum that is made of error vectors.
        least_vectors: Past error vectors below which a deal has no bands.
        least_deals: Back-tested deals below which nothing is committed to.

    Example:
        python -m hwds +experiment=volume_commitment decision.deal=[sku] decision.months=[1,6] \
            decision.under=5
    """

    reports: ClassVar[Mapping[str, str]] = {"volume_bands": "hwds.supply.volume_bands:REPORT"}

    committed: Level = 0.1
    base: Level = 0.5
    upside: Level = 0.9
    over: Positive = 1.0
    under: Positive = 3.0
    deal: Names = ()
    months: Months | None = None
    coupling: Literal["paths", "errors"] | None = None
    floor: Amount | None = 0.0
    draws: Annotated[Draws, Small(1000)] = 4000
    least_vectors: Annotated[PositiveInt, Small(4)] = 20
    least_deals: Annotated[PositiveInt, Small(4)] = 20

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse bands that do not rise, steps out of order, and forecasts without quantiles on
        both sides of the median.

        Raises:
            ConfigError: They do not.
        """
        super().check_protocol(protocol)
        assert isinstance(protocol, VolumeEvidence)
        check_rising_levels(self.committed, self.base, self.upside)
        if self.months is not None and self.months[0] > self.months[1]:
            raise ConfigError(
                f"decision.months: must be the first and the last step, got {list(self.months)}."
            )
        protocol.check_volumes(self.name, paths=self.coupling == "paths")

    def check_data(self, frame: Panel, protocol: Evaluation[Any, Any]) -> None:
        """Refuse missing deal columns, steps that are not forecast, and data below the floor.

        Raises:
            ConfigError: With the nearest column.
        """
        assert isinstance(protocol, VolumeEvidence)
        check_deal_columns(frame, (("deal", each) for each in self.deal))
        first, last = protocol.volume_steps(frame)
        if self.months is not None and not first <= self.months[0] <= self.months[1] <= last:
            raise ConfigError(
                f"decision.months: must lie within the steps {first} to {last}, got "
                f"{list(self.months)}."
            )
        least = least_demand(frame)
        if self.floor is not None and least < self.floor:
            raise ConfigError(
                f"decision.floor: is {self.floor:g}, but the data goes down to {least:g}; set it "
                f"to null."
            )
        protocol.check_volume_data(frame)

    def decide_volumes(self, run: RunForecasts) -> VolumeVerdict | None:
        """Return the verdict on the deals of the back-test, or of the months to come.

        See `VolumeDecision.decide_volumes`.
        """
        forecasts = run.of(run.model)
        if forecasts.is_empty():
            return None
        terms, past = self._terms(), self._windows(forecasts, run)
        windows = past if run.coming is None else self._windows(run.coming, run)
        tested = run.deals(past, past, terms).table()
        deals = tested if windows is past else run.deals(windows, past, terms).table()
        return volume_verdict(
            self.name,
            deals,
            tested,
            terms,
            coupling="errors" if windows.paths is None else "paths",
            steps=self._steps(run),
            unit=run.frame.unit,
            when=run.when,
        )

    def _windows(self, rows: pl.DataFrame, run: RunForecasts) -> DealWindows:
        if self.coupling == "paths" and not has_paths(rows):
            raise ConfigError(
                "decision.coupling: is paths, but the model cannot draw sample paths; take errors."
            )
        return run.windows(rows, self.deal, self._steps(run), paths=self.coupling != "errors")

    def _steps(self, run: RunForecasts) -> tuple[int, int]:
        first, last = self.months or run.protocol.volume_steps(run.frame)
        return first, last

    def _terms(self) -> VolumeTerms:
        return VolumeTerms(
            self.committed,
            self.base,
            self.upside,
            self.over,
            self.under,
            self.floor,
            self.draws,
            self.least_vectors,
            self.least_deals,
        )

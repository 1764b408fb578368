"""VolumeBands: how much to commit to, for the sum of the months of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Len

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Amount, Draws, Level, Names, Positive, PositiveInt, Small, Steps
from hwds.evaluation.decisions.base import Decision, VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.results.tables import Tables
from hwds.supply.volume_bands import VolumeVerdict, volume_verdict
from hwds.supply.volumes import (
    Coupling,
    Deals,
    DealWindows,
    VolumeTerms,
    deal_windows,
    has_paths,
)

Months = Annotated[tuple[Steps, ...], Len(2, 2)]


class VolumeBands(Decision):
    """The volume of a deal to commit to, to plan with and to be ready for: quantiles of the sum
    over its months.

    A deal is a series, or all series with the same values of some columns, over the steps of one
    cutoff. The quantile of a sum is not the sum of the months' quantiles, which is right only for
    months that move as one. Where the run keeps sample paths (`protocol.paths`) the sums of these
    are taken; where `protocol.intervals` are calibrated, of draws of the calibrated quantiles in
    the rank order of the paths. Otherwise draws of each month, from its own quantiles, are put in
    the rank order of past error vectors (Schaake shuffle): what happened less the median, over the
    width between the outermost quantiles, pooled over series, of the windows whose outcome was
    known at the deal's cutoff. Between its levels a quantile function is a line over the normal
    score of the level, and goes on beyond them with the slope of the two outermost. Series of one
    deal are coupled by windows of one past cutoff. Where `protocol.reconcile` makes forecasts add
    up, deals are made of the dataset's own series.

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

    tasks: ClassVar[tuple[str, ...]] = ("forecast",)
    reports: ClassVar[Mapping[str, str]] = {"volume_bands": "hwds.supply.volume_bands:REPORT"}
    foresees: ClassVar[bool] = True

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
        if not self.committed < self.base < self.upside:
            raise ConfigError(
                f"decision.base: must lie between committed and upside, got {self.committed:g}, "
                f"{self.base:g}, {self.upside:g}."
            )
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
        names = (*frame.roles.static, *frame.roles.level)
        for column in self.deal:
            if column not in names:
                raise ConfigError(
                    f"decision.deal: no static or level column '{column}'{nearest(column, names)}"
                )
        first, last = protocol.volume_steps(frame)
        if self.months is not None and not first <= self.months[0] <= self.months[1] <= last:
            raise ConfigError(
                f"decision.months: must lie within the steps {first} to {last}, got "
                f"{list(self.months)}."
            )
        least = float(np.nanmin(frame.target, initial=np.inf))
        if self.floor is not None and least < self.floor:
            raise ConfigError(
                f"decision.floor: is {self.floor:g}, but the data goes down to {least:g}; set it "
                f"to null."
            )
        protocol.check_volume_data(frame)

    def decide(
        self, tables: Tables, frame: Panel, model: str, protocol: Evaluation[Any, Any]
    ) -> VolumeVerdict | None:
        """Return the verdict on the back-test.

        See `Decision.decide`. None where the model has no forecast.
        """
        assert isinstance(protocol, VolumeEvidence)
        past = self._past(tables, frame, model, protocol)
        if past is None:
            return None
        deals = self._table(past, past, tables, protocol)
        return self._verdict(deals, deals, past, frame, protocol, "back-test")

    def foresee(
        self,
        forecasts: pl.DataFrame,
        tables: Tables,
        frame: Panel,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> VolumeVerdict | None:
        """Return the verdict on the months to come, by the record of the back-test.

        See `Decision.foresee`.
        """
        assert isinstance(protocol, VolumeEvidence)
        past = self._past(tables, frame, model, protocol)
        if past is None or forecasts.is_empty():
            return None
        coming = self._windows(forecasts, frame, protocol)
        tested, deals = (self._table(each, past, tables, protocol) for each in (past, coming))
        return self._verdict(deals, tested, coming, frame, protocol, "future")

    def _table(
        self, windows: DealWindows, past: DealWindows, tables: Tables, protocol: VolumeEvidence
    ) -> pl.DataFrame:
        seed = int(tables.scores["seed"][0])
        return Deals(windows, past, self._terms(), seed, calibrated=protocol.calibrated).table()

    def _past(
        self, tables: Tables, frame: Panel, model: str, protocol: VolumeEvidence
    ) -> DealWindows | None:
        rows = tables.predictions
        of_model = rows.filter(pl.col("model") == model) if rows.width else rows
        return None if of_model.is_empty() else self._windows(of_model, frame, protocol)

    def _windows(self, rows: pl.DataFrame, frame: Panel, protocol: VolumeEvidence) -> DealWindows:
        if self.coupling == "paths" and not has_paths(rows):
            raise ConfigError(
                "decision.coupling: is paths, but the model cannot draw sample paths; take errors."
            )
        evidence, steps = protocol.volume_evidence(rows, frame), self._steps(frame, protocol)
        return deal_windows(evidence, frame, steps, self.deal, paths=self.coupling != "errors")

    def _steps(self, frame: Panel, protocol: VolumeEvidence) -> tuple[int, int]:
        first, last = self.months or protocol.volume_steps(frame)
        return first, last

    def _verdict(
        self,
        deals: pl.DataFrame,
        tested: pl.DataFrame,
        windows: DealWindows,
        frame: Panel,
        protocol: VolumeEvidence,
        when: Literal["back-test", "future"],
    ) -> VolumeVerdict:
        coupling: Coupling = "errors" if windows.paths is None else "paths"
        steps = self._steps(frame, protocol)
        return volume_verdict(
            self.name,
            deals,
            tested,
            self._terms(),
            coupling=coupling,
            steps=steps,
            unit=frame.unit,
            when=when,
        )

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

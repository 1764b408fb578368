"""SupplyPlan: what to make and what can be committed to, by the law of demand and predicted
outages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Draws, Level, Names, NonNegative, Positive, PositiveInt, Small
from hwds.core.seeds import stream
from hwds.evaluation.decisions.base import VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.results.formatting import first_to_last
from hwds.supply.decisions.base import (
    RunForecasts,
    VolumeDecision,
    check_deal_columns,
    check_positive_demand,
    check_rising_levels,
)
from hwds.supply.plan import SupplyCase, SupplyVerdict, decide_supply
from hwds.supply.production import OutageLaw, SupplyProblem, SupplyTerms, outages_of_run
from hwds.supply.volumes import Deals, DealWindows, law_of_draws

ALL = "all"
"""The name of the plant where there is one alone."""

NO_PLANT = "(none)"
"""The name of the plant of series that have none."""


class SupplyPlan(VolumeDecision):
    """The units to make of each deal in each step, and those to commit to: demand's joint law,
    stock, capacity and outages.

    A linear program plans production for expected demand above safety stocks, within the capacity
    that is expected to run. In draws of demand and of machines that fail each step makes what
    brings stock to its plan. The plan gives the fill rate, the steps of stock, and the quantiles of
    the deliverable amount: `committed`, `base` and `upside`, which `decision=oem_commitment` takes
    by `decision.volume_run`. Outages are those of a run with `decision=maintenance`: replacements
    and failures of its schedule, and after it the share of time that its rule loses in the long
    run.

    COMMIT where the back-test does not show that less is delivered than committed to more often
    than is meant; HOLD with the rule that bound otherwise: `no_backtest`, `few_deals` or
    `coverage`. The back-test knows demand; capacity is as predicted.

    Attributes:
        deal: Static or level columns whose values make one deal of several series; empty for each
            series alone.
        plant: The column whose values are plants; null for one plant.
        capacity: Units a step of each plant with all machines running, by its name (`all` where
            there is one).
        headroom: The capacity of the others, over their mean demand of a step in the plan.
        opening: Stock of each deal at the beginning, in steps of its mean demand.
        life_run: A run with `decision=maintenance`, for the outages; null for none.
        ailing: The plant whose machines are those of the run; null for all plants alike.
        step_length: The time of a step in the unit of the machines' ages.
        holding: The cost of a unit in stock at the end of a step.
        shortage: The cost of a unit owed at the end of a step.
        committed: The level of the volume to commit to.
        base: The level of the volume to plan with.
        upside: The level of the volume to be ready for.
        draws: The number of joint draws of demand and of outages.
        least_vectors: Past error vectors below which steps are independent.
        least_deals: Back-tested deals below which nothing is committed to.

    Example:
        python -m hwds +experiment=outage_to_commitment decision.deal=[sku] decision.headroom=1.05
    """

    reports: ClassVar[Mapping[str, str]] = {
        "supply_plan": "hwds.supply.plan:PLAN_REPORT",
        "supply_volumes": "hwds.supply.plan:VOLUMES_REPORT",
    }

    deal: Names = ()
    plant: str | None = None
    capacity: dict[str, Positive] = field(default_factory=dict)
    headroom: Positive = 1.1
    opening: NonNegative = 0.5
    life_run: str | None = None
    ailing: str | None = None
    step_length: Positive = 30.0
    holding: Positive = 1.0
    shortage: Positive = 9.0
    committed: Level = 0.1
    base: Level = 0.5
    upside: Level = 0.9
    draws: Annotated[Draws, Small(200)] = 1000
    least_vectors: Annotated[PositiveInt, Small(4)] = 20
    least_deals: Annotated[PositiveInt, Small(4)] = 20

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse levels that do not rise, settings of outages without a run, and forecasts without
        quantiles.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        assert isinstance(protocol, VolumeEvidence)
        check_rising_levels(self.committed, self.base, self.upside)
        if self.ailing is not None and self.life_run is None:
            raise ConfigError(
                "decision.ailing: needs decision.life_run, the run with the machines."
            )
        protocol.check_volumes(self.name, paths=False)

    def check_data(self, frame: Panel, protocol: Evaluation[Any, Any]) -> None:
        """Refuse columns and plants that are not there, demand below 0, and runs that lack what is
        read from them.

        Raises:
            ConfigError: With the nearest name.
        """
        assert isinstance(protocol, VolumeEvidence)
        plant = [("plant", self.plant)] if self.plant else []
        check_deal_columns(frame, [*(("deal", each) for each in self.deal), *plant])
        plants = (
            [ALL]
            if self.plant is None
            else sorted(frame.table.select(self._plants()).to_series().unique())
        )
        named = [("capacity", each) for each in self.capacity] + (
            [("ailing", self.ailing)] if self.ailing else []
        )
        for path, each in named:
            if each not in plants:
                raise ConfigError(f"decision.{path}: no plant '{each}'{nearest(each, plants)}")
        check_positive_demand(self.name, frame)
        if self.life_run is not None:
            outages_of_run(self.life_run)
        protocol.check_volume_data(frame)

    def decide_volumes(self, run: RunForecasts) -> SupplyVerdict | None:
        """Return the verdict on the last cutoff.

        See `VolumeDecision.decide_volumes`.
        """
        forecasts = run.of(run.model)
        if forecasts.is_empty():
            return None
        outages = None if self.life_run is None else outages_of_run(self.life_run)
        past = self._windows(forecasts, run)
        tested = list(self._cases(past, past, run, outages))
        cases = tested
        if run.coming is not None:
            cases = list(self._cases(self._windows(run.coming, run), past, run, outages))
        return (
            decide_supply(
                self.name or "supply_plan",
                tested,
                cases[-1],
                self.terms(),
                outages="" if outages is None else outages.source,
                unit=run.frame.unit,
                when=run.when,
            )
            if cases
            else None
        )

    def _windows(self, rows: pl.DataFrame, run: RunForecasts) -> DealWindows:
        """Return the windows, with the name of each series' plant beside its deal."""
        windows = run.windows(rows, self.deal, paths=True)
        if self.plant is None:
            keys = windows.keys.with_columns(plant=pl.lit(ALL))
        else:
            names = run.frame.table.select(SERIES, self._plants())[run.frame.offsets[:-1]]
            keys = windows.keys.join(names, SERIES, "left", maintain_order="left")
        return replace(windows, keys=keys)

    def _plants(self) -> pl.Expr:
        assert self.plant is not None
        return pl.col(self.plant).cast(pl.String).fill_null(NO_PLANT).alias("plant")

    def _cases(
        self, windows: DealWindows, past: DealWindows, run: RunForecasts, outages: OutageLaw | None
    ) -> Iterator[SupplyCase]:
        """Yield the case of each cutoff, oldest first; series without a forecast are left out."""
        deals = run.deals(windows, past, law_of_draws(self.draws, self.least_vectors))
        keys = windows.keys.with_row_index("window").filter(pl.Series(windows.lengths > 0))
        for _, rows in keys.group_by("moment", maintain_order=True):
            yield self._case(deals, rows, outages)

    def _case(self, deals: Deals, rows: pl.DataFrame, outages: OutageLaw | None) -> SupplyCase:
        members = rows["window"].to_numpy().astype(int)
        draws, source = deals.joint_draws(members)
        steps, n = draws.shape[1:]
        names = rows.select("plant", "deal").unique(maintain_order=True)
        place = rows.join(
            names.with_row_index("place"), ["plant", "deal"], "left", maintain_order="left"
        )["place"].to_numpy()
        demand, actual = np.zeros((len(names), steps, n)), np.zeros((len(names), steps))
        np.add.at(demand, place, draws)
        ended = np.arange(steps) >= deals.windows.lengths[members][:, None]
        np.add.at(actual, place, np.where(ended, 0.0, deals.windows.actual[members][:, :steps]))
        plants = list(names["plant"].unique(maintain_order=True))
        plant = np.array([plants.index(each) for each in names["plant"]])
        mean = demand.mean(axis=2)
        running, capacity = np.ones((len(plants), n, steps)), np.empty(len(plants))
        for each, name in enumerate(plants):
            asked = max(float(mean[plant == each].sum(0).mean()), 1e-9)
            capacity[each] = self.capacity.get(name, self.headroom * asked)
            if outages is not None and self.ailing in (None, name):
                rng = stream(deals.seed, "supply_plan", "outages", name)
                running[each] = outages.running(steps, self.step_length, n, rng)
        problem = SupplyProblem(
            demand=demand,
            running=running,
            plant=plant,
            capacity=capacity,
            opening=self.opening * mean.mean(axis=1),
        )
        cutoff, coupled = first_to_last(rows["cutoff"]), source != "independent"
        return SupplyCase(cutoff, list(names["deal"]), plants, problem, actual, coupled)

    def terms(self) -> SupplyTerms:
        """Return the costs and the levels."""
        return SupplyTerms(
            holding=self.holding,
            shortage=self.shortage,
            committed=self.committed,
            base=self.base,
            upside=self.upside,
            least_deals=self.least_deals,
        )

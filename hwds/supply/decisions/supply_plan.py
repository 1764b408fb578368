"""SupplyPlan: what to make and what can be committed to, by the law of demand and predicted
outages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Draws, Level, Names, NonNegative, Positive, PositiveInt, Small
from hwds.core.seeds import stream
from hwds.evaluation.decisions.base import Decision, VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.results.formatting import first_to_last
from hwds.results.tables import Tables
from hwds.supply.plan import SupplyCase, SupplyVerdict, decide_supply
from hwds.supply.production import OutageLaw, SupplyProblem, SupplyTerms, outages_of_run
from hwds.supply.volumes import Deals, DealWindows, VolumeTerms, deal_windows

ALL = "all"
"""The name of the plant where there is one alone."""

NO_PLANT = "(none)"
"""The name of the plant of series that have none."""


class SupplyPlan(Decision):
    """The units to make of each deal in each step, and those to commit to: demand's joint law,
    stock, capacity and outages.

    A linear program plans production for expected demand above safety stocks, within the capacity
    that is expected to run. In draws of demand and of machines that fail each step makes what
    brings stock to its plan. That says the fill rate, the steps of stock, and the quantiles of what
    can be delivered: `committed`, `base` and `upside`, which `decision=oem_commitment` takes by
    `decision.volume_run`. Outages are those of a run with `decision=maintenance`: replacements and
    failures of its schedule, and after it the share of time that its rule loses in the long run.

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

    tasks: ClassVar[tuple[str, ...]] = ("forecast",)
    reports: ClassVar[Mapping[str, str]] = {
        "supply_plan": "hwds.supply.plan:PLAN_REPORT",
        "supply_volumes": "hwds.supply.plan:VOLUMES_REPORT",
    }
    foresees: ClassVar[bool] = True

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
        if not self.committed < self.base < self.upside:
            raise ConfigError(
                f"decision.base: must lie between committed and upside, got {self.committed:g}, "
                f"{self.base:g}, {self.upside:g}."
            )
        if self.ailing is not None and self.life_run is None:
            raise ConfigError("decision.ailing: needs decision.life_run, whose machines it has.")
        protocol.check_volumes(self.name, paths=False)

    def check_data(self, frame: Panel, protocol: Evaluation[Any, Any]) -> None:
        """Refuse columns and plants that are not there, demand below 0, and runs that lack what is
        read from them.

        Raises:
            ConfigError: With the nearest name.
        """
        assert isinstance(protocol, VolumeEvidence)
        names = (*frame.roles.static, *frame.roles.level)
        columns = [("deal", each) for each in self.deal] + (
            [("plant", self.plant)] if self.plant else []
        )
        for path, column in columns:
            if column not in names:
                raise ConfigError(
                    f"decision.{path}: no static or level column '{column}'{nearest(column, names)}"
                )
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
        least = float(np.nanmin(frame.target, initial=np.inf))
        if least < 0:
            raise ConfigError(
                f"dataset: demand must be >= 0 for decision '{self.name}', got {least:g}."
            )
        if self.life_run is not None:
            outages_of_run(self.life_run)
        protocol.check_volume_data(frame)

    def decide(
        self, tables: Tables, frame: Panel, model: str, protocol: Evaluation[Any, Any]
    ) -> SupplyVerdict | None:
        """Return the verdict on the last cutoff of the back-test.

        See `Decision.decide`. None where nothing is forecast.
        """
        past = self._past(tables, frame, model, protocol)
        cases = [] if past is None else list(self._cases(past, past, tables, protocol))
        return self._verdict(cases, cases[-1], frame, "back-test") if cases else None

    def foresee(
        self,
        forecasts: pl.DataFrame,
        tables: Tables,
        frame: Panel,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> SupplyVerdict | None:
        """Return the verdict on the steps to come, by the record of the back-test.

        See `Decision.foresee`.
        """
        past = self._past(tables, frame, model, protocol)
        if past is None or forecasts.is_empty():
            return None
        coming = list(
            self._cases(self._windows(forecasts, frame, protocol), past, tables, protocol)
        )
        return (
            self._verdict(
                list(self._cases(past, past, tables, protocol)), coming[-1], frame, "future"
            )
            if coming
            else None
        )

    def _past(
        self, tables: Tables, frame: Panel, model: str, protocol: Evaluation[Any, Any]
    ) -> DealWindows | None:
        rows = tables.predictions
        of_model = rows.filter(pl.col("model") == model) if rows.width else rows
        return None if of_model.is_empty() else self._windows(of_model, frame, protocol)

    def _windows(
        self, rows: pl.DataFrame, frame: Panel, protocol: Evaluation[Any, Any]
    ) -> DealWindows:
        """Return the windows, the name of each series' plant beside its deal."""
        assert isinstance(protocol, VolumeEvidence)
        evidence, steps = protocol.volume_evidence(rows, frame), protocol.volume_steps(frame)
        windows = deal_windows(evidence, frame, steps, self.deal, paths=True)
        if self.plant is None:
            keys = windows.keys.with_columns(pl.lit(ALL).alias("plant"))
        else:
            names = frame.table.select(SERIES, self._plants())[frame.offsets[:-1]]
            keys = windows.keys.join(names, SERIES, "left", maintain_order="left")
        return DealWindows(**{**vars(windows), "keys": keys})

    def _plants(self) -> pl.Expr:
        assert self.plant is not None
        return pl.col(self.plant).cast(pl.String).fill_null(NO_PLANT).alias("plant")

    def _cases(
        self,
        windows: DealWindows,
        past: DealWindows,
        tables: Tables,
        protocol: Evaluation[Any, Any],
    ) -> Iterator[SupplyCase]:
        """Yield the case of each cutoff, oldest first; series without a forecast are left out."""
        assert isinstance(protocol, VolumeEvidence)
        seed = int(tables.scores["seed"][0])
        law = VolumeTerms(0.1, 0.5, 0.9, 1.0, 1.0, 0.0, self.draws, self.least_vectors, 1)
        deals = Deals(windows, past, law, seed, calibrated=protocol.calibrated)
        outages = None if self.life_run is None else outages_of_run(self.life_run)
        keys = windows.keys.with_row_index("window").filter(pl.Series(windows.lengths > 0))
        for _, rows in keys.group_by("moment", maintain_order=True):
            yield self._case(deals, rows, outages, seed)

    def _case(
        self, deals: Deals, rows: pl.DataFrame, outages: OutageLaw | None, seed: int
    ) -> SupplyCase:
        members = rows["window"].to_numpy().astype(int)
        draws, source = deals.joint_draws(members)
        steps = draws.shape[1]
        names = rows.select("plant", "deal").unique(maintain_order=True)
        place = rows.join(
            names.with_row_index("place"), ["plant", "deal"], "left", maintain_order="left"
        )["place"].to_numpy()
        demand = np.zeros((len(names), *draws.shape[1:]))
        np.add.at(demand, place, draws)
        ended = np.arange(steps) >= deals.windows.lengths[members][:, None]
        known = np.where(ended, 0.0, deals.windows.actual[members][:, :steps])
        actual = np.zeros((len(names), steps))
        np.add.at(actual, place, known)
        plants = list(names["plant"].unique(maintain_order=True))
        plant = np.array([plants.index(each) for each in names["plant"]])
        cutoff = first_to_last(rows["cutoff"])
        mean = demand.mean(axis=2)
        problem = SupplyProblem(
            demand=demand,
            running=self._running(plants, steps, demand.shape[2], outages, seed),
            plant=plant,
            capacity=np.array(
                [self._capacity(name, mean[plant == at].sum(0)) for at, name in enumerate(plants)]
            ),
            opening=self.opening * mean.mean(axis=1),
        )
        return SupplyCase(
            cutoff, list(names["deal"]), plants, problem, actual, source != "independent"
        )

    def _capacity(self, plant: str, demand: np.ndarray) -> float:
        return self.capacity.get(plant, self.headroom * max(float(demand.mean()), 1e-9))

    def _running(
        self, plants: list[str], steps: int, n: int, outages: OutageLaw | None, seed: int
    ) -> np.ndarray:
        """Return the share that runs of each plant, shape (plants, n, steps)."""
        out = np.ones((len(plants), n, steps))
        for place, plant in enumerate(plants):
            if outages is not None and self.ailing in (None, plant):
                out[place] = outages.running(
                    steps, self.step_length, n, stream(seed, "supply_plan", "outages", plant)
                )
        return out

    def _verdict(
        self,
        past: list[SupplyCase],
        coming: SupplyCase,
        frame: Panel,
        when: Literal["back-test", "future"],
    ) -> SupplyVerdict:
        source = "" if self.life_run is None else outages_of_run(self.life_run).source
        named = self.name or "supply_plan"
        return decide_supply(
            named, past, coming, self.terms(), outages=source, unit=frame.unit, when=when
        )

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

"""Maintenance: when to replace which machine, by the law of its remaining life, with a limited crew
and limited parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from polars import DataFrame, col

from hwds.core.errors import ConfigError
from hwds.core.recipe import Draws, NonNegative, NonNegativeInt, Positive, PositiveInt, Small
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.runs import ENTITY, Runs
from hwds.lifetime.laws import survival_with_tail
from hwds.lifetime.metrics import QUANTILE_COLUMNS
from hwds.lifetime.protocols.last_window import LastWindow
from hwds.results.tables import TRUTH, Tables
from hwds.supply.fleet import LifeLaws, MaintenanceTerms
from hwds.supply.maintenance import MaintenanceVerdict, decide_maintenance

MEDIAN = "q_0.5"


class Maintenance(Decision):
    """When to replace which machine: now, in one of the slots to come, or later, by the law of its
    remaining life.

    A machine is replaced where the expected cost of failing before a later slot is above what its
    running until then is worth. The worth of a unit of time is the fleet's long-run cost rate
    (renewal reward): the limit of that rule, chosen on machines of other folds than the machines
    that judge it. Machines that compete for a crew or for parts are laid out at least cost (an
    assignment; with parts a mixed-integer program). The back-test uses held-out machines, inspected
    at regular ages (`protocol=life_slots`), and compares with running to failure, the best fixed
    interval, a threshold on the median life, and foresight; censored machines count by weights. A
    replacement makes a machine new, and takes its slot whole.

    SCHEDULE if the rule is shown to cost less than the rules that use no sensor; HOLD with the rule
    that bound otherwise: `few_failures` or `no_gain`.

    Attributes:
        planned_cost: The cost of a replacement before a failure, without its downtime.
        failure_cost: The cost of a failure and its repair, without its downtime.
        planned_downtime: The duration of a planned replacement, in the unit of ages.
        failure_downtime: How long a failed machine stands still once a crew and a part are there.
        downtime_cost: The cost of a unit of that time.
        crew: Replacements in a slot at most; null for any number.
        parts: On hand; null for any number.
        parts_rate: Parts that arrive in each slot.
        slots: The slots of work that are planned ahead.
        least_failures: Machines that failed, below which nothing is shown.
        resamples: The number of resamples of the bootstrap over machines.

    Example:
        python -m hwds +experiment=maintenance_schedule decision.failure_cost=20000 decision.crew=3
    """

    tasks: ClassVar[tuple[str, ...]] = ("remaining_life",)
    foresees: ClassVar[bool] = True

    planned_cost: NonNegative = 1000.0
    failure_cost: Positive = 5000.0
    planned_downtime: NonNegative = 1.0
    failure_downtime: NonNegative = 5.0
    downtime_cost: NonNegative = 100.0
    crew: PositiveInt | None = 2
    parts: NonNegativeInt | None = None
    parts_rate: NonNegative = 1.0
    slots: Annotated[int, Ge(1), Le(1_000)] = 6
    least_failures: Annotated[PositiveInt, Small(4)] = 20
    resamples: Annotated[Draws, Small(200)] = 1000

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse machines that are not inspected at regular ages, and failures that cost no more
        than what prevents them.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        if not isinstance(protocol, LastWindow) or not protocol.every:
            raise ConfigError(
                "protocol.every: must be at least 1 for decision 'maintenance', so that machines "
                "are inspected at regular ages;"
                " take protocol=life_slots."
            )
        terms = self.terms()
        if terms.failure <= terms.planned:
            raise ConfigError(
                f"decision.failure_cost: must be above the cost of a planned replacement with "
                f"downtime, {terms.planned:g},"
                f" got {terms.failure:g} with downtime."
            )

    def decide(
        self, tables: Tables, frame: Runs, model: str, protocol: Evaluation[Any, Any]
    ) -> MaintenanceVerdict | None:
        """Return the verdict; the schedule is of machines that never failed, at their last
        inspection. None without answers.
        """
        laws = self._laws(tables, frame, model, protocol)
        if laws is None:
            return None
        truth = self._laws(tables, frame, TRUTH, protocol)
        return self._verdict(laws, without_failures(laws), tables, truth)

    def foresee(
        self,
        forecasts: DataFrame,
        tables: Tables,
        frame: Runs,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> MaintenanceVerdict | None:
        """Return the verdict with the schedule of the machines that run now.

        See `Decision.foresee`.
        """
        laws = self._laws(tables, frame, model, protocol, recorded=True)
        if laws is None or forecasts.is_empty():
            return None
        coming = life_laws(forecasts.with_columns(fold=pl.lit(-1)), frame, self.slots, laws.slot)
        return self._verdict(
            laws,
            coming,
            tables,
            self._laws(tables, frame, TRUTH, protocol, recorded=True),
            future=True,
        )

    def terms(self) -> MaintenanceTerms:
        """Return the costs, downtime included, and the capacity."""
        return MaintenanceTerms(
            planned=self.planned_cost + self.downtime_cost * self.planned_downtime,
            failure=self.failure_cost + self.downtime_cost * self.failure_downtime,
            planned_downtime=self.planned_downtime,
            failure_downtime=self.failure_downtime,
            downtime=self.downtime_cost,
            crew=self.crew,
            parts=self.parts,
            parts_rate=self.parts_rate,
            least_failures=self.least_failures,
            resamples=self.resamples,
        )

    def _laws(
        self,
        tables: Tables,
        frame: Runs,
        model: str,
        protocol: Evaluation[Any, Any],
        *,
        recorded: bool = False,
    ) -> LifeLaws | None:
        """Return the laws of the machines that folds hold out.

        Those set apart for a sweep are inspected by none. `recorded` takes their ends from the
        run's predictions if the frame is of other machines.
        """
        assert isinstance(protocol, LastWindow)
        rows, runs = tables.predictions, frame.learnable
        if len(rows):
            rows = rows.filter(model=model, part="kfold")
        if rows.is_empty():
            return None
        if recorded and not rows[ENTITY].is_in(list(runs.names)).all():
            return recorded_laws(rows, runs.unit, self.slots)
        return life_laws(rows, runs.take(~protocol.is_apart(runs)), self.slots)

    def _verdict(
        self,
        laws: LifeLaws,
        running: LifeLaws,
        tables: Tables,
        truth: LifeLaws | None,
        *,
        future: bool = False,
    ) -> MaintenanceVerdict:
        return decide_maintenance(
            self.name or "maintenance",
            laws,
            running,
            truth,
            self.terms(),
            seed=int(tables.scores["seed"][0]),
            when="future" if future else "back-test",
        )


def life_laws(rows: DataFrame, runs: Runs, slots: int, slot: float | None = None) -> LifeLaws:
    """Return a model's predictions of machines at each inspection.

    Args:
        rows: `entity, age, fold` and quantiles.
        runs: The whole runs; all of them are in the laws.
        slots: That are looked ahead.
        slot: The time from one inspection to the next; None for the median gap between the rows of
            a machine.
    """
    ends = DataFrame(
        {ENTITY: list(runs.names), "end": runs.ages, "failed": runs.events}
    ).with_columns(start=runs.ends["start"])
    return _laws_of(rows, ends, runs.unit, slots, slot)


def recorded_laws(rows: DataFrame, unit: str, slots: int) -> LifeLaws:
    """Return the laws of machines whose runs are not there, by their predictions alone.

    They share no clock.

    Args:
        rows: `entity, age, fold, seen, failed` and quantiles.
        unit: The unit of ages.
        slots: That are looked ahead.
    """
    ends = rows.group_by(ENTITY, maintain_order=True).agg(
        end=(col("age") + col("seen")).first(), failed=col("failed").first()
    )
    return _laws_of(rows, ends.with_columns(start=pl.lit(None)), unit, slots, None)


def _laws_of(
    rows: DataFrame, ends: DataFrame, unit: str, slots: int, slot: float | None
) -> LifeLaws:
    """Return the laws of predictions, with the ends of machines: `entity, end, failed, start`."""
    place = ends.select(ENTITY).with_row_index("machine")
    rows = rows.join(place, ENTITY, "inner").sort("machine", "age")
    gaps = rows.select(col("age").diff().over("machine")).to_series().drop_nulls()
    slot = slot or float(gaps.median() or 1.0)  # type: ignore[arg-type]
    machine = rows["machine"].cast(pl.Int64).to_numpy()
    fold = np.full(len(ends), -1)
    fold[machine] = rows["fold"].to_numpy()
    quantiles = rows.select(QUANTILE_COLUMNS).to_numpy()
    return LifeLaws(
        names=tuple(ends[ENTITY]),
        ends=ends["end"].cast(pl.Float64).to_numpy(),
        failed=ends["failed"].to_numpy(),
        fold=fold,
        start=ends["start"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        machine=machine,
        age=rows["age"].to_numpy(),
        survival=survival_with_tail(quantiles, slot * np.arange(1, slots + 1)),
        median=rows[MEDIAN].to_numpy(),
        slot=slot,
        unit=unit,
    )


def without_failures(laws: LifeLaws) -> LifeLaws:
    """Return the laws at inspections of the machines that did not fail."""
    kept = ~laws.failed[laws.machine]
    return replace(
        laws,
        machine=laws.machine[kept],
        age=laws.age[kept],
        survival=laws.survival[kept],
        median=laws.median[kept],
    )

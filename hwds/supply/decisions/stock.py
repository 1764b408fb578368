"""Stock: how much to have of each series, from the joint law of its demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError
from hwds.core.recipe import Draws, NonNegative, Positive, PositiveInt, Small
from hwds.evaluation.decisions.base import VolumeEvidence
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.supply.decisions.base import RunForecasts, VolumeDecision, check_positive_demand
from hwds.supply.stock import StockVerdict, decide_stock
from hwds.supply.stock_levels import StockCases, StockPolicy, StockTerms, stock_cases
from hwds.supply.volumes import law_of_draws


class Stock(VolumeDecision):
    """The stock of each series: the levels that cost least by the joint law of the steps of its
    forecast.

    `newsvendor` has a level for each step, `base_stock` one for each order by the sum of the steps
    that it must cover, and `reorder_point` an (s, S) pair by the exact search for constant demand;
    `two_echelons` has a level of all stock, which a depot orders up to, and one of the store that
    it sends to (Clark and Scarf). The joint law comes from sample paths if the run keeps them;
    otherwise from the steps' own quantiles in the rank order of past errors; otherwise steps are
    independent. The record is a simulation of each held-out window with the actual demand: cost,
    shortages and service for every model of the run, so a better forecast is worth money. If the
    true law is known, it also gives the cost of the forecast's error.

    STOCK where service is not shown to be below what the costs ask for; HOLD with the rule that
    bound otherwise: `few_cases`, `few_series` (one has no interval of its service), or `service`.

    Attributes:
        policy: `newsvendor` (what is left is worth nothing in the next step), `base_stock`,
            `reorder_point` (s, S), or `two_echelons`.
        holding: The cost of a unit that is left at the end of a step.
        shortage: The cost of a unit that is short at the end of a step, each step that it is owed.
        order: The cost of an order, for `reorder_point`.
        lead: Steps from an order to its arrival; of two echelons from the depot to the store.
        depot_lead: Steps from an order of the depot to its arrival there, for `two_echelons`.
        depot_holding: The cost of a unit that is left in the depot at the end of a step, below that
            in the store.
        whole: Whether stock is of whole units.
        coupling: `paths`, `errors`, or `independent`; null takes the first of these that the run
            has.
        draws: The number of draws of each series, where they are made of quantiles.
        least_vectors: Past error vectors below which steps are independent.
        least_cases: Pairs of a series and a cutoff with known demand, below which nothing is shown.

    Example:
        python -m hwds +experiment=spare_parts_stock decision.lead=2 decision.shortage=20
    """

    reports: ClassVar[Mapping[str, str]] = {
        "stock_record": "hwds.supply.stock:RECORD_REPORT",
        "stock_levels": "hwds.supply.stock:LEVELS_REPORT",
    }

    policy: StockPolicy = "base_stock"
    holding: Positive = 1.0
    shortage: Positive = 9.0
    order: NonNegative = 0.0
    lead: Annotated[int, Ge(0), Le(1_000)] = 1
    depot_lead: Annotated[int, Ge(1), Le(1_000)] = 2
    depot_holding: NonNegative = 0.5
    whole: bool = True
    coupling: Literal["paths", "errors", "independent"] | None = None
    draws: Annotated[Draws, Small(200)] = 1000
    least_vectors: Annotated[PositiveInt, Small(4)] = 20
    least_cases: Annotated[PositiveInt, Small(4)] = 20

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse an order cost that the rule does not read, and forecasts without quantiles on both
        sides of the median.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        assert isinstance(protocol, VolumeEvidence)
        if (self.order > 0) != (self.policy == "reorder_point"):
            need = "above 0" if self.policy == "reorder_point" else "0"
            raise ConfigError(
                f"decision.order: must be {need} with policy={self.policy}, got {self.order:g}."
            )
        if self.policy == "two_echelons" and self.depot_holding >= self.holding:
            raise ConfigError(
                f"decision.depot_holding: must be below decision.holding, {self.holding:g}, got "
                f"{self.depot_holding:g}."
            )
        protocol.check_volumes(self.name, paths=self.coupling == "paths")

    def check_data(self, frame: Panel, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a lead time that no forecast covers, and demand below 0.

        Raises:
            ConfigError: With the field.
        """
        assert isinstance(protocol, VolumeEvidence)
        first, last = protocol.volume_steps(frame)
        reach = self.terms().reach
        if reach > last - first:
            also = "" if self.policy != "two_echelons" else " and decision.depot_lead together"
            raise ConfigError(
                f"decision.lead:{also} must be below the {last - first + 1} steps that are "
                f"forecast, for an order also covers the step in which it arrives, got {reach}."
            )
        check_positive_demand(self.name, frame)
        protocol.check_volume_data(frame)

    def decide_volumes(self, run: RunForecasts) -> StockVerdict | None:
        """Return the verdict on the last cutoff.

        See `VolumeDecision.decide_volumes`.
        """
        models = self._models(run)
        if run.model not in models:
            return None
        coming = models[run.model]
        if run.coming is not None:
            coming = self._cases(run, run.coming, run.of(run.model))
        name, unit = self.name or "stock", run.frame.unit
        return decide_stock(name, models, coming, run.model, self.terms(), unit=unit, when=run.when)

    def terms(self) -> StockTerms:
        """Return the costs and the rule."""
        return StockTerms(
            policy=self.policy,
            holding=self.holding,
            shortage=self.shortage,
            order=self.order,
            lead=0 if self.policy == "newsvendor" else self.lead,
            depot_lead=self.depot_lead if self.policy == "two_echelons" else 0,
            depot_holding=self.depot_holding if self.policy == "two_echelons" else 0.0,
            whole=self.whole,
            least=self.least_cases,
        )

    def _models(self, run: RunForecasts) -> dict[str, StockCases]:
        """Return the cases of each model with a forecast, the experiment's own first."""
        rows = run.tables.predictions
        labels = [run.model, *rows["model"].unique(maintain_order=True)] if rows.width else []
        cases = {}
        for label in dict.fromkeys(labels):
            forecasts = run.of(label)
            if len(forecasts):
                cases[label] = self._cases(run, forecasts, forecasts)
        return {label: each for label, each in cases.items() if len(each)}

    def _cases(self, run: RunForecasts, rows: pl.DataFrame, past: pl.DataFrame) -> StockCases:
        """Return the cases of windows that are forecast to their end.

        Args:
            run: The run.
            rows: The forecasts of a model.
            past: Its forecasts in the back-test, whose errors couple the steps.
        """
        paths = self.coupling in (None, "paths")
        windows = run.windows(rows, (), paths=paths)
        earlier = windows if rows is past else run.windows(past, (), paths=paths)
        least = 10**9 if self.coupling == "independent" else self.least_vectors
        deals = run.deals(windows, earlier, law_of_draws(self.draws, least))
        whole = np.flatnonzero(windows.lengths == windows.quantiles.shape[1])
        keys = windows.keys.select(pl.col(SERIES).alias("series"), "cutoff", "moment")[
            whole.tolist()
        ]
        draws = (deals.series_draws(place) for place in whole.tolist())
        return stock_cases(keys, draws, windows.actual[whole], self.terms())

"""PriceExperiment: which prices to test, how and how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError
from hwds.core.recipe import Level, Positive, PositiveInt, Steps, ZeroSteps
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Evaluation
from hwds.pricing.decisions.base import GuardedDecision, terms_from
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_experiment import TrialTerms, TrialVerdict, price_trials
from hwds.report.words import spoken

Count = Annotated[int, Ge(2), Le(20)]
Noise = Annotated[float, Ge(0), Le(10)]
Correlation = Annotated[float, Ge(0), Le(1)]


class PriceExperiment(GuardedDecision):
    """The price tests that are worth more than they cost: their arms, their design and their size.

    Reads the estimates of a model of demand (`DemandEstimates`), and finds the prices that
    `optimal_price` would charge within the same guardrails. The value of a test is the expected
    gain of its result over the best of these in the coming periods. Its cost is the lower reward of
    its arms during the test. The length with the largest difference is chosen. Arms are today's
    price and others within the guardrails. Prices are drawn by blocks of periods (`switchback`) or
    by clusters of customers (`cluster`), never by customer: single devices that are tested next to
    their substitutes mislead (Roemheld and Rao, arXiv 2402.14538). Each test hands its arms to
    `ab_plan`, and what is believed of them to a bandit's prior, as commands.

    Attributes:
        design: `switchback` gives all units an arm by turns in time, `cluster` gives each product
            one for the whole test.
        arms: The number of prices of a cell, today's among them.
        block: Periods for which a price stays in a switchback.
        washout: The first periods of a block, which are not read, for the block before still moves
            them.
        clusters: The number of clusters that share a cell's customers.
        noise: The deviation of the log of a period's units beyond chance.
        correlation: The correlation of this noise between the periods of a block or a cluster.
        longest: The most periods of a test.
        most: The most tests at once.
        conversion: The share of customers that buys at today's price.
        prior_customers: The customers that a bandit's prior counts at most.

    Example:
        python -m hwds +experiment=optimal_price decision=price_experiment decision.design=cluster
    """

    reports: ClassVar[Mapping[str, str]] = {"price_tests": "hwds.pricing.price_experiment:REPORT"}

    design: Literal["switchback", "cluster"] = "switchback"
    arms: Count = 3
    block: Steps = 2
    washout: ZeroSteps = 1
    clusters: PositiveInt = 20
    noise: Noise = 0.2
    correlation: Correlation = 0.3
    longest: Steps = 52
    most: PositiveInt = 5
    conversion: Level = 0.05
    prior_customers: Positive = 200.0

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol without elasticities, and blocks of which nothing is read.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        if self.washout >= self.block:
            raise ConfigError(
                f"decision.washout: must be < block, {self.block}, got {self.washout}."
            )

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> TrialVerdict:
        """Return the verdict from any estimates of demand.

        `seed` names the random draws. See `GuardedDecision.recommended`.
        """
        made = self.recommended(evidence, stream(seed, "price_experiment"))
        trials, arms = price_trials(
            evidence,
            made,
            self._terms(),
            periods=self.periods,
            most=self.most,
            conversion=self.conversion,
            prior=self.prior_customers,
        )
        return self._verdict(evidence, trials, arms)

    def _terms(self) -> TrialTerms:
        return terms_from(self, TrialTerms)

    def _verdict(
        self, evidence: DemandEstimates, trials: pl.DataFrame, arms: pl.DataFrame
    ) -> TrialVerdict:
        tested = trials.filter(verdict="test")
        rest = trials.filter(pl.col("verdict") != "test").group_by("verdict", maintain_order=True)
        excluded = {rule: tuple(cells) for rule, cells in rest.agg("cell").iter_rows()}
        value, cost = (float(tested[name].sum()) for name in ("value", "cost"))
        verdict = TrialVerdict(
            decision=self.name or "price_experiment",
            action="TEST" if len(tested) else "HOLD",
            rule="none"
            if len(tested)
            else max(excluded, key=lambda rule: len(excluded[rule]), default="no_estimate"),
            excluded=excluded,
            tested=len(tested),
            cells=len(trials),
            terms=self._terms(),
            periods=self.periods,
            longest=int(tested["periods"].max() or 0),  # type: ignore[arg-type]
            value=value,
            cost=cost,
            net=value - cost,
            unit=evidence.unit,
            period=evidence.period,
            trials=trials,
            arms=arms,
        )
        return spoken(verdict, note=evidence.note)

"""Off-policy evaluation: what a policy would have earned, from the log of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from pydantic import AfterValidator

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Level, NonNegativeInt, Small
from hwds.evaluation.abilities import Contrasting, LeakTestable, Segmentable
from hwds.evaluation.base import Cell, Evaluation, Score
from hwds.evaluation.context import RunContext
from hwds.evaluation.segments import labels_of_rows
from hwds.frames.outcomes import outcome_unit
from hwds.frames.table import ROW_ID, Table
from hwds.ope.family import OFF_POLICY
from hwds.ope.metrics.estimates import effective_size
from hwds.ope.models.base import Estimator
from hwds.ope.pricing import log_offers, value_evidence
from hwds.ope.protocols.estimation.inquiry import Inquiry, blocks_of_rows
from hwds.ope.protocols.estimation.log import Log, Range, Reward, read_log
from hwds.ope.protocols.estimation.rows import BY_PROPENSITY, WITHOUT, check_estimator, check_size, rows_of
from hwds.ope.protocols.estimation.scores import errors, measures, scores
from hwds.ope.protocols.estimation.support import SUPPORT, support_scores, with_support
from hwds.ope.protocols.estimation.target import Target, TargetPolicy, choices
from hwds.pricing.evidence import EvidenceTable, PriceEvidence
from hwds.pricing.offers import Certainty, Offers
from hwds.results.measure import Measure
from hwds.results.tables import Tables
from hwds.splitting.fold import Fold

TARGET = ""
"""The value of the column `policy` in rows of the target policy."""

OF_ARMS = ("policy_value", "improvement", "effective_sample_size")
"""The metrics that are reported for each arm."""


def _rising(value: Range | None) -> Range | None:
    if value and value[0] >= value[1]:
        raise ValueError("must rise")
    return value


@dataclass(frozen=True, slots=True)
class Held:
    """A block of the log's rows, whose reward models are fitted on others.

    Attributes:
        part: Its number.
        of: How many parts there are, each of several blocks.
    """

    part: int
    of: int

    @property
    def label(self) -> str:
        """The name of the block in messages."""
        return f"block {self.part + 1}"


class OffPolicy(Evaluation[Estimator, Table], Segmentable, LeakTestable, Contrasting, PriceEvidence):
    """Say what a policy would have earned from the log of another: its value, the gain over the log, and how far to trust both.

    Roles: `outcome`, `arm` or `price`, `propensity` where the estimator weighs by it, `context` for reward models, `group` for
    rows that are drawn together, `time`: rows of one day share what happened on it, which intervals count. A row whose outcome
    came later is as complete as any: `available_at` may be there and changes nothing. Reward models, and policies made of them,
    are fitted without the rows that they predict.

    Attributes:
        target_policy: The policy that is evaluated; `uniform`, or one of its fields.
        each_arm: Say of each arm, too, what it would be worth to show it always: scores with `segment_by=arm`.
        reward: `outcome`, or `revenue`, which is price times outcome.
        reward_range: The least and the largest reward there can be; null takes what was seen, which makes Bernstein's intervals
            approximate.
        least_propensity: The least propensity that the log guarantees: it bounds the weights.
        folds: Parts into which the rows are cut for cross-fitting and for the jackknife.
        min_effective_size: The effective sample size under which an estimator that weighs rows is refused.
        intervals: `bootstrap` (bias-corrected and accelerated), or `bernstein`, which holds for any number of independent rows
            and is wider; rows of a cross-fitted reward model are not quite independent. An estimator whose reward model or
            parameter has an error that its rows do not show takes the jackknife over the parts instead; `ci_method` says which.
        confidence: The confidence of the intervals, as a share.
        resamples: The resamples of the bootstrap.
        headline: The metric that orders the leaderboard.
        segments: Columns of the table; the rows of each of their values are scored apart too.
    """

    accepts: ClassVar[type] = Estimator
    frame_type: ClassVar[type] = OFF_POLICY.frame
    task: ClassVar[str] = OFF_POLICY.name
    keys: ClassVar[tuple[str, ...]] = ("policy", ROW_ID)
    untunable: ClassVar[str] = (
        "estimates a value that nobody knows, so that no setting of an estimator is better for what it says"
    )
    unit: ClassVar[str] = ROW_ID
    fields_not_in_key: ClassVar[tuple[str, ...]] = (*Evaluation.fields_not_in_key, "intervals", "confidence", "resamples")

    headline: str = OFF_POLICY.headline
    target_policy: Target = TargetPolicy()
    each_arm: bool = False
    reward: Reward = "outcome"
    reward_range: Annotated[Range | None, AfterValidator(_rising)] = None
    least_propensity: Level | None = None
    folds: Annotated[int, Ge(2), Le(10_000)] = 5
    min_effective_size: NonNegativeInt = 30
    intervals: Literal["bootstrap", "bernstein"] = "bootstrap"
    confidence: Level = 0.95
    resamples: Annotated[int, Ge(50), Le(1_000_000), Small(200)] = 1000

    def check_pricing(self, decision: str, certainty: Certainty | None, confidence: float) -> None:
        """Refuse a decision without estimates of each arm, and a risk that needs counts.

        Raises:
            ConfigError: With the field.
        """
        if not self.each_arm:
            raise ConfigError(f"protocol.each_arm: must be true for decision '{decision}', got false.")
        if certainty in ("always_valid", "test"):
            raise ConfigError(f"decision.certainty: must be 'posterior' for an off-policy estimate, got '{certainty}'.")

    def offers(self, frame: Table) -> Offers:
        """Return the arms of the log."""
        return log_offers(frame, self.log(frame), outcome=self.reward == "outcome")

    def price_evidence(self, tables: Tables, frame: Table, model: str, offers: Offers, most: int) -> EvidenceTable:
        """Return the estimate of each arm's value."""
        return value_evidence(tables, self.log(frame), model, offers)

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return one fold, the whole log, after all of it was checked that does not depend on the estimator."""
        log = self.log(frame)
        if self.intervals == "bernstein" and log.group is not None:
            raise ConfigError("protocol.intervals: bernstein takes rows as independent, the role group says they are not.")
        if not self.target_policy.learns:
            choices(self.target_policy, log, _no_predictions)
        blocks_of_rows(log, self.folds)
        return [Fold(0, "log", log.n, tuple(Held(part, self.folds) for part in range(self.folds)))]

    def log(self, frame: Table) -> Log:
        """Return the table as a log, checked."""
        return read_log(frame, self.reward, self.reward_range)

    def check_models(self, models: Mapping[str, Estimator], frame: Table) -> None:
        """Refuse an estimator that cannot work on this log.

        Raises:
            ConfigError: The target policy is none that it can evaluate.
            DataError: The log lacks what it needs, or too few rows count.
        """
        log = self.log(frame)
        for model in models.values():
            check_estimator(model, log, self.target_policy, self.least_propensity)
        if not self.target_policy.learns:
            bare = self._inquiry(log, RunContext(0)).evidence(self.target_policy, None)
            for model in models.values():
                check_size(model, bare, self.target_policy, self.min_effective_size)

    def evaluate_cell(self, model: Estimator, frame: Table, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Return a row for each row of the log: its parts of the estimate, its weight, and the support of the target's choices.

        Then the same for each arm shown always, where that is asked, told apart by the column `policy`. The first row has what
        the log tells of itself.
        """
        log = self.log(frame)
        check_estimator(model, log, self.target_policy, self.least_propensity)
        inquiry = self._inquiry(log, context)
        bare = inquiry.evidence(self.target_policy, None)
        check_size(model, bare, self.target_policy, self.min_effective_size)
        arms = [(TargetPolicy(arm=arm), arm) for arm in log.arms] if self.each_arm else []
        made = [rows_of(model, inquiry, policy, label) for policy, label in [(self.target_policy, TARGET), *arms]]
        found = [rows for rows in made if rows.width]
        if made[0].width and not (model.asks_price or self.target_policy.of_prices):
            weights = bare.weights if model.weighs and model.needs_propensity else None
            found[0] = with_support(made[0], log, bare, weights)
        return pl.concat(found, how="diagonal") if found else pl.DataFrame()

    def _inquiry(self, log: Log, context: RunContext) -> Inquiry:
        return Inquiry(log, self.folds, context, self.least_propensity)

    def rows_to_keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of the target policy, without what only their standard error is made of."""
        return rows.filter(pl.col("policy") == TARGET).select(
            pl.exclude("policy", "seed", "day", BY_PROPENSITY, SUPPORT, f"^.*{WITHOUT}.*$")
        )

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return the value, the gain over the log with its interval, the log's own value, and how much the log tells."""
        return self._scores(rows.filter(pl.col("policy") == TARGET))

    def _scores(self, rows: pl.DataFrame) -> list[Score]:
        return scores(rows, self.intervals, self.confidence, self.resamples, self.reward_range) if len(rows) else []

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the error of each estimate where the truth is known, the value of each arm if wanted, and what a log shows."""
        yield from errors({label: own.filter(pl.col("policy") == TARGET) for label, own in rows.items()})
        for label, own in rows.items():
            for arm in own["policy"].unique(maintain_order=True):
                if arm != TARGET:
                    yield from ((label, score) for score in self._of_arm(own.filter(pl.col("policy") == arm), arm))

        for label, own in list(rows.items())[:1]:
            yield from ((label, score) for score in support_scores(own))

    def _of_arm(self, rows: pl.DataFrame, arm: str) -> Iterator[Score]:
        """Yield the scores of an arm shown always; without a value where too few rows count."""
        weights = rows["weight"]
        few = not weights.null_count() and effective_size(weights.to_numpy()) < self.min_effective_size
        for score in self._scores(rows):
            if score.metric in OF_ARMS:
                shown = replace(score, segment_by="arm", segment=arm)
                estimated = few and score.metric != "effective_sample_size"
                yield (
                    Score(score.metric, "mean", None, n_undefined=score.n, segment_by="arm", segment=arm)
                    if estimated
                    else shown
                )

    def measures(self, frame: Table) -> tuple[Measure, ...]:
        """Return the measures of off-policy evaluation."""
        of_sales = self.reward == "revenue"
        subject = "revenue" if of_sales else frame.column("outcome").name
        unit = frame.unit if of_sales else outcome_unit(frame)
        return measures(subject, unit, self.confidence, str(self.target_policy))

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in measures()]
        if self.headline not in known:
            raise ConfigError(f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}")

    def labels(self, frame: Table, column: str) -> pl.DataFrame:
        """Return any column of the table by row."""
        return labels_of_rows(frame, column)

    def corrupt_after(self, frame: Table, cutoff: Held, rng: np.random.Generator) -> Table:
        """Return the table with other outcomes, inside their range, in one block."""
        log = self.log(frame)
        name = frame.column("outcome").name
        held = blocks_of_rows(log, cutoff.of) == cutoff.part
        values = frame.column("outcome").cast(pl.Float64).to_numpy()
        rubbish = np.where(held, rng.uniform(values.min(), values.max(), log.n), values)
        return replace(frame, data=frame.data.with_columns(pl.Series(name, rubbish)))

    def predictions_at(self, rows: pl.DataFrame, cutoff: Held, frame: Table) -> pl.DataFrame:
        """Return the rows of one block as estimated without their own rewards."""
        held = blocks_of_rows(self.log(frame), cutoff.of) == cutoff.part
        return rows.filter(pl.col("policy") == TARGET).filter(pl.Series(held)).select(ROW_ID, "base", "target", "supported")


def _no_predictions(learner: str) -> np.ndarray:
    raise AssertionError(f"{learner} is asked before the first cell")
